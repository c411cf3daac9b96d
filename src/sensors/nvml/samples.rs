//! Emptying NVML's own buffer of power samples while a run is recorded, where it is finer than the power readings.
//!
//! Owns the decision whether it is, the turning of stamps into our time, and how often to ask. The clock's offset is taken anew with
//! each call, so that a wall clock that is corrected moves a second of samples at most.
//!
//! ```text
//! Looking --enough samples, a clock, clearly finer--> Taking
//!    |    --enough samples, no finer--> Left
//!    `--dry, or stamps on no clock: again in a second
//! ```
//!
//! *Limits of validity.* No board's buffer was seen by us: that a sample's stamp is the end of its window, and how long the window is, is
//! not assumed here but found by the analysis. Where nothing is known of the power readings' period the buffer is recorded, and the
//! analysis decides.

use std::time::Duration;

use nvml_wrapper::error::NvmlError;
use nvml_wrapper::struct_wrappers::device::Sample;

use crate::model::sample::{SampleBatch, SampleOutcome};
use crate::model::time::{ClockAnchor, Timestamp};
use crate::sensors::clock;

use super::buffer::{self, StampClock};
use super::faults::is_unsupported;
use super::handle::Handle;

/// Clearly finer: less than this share of the power readings' period.
const FINER: f64 = 0.7;
/// Fewer samples do not tell their spacing.
const TELLING: usize = 8;
/// The newest sample of a buffer that is being filled is no older; an older one may lie just before the wrong clock.
const FRESH_US: i64 = 5_000_000;
/// A stamp later than its own call by more than this was made by a clock that has been set since.
const FUTURE_NS: i64 = 10_000_000;
/// Between two looks at a buffer that does not tell.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// However short or long the buffer.
const OFTENEST: Duration = Duration::from_millis(100);
const RAREST: Duration = Duration::from_secs(2);

/// One GPU's buffer.
pub struct SampleReader {
    stage: Stage,
    /// Usual time between power readings, milliseconds, as it is believed.
    polled_ms: Option<f64>,
    /// Samples that the buffer holds, as the driver says, and whether that number may still rise.
    room: u32,
    filling: bool,
    /// The newest stamp seen, as the driver gave it and on our clock.
    last_us: u64,
    last: Option<Timestamp>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Stage {
    Looking,
    Taking { clock: StampClock, spacing_ms: f64 },
    Left,
}

/// What a set of samples says of its buffer.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Verdict {
    /// Too few samples.
    Dry,
    NoClock(f64),
    Coarse(f64),
    Fine(StampClock, f64),
}

fn judge(stamps: &[i64], polled_ms: Option<f64>, now: &ClockAnchor) -> Verdict {
    let (Some(&newest), Some(spacing)) = (stamps.last(), buffer::spacing_ms(stamps)) else {
        return Verdict::Dry;
    };
    if stamps.len() < TELLING {
        return Verdict::Dry;
    }
    if polled_ms.is_some_and(|polled| spacing >= FINER * polled) {
        return Verdict::Coarse(spacing);
    }
    match buffer::clock_of(newest, FRESH_US, now) {
        Some(clock) => Verdict::Fine(clock, spacing),
        None => Verdict::NoClock(spacing),
    }
}

impl SampleReader {
    /// Look at this GPU's buffer, whose power readings are believed to come every `polled_ms`: a reader where it is, or may turn out
    /// to be, worth recording, and a sentence. Neither where the driver has no such buffer.
    pub fn open(handle: &Handle, polled_ms: Option<f64>) -> (Option<Self>, Option<String>) {
        let mut reader = Self {
            stage: Stage::Looking,
            polled_ms,
            room: 0,
            filling: true,
            last_us: 0,
            last: None,
        };
        let stamps = match reader.fetch(handle) {
            Ok(samples) => buffer::stamps(&samples),
            Err(e) if is_unsupported(&e) => return (None, None),
            Err(_) => Vec::new(),
        };
        let now = clock::anchor();
        let verdict = judge(&stamps, polled_ms, &now);
        reader.settle(verdict);
        let again = "looked at again every second, and recorded where it is finer than the power readings";
        let sentence = match verdict {
            Verdict::Dry => format!("dry when the recording began: {again}"),
            Verdict::NoClock(ms) => {
                format!("{ms:.1} ms apart, on no clock of the system when the recording began: {again}")
            }
            Verdict::Coarse(ms) => format!("{ms:.1} ms apart, not finer than the power readings: not recorded"),
            Verdict::Fine(clock, ms) => format!("{ms:.1} ms apart, {}, recorded", clock.name(&now)),
        };
        (Some(reader).filter(|r| r.stage != Stage::Left), Some(sentence))
    }

    /// Time between two calls: a third of what the buffer holds. `None`: it is not worth asking again.
    pub fn period(&self) -> Option<Duration> {
        match self.stage {
            Stage::Looking => Some(LOOK_AGAIN),
            Stage::Taking { spacing_ms, .. } => {
                let third = f64::from(self.room) * spacing_ms * 1e-3 / 3.0;
                Some(Duration::from_secs_f64(third.clamp(0.0, RAREST.as_secs_f64())).max(OFTENEST))
            }
            Stage::Left => None,
        }
    }

    /// The samples since the last call.
    pub fn read(&mut self, handle: &Handle) -> SampleBatch {
        let samples = match self.fetch(handle) {
            Ok(samples) => samples,
            // Nothing is newer than the last one.
            Err(NvmlError::NotFound | NvmlError::NoData) => Vec::new(),
            Err(_) => return SampleBatch::nothing(SampleOutcome::Failed),
        };
        self.take(samples, &clock::anchor())
    }

    fn fetch(&mut self, handle: &Handle) -> Result<Vec<Sample>, NvmlError> {
        // Some drivers may count what is in the buffer now, not what it can hold: asked until it no longer rises.
        if self.filling {
            let room = handle.power_samples_room()?;
            self.filling = room > self.room;
            self.room = self.room.max(room);
        }
        let samples = handle.power_samples(self.last_us, self.room);
        self.filling |= matches!(samples, Err(NvmlError::InsufficientSize(_)));
        samples
    }

    fn settle(&mut self, verdict: Verdict) {
        self.stage = match verdict {
            Verdict::Dry | Verdict::NoClock(_) => Stage::Looking,
            Verdict::Coarse(_) => Stage::Left,
            Verdict::Fine(clock, spacing_ms) => Stage::Taking { clock, spacing_ms },
        };
    }

    /// What has just come, on our clock; decides first where that is still open.
    fn take(&mut self, mut samples: Vec<Sample>, now: &ClockAnchor) -> SampleBatch {
        if self.stage == Stage::Looking {
            let verdict = judge(&buffer::stamps(&samples), self.polled_ms, now);
            self.settle(verdict);
            match verdict {
                Verdict::Dry => return SampleBatch::nothing(SampleOutcome::Dry),
                Verdict::NoClock(_) => return SampleBatch::nothing(SampleOutcome::Clock),
                Verdict::Coarse(_) => return SampleBatch::nothing(SampleOutcome::Coarse),
                Verdict::Fine(..) => {}
            }
        }
        let Stage::Taking { clock, .. } = self.stage else {
            return SampleBatch::nothing(SampleOutcome::Coarse);
        };
        samples.sort_by_key(|sample| sample.timestamp);
        let mut batch = SampleBatch::nothing(SampleOutcome::Dry);
        for sample in &samples {
            let stamp = i64::try_from(sample.timestamp).ok().filter(|us| *us > 0);
            let t = stamp.map(|us| clock.on_ours(us, now));
            let ascends = |t: &Timestamp| self.last.is_none_or(|last| *t > last) && *t - now.monotonic < FUTURE_NS;
            match (t.filter(ascends), buffer::watts(&sample.value)) {
                (Some(t), Some(watts)) => {
                    self.last = Some(t);
                    self.last_us = self.last_us.max(sample.timestamp);
                    batch.samples.push((t, watts));
                }
                _ => batch.dropped += 1,
            }
        }
        if !batch.samples.is_empty() {
            batch.outcome = SampleOutcome::Taken;
        }
        batch
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nvml_wrapper::enums::device::SampleValue;

    /// The wall clock is at an hour, ours at ten minutes.
    const NOW: ClockAnchor = ClockAnchor {
        monotonic: Timestamp::from_nanos(600_000_000_000),
        realtime_ns: 3_600_000_000_000,
        boottime_ns: 600_000_000_000,
    };

    fn reader(polled_ms: Option<f64>) -> SampleReader {
        SampleReader {
            stage: Stage::Looking,
            polled_ms,
            room: 120,
            filling: false,
            last_us: 0,
            last: None,
        }
    }

    fn sample(timestamp: u64, milliwatts: u32) -> Sample {
        Sample {
            timestamp,
            value: SampleValue::U32(milliwatts),
        }
    }

    /// `count` samples `apart_us` microseconds apart, the newest at `newest_us`.
    fn samples(newest_us: u64, count: u64, apart_us: u64) -> Vec<Sample> {
        (0..count).map(|i| sample(newest_us - i * apart_us, 200_000)).collect()
    }

    #[test]
    fn a_finer_buffer_is_taken_and_a_third_of_it_is_the_longest_wait() {
        let mut reader = reader(Some(100.0));
        let batch = reader.take(samples(599_990_000, 120, 20_000), &NOW);
        assert_eq!(
            (batch.outcome, batch.samples.len(), batch.dropped),
            (SampleOutcome::Taken, 120, 0)
        );
        assert!(batch.samples.is_sorted_by_key(|s| s.0));
        assert_eq!(batch.samples[119], (Timestamp::from_nanos(599_990_000_000), 200.0));
        assert_eq!(reader.period(), Some(Duration::from_millis(800)));
        assert_eq!(reader.last_us, 599_990_000);
    }

    #[test]
    fn a_buffer_no_finer_than_the_readings_is_left_for_good() {
        for (apart, polled, outcome) in [
            (20_000, Some(20.0), SampleOutcome::Coarse),
            (70_000, Some(100.0), SampleOutcome::Coarse),
            (69_000, Some(100.0), SampleOutcome::Taken),
            (1_000_000, None, SampleOutcome::Taken),
        ] {
            let mut reader = reader(polled);
            assert_eq!(
                reader.take(samples(599_990_000, 60, apart), &NOW).outcome,
                outcome,
                "{apart}"
            );
            assert_eq!(reader.period().is_none(), outcome == SampleOutcome::Coarse, "{apart}");
        }
    }

    #[test]
    fn a_dry_buffer_and_one_on_no_clock_are_looked_at_again() {
        let mut reader = reader(Some(100.0));
        assert_eq!(reader.take(Vec::new(), &NOW).outcome, SampleOutcome::Dry);
        assert_eq!(
            reader.take(samples(599_990_000, 7, 20_000), &NOW).outcome,
            SampleOutcome::Dry
        );
        assert_eq!(
            reader.take(samples(500_000_000, 60, 20_000), &NOW).outcome,
            SampleOutcome::Clock
        );
        assert_eq!(reader.period(), Some(LOOK_AGAIN));
        assert_eq!(
            reader.take(samples(599_990_000, 60, 20_000), &NOW).outcome,
            SampleOutcome::Taken
        );
    }

    #[test]
    fn zeros_repeated_stamps_and_the_future_are_dropped_and_counted() {
        let mut reader = reader(Some(100.0));
        reader.take(samples(3_599_990_000, 60, 20_000), &NOW);
        assert_eq!(
            reader.last,
            Some(Timestamp::from_nanos(599_990_000_000)),
            "the wall clock"
        );
        let later = ClockAnchor {
            monotonic: NOW.monotonic.plus_nanos(1_000_000_000),
            realtime_ns: NOW.realtime_ns + 1_000_000_000,
            ..NOW
        };
        let batch = reader.take(
            vec![
                sample(3_599_990_000, 200_000),
                sample(3_600_010_000, 0),
                sample(3_600_030_000, 210_000),
                sample(3_600_030_000, 210_000),
                sample(3_660_000_000, 220_000),
            ],
            &later,
        );
        assert_eq!(batch.samples, [(Timestamp::from_nanos(600_030_000_000), 210.0)]);
        assert_eq!((batch.outcome, batch.dropped), (SampleOutcome::Taken, 4));
    }
}
