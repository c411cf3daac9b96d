//! The three C calls behind the client, declared here so that the crate depends on nothing: `clock_gettime`, `fcntl`,
//! and (through the standard library, with its flags) `open`. Times are nanoseconds.

use std::ffi::{c_int, c_long};
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// `struct timespec` of every 64-bit Linux ABI: two longs. The 32-bit ABIs with a 64-bit `time_t` differ, hence the check.
#[repr(C)]
struct Timespec {
    tv_sec: c_long,
    tv_nsec: c_long,
}

#[cfg(not(target_pointer_width = "64"))]
compile_error!("powerprof-markers knows `struct timespec` of 64-bit Linux only");

/// `<linux/time.h>`, the same on every architecture.
const CLOCK_MONOTONIC: c_int = 1;
/// `<linux/fcntl.h>`: F_LINUX_SPECIFIC_BASE + 6, the same on every architecture.
const F_DUPFD_CLOEXEC: c_int = 1030;
/// `<asm-generic/fcntl.h>`; MIPS and SPARC number it differently.
#[cfg(not(any(target_arch = "mips64", target_arch = "mips64r6", target_arch = "sparc64")))]
const O_NONBLOCK: c_int = 0o4000;
#[cfg(any(target_arch = "mips64", target_arch = "mips64r6"))]
const O_NONBLOCK: c_int = 0o200;
#[cfg(target_arch = "sparc64")]
const O_NONBLOCK: c_int = 0x4000;

unsafe extern "C" {
    fn clock_gettime(clock: c_int, time: *mut Timespec) -> c_int;
    fn fcntl(fd: c_int, command: c_int, ...) -> c_int;
}

/// Descriptors from here up are never handed out by `open`, which takes the lowest free number.
const OUT_OF_THE_WAY: c_int = 512;

/// CLOCK_MONOTONIC now: the clock of the recorder and of every process on this machine. Through the vDSO, so no system call.
pub(crate) fn monotonic_ns() -> u64 {
    let mut time = Timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a live, writable timespec of the layout checked above. CLOCK_MONOTONIC always exists on Linux, so
    // the call cannot fail; were it to, the zeros stay and the recorder sees a stamp before the run.
    unsafe { clock_gettime(CLOCK_MONOTONIC, &mut time) };
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// Opens the marker pipe for writing: never blocks (a FIFO that nobody reads is the error ENXIO), never creates anything, is
/// closed in programs that this process executes. Appends, so that a plain file can stand in for the pipe while debugging.
///
/// The descriptor is moved to 512 or above: a trainer that closes "all" descriptors and opens a checkpoint would otherwise be
/// given this number again, and find markers in its checkpoint.
pub(crate) fn open_for_markers(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new().append(true).custom_flags(O_NONBLOCK).open(path)?;
    // SAFETY: F_DUPFD_CLOEXEC takes one int and touches no memory; the descriptor is open, `file` owns it.
    let moved = unsafe { fcntl(file.as_raw_fd(), F_DUPFD_CLOEXEC, OUT_OF_THE_WAY) };
    if moved < 0 {
        return Ok(file); // the limit on open files is below 512: the low number must do
    }
    // SAFETY: `moved` was created just now, is open, and has no other owner.
    Ok(File::from(unsafe { OwnedFd::from_raw_fd(moved) }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_is_that_of_the_kernel_and_advances() {
        // /proc/uptime counts since boot as CLOCK_BOOTTIME, which is CLOCK_MONOTONIC plus time asleep.
        let uptime = std::fs::read_to_string("/proc/uptime").expect("a Linux machine has /proc/uptime");
        let uptime_s: f64 = uptime
            .split(' ')
            .next()
            .and_then(|s| s.parse().ok())
            .expect("a number first");
        let first = monotonic_ns();
        assert!(
            first > 0 && (first as f64) < (uptime_s + 5.0) * 1e9,
            "{first} ns against {uptime_s} s"
        );
        std::thread::sleep(std::time::Duration::from_millis(20));
        let slept = monotonic_ns() - first;
        assert!(slept >= 20_000_000, "slept 20 ms, the clock says {slept} ns");
    }

    #[test]
    fn descriptors_are_out_of_the_way_and_closed_on_exec() {
        let folder = std::env::temp_dir().join(format!("powerprof-fd-{}", std::process::id()));
        std::fs::write(&folder, b"").expect("temporary file");
        let file = open_for_markers(&folder).expect("opens");
        let flags =
            std::fs::read_to_string(format!("/proc/self/fdinfo/{}", file.as_raw_fd())).expect("fdinfo of an open file");
        let flags = flags
            .lines()
            .find_map(|l| l.strip_prefix("flags:"))
            .expect("a flags line")
            .trim();
        let flags = c_int::from_str_radix(flags, 8).expect("octal");
        assert!(file.as_raw_fd() >= OUT_OF_THE_WAY);
        assert_eq!(flags & 0o2_000_000, 0o2_000_000, "close-on-exec");
        assert_eq!(flags & O_NONBLOCK, O_NONBLOCK, "non-blocking");
        std::fs::remove_file(folder).expect("removes");
    }
}
