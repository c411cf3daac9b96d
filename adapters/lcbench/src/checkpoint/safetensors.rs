//! The directory of a safetensors file. Parsing and validation are the `safetensors` crate's.

use std::path::Path;

use safetensors::{Dtype, SafeTensors};
use tch::Kind;

use super::{
    CheckpointError,
    file::{self, Stored},
};

pub(super) fn read(path: &Path) -> Result<Vec<(String, Stored)>, CheckpointError> {
    let malformed = |problem: String| CheckpointError::Malformed {
        path: path.to_owned(),
        problem,
    };
    let file = file::map(path)?;
    let (header, directory) = SafeTensors::read_metadata(&file).map_err(|error| malformed(error.to_string()))?;
    // A safetensors file is the header's length (8 bytes), the header, then the tensors end to end.
    let start = 8 + header;
    let mut tensors = Vec::new();
    for (name, info) in directory.tensors() {
        let kind = kind(info.dtype).ok_or_else(|| CheckpointError::Unsupported {
            path: path.to_owned(),
            problem: format!("tensor `{name}` has elements of type {:?}", info.dtype),
        })?;
        let shape = info.shape.iter().map(|&d| d as i64).collect();
        let storage = start + info.data_offsets.0..start + info.data_offsets.1;
        let stored = Stored::new(file.clone(), storage, kind, shape, None, 0);
        tensors.push((
            name.clone(),
            stored.map_err(|problem| malformed(format!("tensor `{name}`: {problem}")))?,
        ));
    }
    Ok(tensors)
}

fn kind(dtype: Dtype) -> Option<Kind> {
    Some(match dtype {
        Dtype::F64 => Kind::Double,
        Dtype::F32 => Kind::Float,
        Dtype::F16 => Kind::Half,
        Dtype::BF16 => Kind::BFloat16,
        Dtype::I64 => Kind::Int64,
        Dtype::I32 => Kind::Int,
        _ => return None,
    })
}
