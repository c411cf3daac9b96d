//! Readings as observations: mean power over a window of which the sensor's timing says where it lies.
//!
//! A power reading is a mean over a window that ends a delay before it appears; a counter difference is a mean over the time between
//! two ticks. Both become a [`Row`]; times are seconds since the run began.

use crate::energy::counter::{self, CounterStep};
use crate::energy::sensed::Sensed;
use crate::model::analysis::PowerOrigin;
use crate::model::device::{Device, Source};
use crate::model::sample::{PowerStream, Times};
use crate::model::time::Interval;

use super::lattice::{self, Lattice};

/// An update: where the lattice expects it, and how much later it was seen.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Seen {
    pub predicted: f64,
    pub shift: f64,
}

/// One observation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Row {
    pub end: Seen,
    /// The tick before, for a counter; a power reading's window has a length of its own.
    pub start: Option<Seen>,
    /// Nominal length of a counter's cell, seconds.
    pub length: f64,
    pub watts: f64,
}

/// All observations of one stream, and its clock.
#[derive(Debug, Clone, PartialEq)]
pub struct Rows {
    pub rows: Vec<Row>,
    pub period: f64,
    /// Standard uncertainty of the period, seconds.
    pub period_sd: f64,
    /// Standard deviation of seen update times about the lattice, seconds.
    pub scatter: f64,
    /// Usual half-width of the time in which an update was seen, seconds.
    pub half: f64,
    /// Variance of where the updates really were about where the rows have them, seconds^2, as far as no row can know: it blurs all.
    pub unseen: f64,
    /// The least delay that there can be, ms.
    pub earliest_ms: f64,
    /// What the delay is no less than in the mean over all updates, ms; `None` where that is not known.
    pub least_ms: Option<f64>,
}

/// A poll shows nothing before it is; in the middle between two polls, where it is taken to be, an update may be seen by half their distance
/// too early, and a log's stamps by these milliseconds. A driver's own stamps may be those of windows' beginnings.
fn earliest_ms(half: f64, device: &Device, of_driver: bool) -> f64 {
    const OF_DRIVER_MS: f64 = -60.0;
    const OF_LOG_MS: f64 = 8.0;
    const OWN_MS: f64 = 1.0;
    match device.source {
        _ if of_driver => OF_DRIVER_MS,
        Source::Imported => -1e3 * half - OF_LOG_MS,
        _ => -1e3 * half - OWN_MS,
    }
}

/// Nothing is shown before its window ends: in the mean over many updates, of which each may be anywhere between its polls, a delay below
/// zero is as long as the polls' own times are unsure. What logs and drivers stamp is not known as well, nor where polls in step see updates.
fn least_ms(times: &Times, device: &Device, (assumed, unseen): (Place, f64)) -> Option<f64> {
    let is_known = device.source != Source::Imported && assumed == Place::Anywhere && unseen == 0.0;
    is_known.then(|| -1e-6 * median(times.half_width_ns.iter().copied().map(f64::from).collect()))
}

/// So many brackets long are a counter's cells made where brackets hide its ticks: a short cell's length would be the poller's, and
/// counts over it no power.
const JOINED: f64 = 20.0;

/// Where in the time between two polls an update is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Anywhere: polls and updates have nothing to do with each other.
    Anywhere,
    /// Always the same: the poller keeps step with the sensor, so that its own clock is the sensor's.
    InStep,
}

/// The updates' clock: a lattice, or where the poller is as slow as the sensor, the brackets in which they were seen; and the variance
/// of a place in such a bracket, seconds^2. `believed` is the sensor's period: slower polls do not show its lattice, but their own.
fn clock(times: &[f64], half: f64, believed: Option<f64>, assumed: Place) -> Option<(Lattice, f64)> {
    let lattice = lattice::fit(times, half)?;
    if assumed == Place::InStep {
        return Some((lattice, 0.0));
    }
    let place = half * half / 3.0;
    let period = believed.unwrap_or(f64::INFINITY).min(lattice.period);
    let (fine, hopeless) = (2.0 * half < 0.4 * period, 2.0 * half > 0.75 * period);
    // In between, a lattice that is the sensor's is as far from what was seen as places in brackets are, and its own jitter.
    let jitter = (0.05 * lattice.period).powi(2);
    if fine || !hopeless && lattice.scatter.powi(2) < 1.7 * (place + jitter) {
        return Some((lattice, 0.0));
    }
    let brackets = Lattice {
        predicted: times.to_vec(),
        scatter: 0.0,
        ..lattice
    };
    Some((brackets, place))
}

fn seen(lattice: &Lattice, times: &[f64], i: usize) -> Seen {
    Seen {
        predicted: lattice.predicted[i],
        shift: times[i] - lattice.predicted[i],
    }
}

/// Whether an update was seen so late that its time says nothing (a stalled poll).
fn stalled(seen: &Seen, lattice: &Lattice, half: f64) -> bool {
    seen.shift.abs() > 6.0 * lattice.scatter + 2.0 * half
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}

/// Which updates were seen sharply, and the usual half-width of the time in which they were: an update behind a stalled poll happened
/// at any time of the stall.
fn sharp(halves: &[f64]) -> (Vec<usize>, f64) {
    const BLUNT: f64 = 4.0;
    let half = median(halves.to_vec());
    let reach = BLUNT * half + 1e-3;
    ((0..halves.len()).filter(|&i| halves[i] <= reach).collect(), half)
}

/// Power readings whose windows can lie inside the run.
pub fn of_power(device: &Device, sensed: &Sensed<'_>, run: Interval, assumed: Place) -> Option<Rows> {
    let of_driver = sensed.origin() == Some(PowerOrigin::Samples);
    let mut updates = sensed.updates();
    updates.retain(|u| !u.after_hole);
    let halves: Vec<f64> = updates.iter().map(|u| u.half_ns as f64 * 1e-9).collect();
    let (kept, half) = sharp(&halves);
    let since = |t: i64| (t - run.start.as_nanos()) as f64 * 1e-9;
    let times: Vec<f64> = kept.iter().map(|&i| since(updates[i].t)).collect();
    let believed = device.power_timing.update_period_ms.map(|ms| ms * 1e-3);
    let (lattice, unseen) = clock(&times, half, believed, assumed)?;
    let (gain, offset) = device.calibration.map_or((1.0, 0.0), |c| (c.gain, c.offset.get()));
    let rows = kept.iter().enumerate().map(|(at, &i)| Row {
        end: seen(&lattice, &times, at),
        start: None,
        length: 0.0,
        watts: (updates[i].watts - offset) / gain,
    });
    let usable = |row: &Row| {
        let t = row.end.predicted;
        t > 0.0 && t < run.seconds() && !stalled(&row.end, &lattice, half)
    };
    Some(Rows {
        rows: rows.filter(usable).collect(),
        period: lattice.period,
        period_sd: lattice.period_sd,
        scatter: lattice.scatter,
        half,
        unseen,
        earliest_ms: earliest_ms(half, device, of_driver),
        least_ms: least_ms(&sensed.polled.times, device, (assumed, unseen)).filter(|_| !of_driver),
    })
}

/// Counter differences between ticks inside the run.
pub fn of_counter(device: &Device, stream: &PowerStream, run: Interval, assumed: Place) -> Option<Rows> {
    let (ticks, _) = counter::ticks(device, stream);
    let halves: Vec<f64> = ticks.iter().map(|t| t.half_ns as f64 * 1e-9).collect();
    let (kept, half) = sharp(&halves);
    let since = |t: i64| (t - run.start.as_nanos()) as f64 * 1e-9;
    let times: Vec<f64> = kept.iter().map(|&i| since(ticks[i].t)).collect();
    let believed = device.counter_timing.update_period_ms.map(|ms| ms * 1e-3);
    let (lattice, unseen) = clock(&times, half, believed, assumed)?;
    let (gain, offset) = device.calibration.map_or((1.0, 0.0), |c| (c.gain, c.offset.get()));
    let joined = if unseen > 0.0 { JOINED * 2.0 * half } else { 0.0 };
    let (mut rows, mut since, mut sum) = (Vec::with_capacity(kept.len()), None, 0);
    for (at, pair) in kept.windows(2).enumerate() {
        let (CounterStep::Advanced(counts) | CounterStep::Wrapped(counts)) = ticks[pair[1]].step else {
            since = None;
            continue;
        };
        let (start, end) = (seen(&lattice, &times, at), seen(&lattice, &times, at + 1));
        // A cell of many periods is a hole or a counter that stood still: no observation of the phases in it.
        let one_cell = pair[1] == pair[0] + 1 && (1..=4).contains(&lattice.steps[at + 1]);
        if !one_cell || stalled(&start, &lattice, half) || stalled(&end, &lattice, half) {
            since = None;
            continue;
        }
        let start = *since.get_or_insert_with(|| {
            sum = 0;
            start
        });
        sum += counts;
        let length = end.predicted - start.predicted;
        if length < joined {
            continue;
        }
        since = None;
        if start.predicted < 0.0 || end.predicted > run.seconds() || length <= 0.0 {
            continue;
        }
        let watts = sum as f64 * stream.counter_unit_joules / length;
        rows.push(Row {
            end,
            start: Some(start),
            length,
            watts: (watts - offset) / gain,
        });
    }
    Some(Rows {
        rows,
        period: lattice.period,
        period_sd: lattice.period_sd,
        scatter: lattice.scatter,
        half,
        unseen,
        earliest_ms: earliest_ms(half, device, false),
        least_ms: least_ms(&stream.times, device, (assumed, unseen)),
    })
}

impl Rows {
    /// The same readings as means over a window of their own.
    pub fn windowed(&self) -> Self {
        Self {
            rows: self.rows.iter().map(|row| Row { start: None, ..*row }).collect(),
            ..*self
        }
    }

    /// Every second block of `block` rows.
    pub fn half(&self, block: usize, which: usize) -> Self {
        let chosen = self.rows.iter().enumerate().filter(|(i, _)| i / block % 2 == which);
        Self {
            rows: chosen.map(|(_, row)| *row).collect(),
            ..*self
        }
    }

    /// At most `most` rows, in blocks spread over the whole (blocks keep neighbours together, whose errors belong together).
    pub fn spread(&self, most: usize) -> Self {
        const BLOCKS: usize = 24;
        if self.rows.len() <= most {
            return self.clone();
        }
        let (each, every) = (most / BLOCKS, self.rows.len() / BLOCKS);
        let blocks = (0..BLOCKS).flat_map(|b| self.rows[b * every..b * every + each].iter().copied());
        Self {
            rows: blocks.collect(),
            ..*self
        }
    }
}
