//! What can be wrong with a checkpoint. Every message names the file, and the tensor where there is one.

use std::{fmt, io, path::PathBuf};

#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    #[error("no weights in {}\nhint: --weights takes a folder with model.safetensors or pytorch_model.bin, or with the index of their shards", dir.display())]
    NothingFound { dir: PathBuf },
    #[error("cannot read {}: {source}\nhint: check that the file is there and readable", path.display())]
    Unreadable { path: PathBuf, source: io::Error },
    #[error("{}: {problem}\nhint: the file may be cut off; copy it again", path.display())]
    Malformed { path: PathBuf, problem: String },
    #[error("{}: {problem}\nhint: load it with the program that wrote it, and save it as safetensors", path.display())]
    Unsupported { path: PathBuf, problem: String },
    #[error("{}: refused to use `{module}.{name}`, which weights do not need\nhint: a file of weights that calls other code may be hostile; ask its author for safetensors", path.display())]
    ForeignGlobal {
        path: PathBuf,
        module: String,
        name: String,
    },
    #[error("{}: tensor `{name}` is in two shards\nhint: the folder holds files of two checkpoints; keep one", path.display())]
    Duplicate { path: PathBuf, name: String },
    #[error("{}: `{first}` and `{second}` are one tensor in this model, but differ\nhint: the checkpoint was trained with untied embeddings, which this model cannot represent", path.display())]
    TiedDiffer {
        path: PathBuf,
        first: String,
        second: String,
    },
    #[error("{0}")]
    Mismatch(Box<Mismatch>),
    #[error("{}: tensor `{name}`: {source}\nhint: the file may be cut off or the device out of memory", path.display())]
    Tensor {
        path: PathBuf,
        name: String,
        source: tch::TchError,
    },
    #[error("cannot write {}: {problem}\nhint: check that the folder exists and the disk has room", path.display())]
    Write { path: PathBuf, problem: String },
}

/// How a checkpoint differs from what the model wants.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Mismatch {
    pub path: PathBuf,
    pub missing: Vec<String>,
    pub extra: Vec<String>,
    /// Name, stored shape, wanted shape.
    pub misshaped: Vec<(String, Vec<i64>, Vec<i64>)>,
}

/// Enough names to see the pattern, few enough to read.
const SHOWN: usize = 6;

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} does not fit the model", self.path.display())?;
        list(f, "missing", self.missing.iter().map(|name| format!("`{name}`")))?;
        list(f, "not in the model", self.extra.iter().map(|name| format!("`{name}`")))?;
        let shapes = self.misshaped.iter();
        list(
            f,
            "of another shape",
            shapes.map(|(name, is, wanted)| format!("`{name}` is {is:?}, wanted {wanted:?}")),
        )?;
        write!(
            f,
            "\nhint: take the config.json that belongs to these weights, and the --model it describes"
        )
    }
}

fn list(f: &mut fmt::Formatter<'_>, title: &str, items: impl ExactSizeIterator<Item = String>) -> fmt::Result {
    let n = items.len();
    if n == 0 {
        return Ok(());
    }
    write!(
        f,
        "\n  {n} {title}: {}",
        items.take(SHOWN).collect::<Vec<_>>().join(", ")
    )?;
    if n > SHOWN { write!(f, ", ...") } else { Ok(()) }
}
