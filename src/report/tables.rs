//! What the human-readable reports show, as tables of strings: one decision for text, Markdown and HTML.
//!
//! Owns the choice of columns and rows and their order of importance; leaves widths, colours and markup to the renderers.
//! Invariant: every row has one cell per column. A column in which nothing is known is left out.

mod devices;
mod metrics;
mod phases;
mod study;

pub use devices::devices;
pub use metrics::metrics;
pub use phases::{energy_labels, phases};
pub use study::study;

use super::format::UNKNOWN;
use crate::model::analysis::{EnergyEstimate, Grade, Method};

/// How a column's cells stand under each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Align {
    Left,
    Right,
    /// Numbers with intervals: the `±` (or, without one, the space before the unit) of all rows in one line.
    PlusMinus,
}

/// A column's head and its place in the order of importance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Column {
    /// Lines of the head; the last holds the unit.
    pub title: &'static str,
    pub unit: &'static str,
    pub align: Align,
    /// What goes first where room is short: the highest number. 0 stays always.
    pub expendable: u8,
}

impl Column {
    pub(super) const fn new(title: &'static str, unit: &'static str, align: Align, expendable: u8) -> Self {
        Self {
            title,
            unit,
            align,
            expendable,
        }
    }
}

/// What a cell means, for renderers that have colour. The text alone must say it too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    Plain,
    /// A figure to rely on.
    Sure,
    /// A figure to read with care.
    Doubtful,
    /// Not resolved, or failed.
    Bad,
}

/// One cell.
#[derive(Debug, Clone, PartialEq)]
pub struct Cell {
    pub text: String,
    pub tone: Tone,
    /// A share of the whole (0 to 1) that the cell shows as a bar.
    pub bar: Option<f64>,
}

impl Cell {
    pub(super) fn new(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            tone: Tone::Plain,
            bar: None,
        }
    }
}

/// What a row is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowKind {
    /// An entry at this depth of a tree.
    Entry { depth: usize, last: bool },
    /// A sum below the entries.
    Summary,
}

/// One row.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    pub kind: RowKind,
    pub cells: Vec<Cell>,
}

/// A table. The first column names the row, and is the one that is shortened where room is short.
#[derive(Debug, Clone, PartialEq)]
pub struct Table {
    pub title: &'static str,
    pub columns: Vec<Column>,
    pub rows: Vec<Row>,
    /// Which column, besides the first, may be shortened (a device's name).
    pub flexible: Option<usize>,
}

impl Table {
    /// Without the columns in which no row knows anything; essential ones stay.
    pub(super) fn without_unknown_columns(mut self) -> Self {
        let known = |i: usize| {
            self.rows
                .iter()
                .any(|r| r.cells[i].bar.is_some() || !matches!(r.cells[i].text.as_str(), "" | UNKNOWN))
        };
        let keep: Vec<bool> = (0..self.columns.len())
            .map(|i| self.columns[i].expendable == 0 || known(i))
            .collect();
        for i in (0..keep.len()).rev().filter(|&i| !keep[i]) {
            self.remove_column(i);
        }
        self
    }

    /// Take a column out of the head and of every row.
    pub(super) fn remove_column(&mut self, i: usize) {
        self.columns.remove(i);
        for row in &mut self.rows {
            row.cells.remove(i);
        }
        self.flexible = match self.flexible {
            Some(f) if f == i => None,
            Some(f) if f > i => Some(f - 1),
            other => other,
        };
    }
}

/// The cell of an energy; `~` in front where it is an estimate or holds one.
pub(super) fn energy_cell(energy: &EnergyEstimate, holds_estimate: bool) -> Cell {
    let text = super::format::energy(energy);
    let mark = if holds_estimate && text != UNKNOWN { "~" } else { "" };
    Cell::new(format!("{mark}{text}"))
}

/// The cell of a grade: its letter, `?` where unresolved.
fn grade_cell(energy: &EnergyEstimate) -> Cell {
    let known = energy.method != Method::None || energy.upper_bound.is_some();
    let (text, tone) = match energy.grade {
        Grade::Unresolved if known => ("?", Tone::Bad),
        Grade::Unresolved => (UNKNOWN, Tone::Plain),
        Grade::A => ("A", Tone::Sure),
        Grade::B => ("B", Tone::Plain),
        Grade::C => ("C", Tone::Doubtful),
    };
    Cell {
        tone,
        ..Cell::new(text)
    }
}

/// The part of the total that an energy is, where both are known and the total is positive.
fn share(energy: &EnergyEstimate, total: &EnergyEstimate) -> Option<f64> {
    let (part, whole) = (energy.joules?.get(), total.joules?.get());
    let share = part / whole;
    (whole > 0.0 && share.is_finite()).then_some(share)
}

fn share_cells(energy: &EnergyEstimate, total: &EnergyEstimate) -> (Cell, Cell) {
    let share = share(energy, total);
    let bar = Cell {
        bar: share.map(|s| s.clamp(0.0, 1.0)),
        ..Cell::new("")
    };
    (Cell::new(super::format::percent(share.map(|s| s * 100.0))), bar)
}
