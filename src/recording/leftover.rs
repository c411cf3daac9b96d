//! Drafts of processes that are gone: a recorder that was killed before its file had its name leaves it beside that name.
//!
//! A draft's name says for which file it is and in which run of the system it was made, and its maker holds a lock on it as long as it
//! lives (an "open file description lock", fcntl(2), of one byte beyond all rows: HDF5's own locks, if somebody asks for them, are others).
//! A later draft for the same file takes the place of one that nobody holds, if nothing of a command is in it.
//! Invariants: what another run of the system made, as another node of a cluster may, is not looked at, for its locks may not be seen here; what
//! cannot be told stays.

use std::fs::{self, File, OpenOptions};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};

use super::open;
use super::reader::Reader;

/// So many drafts for one file at once.
const MOST: u32 = 64;

/// Make a draft for `path` in `folder`, empty and locked, in the place of what a process that is gone has left there.
pub(super) fn make(folder: &Path, path: &Path) -> io::Result<(PathBuf, File)> {
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok();
    let boot = boot.as_deref().and_then(|id| id.trim().split('-').next());
    let mut hasher = DefaultHasher::new();
    path.file_name().hash(&mut hasher);
    // Without the system's own word, a name that nobody takes for one of this system.
    let run = boot.map_or_else(|| format!("pid{}", std::process::id()), str::to_owned);
    let name = |n| format!(".powerprof-{run}-{:08x}-{n}.h5.partial", hasher.finish() as u32);
    for n in 0..MOST {
        let draft = folder.join(name(n));
        if let Some(file) = create(&draft)? {
            return Ok((draft, file));
        }
        if boot.is_some()
            && clear(&draft)
            && let Some(file) = create(&draft)?
        {
            return Ok((draft, file));
        }
    }
    Err(io::Error::from(io::ErrorKind::AlreadyExists))
}

/// `None`: there is one of that name.
fn create(draft: &Path) -> io::Result<Option<File>> {
    // As for any other file: the umask takes away what it should.
    let made = OpenOptions::new().write(true).create_new(true).mode(0o666).open(draft);
    let file = match made {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(None),
        made => made?,
    };
    // Between the two, another process may have taken it for a leftover.
    let is_taken = matches!(lock(&file), Err(Errno::EAGAIN | Errno::EACCES));
    let is_gone = file.metadata().is_ok_and(|known| known.nlink() == 0);
    Ok((!is_taken && !is_gone).then_some(file))
}

/// Remove a draft that nobody holds and that holds nothing; whether it is gone.
fn clear(draft: &Path) -> bool {
    let Ok(file) = OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(libc::O_NOFOLLOW)
        .open(draft)
    else {
        return false;
    };
    let is_file = file.metadata().is_ok_and(|known| known.is_file());
    is_file && lock(&file).is_ok() && holds_nothing(draft) && fs::remove_file(draft).is_ok()
}

/// Whether nothing of a command can be in it: it never was a recording, or was one of the time before its command ran.
fn holds_nothing(draft: &Path) -> bool {
    open::was_never_a_recording(draft) || Reader::open(draft).is_ok_and(|reader| matches!(reader.started(), Ok(None)))
}

fn lock(file: &File) -> nix::Result<()> {
    let byte = libc::flock {
        l_type: libc::F_WRLCK as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: libc::off_t::MAX - 1,
        l_len: 1,
        l_pid: 0,
    };
    fcntl(file, FcntlArg::F_OFD_SETLK(&byte)).map(drop)
}
