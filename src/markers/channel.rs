//! The FIFO and the thread that reads it.
//!
//! The thread never waits for the file: full buffers push back on the pipe, where a client drops and counts and a shell waits.

use std::fs::{File, Permissions};
use std::io::{ErrorKind, Read};
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::thread::JoinHandle;
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

use super::lines::Lines;
use crate::model::marker::MarkerEvent;
use crate::model::recording::Chunk;
use crate::sensors::clock;

/// The variable that tells a child where the pipe is.
pub const VARIABLE: &str = "POWERPROF_MARKERS";

/// What the kernel lets an unprivileged process ask for (`/proc/sys/fs/pipe-max-size`): room for some 20,000 markers.
const PIPE_BYTES: i32 = 1 << 20;
/// Events in one piece on its way to the file.
const PIECE: usize = 8192;

/// Events wait at most about this long for company on their way to the file, however busy the pipe is.
const HAND_OVER_MS: u16 = 100;
const HAND_OVER: Duration = Duration::from_millis(HAND_OVER_MS as u64);
/// How long lines gather before they are read: the most by which an unstamped line is late.
const COLLECT: Duration = Duration::from_millis(1);
/// After the child's end: how long a writer that never stops is still listened to.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Hears every marker as it arrives (the simulated GPU follows them).
pub type Listener = Box<dyn Fn(&MarkerEvent) + Send>;

/// Why there is no marker pipe.
#[derive(Debug, thiserror::Error)]
pub enum ChannelError {
    #[error(
        "cannot make a private directory for the marker pipe: {0}\nhint: set TMPDIR to a folder that can be written"
    )]
    Directory(#[source] std::io::Error),
    #[error("cannot make the marker pipe {path}: {source}\nhint: set TMPDIR to a folder on a local file system")]
    Fifo { path: PathBuf, source: Errno },
    #[error("cannot open the marker pipe {path}: {source}")]
    Open { path: PathBuf, source: std::io::Error },
}

/// A FIFO that exists, and is not read yet.
pub struct Channel {
    directory: tempfile::TempDir,
    path: PathBuf,
    fifo: File,
}

impl Channel {
    /// Make the FIFO, in a directory only this user can enter.
    pub fn open() -> Result<Self, ChannelError> {
        let directory = tempfile::Builder::new()
            .prefix("powerprof-")
            .permissions(Permissions::from_mode(0o700))
            .tempdir()
            .map_err(ChannelError::Directory)?;
        let path = directory.path().join("markers");
        mkfifo(&path, Mode::S_IRUSR | Mode::S_IWUSR).map_err(|source| ChannelError::Fifo {
            path: path.clone(),
            source,
        })?;
        // Read and write: opening does not wait for a writer, and the last writer's end is not the pipe's.
        let fifo = File::options()
            .read(true)
            .write(true)
            .open(&path)
            .map_err(|source| ChannelError::Open {
                path: path.clone(),
                source,
            })?;
        let nonblocking = fcntl(fifo.as_fd(), FcntlArg::F_SETFL(OFlag::O_NONBLOCK));
        nonblocking.map_err(|e| ChannelError::Open {
            path: path.clone(),
            source: e.into(),
        })?;
        // A larger pipe makes drops rarer; the default works too.
        let _ = fcntl(fifo.as_fd(), FcntlArg::F_SETPIPE_SZ(PIPE_BYTES));
        Ok(Self { directory, path, fifo })
    }

    /// The FIFO, as the child's environment names it.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The private directory around it.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Start reading into `sink`.
    pub fn listen(self, sink: SyncSender<Chunk>, listener: Option<Listener>) -> std::io::Result<Reading> {
        let stop = Arc::new(EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?);
        let stopped = Arc::clone(&stop);
        let Self { directory, fifo, .. } = self;
        let thread = std::thread::Builder::new().name("markers".into()).spawn(move || {
            Reader {
                fifo,
                lines: Lines::default(),
                events: Vec::new(),
                sink,
                listener,
            }
            .run(&stopped);
        })?;
        Ok(Reading {
            directory,
            stop,
            thread,
        })
    }
}

/// A pipe being read.
pub struct Reading {
    /// Removed, with the FIFO, when this is dropped.
    directory: tempfile::TempDir,
    stop: Arc<EventFd>,
    thread: JoinHandle<()>,
}

impl Reading {
    /// Read what is in the pipe now, hand it over, and close.
    pub fn stop(self) {
        let _ = self.stop.write(1);
        let _ = self.thread.join();
        drop(self.directory);
    }
}

struct Reader {
    fifo: File,
    lines: Lines,
    events: Vec<MarkerEvent>,
    sink: SyncSender<Chunk>,
    listener: Option<Listener>,
}

impl Reader {
    fn run(mut self, stop: &EventFd) {
        let mut buffer = vec![0u8; 1 << 16];
        let mut patience = None;
        let mut hand_over_at = clock::now() + HAND_OVER;
        loop {
            let mut ready = [
                PollFd::new(self.fifo.as_fd(), PollFlags::POLLIN),
                PollFd::new(stop.as_fd(), PollFlags::POLLIN),
            ];
            let timeout = if self.events.is_empty() {
                PollTimeout::NONE
            } else {
                PollTimeout::from(100u16)
            };
            let idle = poll(&mut ready, timeout) == Ok(0);
            let stopping = ready[1].any().unwrap_or(false);
            if !idle && !stopping {
                // A writer pays for each time it wakes us (microseconds); asleep, we collect what many of them write.
                std::thread::sleep(COLLECT);
            }
            let emptied = self.drain(&mut buffer);
            if idle || self.events.len() >= PIECE || clock::now() >= hand_over_at {
                self.hand_over();
                hand_over_at = clock::now() + HAND_OVER;
            }
            let given_up = stopping && clock::now() > *patience.get_or_insert(clock::now() + LAST_WORDS);
            if stopping && emptied || given_up {
                self.lines.finish(clock::now(), &mut self.events);
                self.hand_over();
                return;
            }
        }
    }

    /// Read until the pipe is empty (true) or a piece is full (false).
    fn drain(&mut self, buffer: &mut [u8]) -> bool {
        while self.events.len() < PIECE {
            match self.fifo.read(buffer) {
                Ok(0) => return true,
                Ok(count) => {
                    let before = self.events.len();
                    self.lines.push(&buffer[..count], clock::now(), &mut self.events);
                    if let Some(listener) = &self.listener {
                        self.events[before..].iter().for_each(listener);
                    }
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return true,
            }
        }
        false
    }

    fn hand_over(&mut self) {
        let markers = std::mem::take(&mut self.events);
        let marker_faults = self.lines.take_changed_faults();
        if markers.is_empty() && marker_faults.is_none() {
            return;
        }
        // The other end goes away only when the file cannot be written any more; the child must not feel that.
        let _ = self.sink.send(Chunk {
            markers,
            marker_faults,
            ..Chunk::default()
        });
    }
}
