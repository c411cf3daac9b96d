//! Phases as powerprof sees them: markers whose edges wait for the device, because a host that has only queued work would
//! book its energy in the phase after.

use powerprof_markers::{Client, Span};
use tch::Device;

use crate::{data::batch::Batch, device};

#[derive(Debug)]
pub struct Phases {
    client: Client,
    device: Device,
}

impl Phases {
    pub fn new(device: Device) -> Self {
        Self {
            client: Client::from_env(),
            device,
        }
    }

    /// The same phases, waiting for another device.
    pub fn on(self, device: Device) -> Self {
        Self { device, ..self }
    }

    pub fn begin(&self, name: &str) -> Phase<'_> {
        device::synchronize(self.device);
        Phase {
            span: self.client.span(name),
            device: self.device,
        }
    }

    pub fn begin_at(&self, name: &str, index: u64) -> Phase<'_> {
        device::synchronize(self.device);
        Phase {
            span: self.client.span_at(name, index),
            device: self.device,
        }
    }

    pub fn metric(&self, name: &str, value: f64) {
        self.client.metric(name, value);
    }
}

/// Ends when dropped (without waiting: an error is on its way), or with what it finished.
#[derive(Debug)]
#[must_use = "the phase ends when this is dropped"]
pub struct Phase<'a> {
    span: Span<'a>,
    device: Device,
}

impl Phase<'_> {
    pub fn end(self) {
        device::synchronize(self.device);
        drop(self.span);
    }

    /// Work is said once, on the innermost phase that finished it.
    pub fn end_with(self, work: Work) {
        device::synchronize(self.device);
        self.span.finish(work.samples, work.tokens);
    }
}

/// Documents, and the real (not padding) source and target tokens in them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Work {
    pub samples: u64,
    pub tokens: u64,
}

impl Work {
    pub fn of(batch: &Batch) -> Self {
        Self {
            samples: batch.len() as u64,
            tokens: batch.tokens() as u64,
        }
    }
}

impl std::ops::AddAssign for Work {
    fn add_assign(&mut self, other: Self) {
        self.samples += other.samples;
        self.tokens += other.tokens;
    }
}
