//! The seam between the sampler and whatever can be measured.
//!
//! One [`Sensor`] is one device. The sampler owns all of them on one thread, stamps the time around each call, and asks the fast
//! figures every sweep and the slow ones more rarely.

use std::time::Duration;

use crate::model::device::Device;
use crate::model::sample::{Columns, PowerReading, SampleBatch, SampleOutcome, StateReading};

/// Why a read gave nothing: each variant says what the sampler does next.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ReadError {
    /// This reading is missing; ask again at the next sweep.
    #[error("{0}")]
    Retry(String),
    /// The device has gone (fell off the bus, was reset); close its stream, keep the run.
    #[error("{0}")]
    Gone(String),
    /// This kind of reading will never come; do not ask again.
    #[error("{0}")]
    Fatal(String),
}

/// A driver's own buffer of readings.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SampleBuffer {
    /// Samples in it.
    pub length: usize,
    /// Usual time between two of them, milliseconds.
    pub spacing_ms: Option<f64>,
    /// The clock of its stamps, where one fits.
    pub clock: Option<&'static str>,
}

/// One device that can be read.
pub trait Sensor: Send {
    /// What it is. Constant.
    fn device(&self) -> &Device;

    /// What it gives. Constant.
    fn columns(&self) -> Columns;

    /// Shortest sensible time between two [`Self::read_power`] calls; zero: every sweep.
    fn power_period(&self) -> Duration {
        Duration::ZERO
    }

    /// Shortest sensible time between two [`Self::read_state`] calls. `None`: it has no slow figures.
    fn state_period(&self) -> Option<Duration> {
        None
    }

    /// Power and energy, in one call to the driver where it has such a call.
    fn read_power(&mut self) -> Result<PowerReading, ReadError>;

    /// The driver's own buffer of power readings, if it has one. Looked at once, never in the fast loop.
    fn sample_buffer(&self) -> Option<SampleBuffer> {
        None
    }

    /// Time between two [`Self::read_samples`] calls. `None`: there is no buffer that is worth a call, now or ever again.
    fn sample_period(&self) -> Option<Duration> {
        None
    }

    /// The samples that came into the driver's own buffer since the last call. A failure is an outcome like others: what the buffer
    /// would have given is missing, and nothing else is.
    fn read_samples(&mut self) -> SampleBatch {
        SampleBatch::nothing(SampleOutcome::Failed)
    }

    /// Utilization, memory, clocks and the like.
    fn read_state(&mut self) -> Result<StateReading, ReadError> {
        Ok(StateReading::default())
    }
}
