//! Which stream a device's power is read from: the polled readings, or the driver's own samples where these are finer.
//!
//! The one place that chooses. What follows works with updates and cells, whichever they are of. A sample is an update with a time of its
//! own, and one that equals the sample before is still an update. Where samples have a hole, cells of the polled readings fill it; the
//! energy counter is always a polled one.
//!
//! *Limits of validity.* Of the samples' window no more is believed than of the readings', and of their delay nothing: what was calibrated
//! is the polled reading's.

use std::borrow::Cow;

use crate::model::device::{Device, SensorTiming};
use crate::model::recording::DeviceStreams;
use crate::model::sample::{PowerStream, SampleStream};
use crate::model::time::{Interval, Timestamp};

use super::curve::{compare, cover, overlap_s, splice};
use super::integrate::{self, Integrated, Update};

/// Clearly finer: less than this share of the polled readings' period (as `sensors/nvml/samples` has it).
const FINER: f64 = 0.7;
/// Fewer samples say nothing.
const FEWEST: usize = 12;
/// Samples that cover less of the run than this leave too much to the other stream.
const COVERED: f64 = 0.5;
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

    /// Whether the driver's own samples are read.
    pub const fn from_samples(&self) -> bool {
        self.samples.is_some()
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
        let fine = integrate::cells_of_samples(device, samples);
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
