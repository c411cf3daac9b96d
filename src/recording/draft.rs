//! The way of a file to its name: made beside it, and put there once it can be read.
//!
//! Invariants: nothing but a file, or a link, is ever replaced, whatever `--force` says: a rename would end a device or a FIFO. A recorder
//! that dies before its file can be read leaves nothing under the name. A recording that stands there stays until the new one has
//! something to show.

use std::fs::File;
use std::ops::Deref;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use tempfile::TempPath;

use super::error::{NotNamed, RecordingError};
use super::leftover;

/// Whether a recording may take the name `path`; one that stands there gives way to `force` alone.
pub fn vacant(path: &Path, force: bool) -> Result<(), RecordingError> {
    if let Some(kind) = obstacle(path) {
        return Err(RecordingError::NotAFile {
            path: path.to_path_buf(),
            kind,
        });
    }
    if !force && path.symlink_metadata().is_ok() {
        return Err(RecordingError::AlreadyExists {
            path: path.to_path_buf(),
        });
    }
    Ok(())
}

/// What stands at `path`, or behind the link there, if it is no file.
fn obstacle(path: &Path) -> Option<&'static str> {
    // As /dev/stdout is: there may be a file behind it, and the link itself would be lost.
    if path.read_link().is_ok_and(|behind| behind.starts_with("/proc")) {
        return Some("an open stream");
    }
    let kind = path.metadata().ok()?.file_type();
    match kind {
        _ if kind.is_file() => None,
        _ if kind.is_dir() => Some("a folder"),
        _ if kind.is_fifo() => Some("a FIFO"),
        _ if kind.is_socket() => Some("a socket"),
        _ => Some("a device"),
    }
}

/// An empty file beside `path`, gone again unless it is published.
pub(super) struct Draft {
    path: TempPath,
    /// Held as long as somebody works on it.
    lock: File,
}

impl Deref for Draft {
    type Target = Path;

    fn deref(&self) -> &Path {
        &self.path
    }
}

/// Make a draft of `path`.
pub(super) fn draft(path: &Path) -> Result<Draft, RecordingError> {
    if path.to_str().is_none() {
        return Err(RecordingError::NameNotUtf8 {
            path: path.to_path_buf(),
        });
    }
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    if !folder.is_dir() {
        return Err(RecordingError::NoFolder {
            dir: folder.to_path_buf(),
        });
    }
    let made = leftover::make(folder, path).and_then(|(draft, lock)| Ok((TempPath::try_from_path(draft)?, lock)));
    match made {
        Ok((path, lock)) => Ok(Draft { path, lock }),
        Err(e) => Err(RecordingError::Create {
            path: path.to_path_buf(),
            detail: e.to_string(),
        }),
    }
}

/// What a recording that is being written will be called.
///
/// It has its name at once where nothing stood there. What did stand there, and gives way to `--force`, stays until [`keep`](Self::keep).
/// Dropped before that, the new file goes away.
#[must_use]
pub struct Claim {
    /// The file, under whichever name it has.
    file: TempPath,
    path: PathBuf,
    published: bool,
    lock: File,
}

impl Claim {
    pub(super) fn stake(draft: Draft, path: &Path, force: bool) -> Result<Self, RecordingError> {
        let standing = force && path.symlink_metadata().is_ok();
        let (file, lock) = if standing {
            (draft.path, draft.lock)
        } else {
            let lock = publish(draft, path, force)?;
            let file = TempPath::try_from_path(path).map_err(|e| RecordingError::Create {
                path: path.to_path_buf(),
                detail: e.to_string(),
            })?;
            (file, lock)
        };
        Ok(Self {
            file,
            path: path.to_path_buf(),
            published: !standing,
            lock,
        })
    }

    /// Where the file is as long as the claim has not been kept.
    pub(super) fn file(&self) -> &Path {
        &self.file
    }

    /// The new file stays, and takes its name. Where that fails it stays where it is, and the error says where that is.
    pub fn keep(self) -> Result<(), NotNamed> {
        let named = match obstacle(&self.path) {
            _ if self.published => Ok(()),
            Some(kind) => Err(format!("{kind} stands there")),
            None => std::fs::rename(&self.file, &self.path).map_err(|e| e.to_string()),
        };
        let kept_in = self.file.keep().unwrap_or_else(|e| e.path.to_path_buf());
        named.map_err(|detail| {
            // It goes on growing under a draft's name.
            std::mem::forget(self.lock);
            NotNamed::new(self.path, kept_in, detail)
        })
    }
}

/// Give a draft its name. What is returned was its lock.
pub(super) fn publish(draft: Draft, path: &Path, force: bool) -> Result<File, RecordingError> {
    let Draft { path: draft, lock } = draft;
    let create = |detail: String| RecordingError::Create {
        path: path.to_path_buf(),
        detail,
    };
    // Again: something may stand there now.
    vacant(path, force)?;
    let named = if force {
        draft.persist(path)
    } else {
        draft.persist_noclobber(path)
    };
    match named {
        Ok(()) => Ok(lock),
        Err(e) if force => Err(create(e.error.to_string())),
        Err(_) if path.symlink_metadata().is_ok() => Err(RecordingError::AlreadyExists {
            path: path.to_path_buf(),
        }),
        // A file system that can neither rename without replacing nor link: nothing is there, so an ordinary rename will do.
        Err(e) => {
            let named = e.path.persist(path).map_err(|e| create(e.error.to_string()));
            named.map(|()| lock)
        }
    }
}
