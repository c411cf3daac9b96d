//! Markers for powerprof: the wire format of the marker pipe ([`wire`]) and a client that writes it ([`client`]).
//!
//! Standard library only, so that a trainer that adds this crate adds nothing else. Reading the pipe, matching `begin` with
//! `end` and everything that follows belong to the recorder; both sides share the format from here, so they cannot differ.
//!
//! ```
//! use powerprof_markers::Client;
//!
//! let markers = Client::from_env(); // does nothing, and costs nothing, outside `powerprof -- COMMAND`
//! let train = markers.span("train");
//! for index in 0..3 {
//!     let step = markers.span_at("step", index);
//!     step.finish(8, None); // 8 samples done; tokens are not counted
//! }
//! drop(train); // spans end with their scope, also when the scope panics
//! ```

#![warn(missing_docs)]
#![deny(unsafe_op_in_unsafe_fn)]

mod os;

pub mod wire;

pub mod client;

pub use client::{Client, Span};
pub use wire::{Devices, Event, Line, Name, Verb, WireError};

/// The page's Rust program, tested as it stands there.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/markers.md")]
pub struct DocumentedProtocol;
