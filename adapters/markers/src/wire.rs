//! Wire format 1 of the marker pipe: what one line can say. `docs/markers.md` describes it for other languages.
//!
//! ```text
//! LINE = VERB " " NAME *( " " KEY "=" VALUE ) "\n"        UTF-8, at most 1024 bytes
//! ```
//!
//! A [`Line`] can only hold what its verb allows, so whatever was parsed or built is valid and can be encoded. Whether spans
//! nest, what a rank runs on and when a line arrived are the recorder's business. Times are CLOCK_MONOTONIC nanoseconds.

mod devices;
mod encode;
mod error;
mod name;
mod parse;

pub use devices::Devices;
pub use encode::encode_into;
pub use error::WireError;
pub use name::{Name, NameBuf};
pub use parse::parse;

/// The longest line, its newline included. A write of up to PIPE_BUF bytes (4096 on Linux, pipe(7)) is never mixed with
/// another writer's, so this leaves room.
pub const MAX_LINE: usize = 1024;

/// The first word of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verb {
    /// A span opens.
    Begin,
    /// The span of that name, last opened by this rank, closes.
    End,
    /// Something happened, or work was finished, now.
    Mark,
    /// A number about the training.
    Metric,
}

impl Verb {
    /// As it stands on the line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Begin => "begin",
            Self::End => "end",
            Self::Mark => "mark",
            Self::Metric => "metric",
        }
    }
}

impl std::fmt::Display for Verb {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A verb with the keys that belong to it alone.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Event<'a> {
    /// A span opens.
    Begin {
        /// Step or epoch number.
        index: Option<u64>,
        /// What this rank runs on.
        devices: Option<Devices<'a>>,
    },
    /// The span closes.
    End {
        /// Samples finished in this span and not in one inside it.
        samples: Option<u64>,
        /// Tokens, likewise.
        tokens: Option<u64>,
    },
    /// A moment.
    Mark {
        /// Samples finished since the last count.
        samples: Option<u64>,
        /// Tokens, likewise.
        tokens: Option<u64>,
    },
    /// A number. NaN and infinities pass: a loss that diverged is worth knowing.
    Metric {
        /// The number.
        value: f64,
    },
}

/// One line of the pipe.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Line<'a> {
    /// Name of the span, mark or metric.
    pub name: Name<'a>,
    /// What happened.
    pub event: Event<'a>,
    /// When it happened, CLOCK_MONOTONIC nanoseconds. `None`: when it arrives.
    pub t: Option<u64>,
    /// The writer's rank.
    pub rank: u32,
    /// Lines that this writer could not send since its last one.
    pub dropped: Option<u64>,
}

impl<'a> Line<'a> {
    /// A line that says this much and leaves the rest at its default.
    pub const fn new(name: Name<'a>, event: Event<'a>) -> Self {
        Self {
            name,
            event,
            t: None,
            rank: 0,
            dropped: None,
        }
    }

    /// The first word.
    pub const fn verb(&self) -> Verb {
        match self.event {
            Event::Begin { .. } => Verb::Begin,
            Event::End { .. } => Verb::End,
            Event::Mark { .. } => Verb::Mark,
            Event::Metric { .. } => Verb::Metric,
        }
    }

    /// `index=`, on a begin.
    pub const fn index(&self) -> Option<u64> {
        match self.event {
            Event::Begin { index, .. } => index,
            _ => None,
        }
    }

    /// `devices=`, on a begin.
    pub const fn devices(&self) -> Option<Devices<'a>> {
        match self.event {
            Event::Begin { devices, .. } => devices,
            _ => None,
        }
    }

    /// `samples=`, on an end or a mark.
    pub const fn samples(&self) -> Option<u64> {
        match self.event {
            Event::End { samples, .. } | Event::Mark { samples, .. } => samples,
            _ => None,
        }
    }

    /// `tokens=`, on an end or a mark.
    pub const fn tokens(&self) -> Option<u64> {
        match self.event {
            Event::End { tokens, .. } | Event::Mark { tokens, .. } => tokens,
            _ => None,
        }
    }

    /// `value=`, on a metric.
    pub const fn value(&self) -> Option<f64> {
        match self.event {
            Event::Metric { value } => Some(value),
            _ => None,
        }
    }
}
