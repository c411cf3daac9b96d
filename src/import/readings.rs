//! Rows of a log -> streams of readings, one per device, on one axis of time.
//!
//! Invariants: rows of one device ascend in time (a log that goes back is refused, for its clock was set); what a row does not give is
//! missing. A reading's half-width is half the resolution that its stamps are written in. Rows are of one device where nothing that the
//! log says of devices tells them apart; rows that cannot be of one are refused.

mod building;
mod clock;
mod identity;
mod interleaved;
mod shared_stamps;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use super::axis::Frame;
use super::columns::{self, Meaning, Quantity};
use super::error::ImportError;
use super::figure::{self, Figure};
use super::table::{self, Row, Table};
use crate::model::recording::DeviceStreams;
use crate::model::sample::Columns;
use building::Building;
use clock::Clock;
use identity::Identity;

/// What the user says that the log does not.
#[derive(Debug, Clone, Copy, Default)]
pub struct Told {
    /// Time between the rows of one device, where the log has no times (`dcgmi dmon`).
    pub every: Option<Duration>,
    /// How far the log's local clock is ahead of UTC, seconds.
    pub offset_s: Option<i64>,
}

/// One device of a log.
#[derive(Debug, Clone, PartialEq)]
pub struct LoggedDevice {
    /// Its own, or its place in the list where indices tell nothing.
    pub index: Option<u32>,
    pub uuid: Option<String>,
    pub name: Option<String>,
    pub memory_total_bytes: Option<u64>,
    pub power_limit_watts: Option<f64>,
    /// The column that `watts` was taken from.
    pub power: Option<Quantity>,
    pub columns: Columns,
    pub streams: DeviceStreams,
}

/// A log.
#[derive(Debug, Clone, PartialEq)]
pub struct Log {
    pub frame: Frame,
    pub last: i64,
    /// Usual time between two readings of a device, nanoseconds.
    pub interval_ns: i64,
    pub devices: Vec<LoggedDevice>,
    pub warnings: Vec<String>,
}

/// Where each quantity stands.
struct Layout {
    at: BTreeMap<usize, Meaning>,
}

impl Layout {
    fn of(header: &[String]) -> Self {
        let at = header
            .iter()
            .enumerate()
            .filter_map(|(i, name)| Some((i, columns::meaning(name)?)));
        Self { at: at.collect() }
    }

    fn find(&self, quantity: Quantity) -> Option<usize> {
        self.at.iter().find(|(_, m)| m.quantity == quantity).map(|(i, _)| *i)
    }

    fn has(&self, quantity: Quantity) -> bool {
        self.find(quantity).is_some()
    }
}

/// One file being read.
struct Source<'a> {
    path: &'a Path,
    table: &'a Table,
    layout: Layout,
}

impl Source<'_> {
    fn cell_error(&self, row: &Row, column: usize, what: String, hint: &str) -> ImportError {
        ImportError::cell(self.path, row.line, &self.table.header[column], what, hint)
    }

    /// The figure of `quantity` in this row, in the recording's unit.
    fn figure(&self, row: &Row, quantity: Quantity) -> Result<Option<f64>, ImportError> {
        let Some(column) = self.layout.find(quantity) else {
            return Ok(None);
        };
        let cell = &row.cells[column];
        match figure::figure(cell, self.table.decimal_comma) {
            Figure::Missing => Ok(None),
            Figure::Text => Err(self.cell_error(
                row,
                column,
                format!("`{cell}` is no number"),
                "a number, with or without its unit, or [N/A] where there is none",
            )),
            Figure::Number(value, beside) => {
                let unit = beside
                    .or(self.layout.at[&column].unit.as_deref())
                    .or(columns::usual_unit(quantity))
                    .ok_or_else(|| {
                        let hint = "put it in the header: energy_j, energy_mj or energy_uj";
                        self.cell_error(row, column, "an energy without its unit".to_owned(), hint)
                    })?;
                let factor = columns::factor(quantity, unit).ok_or_else(|| {
                    self.cell_error(
                        row,
                        column,
                        format!("unknown unit `{unit}`"),
                        "watts in W or mW, energy in J, mJ or uJ, memory in MiB",
                    )
                })?;
                Ok(Some(value * factor))
            }
        }
    }

    fn text(&self, row: &Row, quantity: Quantity) -> Option<String> {
        let cell = row.cells[self.layout.find(quantity)?].trim();
        (!cell.is_empty() && figure::figure(cell, false) != Figure::Missing).then(|| cell.to_owned())
    }
}

/// Read a log.
pub fn read(table: &Table, path: &Path, told: Told) -> Result<Log, ImportError> {
    let source = Source {
        path,
        table,
        layout: Layout::of(&table.header),
    };
    if !building::POWERS.iter().any(|q| source.layout.has(*q)) && !source.layout.has(Quantity::Energy) {
        return Err(ImportError::line(
            path,
            1,
            format!("no column of power or energy among: {}", table.header.join(", ")),
            "the first line names the columns, as power.draw.instant, watts or energy_mj; a log without one needs --columns",
        ));
    }
    if table.rows.is_empty() {
        return Err(ImportError::file(
            path,
            "it has a header and no rows",
            "log for longer, or check what wrote it",
        ));
    }
    let clock = Clock::of(&source, told)?;
    let mut devices: Vec<Building> = Vec::new();
    let mut of_nobody = Vec::new();
    for row in &table.rows {
        let identity = Identity::of(&source, row);
        let Some(at) = identity::place(&identity, devices.iter().map(|d| &d.identity)) else {
            of_nobody.push(row.line.to_string());
            continue;
        };
        match devices.get_mut(at) {
            Some(device) => device.identity.complete(identity),
            None => devices.push(Building::new(identity, &source)),
        }
        devices[at].take(&source, row, &clock)?;
    }
    let mut warnings = clock.warnings.clone();
    let mut sharing = 0;
    for device in &mut devices {
        sharing += device.settle(&source, &clock)?;
    }
    warnings.extend(shared_stamps::warning(sharing, table.rows.len(), clock.resolution_ns));
    let first = devices
        .iter()
        .filter_map(|d| d.times.first().copied())
        .min()
        .unwrap_or_default();
    let last = devices
        .iter()
        .filter_map(|d| d.times.last().copied())
        .max()
        .unwrap_or_default();
    let mut gaps: Vec<i64> = devices
        .iter()
        .flat_map(|d| d.times.windows(2).map(|p| p[1] - p[0]))
        .collect();
    gaps.sort_unstable();
    let interval_ns = gaps.get(gaps.len() / 2).copied().unwrap_or(0).max(1);
    let open = |row: &Row| format!("{}: no newline ends it, so that it may have been cut", row.line);
    let asides: Vec<String> = table
        .asides
        .iter()
        .cloned()
        .chain(table.unfinished.as_ref().map(open))
        .collect();
    warnings.extend(table::left_out("being no whole readings", &asides, path));
    warnings.extend(table::left_out("of no one device", &of_nobody, path));
    devices.sort_by(|a, b| a.identity.cmp(&b.identity));
    let (numbers, names) = identity::numbers(devices.iter().map(|d| &d.identity));
    warnings.extend(names);
    Ok(Log {
        frame: Frame {
            axis: clock.axis,
            first,
            offset_s: told.offset_s,
        },
        last,
        interval_ns,
        devices: devices
            .into_iter()
            .zip(numbers)
            .map(|(device, number)| device.finish(number, clock.half_ns))
            .collect(),
        warnings,
    })
}

#[cfg(test)]
mod tests;
