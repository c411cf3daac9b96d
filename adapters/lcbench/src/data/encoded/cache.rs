//! Ids that an earlier run left on disk: tokenizing is done once for a data set and a vocabulary.
//!
//! A file is named for what it was made from (texts, vocabulary, lengths), written under another name and then renamed: it is
//! whole or absent, and two runs that make it at once do no harm. A file that does not check is made again.

use std::{
    env,
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
    process,
};

use memmap2::Mmap;
use sha2::{Digest, Sha256};

use super::{Encoded, Words, layout};
use crate::{
    data::{Dataset, Split},
    tokenizer::{Tokenizer, TokenizerError},
};

/// What became of the cache.
#[derive(Debug)]
pub enum CacheUse {
    /// The ids were there.
    Found(PathBuf),
    /// They were made, and left there.
    Made(PathBuf),
    /// They were made, and could not be left there.
    NotKept(PathBuf, io::Error),
}

impl CacheUse {
    pub fn name(&self) -> &'static str {
        match self {
            Self::Found(_) => "found",
            Self::Made(_) => "made",
            Self::NotKept(..) => "not kept",
        }
    }
}

/// `$XDG_CACHE_HOME/lcbench` or `~/.cache/lcbench`; `None` where the environment names neither.
pub fn default_folder() -> Option<PathBuf> {
    let set = |name: &str| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let base = set("XDG_CACHE_HOME").or_else(|| set("HOME").map(|home| home.join(".cache")));
    base.map(|base| base.join("lcbench"))
}

pub(super) fn open_or_encode(
    folder: &Path,
    dataset: &Dataset,
    split: Split,
    tokenizer: &Tokenizer,
    max_source: usize,
    max_target: usize,
) -> Result<(Encoded, CacheUse), TokenizerError> {
    let key = key(dataset, split, tokenizer, [max_source, max_target]);
    let name: String = key[..4].iter().map(|word| format!("{word:08x}")).collect();
    let path = folder.join(format!("{}-{}-{name}.ids", plain(&dataset.name), split.name()));
    if let Some(encoded) = open(&path, key) {
        return Ok((encoded, CacheUse::Found(path)));
    }
    let mut encoded = Encoded::encode(dataset.split(split), tokenizer, max_source, max_target)?;
    if let Words::Memory(words) = &mut encoded.words {
        layout::set_key(words, key);
        return Ok(match write(folder, &path, layout::bytes_of(words)) {
            Ok(()) => (open(&path, key).unwrap_or(encoded), CacheUse::Made(path)),
            Err(error) => (encoded, CacheUse::NotKept(path, error)),
        });
    }
    Ok((encoded, CacheUse::Made(path)))
}

fn open(path: &Path, key: [u32; 8]) -> Option<Encoded> {
    let file = File::open(path).ok()?;
    // SAFETY: files of the cache are replaced by rename, never written in place; one that another program shortens under us ends
    // this one by SIGBUS, as with every mapping.
    let map = unsafe { Mmap::map(&file) }.ok()?;
    let rows = layout::check(layout::words_of(&map), key)?;
    Some(Encoded {
        words: Words::File(map),
        rows,
    })
}

fn write(folder: &Path, path: &Path, bytes: &[u8]) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    let part = path.with_extension(format!("part-{}", process::id()));
    let written = File::create(&part)
        .and_then(|mut file| file.write_all(bytes))
        .and_then(|()| fs::rename(&part, path));
    if written.is_err() {
        // Nothing more can be done about a file that could not even be removed.
        let _ = fs::remove_file(&part);
    }
    written
}

fn key(dataset: &Dataset, split: Split, tokenizer: &Tokenizer, lengths: [usize; 2]) -> [u32; 8] {
    let mut hash = Sha256::new();
    hash.update(dataset.fingerprint(split));
    hash.update(tokenizer.fingerprint());
    hash.update(lengths.map(|n| (n as u64).to_le_bytes()).as_flattened());
    let digest: [u8; 32] = hash.finalize().into();
    std::array::from_fn(|n| u32::from_le_bytes(std::array::from_fn(|byte| digest[4 * n + byte])))
}

/// A data set's name as part of a file's.
fn plain(name: &str) -> String {
    name.chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || matches!(c, '-' | '_') {
                c
            } else {
                '_'
            }
        })
        .take(40)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{data::Builtin, tokenizer::Family};

    fn task(seed: u64) -> Dataset {
        Dataset::builtin(&Builtin {
            train: 20,
            seed,
            ..Builtin::default()
        })
    }

    fn cached(folder: &Path, set: &Dataset, family: Family, max: usize) -> (Encoded, CacheUse) {
        Encoded::cached(folder, set, Split::Train, &Tokenizer::bytes(family), max, 128).unwrap()
    }

    #[test]
    fn the_second_run_maps_what_the_first_left() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("made/on/the/way");
        let set = task(1);
        let (made, how) = cached(&folder, &set, Family::Led, 4096);
        let CacheUse::Made(path) = how else { panic!("{how:?}") };
        let (found, how) = cached(&folder, &set, Family::Led, 4096);
        assert!(matches!(&how, CacheUse::Found(at) if *at == path), "{how:?}");
        assert!(matches!(found.words, Words::File(_)));
        assert!(
            found == made && found == Encoded::encode(&set.train, &Tokenizer::bytes(Family::Led), 4096, 128).unwrap()
        );
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1, "no unfinished file is left");
    }

    #[test]
    fn other_texts_lengths_and_damage_are_not_mistaken_for_it() {
        let dir = tempfile::tempdir().unwrap();
        let is_made = |how: &CacheUse| matches!(how, CacheUse::Made(_));
        let (_, how) = cached(dir.path(), &task(1), Family::Led, 4096);
        let CacheUse::Made(path) = how else { panic!("{how:?}") };
        assert!(is_made(&cached(dir.path(), &task(2), Family::Led, 4096).1));
        assert!(is_made(&cached(dir.path(), &task(1), Family::Led, 100).1));
        let bytes = fs::read(&path).unwrap();
        fs::write(&path, &bytes[..bytes.len() - 5]).unwrap();
        assert!(is_made(&cached(dir.path(), &task(1), Family::Led, 4096).1));
        assert!(fs::read(&path).unwrap() == bytes);
    }

    #[test]
    fn a_folder_that_cannot_be_used_costs_only_time() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("file");
        fs::write(&folder, "in the way").unwrap();
        let (encoded, how) = cached(&folder, &task(1), Family::Led, 4096);
        assert!(matches!(how, CacheUse::NotKept(..)), "{how:?}");
        assert_eq!(encoded.len(), 20);
    }
}
