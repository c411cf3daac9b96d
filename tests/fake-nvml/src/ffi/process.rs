//! The library as part of a process: loaded, initialised, shut down, unloaded. Owns the one machine of the process, the
//! count of `nvmlInit` and the file of counts; leaves to `entry` what a call does with them.

use std::ffi::{CStr, c_void};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock};

use crate::call::Call;
use crate::clock;
use crate::config::{Config, STATS_VARIABLE};
use crate::machine::Machine;
use crate::stats::Stats;
use crate::status::Status;

/// Of the first `nvmlInit`: a second one must not move the truth.
static FIRST_INIT_NS: OnceLock<i64> = OnceLock::new();
static LIBRARY: RwLock<Library> = RwLock::new(Library {
    machine: None,
    users: 0,
    stats_file: None,
});
static STATS: Stats = Stats::new();
static CALL_LOCK: Mutex<()> = Mutex::new(());

struct Library {
    /// `Some` while `users` is above 0.
    machine: Option<Arc<Machine>>,
    /// `nvmlInit` less `nvmlShutdown`.
    users: u64,
    stats_file: Option<StatsFile>,
}

#[derive(Clone)]
struct StatsFile {
    path: PathBuf,
    origin_ns: i64,
    gpus: usize,
}

/// The machine, while initialised.
pub(super) fn machine() -> Result<Arc<Machine>, Status> {
    let library = LIBRARY.read().unwrap_or_else(PoisonError::into_inner);
    library.machine.clone().ok_or(Status::Uninitialized)
}

pub(super) fn stats() -> &'static Stats {
    &STATS
}

/// Held during a call where calls wait for each other.
pub(super) fn lock_calls() -> MutexGuard<'static, ()> {
    CALL_LOCK.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The first user reads the configuration, which is found anew each time nobody had it open.
pub(super) fn initialise(call: Call) -> Result<(), Status> {
    stats().count(call, None);
    let origin_ns = *FIRST_INIT_NS.get_or_init(clock::monotonic_ns);
    let mut library = LIBRARY.write().unwrap_or_else(PoisonError::into_inner);
    if library.machine.is_none() {
        let machine = Config::find(folder().as_deref()).and_then(|config| Machine::new(config, origin_ns));
        let machine = machine.map_err(|error| {
            eprintln!("fake-nvml: {error}");
            Status::Unknown
        })?;
        let path = std::env::var_os(STATS_VARIABLE)
            .map(PathBuf::from)
            .or_else(|| machine.config.stats.clone());
        let (origin_ns, gpus) = (machine.origin_ns, machine.gpus.len());
        library.stats_file = path.map(|path| StatsFile { path, origin_ns, gpus });
        library.machine = Some(Arc::new(machine));
    }
    library.users += 1;
    Ok(())
}

pub(super) fn shut_down() -> Result<(), Status> {
    stats().count(Call::nvmlShutdown, None);
    let mut library = LIBRARY.write().unwrap_or_else(PoisonError::into_inner);
    library.users = library.users.checked_sub(1).ok_or(Status::Uninitialized)?;
    if library.users == 0 {
        library.machine = None;
        drop(library);
        write_counts();
    }
    Ok(())
}

/// A program may end, or unload us, without `nvmlShutdown`. Not `atexit`: its handlers outlive an unloaded library.
#[used]
#[unsafe(link_section = ".fini_array")]
static AT_UNLOAD: extern "C" fn() = write_counts;

extern "C" fn write_counts() {
    let file = LIBRARY.try_read().ok().and_then(|library| library.stats_file.clone()); // a hanging thread may hold it
    if let Some(StatsFile { path, origin_ns, gpus }) = file
        && let Err(error) = STATS.write(&path, origin_ns, gpus)
    {
        eprintln!(
            "fake-nvml: cannot write {}: {error}\nhint: {STATS_VARIABLE} is a path in a writable folder",
            path.display()
        );
    }
}

/// The folder that this library was loaded from.
fn folder() -> Option<PathBuf> {
    // SAFETY: all zero is a valid Dl_info.
    let mut info: libc::Dl_info = unsafe { std::mem::zeroed() };
    // SAFETY: the address is of a function here; the dynamic linker fills the structure or returns 0.
    if unsafe { libc::dladdr(write_counts as *const c_void, &mut info) } == 0 || info.dli_fname.is_null() {
        return None;
    }
    // SAFETY: not null, so a string of the dynamic linker's that lives as long as the library is loaded.
    let path = unsafe { CStr::from_ptr(info.dli_fname) };
    PathBuf::from(path.to_str().ok()?).parent().map(PathBuf::from)
}
