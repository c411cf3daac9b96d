//! Everything that can go wrong between a recording and its file, each with what to do about it.
//!
//! Messages are lowercase fragments that read after "error:", the remedy on a `hint:` line behind them.

use std::path::{Path, PathBuf};

use super::version::VersionError;

/// Why a recording could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum RecordingError {
    #[error("{} exists already\nhint: choose another name with -o, or overwrite it with --force", path.display())]
    AlreadyExists { path: PathBuf },

    #[error(
        "{} is {kind}, which a recording never takes the place of, with --force or without\nhint: give the name of a file with -o",
        path.display()
    )]
    NotAFile { path: PathBuf, kind: &'static str },

    #[error("no folder {} to write the recording to\nhint: create it, or choose another place with -o", dir.display())]
    NoFolder { dir: PathBuf },

    #[error(
        "{} is not valid UTF-8, and HDF5 takes no other file names\nhint: choose another name with -o",
        path.display()
    )]
    NameNotUtf8 { path: PathBuf },

    #[error("cannot create {}: {detail}\nhint: choose a folder on a local disk that you may write to with -o", path.display())]
    Create { path: PathBuf, detail: String },

    #[error(
        "cannot write to {}: {detail}\nhint: is the disk or the quota full? what was flushed before can still be read with \
         `powerprof report {}`",
        path.display(), path.display()
    )]
    Write { path: PathBuf, detail: String },

    #[error(
        "cannot write to {}: {detail}\nhint: free some space there: until then readings wait in memory, and the command goes on",
        path.display()
    )]
    Full { path: PathBuf, detail: String },

    #[error(
        "the last {seconds:.0} s are not in {}: {detail}\nhint: free some space there before the next run; what was flushed before can be \
         read with `powerprof report {}`",
        path.display(), path.display()
    )]
    NeverWritten {
        path: PathBuf,
        detail: String,
        seconds: f64,
    },

    #[error(
        "cannot write {}: {detail}\nhint: is the disk or the quota full? nothing there was changed; choose another place with -o",
        path.display()
    )]
    NotMade { path: PathBuf, detail: String },

    #[error(
        "cannot record device `{id}`: {reason}\nhint: this is a defect of the sensor that made the device; please report it"
    )]
    BadDevice { id: String, reason: &'static str },

    #[error("cannot store a chunk: {detail}\nhint: this is a defect of powerprof; please report it")]
    Misshapen { detail: String },

    #[error("no file {}\nhint: look at the end of the recorder's output for the name it wrote to", path.display())]
    NotFound { path: PathBuf },

    #[error("cannot open {}: {detail}\nhint: check that it is a file, and that you may read it", path.display())]
    Open { path: PathBuf, detail: String },

    #[error("{} is empty\nhint: a copy was interrupted, or the disk was full when it was made; there is nothing in it", path.display())]
    Empty { path: PathBuf },

    #[error("{} is not an HDF5 file\nhint: give a file that `powerprof -- COMMAND` wrote", path.display())]
    NotHdf5 { path: PathBuf },

    #[error("{} is an HDF5 file, but not a recording of powerprof\nhint: give a file that `powerprof -- COMMAND` wrote", path.display())]
    Foreign { path: PathBuf },

    #[error("{} ends too early: {detail}\nhint: copy it again from where it was recorded", path.display())]
    Truncated { path: PathBuf, detail: String },

    #[error(
        "{} is marked as open for writing by another program\nhint: close that program; if it was killed, \
         `h5clear --status {}` removes the mark",
        path.display(), path.display()
    )]
    LeftOpen { path: PathBuf },

    #[error(
        "{} is locked by another program\nhint: close that program; where the file system cannot lock, set \
         HDF5_USE_FILE_LOCKING=FALSE",
        path.display()
    )]
    Locked { path: PathBuf },

    #[error("cannot read {}: {reason}", path.display())]
    Version { path: PathBuf, reason: VersionError },

    #[error(
        "{} is damaged, and recovered in its own place what cannot be read would be gone\nhint: `powerprof recover {} -o OTHER.h5` \
         says what that is, and saves the rest",
        path.display(), path.display()
    )]
    NotWhole { path: PathBuf },

    #[error(
        "{} is damaged: {detail}\nhint: copy it again from where it was recorded; what else it holds can be looked at with \
         `h5dump`",
        path.display()
    )]
    Damaged { path: PathBuf, detail: String },
}

/// A recording that could not take its name: something else stands there now, or the folder takes no names any more.
#[derive(Debug, thiserror::Error)]
#[error("cannot name the recording {}: {detail}\nhint: it is in {}", path.display(), kept_in.display())]
pub struct NotNamed {
    pub path: PathBuf,
    pub kept_in: PathBuf,
    detail: String,
}

impl NotNamed {
    pub(super) fn new(path: PathBuf, kept_in: PathBuf, detail: String) -> Self {
        Self { path, kept_in, detail }
    }
}

impl RecordingError {
    /// What happened to a draft, told of the name it was to have: under its own there will be nothing.
    pub(super) fn of_draft(self, path: &Path) -> Self {
        let path = path.to_path_buf();
        match self {
            Self::Write { detail, .. } => Self::NotMade { path, detail },
            Self::Create { detail, .. } => Self::Create { path, detail },
            other => other,
        }
    }
}

/// A failure inside one file, before its path is known: the layers below [`Writer`](super::Writer) and
/// [`Reader`](super::Reader) return it, those two turn it into a [`RecordingError`].
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    #[error("{}", plain(.0))]
    Hdf5(#[from] hdf5::Error),
    /// What was read makes no sense.
    #[error("{0}")]
    Content(String),
    /// A dataset or group that cannot be read.
    #[error("{place}: {why}")]
    At { place: String, why: Box<Fault> },
    /// What was to be written makes no sense.
    #[error("{0}")]
    Shape(String),
}

impl Fault {
    /// The same, of this dataset or group.
    pub(super) fn at(self, place: String) -> Self {
        Self::At {
            place,
            why: Box::new(self),
        }
    }

    /// As an error of writing to `path`.
    pub(super) fn writing(self, path: &Path) -> RecordingError {
        match self {
            Self::Shape(detail) => RecordingError::Misshapen { detail },
            other => RecordingError::Write {
                path: path.to_path_buf(),
                detail: other.to_string(),
            },
        }
    }

    /// As an error of reading from `path`.
    pub(super) fn reading(self, path: &Path) -> RecordingError {
        RecordingError::Damaged {
            path: path.to_path_buf(),
            detail: self.to_string(),
        }
    }
}

/// The operating system's words, as HDF5 quotes them.
pub(super) fn plain_error(error: &std::io::Error) -> String {
    let words = error.to_string();
    let words = words
        .split_once(" (os error")
        .map_or(words.as_str(), |(words, _)| words);
    words.to_lowercase()
}

/// HDF5's words, or the operating system's where HDF5 quotes them between file name and buffer address.
fn plain(error: &hdf5::Error) -> String {
    let words = error.to_string();
    let quoted = words
        .split_once("error message = '")
        .and_then(|(_, rest)| rest.split_once('\''));
    match quoted {
        Some((message, _)) => message.to_lowercase(),
        None => words,
    }
}
