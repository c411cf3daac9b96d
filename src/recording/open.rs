//! Opening a file that may be finished, still growing, cut off, damaged, or something else entirely.
//!
//! The superblock's first bytes are looked at before HDF5 is: they tell a growing or cut-off file (which opens in
//! single-writer read mode only) from a closed one, and from what is no HDF5 file at all.
//! (HDF5 File Format Specification 3.0, section II.A: signature, version at byte 8, consistency flags at byte 11 from version 3.)

use std::fs;
use std::io::{ErrorKind, Read};
use std::os::fd::{BorrowedFd, RawFd};
use std::path::Path;

use hdf5::File;
use hdf5::file::{FileBuilder, OpenMode};
use nix::fcntl::{FcntlArg, FdFlag, fcntl};

use super::error::RecordingError;

const SIGNATURE: &[u8; 8] = b"\x89HDF\r\n\x1a\n";
/// Superblock flag: open for writing.
const WRITING: u8 = 1;
/// Superblock flag: open for writing in single-writer mode.
const SINGLE_WRITER: u8 = 4;

/// HDF5 sleeps 1, 2, 4, ... ns between attempts to read a metadata block whose checksum does not hold, and its default of 100
/// attempts would never end (H5Centry.c). 24 of them wait 17 ms in all: a live writer has finished such a block long before.
const READ_ATTEMPTS: u32 = 24;

/// HDF5's own locks protect nothing here (a recording is written under a name nobody else has, and afterwards growing files are
/// told by their flags), and where they do not work they are in the way: on network file systems, and with files that
/// another process inherited. `HDF5_USE_FILE_LOCKING` still overrides this.
pub(super) const LOCKING: bool = false;

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
        State::LeftOpen => {
            return Err(RecordingError::LeftOpen {
                path: path.to_path_buf(),
            });
        }
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

/// Whether nothing was ever written to it, or it was killed while it was written at once, from what is somewhere else.
pub(super) fn was_never_a_recording(path: &Path) -> bool {
    matches!(state(path), Err(RecordingError::Empty { .. }) | Ok(State::LeftOpen))
}

fn builder() -> FileBuilder {
    let mut builder = File::with_options();
    builder.with_fapl(|p| p.metadata_read_attempts(READ_ATTEMPTS).file_locking(LOCKING));
    builder
}

fn state(path: &Path) -> Result<State, RecordingError> {
    let fail = |e: std::io::Error| match e.kind() {
        ErrorKind::NotFound => RecordingError::NotFound {
            path: path.to_path_buf(),
        },
        _ => RecordingError::Open {
            path: path.to_path_buf(),
            detail: e.to_string(),
        },
    };
    if path.to_str().is_none() {
        return Err(RecordingError::NameNotUtf8 {
            path: path.to_path_buf(),
        });
    }
    let mut head = Vec::with_capacity(12);
    fs::File::open(path)
        .and_then(|file| file.take(12).read_to_end(&mut head))
        .map_err(fail)?;
    if head.is_empty() {
        return Err(RecordingError::Empty {
            path: path.to_path_buf(),
        });
    }
    if !head.starts_with(SIGNATURE) {
        return Err(RecordingError::NotHdf5 {
            path: path.to_path_buf(),
        });
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
    if detail.contains("truncated file") {
        return RecordingError::Truncated {
            detail: lengths(&detail).unwrap_or(detail),
            path,
        };
    }
    if detail.contains("lock") {
        return RecordingError::Locked { path };
    }
    RecordingError::Damaged { path, detail }
}

/// `truncated file: eof = 45408, sblock->base_addr = 0, stored_eof = 90817`, for people.
fn lengths(detail: &str) -> Option<String> {
    let number = |key: &str| {
        detail
            .split_once(key)?
            .1
            .split(|c: char| !c.is_ascii_digit())
            .next()?
            .parse::<u64>()
            .ok()
    };
    Some(format!(
        "it has {} of {} bytes",
        number(" eof = ")?,
        number("stored_eof = ")?
    ))
}

/// Keep the command that is recorded from inheriting the file: HDF5 opens its files without O_CLOEXEC and offers no way to ask
/// for it, so the descriptor is looked up in /proc. Where there is no /proc, it is inherited, which does no harm to the file.
pub(super) fn close_on_exec(path: &Path) -> std::io::Result<()> {
    let path = path.canonicalize()?;
    let Ok(descriptors) = fs::read_dir("/proc/self/fd") else {
        return Ok(());
    };
    for entry in descriptors.flatten() {
        if fs::read_link(entry.path()).is_ok_and(|target| target == path)
            && let Some(descriptor) = entry.file_name().to_str().and_then(|name| name.parse::<RawFd>().ok())
        {
            // SAFETY: it was open a moment ago, and if it was closed since, fcntl says so.
            let borrowed = unsafe { BorrowedFd::borrow_raw(descriptor) };
            fcntl(borrowed, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))?;
        }
    }
    Ok(())
}
