//! The marker pipe: a FIFO in a private directory, read by a thread of its own.
//!
//! The wire format belongs to the crate `powerprof-markers`; what the markers mean together belongs to `energy`.

pub mod channel;
mod lines;

pub use channel::{Channel, ChannelError, Listener};
