//! NVML's own buffer of power samples (`nvmlDeviceGetSamples`, total power): whether it is there, how fine it is, and on which clock.
//!
//! Owns what a set of samples says about the buffer; emptying it again and again is for `samples`. *Limits of validity.* The header
//! calls the stamps "CPU timestamp in µs" and leaves the clock open: recent Linux drivers were seen to use the time since boot
//! (polarsignals/gpu-metrics-agent 36 and 37), older ones the wall clock. The clock is told by which of them the newest sample lies
//! just before. An idle GPU's buffer runs dry.

use nvml_wrapper::enums::device::SampleValue;
use nvml_wrapper::struct_wrappers::device::Sample;

use crate::model::time::{ClockAnchor, Timestamp};
use crate::sensors::clock;
use crate::sensors::interface::SampleBuffer;

use super::handle::Handle;

/// A stamp this far from a clock's now is on another clock.
const NEAR_US: i64 = 60_000_000;

/// The clock of a buffer's stamps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StampClock {
    Monotonic,
    Boottime,
    Realtime,
}

impl StampClock {
    /// Its name; a machine that never slept has two clocks of one time.
    pub fn name(self, now: &ClockAnchor) -> &'static str {
        match self {
            Self::Boottime if are_one(now) => "CLOCK_BOOTTIME (here equal to CLOCK_MONOTONIC)",
            Self::Boottime => "CLOCK_BOOTTIME",
            Self::Monotonic => "CLOCK_MONOTONIC",
            Self::Realtime => "CLOCK_REALTIME",
        }
    }

    /// A stamp in microseconds of this clock, on ours, by what the two read `now`.
    pub fn on_ours(self, stamp_us: i64, now: &ClockAnchor) -> Timestamp {
        now.monotonic
            .plus_nanos(stamp_us.saturating_mul(1000).saturating_sub(self.nanos(now)))
    }

    fn nanos(self, now: &ClockAnchor) -> i64 {
        match self {
            Self::Monotonic => now.monotonic.as_nanos(),
            Self::Boottime => now.boottime_ns,
            Self::Realtime => now.realtime_ns,
        }
    }
}

fn are_one(now: &ClockAnchor) -> bool {
    (now.boottime_ns - now.monotonic.as_nanos()).abs() < 1_000_000
}

/// Look at the buffer of this GPU; `None` where the driver has none, or it is dry.
pub fn look(handle: &Handle) -> Option<SampleBuffer> {
    let room = handle.power_samples_room().ok()?;
    let stamps = stamps(&handle.power_samples(0, room).ok()?);
    let now = clock::anchor();
    Some(SampleBuffer {
        length: stamps.len(),
        spacing_ms: spacing_ms(&stamps),
        clock: clock_of(*stamps.last()?, NEAR_US, &now).map(|clock| clock.name(&now)),
    })
}

/// Stamps of the samples that are any, microseconds, ascending.
pub fn stamps(samples: &[Sample]) -> Vec<i64> {
    let real = samples.iter().filter(|sample| watts(&sample.value).is_some());
    let mut stamps: Vec<i64> = real
        .filter_map(|sample| i64::try_from(sample.timestamp).ok())
        .filter(|stamp| *stamp > 0)
        .collect();
    stamps.sort_unstable();
    stamps.dedup();
    stamps
}

/// Milliwatts as the buffer has them. Zero is no sample: a board that answers draws something.
pub fn watts(value: &SampleValue) -> Option<f64> {
    let milliwatts = match *value {
        SampleValue::U32(mw) => f64::from(mw),
        SampleValue::U64(mw) => mw as f64,
        SampleValue::I64(mw) => mw as f64,
        SampleValue::F64(mw) => mw,
    };
    (milliwatts > 0.0 && milliwatts.is_finite()).then_some(milliwatts * 1e-3)
}

/// The usual time between two of these ascending stamps, milliseconds.
pub fn spacing_ms(stamps: &[i64]) -> Option<f64> {
    let mut gaps: Vec<i64> = stamps.windows(2).map(|pair| pair[1] - pair[0]).collect();
    gaps.sort_unstable();
    gaps.get(gaps.len() / 2).map(|us| *us as f64 * 1e-3)
}

/// The clock whose now is closest to, and not before, a stamp in microseconds; none if that is further than `near_us`.
pub fn clock_of(newest_us: i64, near_us: i64, now: &ClockAnchor) -> Option<StampClock> {
    // A stamp may be a moment in the future of a clock that was read first.
    let age = |clock: StampClock| clock.nanos(now) / 1000 - newest_us + 1000;
    let is_near = |clock: &StampClock| (0..near_us).contains(&age(*clock));
    if are_one(now) && is_near(&StampClock::Boottime) {
        return Some(StampClock::Boottime);
    }
    let clocks = [StampClock::Monotonic, StampClock::Boottime, StampClock::Realtime];
    clocks.into_iter().filter(is_near).min_by_key(|clock| age(*clock))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Booted 1000 s ago, of which 300 s were slept through, in 2020.
    const SLEPT: ClockAnchor = ClockAnchor {
        monotonic: Timestamp::from_nanos(700_000_000_000),
        realtime_ns: 1_600_000_000_000_000_000,
        boottime_ns: 1_000_000_000_000,
    };

    #[test]
    fn the_clock_is_the_one_the_newest_sample_lies_just_before() {
        let of = |us: i64| clock_of(us, NEAR_US, &SLEPT);
        assert_eq!(of(699_980_000), Some(StampClock::Monotonic));
        assert_eq!(of(999_980_000), Some(StampClock::Boottime));
        assert_eq!(of(1_599_999_999_980_000), Some(StampClock::Realtime));
        assert_eq!(of(900_000_000), None, "on no clock's last minute");
        assert_eq!(of(1_000_100_000), None, "in the future");
        assert_eq!(clock_of(990_000_000, 5_000_000, &SLEPT), None, "too old to tell");
    }

    #[test]
    fn clocks_of_one_time_are_told_as_one() {
        let awake = ClockAnchor {
            boottime_ns: 700_000_000_400,
            ..SLEPT
        };
        let clock = clock_of(699_980_000, NEAR_US, &awake).expect("a clock");
        assert!(clock.name(&awake).starts_with("CLOCK_BOOTTIME (here"));
        assert_eq!(StampClock::Boottime.name(&SLEPT), "CLOCK_BOOTTIME");
    }

    #[test]
    fn stamps_of_every_clock_come_out_on_ours() {
        let at = |clock: StampClock, us: i64| clock.on_ours(us, &SLEPT).as_nanos();
        assert_eq!(at(StampClock::Monotonic, 699_980_000), 699_980_000_000);
        assert_eq!(at(StampClock::Boottime, 999_980_000), 699_980_000_000);
        assert_eq!(at(StampClock::Realtime, 1_599_999_999_980_000), 699_980_000_000);
    }

    #[test]
    fn spacing_is_the_usual_one_and_takes_two_samples() {
        assert_eq!(spacing_ms(&[5]), None);
        assert_eq!(spacing_ms(&[0, 20_000, 40_000, 900_000, 920_000]), Some(20.0));
    }
}
