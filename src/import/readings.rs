//! Rows of a log -> streams of readings, one per device, on one axis of time.
//!
//! Invariants: rows of one device ascend in time (a log that goes back is refused, for its clock was set); what a row does not give is
//! missing. A reading's half-width is half the resolution that its stamps are written in.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use super::axis::{Axis, Frame};
use super::columns::{self, Meaning, Quantity};
use super::error::ImportError;
use super::figure::{self, Figure};
use super::stamp;
use super::table::{Row, Table};
use crate::model::recording::DeviceStreams;
use crate::model::sample::{Columns, CounterUnit, PowerReading, PowerStream, StateReading};
use crate::model::time::Timestamp;

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

/// Counts are kept in microjoules where the log has fractions of what it counts in.
const FINE_COUNT: f64 = 1e-6;

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
    let power = [
        Quantity::PowerInstant,
        Quantity::PowerDraw,
        Quantity::Power,
        Quantity::PowerAverage,
    ];
    if !power.iter().any(|q| source.layout.has(*q)) && !source.layout.has(Quantity::Energy) {
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
    for row in &table.rows {
        let key = Key::of(&source, row);
        let at = match devices.iter().position(|d| d.key == key) {
            Some(at) => at,
            None => {
                devices.push(Building::new(key, &source));
                devices.len() - 1
            }
        };
        devices[at].take(&source, row, &clock)?;
    }
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
    let mut warnings = clock.warnings;
    if !table.asides.is_empty() {
        let shown = table.asides.iter().take(3).cloned().collect::<Vec<_>>().join("; ");
        warnings.push(format!(
            "{} lines of {} are no readings and were left out: line {shown}",
            table.asides.len(),
            path.display()
        ));
    }
    devices.sort_by(|a, b| a.key.cmp(&b.key));
    Ok(Log {
        frame: Frame {
            axis: clock.axis,
            first,
            offset_s: told.offset_s,
        },
        last,
        interval_ns,
        devices: devices.into_iter().map(|d| d.finish(clock.half_ns)).collect(),
        warnings,
    })
}

/// How the times of a log are written.
struct Clock {
    axis: Axis,
    column: Option<usize>,
    /// Of a number.
    unit_ns: i64,
    every_ns: i64,
    half_ns: u32,
    /// Added to local stamps whose zone the user told.
    ahead_ns: i64,
    warnings: Vec<String>,
}

impl Clock {
    fn of(source: &Source, told: Told) -> Result<Self, ImportError> {
        let mut clock = Self {
            axis: Axis::Plain,
            column: source.layout.find(Quantity::Time),
            unit_ns: 1_000_000_000,
            every_ns: told.every.map_or(0, |e| e.as_nanos() as i64),
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
        let resolution_ns;
        if let Some(first) = stamp::parse(sample) {
            clock.axis = Axis::Clock {
                utc: first.zoned || told.offset_s.is_some(),
            };
            clock.ahead_ns = if first.zoned {
                0
            } else {
                told.offset_s.unwrap_or(0) * 1_000_000_000
            };
            resolution_ns = 10_i64.pow(9 - finest(|cell, _| stamp::parse(cell).map_or(0, |s| s.decimals)).min(9));
        } else {
            let named = source.layout.at[&column]
                .unit
                .as_deref()
                .and_then(columns::time_unit_ns);
            let value: Option<f64> = sample.replace(',', ".").parse().ok();
            // Since 1970, in the unit that makes the years come out between 2001 and 2286.
            let guessed = value.and_then(|v| match v {
                v if (1e9..1e10).contains(&v) => Some(1_000_000_000),
                v if (1e12..1e13).contains(&v) => Some(1_000_000),
                v if (1e15..1e16).contains(&v) => Some(1_000),
                v if (1e18..1e19).contains(&v) => Some(1),
                _ => None,
            });
            let name = &source.table.header[column];
            let unit_ns = named.or(guessed).ok_or_else(|| {
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
            resolution_ns = unit_ns / 10_i64.pow(finest(figure::decimals).min(9)).max(1);
        }
        clock.half_ns = u32::try_from(resolution_ns / 2).unwrap_or(u32::MAX);
        Ok(clock)
    }

    fn read(&self, source: &Source, row: &Row, so_far: usize) -> Result<i64, ImportError> {
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

/// What tells the devices of a log apart, in the order they are listed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    index: Option<u32>,
    /// Where the index is no number (`GPU-I 3` of a MIG instance), or there is a UUID alone.
    other: Option<String>,
}

impl Key {
    fn of(source: &Source, row: &Row) -> Self {
        let word = source.text(row, Quantity::Index);
        let index = word
            .as_deref()
            .and_then(|w| w.trim_start_matches("nvidia").parse().ok());
        let other = if index.is_some() {
            None
        } else {
            source.text(row, Quantity::Uuid).or(word)
        };
        Self { index, other }
    }
}

/// A device's streams while its rows come in.
struct Building {
    key: Key,
    has: Columns,
    power: Option<Quantity>,
    uuid: Option<String>,
    name: Option<String>,
    memory_total_bytes: Option<u64>,
    power_limit_watts: Option<f64>,
    times: Vec<i64>,
    watts: BTreeMap<Quantity, Vec<Option<f64>>>,
    joules: Vec<Option<f64>>,
    states: Vec<StateReading>,
    last_line: u64,
}

const POWERS: [Quantity; 4] = [
    Quantity::PowerInstant,
    Quantity::PowerDraw,
    Quantity::Power,
    Quantity::PowerAverage,
];

impl Building {
    fn new(key: Key, source: &Source) -> Self {
        let has = |quantity| source.layout.has(quantity);
        Self {
            key,
            has: Columns {
                utilization: has(Quantity::Utilization),
                memory_utilization: has(Quantity::MemoryUtilization),
                memory_used: has(Quantity::MemoryUsed),
                temperature: has(Quantity::Temperature),
                sm_clock: has(Quantity::SmClock),
                memory_clock: has(Quantity::MemoryClock),
                power_limit: has(Quantity::PowerLimit),
                ..Columns::default()
            },
            power: None,
            uuid: None,
            name: None,
            memory_total_bytes: None,
            power_limit_watts: None,
            times: Vec::new(),
            watts: POWERS
                .into_iter()
                .filter(|&q| has(q))
                .map(|q| (q, Vec::new()))
                .collect(),
            joules: Vec::new(),
            states: Vec::new(),
            last_line: 0,
        }
    }

    fn take(&mut self, source: &Source, row: &Row, clock: &Clock) -> Result<(), ImportError> {
        let t = clock.read(source, row, self.times.len())?;
        if let Some(&before) = self.times.last().filter(|&&before| t < before) {
            let column = clock.column.map_or("time", |c| source.table.header[c].as_str());
            let what = format!(
                "{:.3} s before line {}: the clock was set back, or lines are out of order",
                (before - t) as f64 * 1e-9,
                self.last_line
            );
            let hint = "import the parts before and after as logs of their own, or sort the lines";
            return Err(ImportError::cell(source.path, row.line, column, what, hint));
        }
        self.last_line = row.line;
        self.times.push(t);
        for (&quantity, column) in &mut self.watts {
            column.push(source.figure(row, quantity)?);
        }
        if source.layout.has(Quantity::Energy) {
            self.joules.push(source.figure(row, Quantity::Energy)?);
        }
        let bytes = |figure: Option<f64>| figure.filter(|b| *b >= 0.0).map(|b| b as u64);
        self.uuid = self.uuid.take().or_else(|| source.text(row, Quantity::Uuid));
        self.name = self.name.take().or_else(|| source.text(row, Quantity::Name));
        self.memory_total_bytes = self
            .memory_total_bytes
            .or(bytes(source.figure(row, Quantity::MemoryTotal)?));
        let limit = source.figure(row, Quantity::PowerLimit)?;
        self.power_limit_watts = self.power_limit_watts.or(limit);
        self.states.push(StateReading {
            utilization_pct: source.figure(row, Quantity::Utilization)?,
            memory_utilization_pct: source.figure(row, Quantity::MemoryUtilization)?,
            memory_used_bytes: bytes(source.figure(row, Quantity::MemoryUsed)?),
            temperature_c: source.figure(row, Quantity::Temperature)?,
            sm_clock_mhz: source.figure(row, Quantity::SmClock)?,
            memory_clock_mhz: source.figure(row, Quantity::MemoryClock)?,
            throttle_reasons: None,
            power_limit_watts: limit,
        });
        Ok(())
    }

    fn finish(mut self, half_ns: u32) -> LoggedDevice {
        // The least averaged column that ever holds a figure, and the long average beside it.
        let given = |q: &Quantity| {
            self.watts
                .get(q)
                .is_some_and(|column| column.iter().any(Option::is_some))
        };
        self.power = POWERS.into_iter().find(given);
        let average = Some(Quantity::PowerAverage).filter(|q| given(q) && self.power != Some(*q));
        let counted = self.joules.iter().any(Option::is_some);
        // DCGM and NVML count whole millijoules; anything finer is kept to the microjoule.
        let whole_mj = self
            .joules
            .iter()
            .flatten()
            .all(|j| (j * 1e3 - (j * 1e3).round()).abs() < 1e-3);
        let unit = if whole_mj { 1e-3 } else { FINE_COUNT };
        self.has = Columns {
            watts: self.power.is_some(),
            average_watts: average.is_some(),
            counter: counted.then_some(CounterUnit {
                joules: unit,
                wraps_at: None,
            }),
            ..self.has
        };
        let mut streams = DeviceStreams {
            power: PowerStream::with_columns(&self.has),
            ..DeviceStreams::default()
        };
        let of = |q: Option<Quantity>, i: usize| q.and_then(|q| self.watts.get(&q)?.get(i).copied().flatten());
        let has_state = self.has.utilization
            || self.has.memory_utilization
            || self.has.memory_used
            || self.has.temperature
            || self.has.sm_clock
            || self.has.memory_clock
            || self.has.power_limit;
        for (i, &t) in self.times.iter().enumerate() {
            let joules = self.joules.get(i).copied().flatten().filter(|j| *j >= 0.0);
            let reading = PowerReading {
                watts: of(self.power, i),
                average_watts: of(average, i),
                counter: joules.map(|j| (j / unit).round() as u64),
            };
            let t = Timestamp::from_nanos(t);
            streams.power.push(&self.has, t, half_ns, &reading);
            if has_state {
                streams.state.push(&self.has, t, half_ns, &self.states[i]);
            }
        }
        LoggedDevice {
            index: self.key.index,
            uuid: self.uuid.or_else(|| self.key.other.filter(|word| word.len() > 8)),
            name: self.name,
            memory_total_bytes: self.memory_total_bytes,
            power_limit_watts: self.power_limit_watts,
            power: self.power,
            columns: self.has,
            streams,
        }
    }
}

#[cfg(test)]
mod tests;
