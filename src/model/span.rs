//! Spans: the phases of a run as a tree of paths, and every stretch of time that belongs to each.

use super::time::{Interval, Timestamp};

/// Position of a phase in [`Spans::phases`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PhaseIndex(pub usize);

/// One path of the phase tree. Phases are listed in preorder, children in the order in which they first began.
#[derive(Debug, Clone, PartialEq)]
pub struct Phase {
    /// `train/step/forward`.
    pub path: String,
    /// `forward`.
    pub name: String,
    pub parent: Option<PhaseIndex>,
    /// 0 at the top.
    pub depth: usize,
}

/// One execution of a phase by one rank.
#[derive(Debug, Clone, PartialEq)]
pub struct SpanInstance {
    pub phase: PhaseIndex,
    pub rank: u32,
    pub interval: Interval,
    /// Step or epoch number.
    pub index: Option<u64>,
    /// Work finished here and in the spans inside it.
    pub samples: Option<u64>,
    pub tokens: Option<u64>,
    /// Whether its `end` was heard. An open span is closed at the end of its parent or of the run, and counted in [`SpanFaults`].
    pub closed: bool,
    /// Whether nothing is left of its time: its markers lie outside the run, or before a marker ahead of them. How long it took is not
    /// known then; a span whose markers bear one and the same time took none.
    pub cut: bool,
}

/// A metric line, and the phase it was written in.
#[derive(Debug, Clone, PartialEq)]
pub struct Metric {
    pub name: String,
    pub value: f64,
    /// Path of the innermost open span of its rank, empty at the top.
    pub path: String,
    pub t: Timestamp,
    pub rank: u32,
}

/// A rank and what it said it runs on.
#[derive(Debug, Clone, PartialEq)]
pub struct RankDevices {
    pub rank: u32,
    /// As written: indices or UUIDs. `None`: it never said.
    pub devices: Option<String>,
}

/// Markers that did not fit together.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SpanFaults {
    /// `begin` without `end`.
    pub never_ended: u64,
    /// `end` without `begin`.
    pub never_begun: u64,
    /// An `end` that skipped over inner spans: those were closed with it.
    pub ended_by_outer: u64,
    /// Markers whose time lies before an earlier one of the same rank: moved up to it, or, if they are no edges, counted where they arrived.
    pub out_of_order: u64,
    /// First examples, as sentences.
    pub examples: Vec<String>,
}

/// All spans of a run.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Spans {
    /// Preorder.
    pub phases: Vec<Phase>,
    /// Sorted by start.
    pub instances: Vec<SpanInstance>,
    /// In order of time.
    pub metrics: Vec<Metric>,
    /// Every rank heard, ascending.
    pub ranks: Vec<RankDevices>,
    pub faults: SpanFaults,
}
