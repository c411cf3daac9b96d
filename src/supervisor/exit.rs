//! Exit statuses: the child's own, and powerprof's.
//!
//! | status | meaning |
//! |---|---|
//! | the child's | it ran; 128 + N where signal N ended it |
//! | 127, 126 | the command was not found, is not executable |
//! | 125 | powerprof itself failed before the child ran; under `--strict`, a sensor was missing then or was lost later |
//! | 2 | the command line could not be understood |
//! | 1 | a command that reads recordings failed, or a `--fail-if` condition held |

use nix::sys::wait::WaitStatus;

use crate::model::recording::ChildExit;

/// powerprof failed before the child ran, or `--strict` was not met.
pub const POWERPROF_FAILED: i32 = 125;
/// The command exists and cannot be executed.
pub const NOT_EXECUTABLE: i32 = 126;
/// The command does not exist.
pub const NOT_FOUND: i32 = 127;

/// How a waited-for child ended; `None` while it has not.
pub fn child_exit(status: WaitStatus) -> Option<ChildExit> {
    match status {
        WaitStatus::Exited(_, code) => Some(ChildExit::Code(code)),
        WaitStatus::Signaled(_, signal, _) => Some(ChildExit::Signal(signal as i32)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use nix::sys::signal::Signal;
    use nix::unistd::Pid;

    use super::*;

    #[test]
    fn a_code_stays_a_code_and_a_signal_becomes_128_and_more() {
        let pid = Pid::from_raw(1);
        let exited = |code| child_exit(WaitStatus::Exited(pid, code)).map(ChildExit::status);
        assert_eq!(exited(0), Some(0));
        assert_eq!(exited(1), Some(1));
        assert_eq!(exited(255), Some(255));
        let killed = |signal| child_exit(WaitStatus::Signaled(pid, signal, false)).map(ChildExit::status);
        assert_eq!(killed(Signal::SIGKILL), Some(137));
        assert_eq!(killed(Signal::SIGTERM), Some(143));
        assert_eq!(child_exit(WaitStatus::StillAlive), None);
    }
}
