//! Which columns of a table of phases hold times, and what their cells count.
//!
//! A bare number counts what its column's name says (`start_ms`, `duration [s]`); without that it may be a time since 1970, which its
//! size tells, and else it is refused: milliseconds and seconds are a factor of 1000 apart.

use std::path::Path;

use crate::import::axis::{self, Frame};
use crate::import::columns::time_unit_ns;
use crate::import::error::ImportError;
use crate::import::table::{Row, Table};
use crate::import::{figure, stamp};

const STARTS: &[&str] = &["start", "begin", "from", "start_time", "begin_time"];
const ENDS: &[&str] = &["end", "stop", "to", "end_time", "stop_time"];
const DURATIONS: &[&str] = &["duration", "dur"];
const EDGES: &[&str] = &["t", "time", "timestamp", "edge"];
/// What columns of times have in their names, read here or not.
const OF_TIMES: [&str; 12] = [
    "time",
    "timestamp",
    "ts",
    "start",
    "begin",
    "end",
    "stop",
    "finish",
    "until",
    "duration",
    "dur",
    "elapsed",
];

/// Where a time stands, and the unit of a bare number there.
#[derive(Debug, Clone, Copy)]
pub struct TimeColumn {
    pub at: usize,
    unit_ns: Option<i64>,
}

/// How a table says when phases were.
#[derive(Debug, Clone, Copy)]
pub enum Form {
    StartAndEnd(TimeColumn, TimeColumn),
    StartAndDuration(TimeColumn, TimeColumn),
    /// Each row ends what began at the one before.
    Edges(TimeColumn),
}

impl Form {
    /// `None`: there is no form to see. An error: there is one, and a column besides that it does not read.
    pub fn of(table: &Table, path: &Path, is_named: bool) -> Result<Option<Self>, ImportError> {
        let (start, edge) = (find(table, STARTS), find(table, EDGES));
        let (end, duration) = (find(table, ENDS), find(table, DURATIONS));
        match (start.or(edge), end, duration) {
            (Some(start), Some(end), _) if is_named => Ok(Some(Self::StartAndEnd(start, end))),
            (Some(start), None, Some(duration)) if is_named => Ok(Some(Self::StartAndDuration(start, duration))),
            _ => match edge.or(start) {
                Some(edge) => alone(edge, table, path).map(|edge| Some(Self::Edges(edge))),
                None => Ok(None),
            },
        }
    }
}

/// A list of edges has one time a row. Where there are more, it is no such list.
fn alone(edge: TimeColumn, table: &Table, path: &Path) -> Result<TimeColumn, ImportError> {
    let mut others = table.header.iter().enumerate().filter(|(at, _)| *at != edge.at);
    match others.find(|(_, header)| is_of_times(header)) {
        None => Ok(edge),
        Some((_, header)) => Err(ImportError::line(
            path,
            1,
            format!(
                "beside `{}`, the column `{header}` looks like a time and is not understood",
                table.header[edge.at]
            ),
            "phases are name,start_ms,end_ms or name,start_ms,duration_ms; a list of edges, t_ms,name, has no other times",
        )),
    }
}

/// A header without its unit, and the unit.
fn parts(header: &str) -> (String, Option<i64>) {
    let header = header.trim().to_ascii_lowercase();
    let bracketed = header.split_once('[');
    let split = bracketed.map(|(stem, unit)| (stem, unit.trim_end_matches(']').trim()));
    let split = split.or(header.rsplit_once('_'));
    match split.and_then(|(stem, unit)| Some((stem.trim().to_owned(), time_unit_ns(unit)?))) {
        Some((stem, unit_ns)) => (stem, Some(unit_ns)),
        None => (header, None),
    }
}

fn find(table: &Table, names: &[&str]) -> Option<TimeColumn> {
    table.header.iter().enumerate().find_map(|(at, header)| {
        let (stem, unit_ns) = parts(header);
        names.contains(&stem.as_str()).then_some(TimeColumn { at, unit_ns })
    })
}

fn is_of_times(header: &str) -> bool {
    let (stem, unit_ns) = parts(header);
    let is_rate = stem.ends_with("per");
    !is_rate && (unit_ns.is_some() || stem.split(['_', ' ', '.']).any(|word| OF_TIMES.contains(&word)))
}

/// The cells of one table.
pub struct Times<'a> {
    pub path: &'a Path,
    pub table: &'a Table,
    pub frame: &'a Frame,
}

impl Times<'_> {
    /// A point in time, in nanoseconds on the log's axis.
    pub fn point(&self, row: &Row, column: TimeColumn) -> Result<i64, ImportError> {
        let cell = row.cells[column.at].trim();
        let bare = cell
            .replace(',', ".")
            .parse::<f64>()
            .ok()
            .filter(|_| stamp::parse(cell).is_none());
        let since_1970 = || axis::epoch_unit_ns(bare?).filter(|_| self.frame.axis != axis::Axis::Plain);
        let unit_ns = match (column.unit_ns.or_else(since_1970), bare) {
            (Some(unit_ns), _) => unit_ns,
            (None, Some(_)) => return Err(self.without_unit(row, column)),
            // No number, whose unit matters.
            (None, None) => 1,
        };
        let placed = self.frame.place(cell, unit_ns, self.table.decimal_comma);
        placed.map_err(|(what, hint)| self.error(row, column, what, hint))
    }

    /// A length of time in nanoseconds; its unit may stand behind it.
    pub fn length(&self, row: &Row, column: TimeColumn) -> Result<i64, ImportError> {
        let cell = row.cells[column.at].trim();
        let (number, unit) = cell.split_at(cell.find(|c: char| c.is_alphabetic() && c != 'e').unwrap_or(cell.len()));
        let unit_ns = match unit {
            "" => column.unit_ns,
            unit => time_unit_ns(unit),
        };
        let length = |unit_ns| figure::nanoseconds(number, unit_ns, self.table.decimal_comma);
        match (unit_ns, length(1)) {
            (None, Some(_)) if unit.is_empty() => Err(self.without_unit(row, column)),
            (Some(unit_ns), Some(0..)) => Ok(length(unit_ns).unwrap_or(i64::MAX)),
            _ => Err(self.error(
                row,
                column,
                format!("`{cell}` is no length of time"),
                "a number of 0 or more, with or without its unit",
            )),
        }
    }

    fn without_unit(&self, row: &Row, column: TimeColumn) -> ImportError {
        let (cell, header) = (row.cells[column.at].trim(), self.table.header[column.at].trim());
        let what = format!("`{cell}`: what does it count?");
        let stamps = match DURATIONS.contains(&header.to_ascii_lowercase().as_str()) {
            true => "",
            false => ", or write stamps as in the readings",
        };
        let hint = format!("call the column {header}_ms or {header}_s{stamps}");
        self.error(row, column, what, hint)
    }

    pub fn error(
        &self,
        row: &Row,
        column: TimeColumn,
        what: impl Into<String>,
        hint: impl Into<String>,
    ) -> ImportError {
        ImportError::cell(self.path, row.line, &self.table.header[column.at], what, hint)
    }
}
