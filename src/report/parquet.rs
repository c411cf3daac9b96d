//! All readings as one Parquet table: the rows and columns of the CSV ([`super::readings`]), typed, for pandas, polars or DuckDB.
//!
//! What was not read at that time is null. Times are seconds since the start of the command; a float64 keeps them to the nanosecond
//! for a hundred days.

use std::io::{self, Write};
use std::sync::Arc;

use parquet::basic::{Compression, GzipLevel, LogicalType, Repetition, Type as Physical};
use parquet::data_type::{ByteArray, ByteArrayType, DataType, DoubleType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::types::{Type, TypePtr};

use super::readings::{Reading, in_order, joules};
use crate::model::device::Device;
use crate::model::recording::{DeviceStreams, Recording};
use crate::model::sample::{PowerStream, StateStream};
use crate::model::time::Timestamp;

/// Rows that are encoded together, so that a long recording is not held twice.
const ROWS: usize = 1 << 20;

type FastFigure = fn(&PowerStream, usize) -> Option<f64>;
type SlowFigure = fn(&StateStream, usize) -> Option<f64>;
type SlowCount = fn(&StateStream, usize) -> Option<u64>;

/// One column of figures, and where they are read.
enum Source {
    Fast(FastFigure),
    Slow(SlowFigure),
    Count(SlowCount),
}

/// The columns behind `device`, `t_s` and `half_width_s`, in the CSV's order.
const FIGURES: [(&str, Source); 11] = [
    ("watts", Source::Fast(|p, i| known(&p.watts, i))),
    ("average_watts", Source::Fast(|p, i| known(&p.average_watts, i))),
    (
        "energy_counter_joules",
        Source::Fast(|p, i| Some(joules(p.counter.get(i).copied()??, p.counter_unit_joules))),
    ),
    ("utilization_pct", Source::Slow(|s, i| known(&s.utilization_pct, i))),
    (
        "memory_utilization_pct",
        Source::Slow(|s, i| known(&s.memory_utilization_pct, i)),
    ),
    (
        "memory_used_bytes",
        Source::Count(|s, i| s.memory_used_bytes.get(i).copied()?),
    ),
    ("temperature_c", Source::Slow(|s, i| known(&s.temperature_c, i))),
    ("sm_clock_mhz", Source::Slow(|s, i| known(&s.sm_clock_mhz, i))),
    ("memory_clock_mhz", Source::Slow(|s, i| known(&s.memory_clock_mhz, i))),
    (
        "throttle_reasons",
        Source::Count(|s, i| s.throttle_reasons.get(i).copied()?),
    ),
    ("power_limit_watts", Source::Slow(|s, i| known(&s.power_limit_watts, i))),
];

fn known(column: &[f64], i: usize) -> Option<f64> {
    column.get(i).copied().filter(|value| !value.is_nan())
}

/// Write the readings of `recording` to `out`; `streams` gives those of one device at a time.
pub fn write<E: From<io::Error>>(
    out: &mut (dyn Write + Send),
    recording: &Recording,
    mut streams: impl FnMut(&Device) -> Result<DeviceStreams, E>,
) -> Result<(), E> {
    let properties = WriterProperties::builder()
        .set_compression(Compression::GZIP(GzipLevel::default()))
        .set_created_by(format!("powerprof {}", env!("CARGO_PKG_VERSION")))
        .build();
    let schema = schema().map_err(as_io)?;
    let mut file = SerializedFileWriter::new(out, schema, Arc::new(properties)).map_err(as_io)?;
    for device in &recording.devices {
        let streams = streams(device)?;
        let order: Vec<Reading> = in_order(&streams).collect();
        for rows in order.chunks(ROWS) {
            let mut group = file.next_row_group().map_err(as_io)?;
            Group {
                device,
                streams: &streams,
                rows,
                origin: recording.run.started,
            }
            .write(&mut group)
            .map_err(as_io)?;
            group.close().map_err(as_io)?;
        }
    }
    file.close().map_err(as_io)?;
    Ok(())
}

/// What went wrong below Parquet, itself: a caller looks at its kind.
fn as_io(error: ParquetError) -> io::Error {
    match error {
        ParquetError::External(inner) => match inner.downcast::<io::Error>() {
            Ok(error) => *error,
            Err(other) => io::Error::other(other),
        },
        other => io::Error::other(other),
    }
}

fn schema() -> Result<TypePtr, ParquetError> {
    let column = |name: &str, physical, repetition, logical| {
        let builder = Type::primitive_type_builder(name, physical)
            .with_repetition(repetition)
            .with_logical_type(logical);
        Ok::<_, ParquetError>(Arc::new(builder.build()?))
    };
    let unsigned = LogicalType::integer(64, false);
    let mut columns = vec![
        column(
            "device",
            Physical::BYTE_ARRAY,
            Repetition::REQUIRED,
            Some(LogicalType::String),
        )?,
        column("t_s", Physical::DOUBLE, Repetition::REQUIRED, None)?,
        column("half_width_s", Physical::DOUBLE, Repetition::REQUIRED, None)?,
    ];
    for (name, source) in &FIGURES {
        columns.push(match source {
            Source::Count(_) => column(name, Physical::INT64, Repetition::OPTIONAL, Some(unsigned.clone()))?,
            _ => column(name, Physical::DOUBLE, Repetition::OPTIONAL, None)?,
        });
    }
    Ok(Arc::new(
        Type::group_type_builder("readings").with_fields(columns).build()?,
    ))
}

/// Rows of one device that are written together.
struct Group<'a> {
    device: &'a Device,
    streams: &'a DeviceStreams,
    rows: &'a [Reading],
    origin: Timestamp,
}

impl Group<'_> {
    fn write<W: Write + Send>(&self, group: &mut SerializedRowGroupWriter<'_, W>) -> Result<(), ParquetError> {
        let DeviceStreams { power, state, .. } = self.streams;
        let id = ByteArray::from(self.device.id.0.as_str());
        put::<ByteArrayType, W>(group, &vec![id; self.rows.len()], None)?;
        let stamped = |of: fn(i64, u32) -> f64| -> Vec<f64> {
            let one = |reading: &Reading| {
                let (times, i) = match *reading {
                    Reading::Power(i) => (&power.times, i),
                    Reading::State(i) => (&state.times, i),
                };
                of(times.t[i] - self.origin, times.half_width_ns[i])
            };
            self.rows.iter().map(one).collect()
        };
        put::<DoubleType, W>(group, &stamped(|t, _| t as f64 * 1e-9), None)?;
        put::<DoubleType, W>(group, &stamped(|_, half| f64::from(half) * 1e-9), None)?;
        for (_, source) in &FIGURES {
            match source {
                Source::Fast(figure) => put_optional::<DoubleType, W>(group, self.rows, |reading| match reading {
                    Reading::Power(i) => figure(power, i),
                    Reading::State(_) => None,
                })?,
                Source::Slow(figure) => put_optional::<DoubleType, W>(group, self.rows, |reading| match reading {
                    Reading::State(i) => figure(state, i),
                    Reading::Power(_) => None,
                })?,
                Source::Count(count) => put_optional::<Int64Type, W>(group, self.rows, |reading| match reading {
                    // The bits of the unsigned number, as the logical type says.
                    Reading::State(i) => count(state, i).map(u64::cast_signed),
                    Reading::Power(_) => None,
                })?,
            }
        }
        Ok(())
    }
}

fn put_optional<T: DataType, W: Write + Send>(
    group: &mut SerializedRowGroupWriter<'_, W>,
    rows: &[Reading],
    value: impl Fn(Reading) -> Option<T::T>,
) -> Result<(), ParquetError> {
    let (mut values, mut levels) = (Vec::new(), Vec::with_capacity(rows.len()));
    for reading in rows {
        let value = value(*reading);
        levels.push(i16::from(value.is_some()));
        values.extend(value);
    }
    put::<T, W>(group, &values, Some(&levels))
}

fn put<T: DataType, W: Write + Send>(
    group: &mut SerializedRowGroupWriter<'_, W>,
    values: &[T::T],
    levels: Option<&[i16]>,
) -> Result<(), ParquetError> {
    let column = group.next_column()?;
    let mut column = column.ok_or_else(|| ParquetError::General("more columns than the schema has".into()))?;
    column.typed::<T>().write_batch(values, levels, None)?;
    column.close()
}
