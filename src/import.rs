//! Logs that other programs wrote -> the nouns of a recording: `nvidia-smi --query-gpu`, DCGM and plain tables, and phases from a table.
//!
//! [`table`] cuts a file into rows, [`columns`] says what each column is, [`readings`] makes streams of them, [`device`] says what is
//! believed of the sensor behind them; [`phases`], [`reach`] and [`nest`] turn a list of phases into
//! markers. No clock is read and no file written.
//!
//! Invariants: an error names file, line and column, and the fix; a figure that the log does not give is missing, never 0; times stay
//! on the log's own axis, in nanoseconds.

pub mod axis;
pub mod columns;
pub mod device;
pub mod error;
pub mod figure;
pub mod nest;
pub mod phases;
pub mod reach;
pub mod readings;
pub mod stamp;
pub mod table;

pub use error::ImportError;
