//! A recording and its file: what goes in, what comes out, and what survives when the recorder is killed.
//!
//! The only user of HDF5. [`Writer`] appends [`Chunk`](crate::model::recording::Chunk)s in single-writer mode (SWMR), in
//! which every flushed row can be read again whatever happens to the process afterwards; [`Reader`] opens finished, running
//! and cut-off recordings alike; [`recover`] turns a cut-off one into a plainly closed file. `docs/file-format.md` is the
//! layout for users, [`schema`] the same for the program.
//!
//! Leaves to others: when to flush (the writer thread), and every figure computed from the data (`energy`).

mod attributes;
pub mod background;
mod baseline;
mod cell;
mod column;
mod device;
mod draft;
mod error;
mod journal;
mod leftover;
mod lost;
mod markers;
mod open;
mod reader;
mod recover;
mod room;
mod run;
mod samples;
pub mod schema;
mod streams;
mod table;
mod tables;
pub mod trace;
pub mod version;
mod whole;
mod writer;

pub use draft::{Claim, vacant};
pub use error::{NotNamed, RecordingError};
pub use reader::Reader;
pub use recover::{Recovered, recover};
pub use whole::write_whole;
pub use writer::Writer;
