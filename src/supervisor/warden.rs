//! The warden: a small process that outlives a killed powerprof, so that the training does not suffer for it.
//!
//! A writer that opens a FIFO nobody reads blocks for ever, and one whose reader vanishes is killed by `SIGPIPE`. The warden
//! holds the marker pipe open; if powerprof dies without a word, it swallows what is written until the child has ended, and then
//! removes the pipe's private directory. It ignores the signals a terminal sends, and costs nothing while it waits.

use std::fs::{self, File};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigHandler, Signal, kill, signal};
use nix::sys::wait::waitpid;
use nix::unistd::{ForkResult, Pid, fork, pipe2, read, write};

use super::launch::ArmedChild;

/// The recorder's end of the lifeline.
pub struct Warden {
    pid: Pid,
    lifeline: OwnedFd,
}

/// Fork the warden of `child` and of the marker pipe in `directory`. Must be called while the process has one thread.
pub fn post(armed: &ArmedChild, fifo: &Path, directory: &Path) -> nix::Result<Warden> {
    let child = armed.pid();
    let (watched, lifeline) = pipe2(OFlag::O_CLOEXEC)?;
    // SAFETY: the process has one thread.
    match unsafe { fork() }? {
        ForkResult::Parent { child: pid } => Ok(Warden { pid, lifeline }),
        ForkResult::Child => {
            drop(lifeline);
            // Else the held child would never learn that powerprof is gone.
            armed.let_go_in_this_process();
            watch(&watched, child, fifo, directory);
            // SAFETY: ends the warden without running powerprof's exit handlers.
            unsafe { libc::_exit(0) }
        }
    }
}

impl Warden {
    /// The recording is over: send the warden home.
    pub fn dismiss(self) {
        let _ = write(self.lifeline.as_fd(), &[1]);
        let _ = waitpid(self.pid, None);
    }

    /// Its process id, so that a caller who waits for any child can tell it apart.
    pub const fn pid(&self) -> Pid {
        self.pid
    }
}

fn watch(watched: &OwnedFd, child: Pid, fifo: &Path, directory: &Path) {
    for name in [
        Signal::SIGINT,
        Signal::SIGTERM,
        Signal::SIGHUP,
        Signal::SIGQUIT,
        Signal::SIGTSTP,
        Signal::SIGPIPE,
    ] {
        // SAFETY: ignores a signal, installs no handler.
        let _ = unsafe { signal(name, SigHandler::SigIgn) };
    }
    close_standard_streams();
    // Read and write, so that opening does not block and the pipe never reports an end.
    let pipe = File::options().read(true).write(true).open(fifo);
    let mut byte = [0u8];
    let dismissed = loop {
        match read(watched.as_fd(), &mut byte) {
            Err(Errno::EINTR) => {}
            other => break other == Ok(1),
        }
    };
    if dismissed {
        return;
    }
    if let Ok(pipe) = pipe {
        swallow_until_gone(&pipe, child);
    }
    let _ = fs::remove_file(fifo);
    let _ = fs::remove_dir(directory);
}

fn swallow_until_gone(pipe: &File, child: Pid) {
    let mut waste = vec![0u8; 65536];
    // The child belongs to init now, which reaps it; its number may in theory be taken again, and then we wait a little longer.
    while kill(child, None).is_ok() {
        let mut ready = [PollFd::new(pipe.as_fd(), PollFlags::POLLIN)];
        if poll(&mut ready, PollTimeout::from(500u16)) == Ok(1) {
            let _ = read(pipe.as_fd(), &mut waste);
        }
    }
}

/// A pipeline such as `powerprof -- x | head` must not be kept open by the warden.
fn close_standard_streams() {
    if let Ok(null) = File::options().read(true).write(true).open("/dev/null") {
        let _ = nix::unistd::dup2_stdin(&null);
        let _ = nix::unistd::dup2_stdout(&null);
        let _ = nix::unistd::dup2_stderr(&null);
    }
}
