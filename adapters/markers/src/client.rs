//! The client: what a Rust trainer calls. One marker is one clock reading, one line on the stack and one write(2).
//!
//! It never blocks, never panics, never prints and never fails: outside powerprof, or once the recorder is gone, every call
//! returns at once. What the pipe could not take is counted and said on the next line that goes through.
//!
//! Threads may share a client, and it goes on working in a forked child. Spans nest per *rank*, so let one thread of a rank
//! open spans; `mark` and `metric` may come from any.

mod pipe;
mod rank;
mod span;

use std::ffi::OsString;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::os::monotonic_ns;
use crate::wire::{Devices, Event, Line, Name, NameBuf, WireError};
use pipe::{Pipe, Sent};

pub use span::Span;

/// The variable that names the marker pipe.
pub const MARKERS_VARIABLE: &str = "POWERPROF_MARKERS";

/// A writer of markers, or nothing at all outside powerprof.
#[derive(Debug)]
pub struct Client {
    pipe: Option<Pipe>,
    rank: u32,
    devices: Option<String>,
    devices_said: AtomicBool,
}

impl Client {
    /// The client for this process: the pipe that `POWERPROF_MARKERS` names, the rank that its launcher gave it (`RANK`,
    /// `OMPI_COMM_WORLD_RANK`, `PMI_RANK`, `SLURM_PROCID`, else 0). Unset, or a pipe that nobody reads: [`Client::silent`].
    pub fn from_env() -> Self {
        match std::env::var_os(MARKERS_VARIABLE) {
            Some(path) if !path.is_empty() => Self::to(path, rank::from_env(|name| std::env::var(name).ok())),
            _ => Self::silent(),
        }
    }

    /// A client for this pipe; silent if it cannot be opened.
    pub fn open(path: impl AsRef<Path>) -> Self {
        Self::to(path.as_ref().into(), 0)
    }

    /// A client that does nothing.
    pub const fn silent() -> Self {
        Self {
            pipe: None,
            rank: 0,
            devices: None,
            devices_said: AtomicBool::new(false),
        }
    }

    fn to(path: OsString, rank: u32) -> Self {
        Self {
            pipe: Pipe::open(Path::new(&path)),
            rank,
            ..Self::silent()
        }
    }

    /// The same client, speaking for another rank.
    #[must_use]
    pub fn with_rank(mut self, rank: u32) -> Self {
        self.rank = rank;
        self
    }

    /// The same client, saying with its first span what this rank runs on: `0,1` or UUIDs.
    ///
    /// # Errors
    /// [`WireError::BadDevices`] if that is not such a list.
    pub fn with_devices(mut self, devices: &str) -> Result<Self, WireError> {
        self.devices = Some(Devices::new(devices)?.as_str().to_owned());
        self.devices_said = AtomicBool::new(false);
        Ok(self)
    }

    /// Whether markers go anywhere.
    pub fn is_active(&self) -> bool {
        self.pipe.as_ref().is_some_and(Pipe::is_open)
    }

    /// Opens a span that ends with the returned guard.
    #[must_use = "the span ends when the guard is dropped"]
    pub fn span(&self, name: &str) -> Span<'_> {
        Span::begin(self, name, None)
    }

    /// As [`span`](Self::span), with the number of this step or epoch.
    #[must_use = "the span ends when the guard is dropped"]
    pub fn span_at(&self, name: &str, index: u64) -> Span<'_> {
        Span::begin(self, name, Some(index))
    }

    /// Opens a span, for loops that a guard does not fit. Whoever calls this calls [`end`](Self::end).
    pub fn begin(&self, name: &str, index: impl Into<Option<u64>>) {
        if self.is_active() {
            self.send_begin(NameBuf::lossy(name).as_name(), index.into());
        }
    }

    /// Closes a span, with the work that was finished in it and in no span inside it.
    pub fn end(&self, name: &str, samples: impl Into<Option<u64>>, tokens: impl Into<Option<u64>>) {
        if self.is_active() {
            let event = Event::End {
                samples: samples.into(),
                tokens: tokens.into(),
            };
            self.send(NameBuf::lossy(name).as_name(), event);
        }
    }

    /// Something happened now.
    pub fn mark(&self, name: &str) {
        self.mark_work(name, None, None);
    }

    /// Work was finished now, inside whatever span is open.
    pub fn mark_work(&self, name: &str, samples: impl Into<Option<u64>>, tokens: impl Into<Option<u64>>) {
        if self.is_active() {
            let event = Event::Mark {
                samples: samples.into(),
                tokens: tokens.into(),
            };
            self.send(NameBuf::lossy(name).as_name(), event);
        }
    }

    /// A number about the training: loss, accuracy, ROUGE.
    pub fn metric(&self, name: &str, value: f64) {
        if self.is_active() {
            self.send(NameBuf::lossy(name).as_name(), Event::Metric { value });
        }
    }

    fn send_begin(&self, name: Name<'_>, index: Option<u64>) {
        let devices = match &self.devices {
            Some(list) if !self.devices_said.load(Ordering::Relaxed) => Devices::new(list).ok(),
            _ => None,
        };
        let sent = self.send(name, Event::Begin { index, devices });
        if devices.is_some() && sent == Sent::Yes {
            self.devices_said.store(true, Ordering::Relaxed);
        }
    }

    fn send(&self, name: Name<'_>, event: Event<'_>) -> Sent {
        let Some(pipe) = &self.pipe else { return Sent::No };
        pipe.send(Line {
            t: Some(monotonic_ns()),
            rank: self.rank,
            ..Line::new(name, event)
        })
    }
}
