//! Hardware -> readings: what can be read on this machine, and reading it.
//!
//! Never writes a file and never integrates anything.

pub mod clock;
pub mod interface;
