//! The two containers of `torch.save`: a zip of a pickle and its storages (since 1.6), and the legacy stream before it.
//!
//! Formats as in torch/serialization.py (`_save`, `_legacy_save`). Storages are stored without compression, so tensors are mapped
//! where they lie.

use std::{collections::HashMap, io::Cursor, ops::Range, path::Path, sync::Arc};

use memmap2::Mmap;
use zip::{CompressionMethod, ZipArchive};

use super::{
    CheckpointError,
    file::{self, Stored},
    pickle::{Pickle, PickleError, TensorRef, Value},
};

/// First pickle of a legacy file.
const LEGACY_MAGIC: i128 = 0x1950_a86a_20f9_469c_fc6c;
const LEGACY_PROTOCOL: i128 = 1001;

pub(super) fn read(path: &Path) -> Result<Vec<(String, Stored)>, CheckpointError> {
    let file = file::map(path)?;
    let read = if file.starts_with(b"PK") {
        read_zip(&file)
    } else {
        read_legacy(&file)
    };
    read.map_err(|error| error.at(path))
}

/// An error that does not know its file yet.
enum Problem {
    Malformed(String),
    Unsupported(String),
    Foreign { module: String, name: String },
}

impl Problem {
    fn at(self, path: &Path) -> CheckpointError {
        let path = path.to_owned();
        match self {
            Self::Malformed(problem) => CheckpointError::Malformed { path, problem },
            Self::Unsupported(problem) => CheckpointError::Unsupported { path, problem },
            Self::Foreign { module, name } => CheckpointError::ForeignGlobal { path, module, name },
        }
    }
}

impl From<PickleError> for Problem {
    fn from(error: PickleError) -> Self {
        match error {
            PickleError::Foreign { module, name } => Self::Foreign { module, name },
            PickleError::Malformed(problem) => Self::Malformed(problem),
        }
    }
}

impl From<zip::result::ZipError> for Problem {
    fn from(error: zip::result::ZipError) -> Self {
        Self::Malformed(format!("not a whole zip: {error}"))
    }
}

/// `NAME/data.pkl`, `NAME/data/KEY` for each storage, `NAME/byteorder`.
fn read_zip(file: &Arc<Mmap>) -> Result<Vec<(String, Stored)>, Problem> {
    let mut entries: HashMap<String, Range<usize>> = HashMap::new();
    let mut archive = ZipArchive::new(Cursor::new(&file[..]))?;
    for n in 0..archive.len() {
        let entry = archive.by_index_raw(n)?;
        let name = entry.name()?.into_owned();
        if entry.compression() != CompressionMethod::Stored {
            return Err(Problem::Unsupported(format!(
                "entry `{name}` is compressed, which torch.save never does"
            )));
        }
        let range = entry.data_start().and_then(|start| {
            let (start, size) = (usize::try_from(start).ok()?, usize::try_from(entry.size()).ok()?);
            start
                .checked_add(size)
                .filter(|end| *end <= file.len())
                .map(|end| start..end)
        });
        entries.insert(
            name.clone(),
            range.ok_or_else(|| Problem::Malformed(format!("entry `{name}` is cut off")))?,
        );
    }
    let root = entries
        .keys()
        .find_map(|name| name.strip_suffix("/data.pkl").map(str::to_owned));
    let root = root.ok_or_else(|| Problem::Unsupported("a zip without data.pkl: not written by torch.save".into()))?;
    if let Some(order) = entries
        .get(&format!("{root}/byteorder"))
        .map(|range| &file[range.clone()])
        && order != b"little"
    {
        return Err(Problem::Unsupported("written on a big-endian machine".into()));
    }
    let pickle = Pickle::read(&file[entries[&format!("{root}/data.pkl")].clone()])?;
    map_tensors(file, &pickle, |key| entries.get(&format!("{root}/data/{key}")).cloned())
}

/// Five pickles (magic, protocol, machine, object, keys of the storages), then per key its element count and its bytes.
fn read_legacy(file: &Arc<Mmap>) -> Result<Vec<(String, Stored)>, Problem> {
    let mut position = 0;
    let mut next = || {
        let pickle = Pickle::read(&file[position..])?;
        position += pickle.length;
        Ok::<_, Problem>(pickle)
    };
    let not_torch = || Problem::Unsupported("neither a zip nor a legacy file of torch.save".into());
    match next() {
        Ok(magic) if magic.int() == Some(LEGACY_MAGIC) => {}
        Err(foreign @ Problem::Foreign { .. }) => return Err(foreign),
        _ => return Err(not_torch()),
    }
    if next()?.int() != Some(LEGACY_PROTOCOL) {
        return Err(Problem::Unsupported(format!(
            "a legacy file of a protocol other than {LEGACY_PROTOCOL}"
        )));
    }
    if next()?.entry("little_endian") != Some(&Value::Bool(true)) {
        return Err(Problem::Unsupported("written on a big-endian machine".into()));
    }
    let object = next()?;
    let keys = next()?;
    let keys = keys
        .strings()
        .ok_or_else(|| Problem::Malformed("the list of storages is missing".into()))?;
    // A storage's element size is known only through the tensors that use it.
    let sizes: HashMap<&str, usize> = object
        .tensors()
        .map_err(Problem::Unsupported)?
        .into_iter()
        .map(|(_, tensor)| (tensor.storage.key.as_str(), tensor.storage.kind.elt_size_in_bytes()))
        .collect();
    let mut storages = HashMap::new();
    for key in keys {
        let range = sizes.get(key).and_then(|size| legacy_storage(file, position, *size));
        let range =
            range.ok_or_else(|| Problem::Malformed(format!("storage `{key}` is cut off or used by no tensor")))?;
        position = range.end;
        storages.insert(key.to_owned(), range);
    }
    map_tensors(file, &object, |key| storages.get(key).cloned())
}

fn legacy_storage(file: &[u8], position: usize, element_size: usize) -> Option<Range<usize>> {
    let (count, _) = file.get(position..)?.split_first_chunk::<8>()?;
    let bytes = usize::try_from(i64::from_le_bytes(*count))
        .ok()?
        .checked_mul(element_size)?;
    let start = position + 8;
    start
        .checked_add(bytes)
        .filter(|end| *end <= file.len())
        .map(|end| start..end)
}

fn map_tensors(
    file: &Arc<Mmap>,
    pickle: &Pickle,
    storage: impl Fn(&str) -> Option<Range<usize>>,
) -> Result<Vec<(String, Stored)>, Problem> {
    let mut tensors = Vec::new();
    for (name, tensor) in pickle.tensors().map_err(Problem::Unsupported)? {
        let TensorRef {
            storage: of,
            offset,
            shape,
            strides,
        } = tensor.clone();
        let problem = |problem| Problem::Malformed(format!("tensor `{name}`: {problem}"));
        let range = storage(&of.key).ok_or_else(|| problem(format!("its storage `{}` is missing", of.key)))?;
        let expected = of.elements.checked_mul(of.kind.elt_size_in_bytes() as i64);
        if expected != i64::try_from(range.len()).ok() {
            return Err(problem(format!(
                "its storage has {} bytes, {} elements announced",
                range.len(),
                of.elements
            )));
        }
        let stored = Stored::new(file.clone(), range, of.kind, shape, Some(strides), offset).map_err(problem)?;
        tensors.push((name.to_owned(), stored));
    }
    Ok(tensors)
}
