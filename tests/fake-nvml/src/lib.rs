//! A `libnvidia-ml.so.1` whose truth is known. Loaded in the place of NVIDIA's, it answers from a scripted power curve
//! through a model of the sensor, so that what a tool reports can be compared with the exact joules.
//!
//! The folder has two faces. As a `cdylib` it is the library: `ffi`, driven by the JSON of [`config`]. As an `rlib` it
//! is a test's view of the same machine: [`Machine`] gives the truth and every reading, [`Installation`] puts library
//! and configuration where a program under test finds them.
//!
//! ```text
//! config -> truth -> sensor, counter, samples -> gpu -> machine (+ faults, latency) -> ffi -> the program under test
//!             '------------------------------------------'------> the test that judges it
//! ```
//!
//! Invariants: a reading depends on the configuration and the moment alone, never on who read before; nothing runs in
//! the background; two processes with the same configuration and `t0_ns` read the same. Times are `CLOCK_MONOTONIC`
//! nanoseconds, and since all of this crate is the edge of an FFI, units stand in names (`_ns _mw _mj`); only exact
//! energy has a type of its own.

pub mod call;
pub mod chance;
pub mod clock;
pub mod config;
pub mod counter;
mod ffi;
pub mod gpu;
pub mod installation;
pub mod lattice;
pub mod machine;
pub mod profile;
pub mod samples;
pub mod sensor;
pub mod stats;
pub mod status;
pub mod truth;

pub use config::Config;
pub use installation::{Installation, library_path};
pub use machine::Machine;

/// Sizes of the structures handed over, by their names in nvml.h: for a test against other bindings.
#[must_use]
pub fn layout_sizes() -> [(&'static str, usize); 6] {
    ffi::sizes()
}
