//! The open end of the marker pipe: one write(2) a line, what to do when it does not go through, and the count of what was
//! lost. Holds no lock, so a fork in the middle of another thread's marker leaves the child nothing to wait for.

use std::fs::File;
use std::io::{ErrorKind, Write as _};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use crate::os::open_for_markers;
use crate::wire::{Line, MAX_LINE};

/// Whether a line reached the pipe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sent {
    Yes,
    No,
}

#[derive(Debug)]
pub(super) struct Pipe {
    file: File,
    /// The recorder is gone, or the descriptor is: nothing is tried again.
    closed: AtomicBool,
    /// Lines lost since the last one that went through.
    dropped: AtomicU64,
    /// The process that lost them. A forked child inherits the count, but those lines are its parent's to report.
    dropped_by: AtomicU32,
}

impl Pipe {
    pub(super) fn open(path: &Path) -> Option<Self> {
        let file = open_for_markers(path).ok()?;
        Some(Self {
            file,
            closed: AtomicBool::new(false),
            dropped: AtomicU64::new(0),
            dropped_by: AtomicU32::new(0),
        })
    }

    pub(super) fn is_open(&self) -> bool {
        !self.closed.load(Ordering::Relaxed)
    }

    /// Sends the line with the count of lines lost before it. `dropped` of the argument is ignored.
    pub(super) fn send(&self, line: Line<'_>) -> Sent {
        if !self.is_open() {
            return Sent::No;
        }
        let lost = self.take_lost();
        let line = Line {
            dropped: (lost > 0).then_some(lost),
            ..line
        };
        let mut buffer = [0_u8; MAX_LINE];
        let len = line.encode_into(&mut buffer);
        loop {
            // A non-blocking write of up to PIPE_BUF bytes to a pipe happens whole or not at all (pipe(7)).
            match (&self.file).write(&buffer[..len]) {
                Ok(written) if written == len => return Sent::Yes,
                Ok(_) => return self.close(), // no pipe but a plain file, and its disk is full
                Err(error) => match error.kind() {
                    ErrorKind::Interrupted => {}
                    ErrorKind::WouldBlock => {
                        self.count_lost(lost + 1);
                        return Sent::No;
                    }
                    // EPIPE: the recorder ended. Anything else will not get better either.
                    _ => return self.close(),
                },
            }
        }
    }

    fn close(&self) -> Sent {
        self.closed.store(true, Ordering::Relaxed);
        Sent::No
    }

    /// What this process lost since its last line; what a forked child inherited is forgotten.
    fn take_lost(&self) -> u64 {
        if self.dropped.load(Ordering::Relaxed) == 0 {
            return 0; // the common case, without a locked instruction or a system call
        }
        let lost = self.dropped.swap(0, Ordering::Acquire);
        if self.dropped_by.load(Ordering::Relaxed) == std::process::id() {
            lost
        } else {
            0
        }
    }

    /// [`take_lost`](Self::take_lost) came before, so nothing inherited is left to add to.
    fn count_lost(&self, lines: u64) {
        self.dropped_by.store(std::process::id(), Ordering::Relaxed);
        self.dropped.fetch_add(lines, Ordering::Release);
    }
}
