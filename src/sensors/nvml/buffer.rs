//! NVML's own buffer of power samples (`nvmlDeviceGetSamples`, total power): whether it is there, how fine it is, and on which clock.
//!
//! Only looked at, for `powerprof doctor`. *Limits of validity.* The header calls the stamps "CPU timestamp in µs" and leaves the clock
//! open: recent Linux drivers were seen to use the time since boot (polarsignals/gpu-metrics-agent 36 and 37), older ones the wall
//! clock. The clock is told by which of them the newest sample lies just before. An idle GPU's buffer runs dry.

use nvml_wrapper::enum_wrappers::device::Sampling;
use nvml_wrapper::enums::device::SampleValue;

use super::handle::Handle;
use crate::sensors::clock;
use crate::sensors::interface::SampleBuffer;

/// A stamp this far from a clock's now is on another clock.
const NEAR_US: i64 = 60_000_000;

/// Look at the buffer of this GPU; `None` where the driver has none, or it is dry.
pub fn look(handle: &Handle) -> Option<SampleBuffer> {
    let samples = handle.device().samples(Sampling::Power, None).ok()?;
    let mut stamps: Vec<i64> = samples
        .iter()
        .filter(|sample| !matches!(sample.value, SampleValue::U32(0)))
        .filter_map(|sample| i64::try_from(sample.timestamp).ok())
        .filter(|stamp| *stamp > 0)
        .collect();
    stamps.sort_unstable();
    stamps.dedup();
    let newest = *stamps.last()?;
    let mut gaps: Vec<i64> = stamps.windows(2).map(|pair| pair[1] - pair[0]).collect();
    gaps.sort_unstable();
    Some(SampleBuffer {
        length: stamps.len(),
        spacing_ms: gaps.get(gaps.len() / 2).map(|us| *us as f64 * 1e-3),
        clock: clock_of(newest),
    })
}

/// The clock whose now is closest to, and not before, a stamp in microseconds.
fn clock_of(newest_us: i64) -> Option<&'static str> {
    let now = clock::anchor();
    let clocks = [
        ("CLOCK_MONOTONIC", now.monotonic.as_nanos()),
        ("CLOCK_BOOTTIME", now.boottime_ns),
        ("CLOCK_REALTIME", now.realtime_ns),
    ];
    // A stamp may be a moment in the future of a clock that was read first.
    let age = |now_ns: i64| now_ns / 1000 - newest_us + 1000;
    let near = clocks
        .into_iter()
        .filter(|(_, now_ns)| (0..NEAR_US).contains(&age(*now_ns)));
    near.min_by_key(|(_, now_ns)| age(*now_ns)).map(|(name, _)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_is_the_one_the_newest_sample_lies_just_before() {
        let now = clock::anchor();
        assert_eq!(clock_of(now.realtime_ns / 1000 - 20_000), Some("CLOCK_REALTIME"));
        assert_eq!(clock_of(now.realtime_ns / 1000 + 3_600_000_000), None);
        // On a machine that never slept the two are one clock.
        let boot = clock_of(now.boottime_ns / 1000 - 20_000);
        assert!(matches!(boot, Some("CLOCK_BOOTTIME" | "CLOCK_MONOTONIC")), "{boot:?}");
    }
}
