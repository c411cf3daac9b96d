//! How the times of a log are written: on which axis, in which unit, how finely.

use std::time::Duration;

use super::{Source, Told};
use crate::import::axis::{self, Axis};
use crate::import::columns::{self, Quantity};
use crate::import::error::ImportError;
use crate::import::table::Row;
use crate::import::{figure, stamp};

/// How the times of a log are written.
pub(super) struct Clock {
    pub(super) axis: Axis,
    pub(super) column: Option<usize>,
    /// Of a number.
    unit_ns: i64,
    every_ns: i64,
    /// How finely times are written.
    pub(super) resolution_ns: i64,
    pub(super) half_ns: u32,
    /// Added to local stamps whose zone the user told.
    ahead_ns: i64,
    pub(super) warnings: Vec<String>,
}

impl Clock {
    pub(super) fn of(source: &Source, told: Told) -> Result<Self, ImportError> {
        let mut clock = Self {
            axis: Axis::Plain,
            column: source.layout.find(Quantity::Time),
            unit_ns: 1_000_000_000,
            every_ns: told.every.map_or(0, |e| e.as_nanos() as i64),
            resolution_ns: 0,
            half_ns: 0,
            ahead_ns: 0,
            warnings: Vec::new(),
        };
        let rows = &source.table.rows;
        let Some(column) = clock.column else {
            if clock.every_ns == 0 {
                return Err(ImportError::line(
                    source.path,
                    1,
                    "no column of time",
                    "name one timestamp, t_ms or t_s; for a log without times (dcgmi dmon) say how far its rows are apart: --every 100ms",
                ));
            }
            clock.half_ns = u32::try_from(clock.every_ns / 2).unwrap_or(u32::MAX);
            clock.warnings.push(format!(
                "the log has no times: its rows were taken to be {} apart, and nothing else says so",
                humantime::format_duration(Duration::from_nanos(clock.every_ns as u64))
            ));
            return Ok(clock);
        };
        let finest = |decimals: fn(&str, bool) -> u32| {
            let of = |row: &Row| decimals(&row.cells[column], source.table.decimal_comma);
            rows.iter().take(1000).map(of).max().unwrap_or(0)
        };
        let sample = &rows[0].cells[column];
        if let Some(first) = stamp::parse(sample) {
            clock.axis = Axis::Clock {
                utc: first.zoned || told.offset_s.is_some(),
            };
            clock.ahead_ns = if first.zoned {
                0
            } else {
                told.offset_s.unwrap_or(0) * 1_000_000_000
            };
            clock.resolution_ns = 10_i64.pow(9 - finest(|cell, _| stamp::parse(cell).map_or(0, |s| s.decimals)).min(9));
        } else {
            let named = source.layout.at[&column]
                .unit
                .as_deref()
                .and_then(columns::time_unit_ns);
            let value: Option<f64> = sample.replace(',', ".").parse().ok();
            let unit_ns = named.or(value.and_then(axis::epoch_unit_ns));
            let name = &source.table.header[column];
            let unit_ns = unit_ns.ok_or_else(|| {
                let hint = "a stamp as 2023/03/12 14:05:06.123, or a number in a column called t_ms or t_s";
                ImportError::cell(
                    source.path,
                    rows[0].line,
                    name,
                    format!("`{sample}`: what does it count?"),
                    hint,
                )
            })?;
            clock.unit_ns = unit_ns;
            // Nothing else counts seconds from a start 30 years back.
            if value.is_some_and(|v| v * unit_ns as f64 >= 1e18) {
                clock.axis = Axis::Clock { utc: true };
            }
            clock.resolution_ns = unit_ns / 10_i64.pow(finest(figure::decimals).min(9)).max(1);
        }
        clock.half_ns = u32::try_from(clock.resolution_ns / 2).unwrap_or(u32::MAX);
        Ok(clock)
    }

    /// What the column of times is called.
    pub(super) fn header<'a>(&self, source: &Source<'a>) -> &'a str {
        self.column.map_or("time", |c| source.table.header[c].as_str())
    }

    pub(super) fn read(&self, source: &Source, row: &Row, so_far: usize) -> Result<i64, ImportError> {
        let Some(column) = self.column else {
            return Ok(self.every_ns * so_far as i64);
        };
        let cell = &row.cells[column];
        if let Some(stamp) = stamp::parse(cell) {
            return Ok(stamp.ns - self.ahead_ns);
        }
        let number = figure::nanoseconds(cell, self.unit_ns, source.table.decimal_comma);
        number.ok_or_else(|| {
            source.cell_error(
                row,
                column,
                format!("`{cell}` is no time"),
                "every row needs its time; take the line out",
            )
        })
    }
}
