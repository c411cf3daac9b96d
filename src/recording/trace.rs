//! Finding a recording again that somebody renamed or deleted while it was written.
//!
//! A script that clears its output folder first deletes the recording of itself: the name is gone, the rows are not, as long as the file
//! is open. Where the file is now is read in /proc.

use std::fs::{self, File};
use std::io::{self, Seek};
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::draft::{Claim, draft, publish};

/// An open file, whatever its name.
#[derive(Debug)]
pub struct Trace(File);

/// Where it is.
#[derive(Debug)]
pub enum Found {
    /// Under the name it was given.
    There,
    /// Under another one.
    Elsewhere(PathBuf),
    /// It had been deleted, and was written again under its name.
    Restored,
    /// It was deleted, and cannot be written again.
    Lost(anyhow::Error),
}

impl Trace {
    /// Of a file that is being written; `None` where it cannot be opened a second time.
    pub fn of(claim: &Claim) -> Option<Self> {
        File::open(claim.file()).ok().map(Self)
    }

    /// Look for the file that was written to `path`, when nobody writes to it any more.
    pub fn find(mut self, path: &Path) -> Found {
        let same = |other: &Path| Ok::<_, io::Error>(identity(&fs::metadata(other)?) == identity(&self.0.metadata()?));
        if same(path).unwrap_or(false) {
            return Found::There;
        }
        match self.0.metadata() {
            Ok(known) if known.nlink() == 0 => match self.restore(path) {
                Ok(()) => Found::Restored,
                Err(error) => Found::Lost(error),
            },
            _ => {
                let now = fs::read_link(format!("/proc/self/fd/{}", self.0.as_raw_fd()));
                now.ok()
                    .filter(|now| same(now).unwrap_or(false))
                    .map_or(Found::There, Found::Elsewhere)
            }
        }
    }

    fn restore(&mut self, path: &Path) -> anyhow::Result<()> {
        let draft = draft(path)?;
        self.0.rewind()?;
        io::copy(&mut self.0, &mut File::create(&*draft)?)?;
        Ok(publish(draft, path, false).map(drop)?)
    }
}

fn identity(file: &fs::Metadata) -> (u64, u64) {
    (file.dev(), file.ino())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written() -> (tempfile::TempDir, PathBuf, Trace) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run.h5");
        fs::write(&path, "rows").unwrap();
        let trace = Trace(File::open(&path).unwrap());
        (folder, path, trace)
    }

    #[test]
    fn a_file_that_stayed_is_there() {
        let (_folder, path, trace) = written();
        assert!(matches!(trace.find(&path), Found::There));
    }

    #[test]
    fn a_file_that_was_renamed_is_found() {
        let (folder, path, trace) = written();
        let other = folder.path().join("other.h5");
        fs::rename(&path, &other).unwrap();
        assert!(matches!(trace.find(&path), Found::Elsewhere(now) if now == other.canonicalize().unwrap()));
    }

    #[test]
    fn a_file_that_was_deleted_is_written_again() {
        let (folder, path, trace) = written();
        fs::remove_file(&path).unwrap();
        assert!(matches!(trace.find(&path), Found::Restored));
        assert_eq!(fs::read(&path).unwrap(), b"rows");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_stands_there_now_is_not_replaced() {
        let (_folder, path, trace) = written();
        fs::remove_file(&path).unwrap();
        fs::write(&path, "other").unwrap();
        assert!(matches!(trace.find(&path), Found::Lost(_)));
        assert_eq!(fs::read(&path).unwrap(), b"other");
    }
}
