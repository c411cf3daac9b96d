//! Opening a file that may be finished, still growing, cut off, damaged, or something else entirely.
//!
//! The superblock's first bytes are looked at before HDF5 is: they tell a growing or cut-off file (which opens in
//! single-writer read mode only) from a closed one, and from what is no HDF5 file at all.
//! (HDF5 File Format Specification 3.0, section II.A: signature, version at byte 8, consistency flags at byte 11 from version 3.)

use std::fs;
use std::io::{ErrorKind, Read};
use std::path::Path;

use hdf5::File;
use hdf5::file::{FileBuilder, OpenMode};

use super::error::RecordingError;

const SIGNATURE: &[u8; 8] = b"\x89HDF\r\n\x1a\n";
/// Superblock flag: open for writing.
const WRITING: u8 = 1;
/// Superblock flag: open for writing in single-writer mode.
const SINGLE_WRITER: u8 = 4;

/// HDF5 sleeps 1, 2, 4, ... ns between attempts to read a metadata block whose checksum does not hold, and its default of 100
/// attempts would never end (H5Centry.c). 24 of them wait 17 ms in all: a live writer has finished such a block long before.
const READ_ATTEMPTS: u32 = 24;

/// What the first bytes say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Closed,
    /// Growing, or its recorder was killed.
    SingleWriter,
    /// Another program has it open for writing, or was killed while it did.
    LeftOpen,
}

/// Open for reading, in whichever way the file allows.
pub(super) fn open(path: &Path) -> Result<File, RecordingError> {
    let mode = match state(path)? {
        State::Closed => OpenMode::Read,
        State::SingleWriter => OpenMode::ReadSWMR,
        State::LeftOpen => return Err(RecordingError::LeftOpen { path: path.to_path_buf() }),
    };
    match builder().open_as(path, mode) {
        Ok(file) => Ok(file),
        // A recorder may have finished the file between our look at it and now.
        Err(_) if mode == OpenMode::ReadSWMR && state(path)? == State::Closed => {
            builder().open(path).map_err(|e| not_opened(path, &e))
        }
        Err(error) => Err(not_opened(path, &error)),
    }
}

fn builder() -> FileBuilder {
    let mut builder = File::with_options();
    // Locks as far as the file system has them: NFS and some parallel file systems do not.
    builder.with_fapl(|p| p.metadata_read_attempts(READ_ATTEMPTS).file_locking(true));
    builder
}

fn state(path: &Path) -> Result<State, RecordingError> {
    let fail = |e: std::io::Error| match e.kind() {
        ErrorKind::NotFound => RecordingError::NotFound { path: path.to_path_buf() },
        _ => RecordingError::Open { path: path.to_path_buf(), detail: e.to_string() },
    };
    if path.to_str().is_none() {
        return Err(RecordingError::NameNotUtf8 { path: path.to_path_buf() });
    }
    let mut head = Vec::with_capacity(12);
    fs::File::open(path).and_then(|file| file.take(12).read_to_end(&mut head)).map_err(fail)?;
    if head.is_empty() {
        return Err(RecordingError::Empty { path: path.to_path_buf() });
    }
    if !head.starts_with(SIGNATURE) {
        return Err(RecordingError::NotHdf5 { path: path.to_path_buf() });
    }
    let [version, _, _, flags] = head[SIGNATURE.len()..] else {
        return Err(RecordingError::Truncated {
            path: path.to_path_buf(),
            detail: format!("it has {} bytes", head.len()),
        });
    };
    Ok(match flags & (WRITING | SINGLE_WRITER) {
        _ if version < 3 => State::Closed,
        0 => State::Closed,
        both if both == WRITING | SINGLE_WRITER => State::SingleWriter,
        _ => State::LeftOpen,
    })
}

fn not_opened(path: &Path, error: &hdf5::Error) -> RecordingError {
    let path = path.to_path_buf();
    let detail = error.to_string();
    if detail.contains("truncated file") || detail.contains("eof") {
        return RecordingError::Truncated { path, detail };
    }
    if detail.contains("lock") {
        return RecordingError::Locked { path };
    }
    RecordingError::Damaged { path, detail }
}
