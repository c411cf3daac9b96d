//! Which stream a device's power is read from: the polled readings, or the driver's own samples where these are finer.
//!
//! The one place that chooses. What follows works with updates and cells, whichever they are of. A sample is an update with a time of its
//! own, and one that equals the sample before is still an update. Where samples have a hole, cells of the polled readings fill it; the
//! energy counter is always a polled one.
//!
//! *Limits of validity.* Of the samples' window no more is believed than of the readings', and of their delay nothing: what was calibrated
//! is the polled reading's.

use std::borrow::Cow;

use crate::model::analysis::PowerOrigin;
use crate::model::device::{Device, SensorTiming};
use crate::model::recording::DeviceStreams;
use crate::model::sample::{PowerStream, SampleStream};
use crate::model::time::{Interval, Timestamp};

use super::cell::{compare, cover, overlap_s, splice};
use super::integrate::{self, Integrated, Update};

/// Clearly finer: less than this share of the polled readings' period (as `sensors/nvml/samples` has it).
const FINER: f64 = 0.7;
/// Fewer samples say nothing.
const FEWEST: usize = 12;
/// Samples that cover less of the run than this leave too much to the other stream.
const COVERED: f64 = 0.5;
/// No survey tells what samples are the mean of: as long as the window was not found in the data, half of the time is taken as unseen.
const UNFOUND: f64 = 0.5;
/// Properties of the user's own calibration that are the polled reading's alone.
const OF_POLLS: [&str; 2] = ["power_delay_u95_ms", "power_window_u95_ms"];

/// A device's power as it is read.
pub struct Sensed<'a> {
    /// The device, with what is believed of the chosen stream.
    pub device: Cow<'a, Device>,
    /// The polled readings, and what is believed of them.
    pub polled: &'a PowerStream,
    polled_device: &'a Device,
    samples: Option<&'a SampleStream>,
}

impl<'a> Sensed<'a> {
    /// Choose for this time.
    pub fn of(device: &'a Device, streams: &'a DeviceStreams, run: Interval) -> Self {
        let polled = Self {
            device: Cow::Borrowed(device),
            polled: &streams.power,
            polled_device: device,
            samples: None,
        };
        let Some(period_s) = finer(device, streams, run) else {
            return polled;
        };
        let mut believed = device.clone();
        believed.power_timing = SensorTiming {
            update_period_ms: Some(period_s * 1e3),
            delay_ms: None,
            ..device.power_timing
        };
        believed.properties.retain(|key, _| !OF_POLLS.contains(&key.as_str()));
        Self {
            device: Cow::Owned(believed),
            samples: Some(&streams.samples),
            ..polled
        }
    }

    /// Which stream is read; `None` where the device gives no power at all.
    pub fn origin(&self) -> Option<PowerOrigin> {
        match self.samples {
            Some(_) => Some(PowerOrigin::Samples),
            None => {
                let polled = [&self.polled.watts, &self.polled.average_watts];
                polled
                    .into_iter()
                    .any(|watts| watts.iter().any(|w| w.is_finite()))
                    .then_some(PowerOrigin::Polled)
            }
        }
    }

    /// The chosen stream's updates.
    pub fn updates(&self) -> Vec<Update> {
        match self.samples {
            Some(samples) => integrate::updates_of_samples(samples).0,
            None => integrate::updates(&self.device, self.polled).0,
        }
    }

    /// The power's cells, with the chosen stream's timing as it stands in `device`.
    pub fn cells(&self, device: &Device, run: Interval) -> Integrated {
        let Some(samples) = self.samples else {
            return integrate::cells(device, self.polled);
        };
        // Of samples no delay is believed, so that one is known only where the model found it, and the window with it.
        let was_found = device.power_timing.delay_ms.is_some();
        let fine = integrate::cells_of_samples(device, samples, if was_found { 1.0 } else { UNFOUND });
        let coarse = integrate::cells(self.polled_device, self.polled);
        filled(fine, &coarse, run)
    }
}

/// The samples' period in seconds, where they are the better stream.
fn finer(device: &Device, streams: &DeviceStreams, run: Interval) -> Option<f64> {
    let samples = &streams.samples;
    let inside = samples.t.iter().filter(|t| (run.start..run.end).contains(*t)).count();
    let (_, period) = integrate::updates_of_samples(samples);
    let period = period.filter(|s| *s > 0.0 && inside >= FEWEST)?;
    let (_, polled, _) = integrate::updates(device, &streams.power);
    let is_finer = polled.is_none_or(|polled| period < FINER * polled);
    (is_finer && inside as f64 * period >= COVERED * run.seconds()).then_some(period)
}

/// The samples' cells, with polled cells where they have a hole.
fn filled(fine: Integrated, coarse: &Integrated, run: Interval) -> Integrated {
    let Some(first) = fine.cells.first().map(|cell| Timestamp::from_nanos(cell.start)) else {
        return fine;
    };
    let own_s = overlap_s(&fine.cells, run);
    let mut with_holes = fine.cells.clone();
    cover(&mut with_holes, Interval::new(first, first));
    let mut cells = splice(&with_holes, &coarse.cells);
    cells.retain(|cell| cell.known);
    let share = (own_s / overlap_s(&cells, run).max(1e-9)).clamp(0.0, 1.0);
    let mixed = |fine: f64, coarse: f64| share * fine + (1.0 - share) * coarse;
    Integrated {
        glitches: coarse.glitches,
        period_s: fine.period_s,
        duty: mixed(fine.duty, coarse.duty),
        blind_w2: mixed(fine.blind_w2, coarse.blind_w2),
        over_polled: compare(&fine.cells, &coarse.cells, run),
        cells,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::energy::laws;

    const MS: i64 = 1_000_000;

    fn run() -> Interval {
        Interval::new(Timestamp::from_nanos(0), Timestamp::from_nanos(2000 * MS))
    }

    /// Polled every 10 ms for 2 s, and new every 100.
    fn polled() -> PowerStream {
        let mut stream = PowerStream::default();
        for poll in 0..200 {
            stream.times.push(Timestamp::from_nanos(poll * 10 * MS), 1000);
            stream.watts.push(100.0 + (poll / 10 % 2) as f64);
        }
        stream
    }

    fn samples(at_ms: impl Iterator<Item = i64>) -> DeviceStreams {
        let t: Vec<Timestamp> = at_ms.map(|ms| Timestamp::from_nanos(ms * MS)).collect();
        DeviceStreams {
            power: polled(),
            samples: SampleStream {
                watts: vec![200.0; t.len()],
                t,
                ..SampleStream::default()
            },
            ..DeviceStreams::default()
        }
    }

    fn gpu() -> Device {
        let mut gpu = laws::gpu(0);
        gpu.power_timing = SensorTiming {
            update_period_ms: Some(100.0),
            window_ms: Some(25.0),
            delay_ms: Some(9.0),
        };
        gpu.properties.insert(OF_POLLS[0].into(), "0.3".into());
        gpu
    }

    #[test]
    fn samples_are_read_where_they_are_clearly_finer_and_cover_the_run() {
        let gpu = gpu();
        let chosen = |streams: &DeviceStreams| Sensed::of(&gpu, streams, run()).origin() == Some(PowerOrigin::Samples);
        assert!(chosen(&samples((0..100).map(|i| 20 * i))));
        assert!(!chosen(&samples((0..20).map(|i| 100 * i))), "no finer");
        assert!(!chosen(&samples((0..40).map(|i| 20 * i))), "less than half of the run");
        assert!(!chosen(&samples((0..100).map(|i| 20 * i + 9000))), "another time");
        assert!(!chosen(&samples(0..0)));
    }

    #[test]
    fn equal_samples_are_updates_with_times_of_their_own_and_a_hole_is_one() {
        let streams = samples((0..100).filter(|i| !(40..60).contains(i)).map(|i| 20 * i + i % 3));
        let gpu = gpu();
        let sensed = Sensed::of(&gpu, &streams, run());
        let updates = sensed.updates();
        assert_eq!(updates.len(), 80);
        assert!(updates.iter().zip(&streams.samples.t).all(|(u, t)| u.t == t.as_nanos()));
        let holes: Vec<usize> = (0..80).filter(|&i| updates[i].after_hole).collect();
        assert_eq!(holes, [40]);
    }

    #[test]
    fn polled_readings_fill_a_hole_and_what_was_calibrated_of_them_is_not_believed_of_samples() {
        let streams = samples((10..100).filter(|i| !(40..60).contains(i)).map(|i| 20 * i));
        let gpu = gpu();
        let sensed = Sensed::of(&gpu, &streams, run());
        assert_eq!(sensed.device.power_timing.delay_ms, None);
        assert_eq!(sensed.device.power_timing.window_ms, Some(25.0));
        assert!(sensed.device.properties.is_empty());
        let integrated = sensed.cells(&sensed.device, run());
        let covered = overlap_s(&integrated.cells, run());
        assert!(covered > 1.9, "{covered}");
        assert!(integrated.cells.windows(2).all(|pair| pair[0].end <= pair[1].start));
        let at = |ms: i64| {
            let of = |c: &&super::super::cell::Cell| (c.start..c.end).contains(&(ms * MS));
            integrated.cells.iter().find(of).map(|c| c.watts().round())
        };
        assert_eq!((at(500), at(1500)), (Some(200.0), Some(200.0)));
        assert!(
            at(100) < Some(102.0) && at(1000) < Some(102.0),
            "{:?} {:?}",
            at(100),
            at(1000)
        );
        assert!(integrated.duty < UNFOUND, "{}", integrated.duty);
        let mut found = gpu.clone();
        found.power_timing.window_ms = Some(20.0);
        let duty = sensed.cells(&found, run()).duty;
        assert!(duty > 0.7 && duty < 0.95, "{duty}");
        let (ratio, seconds) = integrated.over_polled.expect("both were seen");
        assert!((1.95..2.0).contains(&ratio) && seconds > 1.2, "{ratio} over {seconds}");
    }
}
