//! Does the counter add up all time, or readings that look at part of it?
//!
//! Its differences are explained twice: as means over all the time between two ticks, and as means over a window as short as that of
//! the power reading. Phases that are shorter than the sensor's period make the two mixtures differ, and the residuals tell.

/// The counter's nature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CounterKind {
    Continuous,
    Sampled,
    Unknown,
}

/// How much better one explanation must be than the other: ratio of residual variances.
const CLEARLY: f64 = 1.3;

/// Decide by the residual variance under either explanation.
pub fn decide(continuous: f64, sampled: f64) -> CounterKind {
    if sampled > CLEARLY * continuous {
        CounterKind::Continuous
    } else if continuous > CLEARLY * sampled {
        CounterKind::Sampled
    } else {
        CounterKind::Unknown
    }
}
