//! Which files make up a checkpoint: one, or the shards that an index names.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Component, Path, PathBuf},
};

use serde::Deserialize;

use super::{CheckpointError, file::Stored, safetensors, torch};

/// In order of preference: safetensors cannot run code, and maps without conversion.
const FILES: [&str; 4] = [
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
];

/// transformers' index: which shard holds which tensor.
#[derive(Deserialize)]
struct Index {
    weight_map: BTreeMap<String, String>,
}

pub(super) fn open(path: &Path) -> Result<BTreeMap<String, Stored>, CheckpointError> {
    let path = if path.is_dir() {
        let found = FILES.iter().map(|name| path.join(name)).find(|file| file.is_file());
        found.ok_or_else(|| CheckpointError::NothingFound { dir: path.to_owned() })?
    } else {
        path.to_owned()
    };
    if path.extension().is_some_and(|extension| extension == "json") {
        return open_shards(&path);
    }
    collect([path])
}

fn open_shards(index: &Path) -> Result<BTreeMap<String, Stored>, CheckpointError> {
    let malformed = |problem: String| CheckpointError::Malformed {
        path: index.to_owned(),
        problem,
    };
    let text = fs::read(index).map_err(|source| CheckpointError::Unreadable {
        path: index.to_owned(),
        source,
    })?;
    let listed: Index = serde_json::from_slice(&text).map_err(|error| malformed(error.to_string()))?;
    let shards: BTreeSet<&String> = listed.weight_map.values().collect();
    let mut paths = Vec::new();
    for shard in shards {
        // A plain file name: an index must not lead out of its folder.
        if !matches!(
            Path::new(shard).components().collect::<Vec<_>>()[..],
            [Component::Normal(_)]
        ) {
            return Err(malformed(format!("shard `{shard}` is not a file beside the index")));
        }
        paths.push(index.with_file_name(shard));
    }
    let tensors = collect(paths)?;
    match listed.weight_map.iter().find(|(name, _)| !tensors.contains_key(*name)) {
        Some((name, shard)) => Err(malformed(format!("tensor `{name}` is not in its shard `{shard}`"))),
        None => Ok(tensors),
    }
}

fn collect(paths: impl IntoIterator<Item = PathBuf>) -> Result<BTreeMap<String, Stored>, CheckpointError> {
    let mut all = BTreeMap::new();
    for path in paths {
        let safe = path.extension().is_some_and(|extension| extension == "safetensors");
        for (name, stored) in if safe {
            safetensors::read(&path)?
        } else {
            torch::read(&path)?
        } {
            if all.insert(name.clone(), stored).is_some() {
                return Err(CheckpointError::Duplicate { path, name });
            }
        }
    }
    Ok(all)
}
