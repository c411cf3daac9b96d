//! The nouns of powerprof: times, units, devices, readings, markers, spans, recordings and analyses.
//!
//! Nothing here does I/O, and nothing here imports another module of this crate.

pub mod analysis;
pub mod device;
pub mod marker;
pub mod recording;
pub mod sample;
pub mod span;
pub mod study;
pub mod time;
pub mod units;
pub mod wording;
