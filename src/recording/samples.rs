//! A device's samples: what the driver kept in a buffer of its own, and the calls that fetched it.
//!
//! Two tables, because a call gives many samples or none. A device whose driver keeps nothing worth recording has neither.

use hdf5::Group;

use super::cell::{NO_TIME, Word, fixed, text};
use super::column::{Append, Column, Storage};
use super::error::Fault;
use super::lost::Lost;
use super::schema::{Pace, sample_calls, samples};
use super::table::{self, TableReader, keep};
use crate::model::sample::{Columns, SampleCalls, SampleOutcome, SampleStream};
use crate::model::time::Timestamp;

/// [`SampleStream`] on its way to the file.
pub(super) struct SampleTables {
    t: Column<i64>,
    watts: Column<f64>,
    call_t: Column<i64>,
    half_width: Column<u32>,
    outcome: Column<Word>,
    taken: Column<u32>,
    dropped: Column<u32>,
}

impl SampleTables {
    /// `None` where the device has no buffer to record.
    pub(super) fn create(device: &Group, columns: &Columns, storage: Storage) -> Result<Option<Self>, Fault> {
        if !columns.samples {
            return Ok(None);
        }
        Ok(Some(Self {
            t: Column::create(device, &samples::T, Pace::Burst, storage)?,
            watts: Column::create(device, &samples::WATTS, Pace::Burst, storage)?,
            call_t: Column::create(device, &sample_calls::T, Pace::Slow, storage)?,
            half_width: Column::create(device, &sample_calls::HALF_WIDTH, Pace::Slow, storage)?,
            outcome: Column::create(device, &sample_calls::OUTCOME, Pace::Slow, storage)?,
            taken: Column::create(device, &sample_calls::TAKEN, Pace::Slow, storage)?,
            dropped: Column::create(device, &sample_calls::DROPPED, Pace::Slow, storage)?,
        }))
    }

    pub(super) fn push(&mut self, stream: &SampleStream) -> Result<(), Fault> {
        let calls = &stream.calls;
        let rows = calls.times.t.len();
        let lengths = [
            calls.times.half_width_ns.len(),
            calls.outcome.len(),
            calls.taken.len(),
            calls.dropped.len(),
        ];
        if stream.t.len() != stream.watts.len() || lengths.iter().any(|length| *length != rows) {
            return Err(Fault::Shape(format!(
                "{} times and {} values of samples, {rows} calls with {lengths:?} rows",
                stream.t.len(),
                stream.watts.len()
            )));
        }
        self.t.extend(stream.t.iter().map(|t| t.as_nanos()));
        self.watts.extend(stream.watts.iter().copied());
        self.call_t.extend(calls.times.t.iter().map(|t| t.as_nanos()));
        self.half_width.extend(calls.times.half_width_ns.iter().copied());
        self.outcome
            .extend(calls.outcome.iter().map(|outcome| fixed(outcome.as_str())));
        self.taken.extend(calls.taken.iter().copied());
        self.dropped.extend(calls.dropped.iter().copied());
        Ok(())
    }

    pub(super) fn columns(&mut self) -> Vec<&mut dyn Append> {
        vec![
            &mut self.t,
            &mut self.watts,
            &mut self.call_t,
            &mut self.half_width,
            &mut self.outcome,
            &mut self.taken,
            &mut self.dropped,
        ]
    }
}

/// Whether the file has a place for samples of this device.
pub(super) fn present(device: &Group, lost: &Lost) -> bool {
    table::present(device, &samples::T, lost)
}

/// The samples of a device, as far as they can be read; none where it has no such tables.
pub(super) fn read(device: &Group, lost: &Lost) -> Result<SampleStream, Fault> {
    if !present(device, lost) {
        return Ok(SampleStream::default());
    }
    let table = TableReader::salvage(device, samples::ALL, lost)?.cut_by(&samples::T)?;
    let (mut t, mut watts): (Vec<i64>, Vec<f64>) = (table.read(&samples::T)?, table.read(&samples::WATTS)?);
    let usable = |(t, watts): (&i64, &f64)| *t != NO_TIME && watts.is_finite();
    if let Some(kept) = table.kept(t.iter().zip(&watts).map(usable)) {
        keep(&mut t, &kept);
        keep(&mut watts, &kept);
    }
    Ok(SampleStream {
        t: t.into_iter().map(Timestamp::from_nanos).collect(),
        watts,
        calls: read_calls(device, lost)?,
    })
}

fn read_calls(device: &Group, lost: &Lost) -> Result<SampleCalls, Fault> {
    let table = TableReader::salvage(device, sample_calls::ALL, lost)?.cut_by(&sample_calls::T)?;
    let (times, kept) = table.read_times(&sample_calls::T, &sample_calls::HALF_WIDTH)?;
    let words: Vec<Word> = table.read_kept(&sample_calls::OUTCOME, kept.as_deref())?;
    let outcome = |word: &Word| match text(word).as_str() {
        // The place was made and not filled: the recorder was killed in between.
        "" => Ok(SampleOutcome::Failed),
        word => SampleOutcome::parse(word).ok_or_else(|| Fault::Content(format!("unknown outcome `{word}` of a call"))),
    };
    Ok(SampleCalls {
        times,
        outcome: words.iter().map(outcome).collect::<Result<_, Fault>>()?,
        taken: table.read_kept(&sample_calls::TAKEN, kept.as_deref())?,
        dropped: table.read_kept(&sample_calls::DROPPED, kept.as_deref())?,
    })
}

/// The time of the last call in the file.
pub(super) fn last_seen(device: &Group, lost: &Lost) -> Result<Option<Timestamp>, Fault> {
    if !present(device, lost) {
        return Ok(None);
    }
    let table = TableReader::salvage(device, sample_calls::ALL, lost)?.cut_by(&sample_calls::T)?;
    Ok(table.last(&sample_calls::T)?.map(Timestamp::from_nanos))
}
