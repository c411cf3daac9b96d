//! Markers as they were heard: one event per good line, in order of arrival, and a count of everything that was not good.

use super::time::Timestamp;

/// What a marker says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MarkerVerb {
    Begin,
    End,
    Mark,
    Metric,
}

impl MarkerVerb {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Begin => "begin",
            Self::End => "end",
            Self::Mark => "mark",
            Self::Metric => "metric",
        }
    }
}

/// One good line of the marker pipe (wire format: `docs/markers.md`).
#[derive(Debug, Clone, PartialEq)]
pub struct MarkerEvent {
    /// When it happened: the writer's own stamp, or the time of arrival if it sent none.
    pub t: Timestamp,
    /// When the recorder read it.
    pub arrival: Timestamp,
    /// Whether `t` is the writer's own stamp.
    pub stamped: bool,
    pub verb: MarkerVerb,
    pub rank: u32,
    pub name: String,
    pub index: Option<u64>,
    pub samples: Option<u64>,
    pub tokens: Option<u64>,
    pub value: Option<f64>,
    /// What the rank runs on, as it was written: `0,1` or UUIDs.
    pub devices: Option<String>,
}

/// What went wrong on the marker pipe.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct MarkerFaults {
    /// Lines that could not be understood.
    pub bad_lines: u64,
    /// The first of them, with the reason.
    pub examples: Vec<String>,
    /// Lines that writers said they could not send.
    pub dropped: u64,
}
