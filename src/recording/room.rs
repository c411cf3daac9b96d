//! Room on the disk for what is to be written next, asked for before HDF5 is asked: it does not survive a write that failed (blocks are
//! lost from its caches, and nothing that it writes afterwards can be trusted), and a file that waited goes on as if nothing had been.
//!
//! The room is reserved behind the end of the file (`fallocate(2)` with `FALLOC_FL_KEEP_SIZE`), so that nobody takes it between the
//! question and the write. A limit on the size of files (`ulimit -f`) is asked for too: the write would bring a signal that kills.
//! *Limits of validity.* File systems that cannot reserve (some of the network) are taken at their word, and those that write everything
//! anew (btrfs, ZFS) may need more than was reserved. There a full disk shows as an error of HDF5.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{FallocateFlags, fallocate};
use nix::sys::resource::{Resource, getrlimit};

/// Behind the end HDF5 has places that it gave away and did not write yet.
const BEFORE_THE_END: u64 = 1 << 20;

/// The file a second time, for its room.
#[derive(Debug)]
pub(super) struct Room(File);

impl Room {
    /// Of a file that is being written; `None` where it cannot be opened a second time.
    pub(super) fn of(path: &Path) -> Option<Self> {
        let file = OpenOptions::new().write(true).custom_flags(libc::O_CLOEXEC).open(path);
        file.ok().map(Self)
    }

    /// Make sure that the file can grow by so many bytes. Fails where it cannot; what cannot be told is no reason to fail.
    pub(super) fn reserve(&self, bytes: u64) -> io::Result<()> {
        let Ok(known) = self.0.metadata() else { return Ok(()) };
        let end = known.len() + bytes;
        if getrlimit(Resource::RLIMIT_FSIZE).is_ok_and(|(most, _)| most < end) {
            return Err(Errno::EFBIG.into());
        }
        let start = known.len().saturating_sub(BEFORE_THE_END);
        let (Ok(from), Ok(length)) = (start.try_into(), (end - start).try_into()) else {
            return Ok(());
        };
        match fallocate(&self.0, FallocateFlags::FALLOC_FL_KEEP_SIZE, from, length) {
            Err(full @ (Errno::ENOSPC | Errno::EDQUOT | Errno::EFBIG)) => Err(full.into()),
            _ => Ok(()),
        }
    }
}

impl Drop for Room {
    /// Give back what was not used.
    fn drop(&mut self) {
        if let Ok(known) = self.0.metadata() {
            let _ = self.0.set_len(known.len());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::unix::fs::MetadataExt;

    use super::*;

    #[test]
    fn what_was_reserved_is_no_part_of_the_file_and_is_given_back() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(b"rows").unwrap();
        let room = Room::of(file.path()).unwrap();
        room.reserve(1 << 20).unwrap();
        assert_eq!(file.as_file().metadata().unwrap().len(), 4);
        drop(room);
        let after = file.as_file().metadata().unwrap();
        assert_eq!(after.len(), 4);
        assert!(after.blocks() * 512 < 1 << 20, "{} blocks", after.blocks());
    }
}
