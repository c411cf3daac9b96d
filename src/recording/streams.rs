//! A device's readings: the fast stream (power and energy counter) and the slow one (state).
//!
//! Invariant: every column that the device gives gets one row per reading, and a column it never gives is not in the file.

use hdf5::Group;

use super::attributes::{get, get_if, set, set_if, set_text};
use super::cell::{Cell, count, given};
use super::column::{Append, Column, Storage};
use super::error::Fault;
use super::lost::Lost;
use super::samples;
use super::schema::{ColumnSpec, Pace, power, state};
use super::table::{TableReader, dataset, place, present};
use crate::model::sample::{Columns, CounterUnit, PowerStream, StateStream, Times};
use crate::model::time::Timestamp;

/// A column that a device may lack.
struct Optional<T>(Option<Column<T>>);

impl<T: Cell> Optional<T> {
    fn create(present: bool, group: &Group, spec: &ColumnSpec, pace: Pace, storage: Storage) -> Result<Self, Fault> {
        Ok(Self(if present {
            Some(Column::create(group, spec, pace, storage)?)
        } else {
            None
        }))
    }

    /// Append `values`, of which there must be one for each of `rows` readings; none where the device lacks the column.
    fn extend<V: Copy>(&mut self, what: &ColumnSpec, rows: usize, values: &[V], cell: fn(V) -> T) -> Result<(), Fault> {
        let expected = if self.0.is_some() { rows } else { 0 };
        if values.len() != expected {
            return Err(Fault::Shape(format!(
                "{} values for {expected} rows of {}",
                values.len(),
                what.path
            )));
        }
        if let Some(column) = &mut self.0 {
            column.extend(values.iter().map(|&v| cell(v)));
        }
        Ok(())
    }

    fn appended(&mut self) -> Option<&mut dyn Append> {
        self.0.as_mut().map(|column| column as &mut dyn Append)
    }
}

/// Check that a stream's times are paired, and append them.
fn extend_times(
    t: &mut Column<i64>,
    half_width: &mut Column<u32>,
    times: &Times,
    of: &ColumnSpec,
) -> Result<(), Fault> {
    t.extend(times.t.iter().map(|t| t.as_nanos()));
    half_width.extend(times.half_width_ns.iter().copied());
    if times.t.len() == times.half_width_ns.len() {
        Ok(())
    } else {
        Err(Fault::Shape(format!(
            "{} half-widths for {} rows of {}",
            times.half_width_ns.len(),
            times.t.len(),
            of.path
        )))
    }
}

/// The fast stream on its way to the file.
pub(super) struct PowerTable {
    t: Column<i64>,
    half_width: Column<u32>,
    watts: Optional<f64>,
    average_watts: Optional<f64>,
    counter: Optional<u64>,
}

impl PowerTable {
    pub(super) fn create(device: &Group, columns: &Columns, storage: Storage) -> Result<Self, Fault> {
        const PACE: Pace = Pace::Sweep;
        let has_power = columns.watts || columns.average_watts;
        let has_energy = columns.counter.is_some();
        let (t, half_width) = if has_energy && !has_power {
            (power::ENERGY_T, power::ENERGY_HALF_WIDTH)
        } else {
            (power::T, power::HALF_WIDTH)
        };
        let table = Self {
            t: Column::create(device, &t, PACE, storage)?,
            half_width: Column::create(device, &half_width, PACE, storage)?,
            watts: Optional::create(columns.watts, device, &power::WATTS, PACE, storage)?,
            average_watts: Optional::create(columns.average_watts, device, &power::AVERAGE_WATTS, PACE, storage)?,
            counter: Optional::create(has_energy, device, &power::COUNTER, PACE, storage)?,
        };
        if let (Some(unit), Some(column)) = (columns.counter, &table.counter.0) {
            write_counter_unit(column, unit)?;
        }
        if has_energy && has_power {
            device.link_hard(power::T.path, power::ENERGY_T.path)?;
            device.link_hard(power::HALF_WIDTH.path, power::ENERGY_HALF_WIDTH.path)?;
        }
        Ok(table)
    }

    pub(super) fn push(&mut self, stream: &PowerStream) -> Result<(), Fault> {
        let rows = stream.times.len();
        self.watts.extend(&power::WATTS, rows, &stream.watts, |w| w)?;
        self.average_watts
            .extend(&power::AVERAGE_WATTS, rows, &stream.average_watts, |w| w)?;
        self.counter.extend(&power::COUNTER, rows, &stream.counter, count)?;
        extend_times(&mut self.t, &mut self.half_width, &stream.times, &power::T)
    }

    pub(super) fn columns(&mut self) -> Vec<&mut dyn Append> {
        let mut all: Vec<&mut dyn Append> = vec![&mut self.t, &mut self.half_width];
        all.extend(
            [
                self.watts.appended(),
                self.average_watts.appended(),
                self.counter.appended(),
            ]
            .into_iter()
            .flatten(),
        );
        all
    }
}

/// What one count is. The attribute `unit` is rewritten here with the unit itself where it has a name.
fn write_counter_unit(column: &Column<u64>, unit: CounterUnit) -> Result<(), Fault> {
    let dataset = column.dataset();
    let name = match unit.joules {
        1e-3 => "mJ".to_owned(),
        1e-6 => "uJ".to_owned(),
        other => format!("{other:e} J"),
    };
    dataset.delete_attr("unit")?;
    set_text(dataset, "unit", &name)?;
    set(dataset, "joules_per_count", &unit.joules)?;
    set_if(dataset, "wraps_at", unit.wraps_at)
}

/// The fast stream of a device, as far as it can be read.
pub(super) fn read_power(device: &Group, lost: &Lost) -> Result<PowerStream, Fault> {
    let (t, half_width) = if present(device, &power::T, lost) {
        (power::T, power::HALF_WIDTH)
    } else {
        (power::ENERGY_T, power::ENERGY_HALF_WIDTH)
    };
    let table = TableReader::salvage(device, power::ALL, lost)?.cut_by(&t)?;
    let (times, kept) = table.read_times(&t, &half_width)?;
    let figures = |spec| table.read_kept_if_there(spec, kept.as_deref());
    let mut counter: Vec<u64> = table.read_kept_if_there(&power::COUNTER, kept.as_deref())?;
    let unit = read_counter_unit(device).unwrap_or_else(|fault| {
        // Counts of nobody knows what.
        lost.note(&place(device, power::COUNTER.path), 0..0, 0, &fault);
        counter.clear();
        None
    });
    Ok(PowerStream {
        watts: figures(&power::WATTS)?,
        average_watts: figures(&power::AVERAGE_WATTS)?,
        counter: counter.into_iter().map(given).collect(),
        counter_unit_joules: unit.map_or(0.0, |u| u.joules),
        counter_wraps_at: unit.and_then(|u| u.wraps_at),
        times,
    })
}

fn read_counter_unit(device: &Group) -> Result<Option<CounterUnit>, Fault> {
    let Some(counter) = dataset(device, &power::COUNTER)? else {
        return Ok(None);
    };
    Ok(Some(CounterUnit {
        joules: get(&counter, "joules_per_count")?,
        wraps_at: get_if(&counter, "wraps_at")?,
    }))
}

/// The slow stream on its way to the file.
pub(super) struct StateTable {
    t: Column<i64>,
    half_width: Column<u32>,
    utilization: Optional<f64>,
    memory_utilization: Optional<f64>,
    memory_used: Optional<u64>,
    temperature: Optional<f64>,
    sm_clock: Optional<f64>,
    memory_clock: Optional<f64>,
    throttle_reasons: Optional<u64>,
    power_limit: Optional<f64>,
}

impl StateTable {
    /// `None` where the device has no slow figures.
    pub(super) fn create(device: &Group, columns: &Columns, storage: Storage) -> Result<Option<Self>, Fault> {
        const PACE: Pace = Pace::Slow;
        if !has_state(columns) {
            return Ok(None);
        }
        let figure = |present, spec| Optional::<f64>::create(present, device, spec, PACE, storage);
        let counted = |present, spec| Optional::<u64>::create(present, device, spec, PACE, storage);
        Ok(Some(Self {
            t: Column::create(device, &state::T, PACE, storage)?,
            half_width: Column::create(device, &state::HALF_WIDTH, PACE, storage)?,
            utilization: figure(columns.utilization, &state::UTILIZATION)?,
            memory_utilization: figure(columns.memory_utilization, &state::MEMORY_UTILIZATION)?,
            memory_used: counted(columns.memory_used, &state::MEMORY_USED)?,
            temperature: figure(columns.temperature, &state::TEMPERATURE)?,
            sm_clock: figure(columns.sm_clock, &state::SM_CLOCK)?,
            memory_clock: figure(columns.memory_clock, &state::MEMORY_CLOCK)?,
            throttle_reasons: counted(columns.throttle_reasons, &state::THROTTLE_REASONS)?,
            power_limit: figure(columns.power_limit, &state::POWER_LIMIT)?,
        }))
    }

    pub(super) fn push(&mut self, stream: &StateStream) -> Result<(), Fault> {
        let rows = stream.times.len();
        let same = |v| v;
        self.utilization
            .extend(&state::UTILIZATION, rows, &stream.utilization_pct, same)?;
        self.memory_utilization
            .extend(&state::MEMORY_UTILIZATION, rows, &stream.memory_utilization_pct, same)?;
        self.memory_used
            .extend(&state::MEMORY_USED, rows, &stream.memory_used_bytes, count)?;
        self.temperature
            .extend(&state::TEMPERATURE, rows, &stream.temperature_c, same)?;
        self.sm_clock
            .extend(&state::SM_CLOCK, rows, &stream.sm_clock_mhz, same)?;
        self.memory_clock
            .extend(&state::MEMORY_CLOCK, rows, &stream.memory_clock_mhz, same)?;
        self.throttle_reasons
            .extend(&state::THROTTLE_REASONS, rows, &stream.throttle_reasons, count)?;
        self.power_limit
            .extend(&state::POWER_LIMIT, rows, &stream.power_limit_watts, same)?;
        extend_times(&mut self.t, &mut self.half_width, &stream.times, &state::T)
    }

    pub(super) fn columns(&mut self) -> Vec<&mut dyn Append> {
        let optional = [
            self.utilization.appended(),
            self.memory_utilization.appended(),
            self.memory_used.appended(),
            self.temperature.appended(),
            self.sm_clock.appended(),
            self.memory_clock.appended(),
            self.throttle_reasons.appended(),
            self.power_limit.appended(),
        ];
        let mut all: Vec<&mut dyn Append> = vec![&mut self.t, &mut self.half_width];
        all.extend(optional.into_iter().flatten());
        all
    }
}

/// Whether a device has slow figures at all.
fn has_state(columns: &Columns) -> bool {
    columns.utilization
        || columns.memory_utilization
        || columns.memory_used
        || columns.temperature
        || columns.sm_clock
        || columns.memory_clock
        || columns.throttle_reasons
        || columns.power_limit
}

/// The slow stream of a device, as far as it can be read; empty where it has none.
pub(super) fn read_state(device: &Group, lost: &Lost) -> Result<StateStream, Fault> {
    if !present(device, &state::T, lost) {
        return Ok(StateStream::default());
    }
    let table = TableReader::salvage(device, state::ALL, lost)?.cut_by(&state::T)?;
    let (times, kept) = table.read_times(&state::T, &state::HALF_WIDTH)?;
    let figures = |spec| table.read_kept_if_there(spec, kept.as_deref());
    let counted = |spec| {
        let rows = table.read_kept_if_there(spec, kept.as_deref())?;
        Ok::<_, Fault>(rows.into_iter().map(given).collect())
    };
    Ok(StateStream {
        utilization_pct: figures(&state::UTILIZATION)?,
        memory_utilization_pct: figures(&state::MEMORY_UTILIZATION)?,
        memory_used_bytes: counted(&state::MEMORY_USED)?,
        temperature_c: figures(&state::TEMPERATURE)?,
        sm_clock_mhz: figures(&state::SM_CLOCK)?,
        memory_clock_mhz: figures(&state::MEMORY_CLOCK)?,
        throttle_reasons: counted(&state::THROTTLE_REASONS)?,
        power_limit_watts: figures(&state::POWER_LIMIT)?,
        times,
    })
}

/// Which columns a device gave.
pub(super) fn read_columns(device: &Group, lost: &Lost) -> Columns {
    let there = |spec| present(device, spec, lost);
    Columns {
        watts: there(&power::WATTS),
        average_watts: there(&power::AVERAGE_WATTS),
        counter: read_counter_unit(device).unwrap_or(None),
        utilization: there(&state::UTILIZATION),
        memory_utilization: there(&state::MEMORY_UTILIZATION),
        memory_used: there(&state::MEMORY_USED),
        temperature: there(&state::TEMPERATURE),
        sm_clock: there(&state::SM_CLOCK),
        memory_clock: there(&state::MEMORY_CLOCK),
        throttle_reasons: there(&state::THROTTLE_REASONS),
        power_limit: there(&state::POWER_LIMIT),
        samples: samples::present(device, lost),
    }
}

/// The time of the last reading in the file.
pub(super) fn last_seen(device: &Group, lost: &Lost) -> Result<Option<Timestamp>, Fault> {
    let mut last = samples::last_seen(device, lost)?.map(Timestamp::as_nanos);
    let tables = [
        (&power::T, power::ALL),
        (&power::ENERGY_T, power::ALL),
        (&state::T, state::ALL),
    ];
    for (t, all) in tables {
        if present(device, t, lost) {
            last = last.max(TableReader::salvage(device, all, lost)?.cut_by(t)?.last::<i64>(t)?);
        }
    }
    Ok(last.map(Timestamp::from_nanos))
}
