//! Where the three files lie: in a folder, or in the zip that the benchmark distributes; beside each other, or one folder down.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, BufRead, BufReader},
    path::{Path, PathBuf},
};

use zip::{ZipArchive, result::ZipError};

use super::{super::DataError, Split, file_name};

pub(super) enum Source {
    Folder {
        name: String,
        dir: PathBuf,
    },
    Archive {
        name: String,
        path: PathBuf,
        zip: Box<ZipArchive<BufReader<File>>>,
        prefix: String,
    },
}

/// An open file and what messages call it.
pub(super) struct Opened<'a> {
    pub(super) reader: Box<dyn BufRead + 'a>,
    pub(super) shown: PathBuf,
}

impl Source {
    pub(super) fn locate(path: &Path) -> Result<Self, DataError> {
        let unreadable = |source| DataError::Unreadable {
            path: path.to_owned(),
            source,
        };
        // So that `--data .` and a trailing `..` give the set a name.
        let path = path.canonicalize().map_err(unreadable)?;
        if path.is_dir() { folder(path) } else { archive(path) }
    }

    pub(super) fn name(&self) -> &str {
        match self {
            Self::Folder { name, .. } | Self::Archive { name, .. } => name,
        }
    }

    /// `None` where the split has no file.
    pub(super) fn open(&mut self, split: Split) -> Result<Option<Opened<'_>>, DataError> {
        match self {
            Self::Folder { dir, .. } => {
                let path = dir.join(file_name(split));
                match File::open(&path) {
                    Ok(file) => Ok(Some(Opened {
                        reader: Box::new(BufReader::new(file)),
                        shown: path,
                    })),
                    Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
                    Err(source) => Err(DataError::Unreadable { path, source }),
                }
            }
            Self::Archive { path, zip, prefix, .. } => {
                let member = format!("{prefix}{}", file_name(split));
                let shown = path.join(&member);
                match zip.by_name(&member) {
                    Ok(file) => Ok(Some(Opened {
                        reader: Box::new(BufReader::new(file)),
                        shown,
                    })),
                    Err(ZipError::FileNotFound) => Ok(None),
                    Err(error) => Err(DataError::Unreadable {
                        path: shown,
                        source: io::Error::other(error),
                    }),
                }
            }
        }
    }
}

fn folder(path: PathBuf) -> Result<Source, DataError> {
    let unreadable = |source| DataError::Unreadable {
        path: path.clone(),
        source,
    };
    let mut found = BTreeMap::new();
    if path.join("train.jsonl").is_file() {
        found.insert(name_of(&path), path.clone());
    } else {
        for entry in fs::read_dir(&path).map_err(unreadable)? {
            let entry = entry.map_err(unreadable)?;
            if entry.path().join("train.jsonl").is_file() {
                found.insert(entry.file_name().to_string_lossy().into_owned(), entry.path());
            }
        }
    }
    let (name, dir) = only(path, found)?;
    Ok(Source::Folder { name, dir })
}

fn archive(path: PathBuf) -> Result<Source, DataError> {
    let unreadable = |source| DataError::Unreadable {
        path: path.clone(),
        source,
    };
    let file = File::open(&path).map_err(unreadable)?;
    let zip = ZipArchive::new(BufReader::new(file)).map_err(|error| unreadable(io::Error::other(error)))?;
    let mut found = BTreeMap::new();
    for member in zip.file_names() {
        let member = member.map_err(|error| unreadable(io::Error::other(error)))?;
        // macOS packs a shadow of every file.
        let Some(prefix) = member
            .strip_suffix("train.jsonl")
            .filter(|prefix| !prefix.starts_with("__MACOSX/"))
        else {
            continue;
        };
        if prefix.is_empty() || prefix.ends_with('/') {
            let name = if prefix.is_empty() {
                name_of(&path)
            } else {
                prefix.trim_end_matches('/').to_owned()
            };
            found.insert(name, prefix.to_owned());
        }
    }
    let (name, prefix) = only(path.clone(), found)?;
    // One set one or more folders down keeps its own folder's name.
    let name = name.rsplit('/').next().unwrap_or(&name).to_owned();
    Ok(Source::Archive {
        name,
        path,
        zip: Box::new(zip),
        prefix,
    })
}

fn only<T>(path: PathBuf, found: BTreeMap<String, T>) -> Result<(String, T), DataError> {
    if found.len() > 1 {
        return Err(DataError::Ambiguous {
            path,
            found: found.into_keys().collect(),
        });
    }
    found.into_iter().next().ok_or(DataError::MissingSplit {
        path,
        file: "train.jsonl",
    })
}

fn name_of(path: &Path) -> String {
    path.file_stem()
        .map_or_else(|| "data".into(), |name| name.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{Builtin, Dataset};
    use std::io::Write;

    fn tiny() -> Dataset {
        Dataset::builtin(&Builtin {
            train: 3,
            validation: 2,
            test: 1,
            ..Builtin::default()
        })
    }

    fn pack(path: &Path, members: &[(&str, &Path)]) {
        let mut zip = zip::ZipWriter::new(File::create(path).unwrap());
        for (name, file) in members {
            zip.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
            zip.write_all(&fs::read(file).unwrap()).unwrap();
        }
        zip.finish().unwrap();
    }

    #[test]
    fn folders_and_archives_read_alike() {
        let dir = tempfile::tempdir().unwrap();
        let inner = dir.path().join("qmsum");
        tiny().save(&inner).unwrap();
        let files = ["train.jsonl", "validation.jsonl", "test.jsonl"].map(|name| (name, inner.join(name)));
        let flat: Vec<_> = files.iter().map(|(name, path)| (*name, path.as_path())).collect();
        let nested: Vec<_> = files
            .iter()
            .map(|(name, path)| (format!("qmsum/{name}"), path.as_path()))
            .collect();
        let nested: Vec<_> = nested.iter().map(|(name, path)| (name.as_str(), *path)).collect();
        pack(&dir.path().join("flat.zip"), &flat);
        pack(&dir.path().join("nested.zip"), &nested);
        for (path, name) in [
            ("qmsum", "qmsum"),
            ("", "qmsum"),
            ("flat.zip", "flat"),
            ("nested.zip", "qmsum"),
        ] {
            let set = Dataset::load(&dir.path().join(path)).unwrap();
            assert_eq!(set.name, name, "{path}");
            assert_eq!(
                Dataset {
                    name: "builtin".into(),
                    ..set
                },
                tiny(),
                "{path}"
            );
        }
    }

    #[test]
    fn what_cannot_be_told_apart_or_found_is_said() {
        let dir = tempfile::tempdir().unwrap();
        let said = |path: &Path| Dataset::load(path).unwrap_err().to_string();
        assert!(
            said(dir.path()).contains("holds no train.jsonl\nhint: --data takes"),
            "{}",
            said(dir.path())
        );
        assert!(said(&dir.path().join("none")).starts_with("no data set at "));
        tiny().save(&dir.path().join("qasper")).unwrap();
        tiny().save(&dir.path().join("qmsum")).unwrap();
        let error = said(dir.path());
        assert!(
            error.contains("several data sets: qasper, qmsum\nhint: name one of them"),
            "{error}"
        );
        fs::remove_file(dir.path().join("qmsum/validation.jsonl")).unwrap();
        assert!(said(&dir.path().join("qmsum")).contains("holds no validation.jsonl"));
        fs::write(dir.path().join("not.zip"), "text").unwrap();
        assert!(said(&dir.path().join("not.zip")).contains("not.zip"));
    }

    /// The excerpts of real addresses that development uses, where they lie beside the checkout.
    #[test]
    fn real_documents_read_whole() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/fixtures/sotu");
        if !path.is_dir() {
            eprintln!("not checked: no real documents at ../shared/fixtures/sotu beside the checkout");
            return;
        }
        let set = Dataset::load(&path).unwrap();
        assert_eq!((set.train.len(), set.validation.len(), set.test.len()), (423, 59, 21));
        assert!(
            set.train
                .iter()
                .all(|row| row.input.contains("\n\n") && row.output.is_some())
        );
    }
}
