//! Signals while a child runs.
//!
//! - SIGINT or SIGQUIT from a terminal: the terminal has sent it to the child as well, so it is only noted. Sent to powerprof alone
//!   (`kill -INT`): passed on.
//! - A second SIGINT: the child is asked to terminate (SIGTERM), and killed with everything below it [`GRACE`] later, or at a third.
//! - SIGTERM, SIGHUP, SIGUSR1, SIGUSR2: passed on (SLURM warns jobs of their time limit with the last two).
//! - In every case powerprof lives on until the child has ended, and finishes the file.
//!
//! All of them are blocked in every thread and read from a descriptor, so there is no handler and no race.

use std::fs;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, SigmaskHow, Signal, kill, sigaction, sigprocmask};
use nix::sys::signalfd::{SfdFlags, SignalFd, siginfo};
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::Pid;

use super::exit::child_exit;
use crate::model::recording::ChildExit;

/// From the second SIGINT to SIGKILL.
pub const GRACE: Duration = Duration::from_secs(5);

const PASSED_ON: [Signal; 4] = [Signal::SIGTERM, Signal::SIGHUP, Signal::SIGUSR1, Signal::SIGUSR2];
const FROM_TERMINAL: [Signal; 2] = [Signal::SIGINT, Signal::SIGQUIT];

/// The signals powerprof takes care of, blocked, and a descriptor to read them from.
pub struct Signals {
    descriptor: SignalFd,
    /// What powerprof was given, and the child shall have.
    pub inherited: Inherited,
}

/// How signals were set when powerprof was started.
pub struct Inherited {
    mask: SigSet,
    child_ended: SigAction,
}

impl Inherited {
    /// Set them so again; for the child, before it runs its command.
    pub fn restore(&self) -> nix::Result<()> {
        // Rust ignores SIGPIPE at start-up; a command expects the default.
        // SAFETY: sets dispositions that are no handlers of ours: the default, and what came from outside.
        unsafe {
            sigaction(Signal::SIGPIPE, &default_action())?;
            sigaction(Signal::SIGCHLD, &self.child_ended)?;
        }
        sigprocmask(SigmaskHow::SIG_SETMASK, Some(&self.mask), None)
    }
}

fn default_action() -> SigAction {
    SigAction::new(SigHandler::SigDfl, SaFlags::empty(), SigSet::empty())
}

impl Signals {
    /// Block them. Call before any thread or child exists.
    pub fn take() -> nix::Result<Self> {
        let mut set = SigSet::empty();
        for signal in PASSED_ON.iter().chain(&FROM_TERMINAL) {
            set.add(*signal);
        }
        set.add(Signal::SIGCHLD);
        let mut mask = SigSet::empty();
        sigprocmask(SigmaskHow::SIG_BLOCK, Some(&set), Some(&mut mask))?;
        // Some launchers ignore SIGCHLD, which is inherited, and makes the kernel throw away a child's status (wait(2), NOTES).
        // SAFETY: sets the default disposition.
        let child_ended = unsafe { sigaction(Signal::SIGCHLD, &default_action()) }?;
        let descriptor = SignalFd::with_flags(&set, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?;
        let inherited = Inherited { mask, child_ended };
        Ok(Self { descriptor, inherited })
    }

    /// The signal that asks for the end (SIGINT, SIGQUIT, SIGTERM, SIGHUP) and comes within `patience`; waits as long otherwise.
    pub fn arrives_within(&self, patience: Duration) -> Option<Signal> {
        let until = Instant::now() + patience;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return None;
            }
            let mut ready = [PollFd::new(self.descriptor.as_fd(), PollFlags::POLLIN)];
            let _ = poll(&mut ready, PollTimeout::from(left.as_millis().clamp(1, 1000) as u16));
            while let Ok(Some(info)) = self.descriptor.read_signal() {
                let Ok(signal) = Signal::try_from(info.ssi_signo as i32) else {
                    continue;
                };
                if FROM_TERMINAL.contains(&signal) || matches!(signal, Signal::SIGTERM | Signal::SIGHUP) {
                    return Some(signal);
                }
            }
        }
    }

    /// Wait until `child` has ended, passing signals on; `talk` hears what the user should know.
    pub fn wait_for(&self, child: Pid, mut talk: impl FnMut(&str)) -> nix::Result<ChildExit> {
        let mut interrupts = 0u32;
        let mut kill_at: Option<Instant> = None;
        loop {
            if let Some(exit) = child_exit(waitpid(child, Some(WaitPidFlag::WNOHANG))?) {
                return Ok(exit);
            }
            if kill_at.is_some_and(|at| Instant::now() >= at) {
                talk("the child did not terminate: killing it and everything below it");
                kill_tree(child);
                kill_at = None;
            }
            let patience = kill_at.map_or(1000, |at| {
                at.saturating_duration_since(Instant::now()).as_millis().min(1000)
            });
            let mut ready = [PollFd::new(self.descriptor.as_fd(), PollFlags::POLLIN)];
            let _ = poll(&mut ready, PollTimeout::from(patience as u16 + 1));
            while let Ok(Some(info)) = self.descriptor.read_signal() {
                let Ok(signal) = Signal::try_from(info.ssi_signo as i32) else {
                    continue;
                };
                if PASSED_ON.contains(&signal) {
                    let _ = kill(child, signal);
                } else if FROM_TERMINAL.contains(&signal) {
                    if !sent_by_terminal(&info) {
                        let _ = kill(child, signal);
                    }
                    interrupts += 1;
                    match interrupts {
                        1 => talk("interrupted: waiting for the child to end (interrupt again to terminate it)"),
                        2 => {
                            talk("interrupted again: terminating the child");
                            let _ = kill(child, Signal::SIGTERM);
                            kill_at = Some(Instant::now() + GRACE);
                        }
                        _ => {
                            kill_tree(child);
                            kill_at = None;
                        }
                    }
                }
            }
        }
    }
}

/// The kernel sends terminal signals itself (`SI_KERNEL`); a process uses `kill` (`SI_USER`) or `sigqueue` (signal(7), sigaction(2)).
fn sent_by_terminal(info: &siginfo) -> bool {
    const SI_KERNEL: i32 = 0x80;
    info.ssi_code == SI_KERNEL
}

/// SIGKILL a process and its descendants, deepest last so that none is adopted unseen.
fn kill_tree(root: Pid) {
    let children = children_by_parent();
    let mut doomed = vec![root.as_raw()];
    let mut next = 0;
    while next < doomed.len() {
        if let Some(found) = children.get(&doomed[next]) {
            doomed.extend(found);
        }
        next += 1;
    }
    for pid in doomed {
        let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
    }
}

fn children_by_parent() -> std::collections::HashMap<i32, Vec<i32>> {
    let mut children = std::collections::HashMap::<i32, Vec<i32>>::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok()) else {
            continue;
        };
        if let Some(parent) = parent_of(pid) {
            children.entry(parent).or_default().push(pid);
        }
    }
    children
}

/// Field 4 of /proc/PID/stat (proc_pid_stat(5)); the name in field 2 may hold blanks and parentheses.
fn parent_of(pid: i32) -> Option<i32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
}
