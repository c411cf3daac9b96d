//! Writes weights as safetensors, under transformers' names, so that `from_pretrained` loads them.

use std::{borrow::Cow, collections::HashMap, path::Path};

use safetensors::{Dtype, View};
use tch::{Device, Kind, Tensor};

use super::CheckpointError;

/// A tensor on the CPU without gaps, so that its memory is its bytes in the file.
struct Contiguous {
    tensor: Tensor,
    dtype: Dtype,
    shape: Vec<usize>,
}

impl View for &Contiguous {
    fn dtype(&self) -> Dtype {
        self.dtype
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        let start = self.tensor.data_ptr().cast::<u8>().cast_const();
        if self.data_len() == 0 {
            return Cow::Borrowed(&[]);
        }
        // SAFETY: the tensor is contiguous, on the CPU, lives as long as `self`, and nobody writes to it meanwhile: safetensors
        // writes the file before `save`, which borrows the caller's tensors, returns.
        Cow::Borrowed(unsafe { std::slice::from_raw_parts(start, self.data_len()) })
    }

    fn data_len(&self) -> usize {
        self.shape.iter().product::<usize>() * self.dtype.bitsize() / 8
    }
}

/// Writes `dir/model.safetensors`, all of it or none: a crash leaves the file that was there. Give a tied tensor once.
pub fn save(dir: &Path, tensors: &[(String, &Tensor)]) -> Result<(), CheckpointError> {
    save_as(&dir.join("model.safetensors"), tensors)
}

/// As [`save`], into a file of any name.
pub fn save_as(path: &Path, tensors: &[(String, &Tensor)]) -> Result<(), CheckpointError> {
    let failed = |problem: String| CheckpointError::Write {
        path: path.to_owned(),
        problem,
    };
    let mut views = Vec::with_capacity(tensors.len());
    for (name, tensor) in tensors {
        let view = contiguous(tensor).map_err(|problem| failed(format!("tensor `{name}`: {problem}")))?;
        views.push((name.as_str(), view));
    }
    // transformers refuses a file that does not say which framework's layout it has.
    let about = HashMap::from([("format".to_owned(), "pt".to_owned())]);
    let views = views.iter().map(|(name, view)| (*name, view));
    safetensors::serialize_to_file(views, Some(about), path).map_err(|error| failed(error.to_string()))
}

fn contiguous(tensor: &Tensor) -> Result<Contiguous, String> {
    let dtype = match tensor.kind() {
        Kind::Double => Dtype::F64,
        Kind::Float => Dtype::F32,
        Kind::Half => Dtype::F16,
        Kind::BFloat16 => Dtype::BF16,
        Kind::Int64 => Dtype::I64,
        Kind::Int => Dtype::I32,
        other => return Err(format!("elements of type {other:?} have no place in a checkpoint")),
    };
    let shape = tensor.size().iter().map(|&d| d as usize).collect();
    let tensor = tensor
        .detach()
        .f_to_device(Device::Cpu)
        .and_then(|tensor| tensor.f_contiguous());
    Ok(Contiguous {
        tensor: tensor.map_err(|error| error.to_string())?,
        dtype,
        shape,
    })
}
