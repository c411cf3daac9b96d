//! The folder of `--save`: checkpoints of one training, of which a kill at any moment leaves the last one whole.
//!
//! ```text
//! DIR/checkpoint-20/   config.json, model.safetensors, vocabulary   what transformers' from_pretrained and --weights read
//!                      optimizer.safetensors, training.json          what --resume needs beside it
//! DIR/last -> checkpoint-20
//! DIR/best -> checkpoint-10
//! ```
//!
//! A checkpoint is written beside under another name, flushed to the disk, and renamed; then the links are replaced, each by a
//! rename; then checkpoints without a link are removed. Whatever step a kill falls into, `last` leads to a whole checkpoint,
//! and its training.json says which one is the best.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use serde_json::Value;
use tch::{Device, Kind, Tensor, no_grad};

use super::state::{SCHEMA, State};
use crate::{
    checkpoint::{CheckpointError, Wanted, Weights, save, save_as},
    optim::AdamW,
    setup::{self, Trainee},
};

#[derive(Debug, thiserror::Error)]
pub enum SaveError {
    #[error("--save {}: there is a training in it already\nhint: --resume {} goes on with it; or choose another folder", dir.display(), dir.display())]
    Taken { dir: PathBuf },
    #[error("--resume {}: no saved training: {problem}\nhint: give the folder that a training was given as --save", dir.display())]
    NothingToResume { dir: PathBuf, problem: String },
    #[error("cannot save {}: {source}\nhint: check that the disk has room and the folder can be written", path.display())]
    Write { path: PathBuf, source: io::Error },
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
}

/// What stands in a checkpoint beside numbers, and is the same in all of them.
#[derive(Debug)]
pub struct About {
    /// config.json.
    pub config: Value,
    /// The vocabulary's files.
    pub vocabulary: Vec<PathBuf>,
}

#[derive(Debug)]
pub struct Saves {
    dir: PathBuf,
    about: About,
}

impl Saves {
    /// For a new training: the folder is made, and must not hold one.
    pub fn create(dir: &Path, about: About) -> Result<Self, SaveError> {
        if dir.join(LAST).symlink_metadata().is_ok() {
            return Err(SaveError::Taken { dir: dir.to_owned() });
        }
        fs::create_dir_all(dir).map_err(|source| SaveError::Write {
            path: dir.to_owned(),
            source,
        })?;
        Ok(Self::of(dir, about))
    }

    /// For a training that goes on in a folder which [`read_state`] could read.
    pub fn of(dir: &Path, about: About) -> Self {
        Self {
            dir: dir.to_owned(),
            about,
        }
    }

    /// Where the checkpoint of a step lies.
    pub fn checkpoint(&self, step: u64) -> PathBuf {
        self.dir.join(name(step))
    }

    /// Keeps weights, moments and state as the last checkpoint, and the best one that the state names.
    pub fn write(&self, trainee: &Trainee, optimizer: &AdamW, state: &State) -> Result<(), SaveError> {
        let step = state.training.steps;
        let (part, whole) = (self.dir.join(format!("{}.part", name(step))), self.checkpoint(step));
        let at = |path: &Path| {
            let path = path.to_owned();
            |source| SaveError::Write { path, source }
        };
        absent(&part).and_then(|()| fs::create_dir(&part)).map_err(at(&part))?;
        save(&part, &borrow(&setup::stored(&trainee.params)))?;
        save_as(&part.join(MOMENTS), &borrow(&optimizer.moments(&trainee.params)))?;
        self.describe(&part, state).map_err(at(&part))?;
        flush(&part).map_err(at(&part))?;
        // Only a checkpoint without a link can be in the way: what an interrupted `write` left.
        absent(&whole)
            .and_then(|()| fs::rename(&part, &whole))
            .map_err(at(&whole))?;
        self.link(LAST, step)?;
        let best = state.training.watch.best.map(|best| best.step);
        if let Some(best) = best {
            self.link(BEST, best)?;
        }
        self.prune(&[Some(step), best]).map_err(at(&self.dir))
    }

    fn describe(&self, part: &Path, state: &State) -> io::Result<()> {
        let write = |name, value: Value| fs::write(part.join(name), format!("{value:#}\n"));
        write("config.json", self.about.config.clone())?;
        write(STATE, serde_json::to_value(state)?)?;
        for file in &self.about.vocabulary {
            if let Some(name) = file.file_name() {
                fs::copy(file, part.join(name))?;
            }
        }
        Ok(())
    }

    fn link(&self, name_of: &str, step: u64) -> Result<(), SaveError> {
        let (new, link) = (self.dir.join(format!("{name_of}.new")), self.dir.join(name_of));
        absent(&new)
            .and_then(|()| std::os::unix::fs::symlink(name(step), &new))
            .and_then(|()| fs::rename(&new, &link))
            .and_then(|()| File::open(&self.dir)?.sync_all())
            .map_err(|source| SaveError::Write { path: link, source })
    }

    /// Removes checkpoints of other steps, and what was left half written.
    fn prune(&self, keep: &[Option<u64>]) -> io::Result<()> {
        let keep: Vec<String> = keep.iter().flatten().map(|step| name(*step)).collect();
        for entry in fs::read_dir(&self.dir)? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if is_checkpoint(&name) && !keep.contains(&name) {
                fs::remove_dir_all(entry.path())?;
            }
        }
        Ok(())
    }
}

const LAST: &str = "last";
const BEST: &str = "best";
const MOMENTS: &str = "optimizer.safetensors";
const STATE: &str = "training.json";

fn name(step: u64) -> String {
    format!("checkpoint-{step}")
}

/// As [`name`] gives, or that with `.part`.
fn is_checkpoint(name: &str) -> bool {
    let number = name.strip_prefix("checkpoint-").unwrap_or_default();
    let number = number.strip_suffix(".part").unwrap_or(number);
    !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
}

/// The checkpoint that a training in `dir` goes on from.
pub fn last(dir: &Path) -> PathBuf {
    dir.join(LAST)
}

pub fn read_state(dir: &Path) -> Result<State, SaveError> {
    let fail = |problem: String| SaveError::NothingToResume {
        dir: dir.to_owned(),
        problem,
    };
    let path = last(dir).join(STATE);
    let text = fs::read_to_string(&path).map_err(|error| fail(format!("{}: {error}", path.display())))?;
    let value: Value = serde_json::from_str(&text).map_err(|error| fail(format!("{}: {error}", path.display())))?;
    match value["schema"].as_str() {
        Some(SCHEMA) => {}
        other => {
            let other = other.unwrap_or("nothing");
            return Err(fail(format!(
                "{} says {other}, this version reads {SCHEMA}",
                path.display()
            )));
        }
    }
    serde_json::from_value(value).map_err(|error| fail(format!("{}: {error}", path.display())))
}

/// Reads the moments that belong to the weights of `checkpoint`.
pub(super) fn read_moments(
    checkpoint: &Path,
    optimizer: &mut AdamW,
    trainee: &Trainee,
    taken: u64,
) -> Result<(), CheckpointError> {
    let stored = Weights::open(&checkpoint.join(MOMENTS))?;
    let moments = optimizer.moments(&trainee.params);
    let wanted = moments.iter().map(|(name, moment)| Wanted {
        name: name.clone(),
        shape: moment.size(),
        optional: false,
    });
    stored.expect(&wanted.collect::<Vec<_>>())?;
    for (name, mut place) in moments {
        let value = stored.tensor(&name, Kind::Float, Device::Cpu)?;
        no_grad(|| place.copy_(&value));
    }
    optimizer.resume_after(taken);
    Ok(())
}

fn borrow(tensors: &[(String, Tensor)]) -> Vec<(String, &Tensor)> {
    tensors.iter().map(|(name, tensor)| (name.clone(), tensor)).collect()
}

/// Makes sure that nothing is there.
fn absent(path: &Path) -> io::Result<()> {
    let removed = match path.symlink_metadata() {
        Ok(found) if found.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// To the disk: a rename that outlives a power cut must not lead to a file that did not.
fn flush(dir: &Path) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        File::open(entry?.path())?.sync_all()?;
    }
    File::open(dir)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_checkpoints_are_pruned() {
        let dir = tempfile::tempdir().unwrap();
        for name in [
            "checkpoint-1",
            "checkpoint-2",
            "checkpoint-3.part",
            "checkpoint-mine",
            "notes",
        ] {
            fs::create_dir(dir.path().join(name)).unwrap();
        }
        let about = About {
            config: Value::Null,
            vocabulary: vec![],
        };
        let saves = Saves::create(dir.path(), about).unwrap();
        saves.link(LAST, 2).unwrap();
        saves.prune(&[Some(2), None]).unwrap();
        let mut left: Vec<_> = fs::read_dir(dir.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        left.sort();
        assert_eq!(left, ["checkpoint-2", "checkpoint-mine", "last", "notes"]);
    }

    #[test]
    fn a_folder_with_a_training_is_not_taken_and_one_without_not_resumed() {
        let dir = tempfile::tempdir().unwrap();
        let about = || About {
            config: Value::Null,
            vocabulary: vec![],
        };
        let text = read_state(dir.path()).unwrap_err().to_string();
        assert!(text.contains("no saved training") && text.contains("hint:"), "{text}");
        Saves::create(dir.path(), about()).unwrap().link(LAST, 1).unwrap();
        let text = Saves::create(dir.path(), about()).unwrap_err().to_string();
        assert!(text.contains("--resume"), "{text}");
        fs::create_dir(dir.path().join("checkpoint-1")).unwrap();
        fs::write(dir.path().join("checkpoint-1").join(STATE), r#"{"schema": "other/9"}"#).unwrap();
        let text = read_state(dir.path()).unwrap_err().to_string();
        assert!(text.contains("other/9") && text.contains(SCHEMA), "{text}");
    }
}
