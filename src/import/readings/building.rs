//! One device of a log while its rows come in, and what is made of them.

use std::collections::BTreeMap;

use super::clock::Clock;
use super::identity::Identity;
use super::{LoggedDevice, Source, interleaved, shared_stamps};
use crate::import::columns::Quantity;
use crate::import::error::ImportError;
use crate::import::table::Row;
use crate::model::recording::DeviceStreams;
use crate::model::sample::{Columns, CounterUnit, PowerReading, PowerStream, StateReading};
use crate::model::time::Timestamp;

/// Counts are kept in microjoules where the log has fractions of what it counts in.
const FINE_COUNT: f64 = 1e-6;

/// A device's streams while its rows come in.
pub(super) struct Building {
    pub(super) identity: Identity,
    has: Columns,
    power: Option<Quantity>,
    memory_total_bytes: Option<u64>,
    power_limit_watts: Option<f64>,
    pub(super) times: Vec<i64>,
    watts: BTreeMap<Quantity, Vec<Option<f64>>>,
    joules: Vec<Option<f64>>,
    states: Vec<StateReading>,
    /// Where each reading stands.
    lines: Vec<u64>,
}

/// Columns of power, the least averaged first.
pub(super) const POWERS: [Quantity; 4] = [
    Quantity::PowerInstant,
    Quantity::PowerDraw,
    Quantity::Power,
    Quantity::PowerAverage,
];

impl Building {
    pub(super) fn new(identity: Identity, source: &Source) -> Self {
        let has = |quantity| source.layout.has(quantity);
        Self {
            identity,
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
            lines: Vec::new(),
        }
    }

    pub(super) fn take(&mut self, source: &Source, row: &Row, clock: &Clock) -> Result<(), ImportError> {
        let t = clock.read(source, row, self.times.len())?;
        if let (Some(&before), Some(line)) = (self.times.last().filter(|&&before| t < before), self.lines.last()) {
            let what = format!(
                "{:.3} s before line {line}: the clock was set back, or lines are out of order",
                (before - t) as f64 * 1e-9
            );
            let apart = match self.identity.untold(source) {
                "" => String::new(),
                columns => format!("; where rows are of several devices, log {columns} too"),
            };
            let hint = format!("import the parts before and after as logs of their own, or sort the lines{apart}");
            return Err(ImportError::cell(
                source.path,
                row.line,
                clock.header(source),
                what,
                hint,
            ));
        }
        self.lines.push(row.line);
        self.times.push(t);
        for (&quantity, column) in &mut self.watts {
            column.push(source.figure(row, quantity)?);
        }
        if source.layout.has(Quantity::Energy) {
            self.joules.push(source.figure(row, Quantity::Energy)?);
        }
        let bytes = |figure: Option<f64>| figure.filter(|b| *b >= 0.0).map(|b| b as u64);
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

    /// The figures by which it is known: the least averaged power that it has, else its counter.
    fn figures(&self) -> &[Option<f64>] {
        let powers = POWERS.iter().filter_map(|q| self.watts.get(q));
        powers
            .chain([&self.joules])
            .find(|column| column.iter().any(Option::is_some))
            .map_or(&[], Vec::as_slice)
    }

    /// Refuses rows that are not of one device, and gives those that share a stamp times of their own: how many those are.
    pub(super) fn settle(&mut self, source: &Source, clock: &Clock) -> Result<usize, ImportError> {
        if clock.column.is_none() {
            return Ok(0);
        }
        let untold = self.identity.untold(source);
        if !untold.is_empty()
            && let Some(bursts) = interleaved::found(&self.times, self.figures(), clock.resolution_ns)
        {
            let apart = match bursts.apart_ns {
                0 => "under one stamp".to_owned(),
                ns => format!("{:.3} s apart", ns as f64 * 1e-9),
            };
            let what = format!(
                "rows come {} at a time, {apart}, and differ as those of several devices do",
                bursts.rows
            );
            let hint = format!("log a column that tells which device each row is of: {untold}");
            let line = self.lines[bursts.second];
            return Err(ImportError::cell(source.path, line, clock.header(source), what, hint));
        }
        Ok(shared_stamps::spread(&mut self.times, clock.resolution_ns))
    }

    pub(super) fn finish(mut self, index: u32, half_ns: u32) -> LoggedDevice {
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
            index: Some(index),
            uuid: self.identity.uuid(),
            name: self.identity.name,
            memory_total_bytes: self.memory_total_bytes,
            power_limit_watts: self.power_limit_watts,
            power: self.power,
            columns: self.has,
            streams,
        }
    }
}
