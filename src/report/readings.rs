//! All readings of all devices as one tidy CSV: a row per reading, for a spreadsheet, R or pandas.
//!
//! Times are seconds since the start of the command, to the nanosecond. What was not read at that time is empty: the fast and the
//! slow figures of a device are read at different times, and stand on different rows. Rows are in the order of time, device by
//! device. [`super::parquet`] has the same rows and columns.

use std::io::{Error, Write};

use crate::model::device::Device;
use crate::model::recording::{DeviceStreams, Recording};
use crate::model::sample::{PowerStream, StateStream, Times};
use crate::model::time::Timestamp;

const HEADER: [&str; 14] = [
    "device",
    "t_s",
    "half_width_s",
    "watts",
    "average_watts",
    "energy_counter_joules",
    "utilization_pct",
    "memory_utilization_pct",
    "memory_used_bytes",
    "temperature_c",
    "sm_clock_mhz",
    "memory_clock_mhz",
    "throttle_reasons",
    "power_limit_watts",
];
/// Columns before the figures of the fast stream, and before those of the slow one.
const POWER: usize = 3;
const STATE: usize = 6;

/// Write the readings of `recording` to `out`; `streams` gives those of one device at a time.
pub fn write<E: From<Error>>(
    out: &mut dyn Write,
    recording: &Recording,
    mut streams: impl FnMut(&Device) -> Result<DeviceStreams, E>,
) -> Result<(), E> {
    let mut table = csv::Writer::from_writer(out);
    table.write_record(HEADER).map_err(io)?;
    for device in &recording.devices {
        let streams = streams(device)?;
        let DeviceStreams { power, state, .. } = &streams;
        for reading in in_order(&streams) {
            let mut row = vec![String::new(); HEADER.len()];
            row[0].clone_from(&device.id.0);
            match reading {
                Reading::Power(i) => {
                    put_time(&mut row, recording.run.started, &power.times, i);
                    put_power(&mut row, power, i);
                }
                Reading::State(i) => {
                    put_time(&mut row, recording.run.started, &state.times, i);
                    put_state(&mut row, state, i);
                }
            }
            table.write_record(&row).map_err(io)?;
        }
    }
    Ok(table.flush()?)
}

/// A row: which stream, and the place in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reading {
    Power(usize),
    State(usize),
}

/// A device's readings in the order of time; at one time the fast stream's first.
pub(super) fn in_order(streams: &DeviceStreams) -> impl Iterator<Item = Reading> {
    let (power, state) = (&streams.power.times.t, &streams.state.times.t);
    let (mut p, mut s) = (0, 0);
    std::iter::from_fn(move || match (power.get(p), state.get(s)) {
        (Some(of_power), of_state) if of_state.is_none_or(|of_state| of_power <= of_state) => {
            p += 1;
            Some(Reading::Power(p - 1))
        }
        (_, Some(_)) => {
            s += 1;
            Some(Reading::State(s - 1))
        }
        _ => None,
    })
}

/// What went wrong below the CSV, itself: a caller looks at its kind.
fn io(error: csv::Error) -> Error {
    let words = error.to_string();
    match error.into_kind() {
        csv::ErrorKind::Io(error) => error,
        _ => Error::other(words),
    }
}

fn put_time(row: &mut [String], origin: Timestamp, times: &Times, i: usize) {
    row[1] = seconds(times.t[i] - origin);
    row[2] = seconds(i64::from(times.half_width_ns[i]));
}

fn put_power(row: &mut [String], stream: &PowerStream, i: usize) {
    let counter = stream.counter.get(i).copied().flatten();
    let figures = [
        figure(&stream.watts, i),
        figure(&stream.average_watts, i),
        counter.map_or_else(String::new, |counts| {
            joules(counts, stream.counter_unit_joules).to_string()
        }),
    ];
    row[POWER..]
        .iter_mut()
        .zip(figures)
        .for_each(|(cell, figure)| *cell = figure);
}

fn put_state(row: &mut [String], stream: &StateStream, i: usize) {
    let figures = [
        figure(&stream.utilization_pct, i),
        figure(&stream.memory_utilization_pct, i),
        count(&stream.memory_used_bytes, i),
        figure(&stream.temperature_c, i),
        figure(&stream.sm_clock_mhz, i),
        figure(&stream.memory_clock_mhz, i),
        count(&stream.throttle_reasons, i),
        figure(&stream.power_limit_watts, i),
    ];
    row[STATE..]
        .iter_mut()
        .zip(figures)
        .for_each(|(cell, figure)| *cell = figure);
}

/// Counts as joules; divided where the unit is a whole part of a joule, which leaves the decimal as the driver gave it.
pub(super) fn joules(counts: u64, unit: f64) -> f64 {
    let per_joule = (1.0 / unit).round();
    if per_joule >= 1.0 && (per_joule * unit - 1.0).abs() < 1e-12 {
        counts as f64 / per_joule
    } else {
        counts as f64 * unit
    }
}

/// A figure, or nothing where the device has none or gave none.
fn figure(column: &[f64], i: usize) -> String {
    column
        .get(i)
        .filter(|value| !value.is_nan())
        .map_or_else(String::new, f64::to_string)
}

fn count(column: &[Option<u64>], i: usize) -> String {
    column
        .get(i)
        .copied()
        .flatten()
        .map_or_else(String::new, |value| value.to_string())
}

/// Nanoseconds as seconds, without the rounding of a float.
fn seconds(nanos: i64) -> String {
    let sign = if nanos < 0 { "-" } else { "" };
    let magnitude = nanos.unsigned_abs();
    format!("{sign}{}.{:09}", magnitude / 1_000_000_000, magnitude % 1_000_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_keep_every_nanosecond() {
        assert_eq!(seconds(1_000_000_001), "1.000000001");
        assert_eq!(seconds(-5), "-0.000000005");
        assert_eq!(seconds(0), "0.000000000");
    }

    #[test]
    fn counts_become_the_decimal_the_driver_gave() {
        assert_eq!(joules(1_499_127_603, 1e-3).to_string(), "1499127.603");
        assert_eq!(joules(7, 1e-6).to_string(), "0.000007");
        assert_eq!(joules(10, 0.5).to_string(), "5");
        assert_eq!(joules(10, 15.3), 153.0);
    }

    #[test]
    fn a_reader_that_went_away_is_told_as_such() {
        struct Gone;
        impl Write for Gone {
            fn write(&mut self, _: &[u8]) -> Result<usize, Error> {
                Err(std::io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> Result<(), Error> {
                Ok(())
            }
        }
        let mut table = csv::Writer::from_writer(Gone);
        let wide = "x".repeat(1 << 20);
        let error = table.write_record([&wide]).map_err(io).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::BrokenPipe);
    }

    #[test]
    fn what_was_not_given_is_empty_and_not_zero() {
        assert_eq!(figure(&[f64::NAN, 0.0], 0), "");
        assert_eq!(figure(&[f64::NAN, 0.0], 1), "0");
        assert_eq!(figure(&[], 0), "");
        assert_eq!(count(&[None, Some(0)], 0), "");
    }
}
