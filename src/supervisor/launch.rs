//! Starting the child in two steps: forked and held, then released into its command.
//!
//! ```text
//! powerprof  fork ──────────────── sensors start, first reading ── release ──────────── wait
//!                └─ child: waits for one byte ─────────────────────────────┴─ exec COMMAND
//! ```
//! The fork happens before any thread exists, so the held child may use the whole C library. Standard streams, terminal, process
//! group, working directory and signal mask are the ones powerprof was given; only the environment is added to.
//! If powerprof dies before the release, the held child reads end-of-file and goes away without running anything.

use std::ffi::{CString, OsString};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::wait::waitpid;
use nix::unistd::{ForkResult, Pid, execvpe, fork, pipe2, read, write};

use super::exit;
use super::signals::Inherited;

/// Why the command could not be started.
#[derive(Debug, thiserror::Error)]
pub enum LaunchError {
    #[error("cannot run `{command}`: {reason}\nhint: {hint}")]
    NotFound {
        command: String,
        reason: &'static str,
        hint: &'static str,
    },
    #[error("cannot run `{command}`: {reason}\nhint: {hint}")]
    NotExecutable {
        command: String,
        reason: String,
        hint: &'static str,
    },
    #[error("cannot start a process: {0}")]
    System(#[from] Errno),
    #[error("the command holds a zero byte: {0:?}")]
    ZeroByte(String),
}

impl LaunchError {
    /// The exit status that belongs to it.
    pub const fn status(&self) -> i32 {
        match self {
            Self::NotFound { .. } => exit::NOT_FOUND,
            Self::NotExecutable { .. } => exit::NOT_EXECUTABLE,
            Self::System(_) | Self::ZeroByte(_) => exit::POWERPROF_FAILED,
        }
    }
}

/// A child that exists and waits.
pub struct ArmedChild {
    pid: Pid,
    command: String,
    release: OwnedFd,
    exec_errno: OwnedFd,
}

/// Fork a child that will run `command` with `extra_env` added to the environment and the signals as powerprof got them.
///
/// Must be called while the process has one thread.
pub fn arm(
    command: &[OsString],
    extra_env: &[(OsString, OsString)],
    signals: &Inherited,
) -> Result<ArmedChild, LaunchError> {
    let argv = command
        .iter()
        .map(|word| c_string(word.clone()))
        .collect::<Result<Vec<_>, _>>()?;
    let envp = environment(extra_env)?;
    let (release_read, release_write) = pipe2(OFlag::O_CLOEXEC)?;
    let (errno_read, errno_write) = pipe2(OFlag::O_CLOEXEC)?;
    // SAFETY: the process has one thread, so the child may do anything after the fork.
    match unsafe { fork() }? {
        ForkResult::Child => {
            drop(release_write);
            drop(errno_read);
            let errno = wait_and_exec(&release_read, &argv, &envp, signals);
            // Nobody may be left to read it; the exit status says as much as can be said.
            let _ = write(errno_write.as_fd(), &(errno as i32).to_ne_bytes());
            // SAFETY: ends the held child without running powerprof's own exit handlers.
            unsafe { libc::_exit(exit::NOT_FOUND) }
        }
        ForkResult::Parent { child } => Ok(ArmedChild {
            pid: child,
            command: command
                .first()
                .map(|w| w.to_string_lossy().into_owned())
                .unwrap_or_default(),
            release: release_write,
            exec_errno: errno_read,
        }),
    }
}

fn wait_and_exec(release: &OwnedFd, argv: &[CString], envp: &[CString], signals: &Inherited) -> Errno {
    let mut byte = [0u8];
    loop {
        match read(release.as_fd(), &mut byte) {
            Ok(1) => break,
            Err(Errno::EINTR) => {}
            // The recorder is gone: nobody wants this command any more.
            // SAFETY: as in `arm`.
            _ => unsafe { libc::_exit(exit::POWERPROF_FAILED) },
        }
    }
    if let Err(errno) = signals.restore() {
        return errno;
    }
    match execvpe(&argv[0], argv, envp) {
        Err(errno) => errno,
        Ok(never) => match never {},
    }
}

impl ArmedChild {
    /// The child's process id; it is the same before and after the release.
    pub const fn pid(&self) -> Pid {
        self.pid
    }

    /// In a process forked from powerprof: close its copies of the pipes to the held child, which waits for the end of one of them.
    pub(super) fn let_go_in_this_process(&self) {
        for end in [&self.release, &self.exec_errno] {
            // SAFETY: called in a forked process that leaves by `_exit` and so never drops these a second time.
            unsafe { libc::close(end.as_raw_fd()) };
        }
    }

    /// Let it run its command; returns once the command has taken the process over.
    pub fn release(self) -> Result<Pid, LaunchError> {
        write(self.release.as_fd(), &[1])?;
        let mut bytes = [0u8; 4];
        let got = loop {
            match read(self.exec_errno.as_fd(), &mut bytes) {
                Err(Errno::EINTR) => {}
                other => break other?,
            }
        };
        if got == 0 {
            return Ok(self.pid); // closed by exec
        }
        let _ = waitpid(self.pid, None);
        Err(explain(&self.command, Errno::from_raw(i32::from_ne_bytes(bytes))))
    }
}

fn explain(command: &str, errno: Errno) -> LaunchError {
    let not_executable = |reason: &str, hint| LaunchError::NotExecutable {
        command: command.to_owned(),
        reason: reason.to_owned(),
        hint,
    };
    match errno {
        Errno::ENOENT | Errno::ENOTDIR if command.contains('/') => LaunchError::NotFound {
            command: command.to_owned(),
            reason: "no such file",
            hint: "check the path, and for a script the interpreter that its first line names",
        },
        Errno::ENOENT | Errno::ENOTDIR => LaunchError::NotFound {
            command: command.to_owned(),
            reason: "command not found",
            hint: "check the spelling, or give its path, as in ./train",
        },
        Errno::EACCES if std::path::Path::new(command).is_dir() => {
            not_executable("it is a directory", "name the program inside it")
        }
        Errno::EACCES => not_executable(
            "permission denied",
            "make it executable (chmod +x), or run it through its interpreter",
        ),
        Errno::ENOEXEC => not_executable(
            "not a program",
            "add a #! line, or run it through its interpreter, as in `-- sh FILE`",
        ),
        other => not_executable(other.desc(), "try the command without powerprof"),
    }
}

fn c_string(word: OsString) -> Result<CString, LaunchError> {
    CString::new(word.into_vec())
        .map_err(|e| LaunchError::ZeroByte(String::from_utf8_lossy(&e.into_vec()).into_owned()))
}

/// Our environment with `extra` in place of variables of the same name.
fn environment(extra: &[(OsString, OsString)]) -> Result<Vec<CString>, LaunchError> {
    std::env::vars_os()
        .filter(|(name, _)| !extra.iter().any(|(other, _)| other == name))
        .chain(extra.iter().cloned())
        .map(|(name, value)| {
            let mut entry = name;
            entry.push("=");
            entry.push(std::ffi::OsStr::from_bytes(value.as_bytes()));
            c_string(entry)
        })
        .collect()
}
