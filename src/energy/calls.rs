//! How much of the run a sensor's own calls took: what the measuring may have cost the trainer.
//!
//! NVML's calls hold a lock of the driver that the trainer's launches need, so their share of the time bounds what polling can have
//! delayed. A reading's half-width is half the length of the call that took it.

use crate::model::device::{Device, Source};
use crate::model::recording::DeviceStreams;
use crate::model::time::Interval;

/// Share of `run` spent inside this device's calls. `None`: there were none (a log that was imported).
pub fn share(device: &Device, readings: &DeviceStreams, run: Interval) -> Option<f64> {
    if device.source == Source::Imported || run.nanos() <= 0 {
        return None;
    }
    let streams = [
        &readings.power.times,
        &readings.state.times,
        &readings.samples.calls.times,
    ];
    let inside = streams
        .iter()
        .flat_map(|times| times.t.iter().zip(&times.half_width_ns));
    let busy: f64 = inside
        .filter(|(t, _)| **t >= run.start && **t <= run.end)
        .map(|(_, half)| 2.0 * f64::from(*half))
        .sum();
    Some(busy / run.nanos() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::sample::Times;
    use crate::model::time::Timestamp;

    #[test]
    fn calls_of_the_run_count_and_those_before_it_do_not() {
        let at = Timestamp::from_nanos;
        let mut readings = DeviceStreams::default();
        readings.power.times = Times {
            t: vec![at(-5), at(10), at(20)],
            half_width_ns: vec![100, 1, 2],
        };
        readings.state.times = Times {
            t: vec![at(30)],
            half_width_ns: vec![2],
        };
        readings.samples.calls.times = Times {
            t: vec![at(50)],
            half_width_ns: vec![5],
        };
        let run = Interval::new(at(0), at(100));
        let device = crate::import::device::describe(
            &crate::import::readings::LoggedDevice {
                index: None,
                uuid: None,
                name: None,
                memory_total_bytes: None,
                power_limit_watts: None,
                power: None,
                columns: Default::default(),
                streams: DeviceStreams::default(),
            },
            0,
            &Default::default(),
        );
        assert_eq!(share(&device, &readings, run), None, "a log has no calls");
        let live = Device {
            source: Source::Nvml,
            ..device
        };
        assert_eq!(share(&live, &readings, run), Some(0.2));
    }
}
