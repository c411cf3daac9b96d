//! Trained weights in the files that transformers reads and writes.
//!
//! Owns reading safetensors and `pytorch_model.bin`, whole or in shards, and writing safetensors; the names inside are
//! transformers' own. Which tensors a model needs is the model's knowledge: it hands over a list of [`Wanted`], and learns of
//! every one that is missing, left over or of another shape. Files are memory-mapped: opening reads the directory only, and a
//! tensor's bytes are touched once, when it is asked for.
//!
//! A pickle is a program. Ours runs none of it: see `pickle`.

mod error;
mod file;
mod names;
mod pickle;
mod safetensors;
mod save;
mod shards;
mod torch;

pub use error::CheckpointError;
pub use save::{save, save_as};

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use tch::{Device, Kind, Tensor};

use file::Stored;

/// A tensor that a model needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    pub name: String,
    pub shape: Vec<i64>,
    /// Buffers with a natural value (zeros) may be absent.
    pub optional: bool,
}

/// An open checkpoint.
#[derive(Debug)]
pub struct Weights {
    path: PathBuf,
    tensors: BTreeMap<String, Stored>,
}

impl Weights {
    /// Opens the weights in `dir`, safetensors before pickles, or one weights file.
    pub fn open(path: &Path) -> Result<Self, CheckpointError> {
        let tensors = shards::open(path)?;
        Ok(Self {
            path: path.to_owned(),
            tensors,
        })
    }

    /// Names as stored, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    /// The stored shape of a tensor, under its own name or a tied one.
    pub fn shape(&self, name: &str) -> Option<&[i64]> {
        self.find(name).map(|(_, stored)| &stored.shape[..])
    }

    /// Checks that the checkpoint holds exactly what a model wants, and that copies of a tied tensor agree.
    pub fn expect(&self, wanted: &[Wanted]) -> Result<(), CheckpointError> {
        let mut left: BTreeMap<&str, &Stored> = self.tensors.iter().map(|(name, t)| (name.as_str(), t)).collect();
        let (mut missing, mut misshaped) = (Vec::new(), Vec::new());
        for tensor in wanted {
            let mut found: Option<(&str, &Stored)> = None;
            for variant in names::variants(&tensor.name) {
                let Some((name, stored)) = left.remove_entry(variant.as_str()) else {
                    continue;
                };
                if stored.shape != tensor.shape {
                    misshaped.push((name.to_owned(), stored.shape.clone(), tensor.shape.clone()));
                }
                if let Some((first, _)) = found.filter(|(_, other)| !other.same_values(stored)) {
                    let path = self.path.clone();
                    return Err(CheckpointError::TiedDiffer {
                        path,
                        first: first.to_owned(),
                        second: name.to_owned(),
                    });
                }
                found = found.or(Some((name, stored)));
            }
            if found.is_none() && !tensor.optional {
                missing.push(tensor.name.clone());
            }
        }
        let extra: Vec<String> = left
            .into_keys()
            .filter(|name| !names::is_derived(name))
            .map(str::to_owned)
            .collect();
        if missing.is_empty() && misshaped.is_empty() && extra.is_empty() {
            return Ok(());
        }
        Err(CheckpointError::Mismatch(Box::new(error::Mismatch {
            path: self.path.clone(),
            missing,
            extra,
            misshaped,
        })))
    }

    /// One tensor as `kind` on `device`, under its own name or a tied one. Contiguous, and its memory is its own.
    pub fn tensor(&self, name: &str, kind: Kind, device: Device) -> Result<Tensor, CheckpointError> {
        self.get(name, kind, device)?.ok_or_else(|| {
            let path = self.path.clone();
            let missing = vec![name.to_owned()];
            CheckpointError::Mismatch(Box::new(error::Mismatch {
                path,
                missing,
                ..Default::default()
            }))
        })
    }

    /// As [`Weights::tensor`], `None` where there is none.
    pub fn get(&self, name: &str, kind: Kind, device: Device) -> Result<Option<Tensor>, CheckpointError> {
        let Some((found, stored)) = self.find(name) else {
            return Ok(None);
        };
        let failed = |source| CheckpointError::Tensor {
            path: self.path.clone(),
            name: found.to_owned(),
            source,
        };
        stored.tensor(kind, device).map(Some).map_err(failed)
    }

    fn find(&self, name: &str) -> Option<(&str, &Stored)> {
        let found = names::variants(name)
            .into_iter()
            .find_map(|variant| self.tensors.get_key_value(&variant));
        found.map(|(name, stored)| (name.as_str(), stored))
    }
}
