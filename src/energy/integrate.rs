//! Power readings -> cells: each reading held over its update cell.
//!
//! A reading that became visible at u is the mean over the window that ended a delay before: it is held over one period around that
//! window's middle. Holes in the readings stay holes.
//!
//! ```text
//! window W         [####]      [####]      [####]         W < T: the rest of the cell was not looked at (variance)
//! visible               ^u1         ^u2         ^u3
//! cells            |--- y1 ---|--- y2 ---|--- y3 ---|
//! ```
//!
//! A window of several periods (a 1 s average every 100 ms) is thinned to readings whose windows tile time.

use crate::model::device::{Device, SensorTiming, Source};
use crate::model::sample::{PowerStream, SampleStream};

use super::cell::Cell;
use super::uncertainty::few_values;

/// The window of the long average (NVML field 185, `nvml.h`: one second).
const AVERAGE_WINDOW_MS: f64 = 1000.0;
/// Equal values hide updates: a stretch of this many periods without a change is cut into periods.
const STRETCH: f64 = 1.5;
/// Changes as far apart as this many polls are seen at each poll.
const EACH: f64 = 1.2;
/// A driver's own stamps are whole microseconds.
const STAMP_NS: i64 = 500;
/// Windows that cover more of the time than this cover all of it: no better are windows and periods known.
const ALL: f64 = 0.99;
/// Samples further apart than this many of their periods have a hole between them.
const HOLE: i64 = 3;

/// One new value of the sensor.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Update {
    /// Middle of the time in which it appeared, nanoseconds.
    pub t: i64,
    pub half_ns: i64,
    pub watts: f64,
    /// No readings between the update before and this one.
    pub after_hole: bool,
}

/// Cells of a power stream and how they came about.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Integrated {
    pub cells: Vec<Cell>,
    pub glitches: u64,
    pub period_s: Option<f64>,
    /// Share of the time that the windows cover.
    pub duty: f64,
    /// Variance of a cell's mean power from the time they do not, W^2.
    pub blind_w2: f64,
    /// Energy over that of the polled readings where both know it, and the seconds that covers; of samples only.
    pub over_polled: Option<(f64, f64)>,
}

/// The least averaged column there is, with what is believed of its timing.
fn column<'a>(device: &Device, stream: &'a PowerStream) -> (&'a [f64], SensorTiming) {
    if stream.watts.iter().any(|w| w.is_finite()) {
        return (&stream.watts, device.power_timing);
    }
    let timing = SensorTiming {
        window_ms: Some(AVERAGE_WINDOW_MS),
        ..device.power_timing
    };
    (&stream.average_watts, timing)
}

/// All updates, their usual distance in seconds, and how many readings were dropped as impossible.
pub fn updates(device: &Device, stream: &PowerStream) -> (Vec<Update>, Option<f64>, u64) {
    let (watts, timing) = column(device, stream);
    let mut polls: Vec<(i64, i64, f64)> = Vec::with_capacity(watts.len());
    let mut glitches = 0;
    for (&w, (t, &half)) in watts.iter().zip(stream.times.t.iter().zip(&stream.times.half_width_ns)) {
        // A device that is on draws more than nothing: a zero among readings is a failed read that some drivers give.
        let impossible = !w.is_finite() || w < 0.0 || (w == 0.0 && device.source != Source::Estimate);
        if impossible {
            glitches += u64::from(w.is_finite());
        } else {
            polls.push((t.as_nanos(), i64::from(half), w));
        }
    }
    let poll_s = median_s(polls.windows(2).map(|p| p[1].0 - p[0].0));
    let changes: Vec<i64> = polls.windows(2).filter(|p| p[1].2 != p[0].2).map(|p| p[1].0).collect();
    // Polls need not be evenly apart: what counts is how closely they lie about the changes.
    let about = polls.windows(2).filter(|p| p[1].2 != p[0].2).map(|p| p[1].0 - p[0].0);
    let bracket_s = median_s(about).unwrap_or(0.0);
    let changed = (changes.len() >= 8)
        .then(|| Changes::new(&changes, bracket_s))
        .flatten();
    let seen = changed.map(|changed| changed.period_s);
    let believed = timing.update_period_ms.map(|ms| ms * 1e-3);
    let period = match (seen, believed) {
        // Equal neighbours make the seen period longer than it is, never shorter.
        (Some(seen), Some(believed)) if seen > 0.5 * believed && seen < 1.5 * believed => Some(seen),
        (Some(seen), None) => Some(seen),
        // A board that is slower than such boards are.
        (Some(seen), Some(believed)) if seen > believed && changed.is_some_and(|c| c.is_regular) => Some(seen),
        (Some(seen), Some(believed)) => Some(seen.min(believed.max(poll_s.unwrap_or(0.0)))),
        (None, Some(believed)) => Some(believed.max(poll_s.unwrap_or(0.0))),
        (None, None) => poll_s,
    };
    // Polled more slowly than it updates: what a poll shows is no older than the sensor's period, however long ago the last poll was.
    let oldest = believed.filter(|&b| {
        let (polled, changed) = (poll_s.unwrap_or(0.0), seen.unwrap_or(f64::INFINITY));
        b < polled && changed < EACH * polled
    });
    let oldest_ns = oldest.map_or(i64::MAX, |s| (s * 1e9) as i64);
    let hole_ns = (5.0 * poll_s.unwrap_or(0.0)).max(3.0 * period.unwrap_or(0.0)).max(0.05) * 1e9;
    let mut updates: Vec<Update> = Vec::with_capacity(changes.len() + 1);
    for (i, &(t, half, w)) in polls.iter().enumerate() {
        let before = i.checked_sub(1).map(|j| polls[j]);
        let gap = before.map_or(0, |b| t - b.0);
        let after_hole = gap as f64 > hole_ns;
        let since = updates.last().map_or(f64::INFINITY, |u| (t - u.t) as f64 * 1e-9);
        let due = period.is_none_or(|p| since >= STRETCH * p);
        let changed = before.is_none_or(|b| b.2 != w);
        // Polls as far apart as updates each show a new one, though it may say the same.
        let each = period.is_some_and(|p| EACH * gap as f64 * 1e-9 >= p);
        if !(changed || after_hole || due || each) {
            continue;
        }
        let (t, half_ns) = match (before, updates.last(), period) {
            (Some(b), _, _) if (changed || each) && !after_hole => {
                let age = (t - b.0).min(oldest_ns);
                (t - age / 2, age / 2 + half)
            }
            // No change to see: the next of the unseen updates.
            (Some(_), Some(last), Some(p)) if !after_hole => (last.t + (p * 1e9) as i64, (p * 2e8) as i64),
            _ => (t, half),
        };
        updates.push(Update {
            t: updates.last().map_or(t, |u| t.max(u.t + 1)),
            half_ns,
            watts: w,
            after_hole,
        });
    }
    if let (Some(period), true) = (period, changed.is_some_and(|c| c.is_regular)) {
        updates = without_frozen(updates, period);
    }
    (updates, period, glitches)
}

/// A sensor whose value changes every period, and then stands at one that it used to leave: it is stuck, and says nothing of that time.
fn without_frozen(updates: Vec<Update>, period_s: f64) -> Vec<Update> {
    const FROZEN: f64 = 20.0;
    const NEAR: f64 = 0.05;
    const USED_TO: usize = 20;
    let mut kept = Vec::with_capacity(updates.len());
    let mut hole = false;
    for run in updates.chunk_by(|a, b| a.watts == b.watts && !b.after_hole) {
        let (first, last) = (run[0], run[run.len() - 1]);
        let is_long = (last.t - first.t) as f64 * 1e-9 > FROZEN * period_s;
        let near = |u: &&Update| u.watts != first.watts && (u.watts / first.watts - 1.0).abs() < NEAR;
        let is_frozen = is_long && updates.iter().filter(near).take(USED_TO).count() == USED_TO;
        let end = if is_frozen { 1 } else { run.len() };
        kept.extend(run[..end].iter().enumerate().map(|(i, update)| Update {
            after_hole: update.after_hole || (i == 0 && hole),
            ..*update
        }));
        hole = is_frozen;
    }
    kept
}

/// What the times say at which a sensor's value changed.
#[derive(Debug, Clone, Copy)]
struct Changes {
    period_s: f64,
    /// Whether nearly all are one period apart: then none hide between them.
    is_regular: bool,
}

impl Changes {
    /// A steady load leaves a quiet sensor's value as it is: changes are then many periods apart, and the closest ones tell the period.
    /// `None` where none are closer than sensors are slow.
    fn new(changes: &[i64], bracket_s: f64) -> Option<Self> {
        const CLOSEST: usize = 10;
        const SAME: f64 = 1.5;
        const NEARLY_ALL: usize = 9;
        const BRACKETS: f64 = 3.0;
        const APART: f64 = 1.8;
        const SLOWEST_S: f64 = 2.0;
        let mut gaps: Vec<i64> = changes.windows(2).map(|pair| pair[1] - pair[0]).collect();
        gaps.sort_unstable();
        let usual = median_s(gaps.iter().copied())?;
        let closest = 1e-9 * gaps[gaps.len() / CLOSEST] as f64;
        let near = gaps.partition_point(|&gap| 1e-9 * gap as f64 <= SAME * closest);
        // Between polls that are as slow as the sensor, gaps are the poller's.
        let period_s = if usual <= SAME * closest || closest < BRACKETS * bracket_s {
            usual
        } else {
            median_s(gaps[..near].iter().copied())?
        };
        (period_s < SLOWEST_S.max(BRACKETS * bracket_s)).then_some(Self {
            period_s,
            // Changes no more than a bracket apart may hide others, and be the poller's.
            is_regular: 10 * near > NEARLY_ALL * gaps.len() && closest >= APART * bracket_s,
        })
    }
}

/// A driver's own samples as updates, and their usual distance in seconds: each has its own time, whether its value is new or not.
pub fn updates_of_samples(samples: &SampleStream) -> (Vec<Update>, Option<f64>) {
    let times: Vec<i64> = samples.t.iter().map(|t| t.as_nanos()).collect();
    let period = median_s(times.windows(2).map(|pair| pair[1] - pair[0]));
    let hole = period.map_or(i64::MAX, |s| HOLE * (s * 1e9) as i64);
    let update = |(i, (&t, &watts)): (usize, (&i64, &f64))| Update {
        t,
        half_ns: STAMP_NS,
        watts,
        after_hole: i > 0 && t - times[i - 1] > hole,
    };
    (
        times.iter().zip(&samples.watts).enumerate().map(update).collect(),
        period,
    )
}

/// The power stream's cells, calibrated.
pub fn cells(device: &Device, stream: &PowerStream) -> Integrated {
    let (updates, period, glitches) = updates(device, stream);
    let (_, timing) = column(device, stream);
    Integrated {
        glitches,
        ..cells_of(device, timing, &updates, period, 1.0)
    }
}

/// The same of a driver's own samples, of whose timing `device` says what is known.
/// `most_seen`: no larger share of the time is taken to be in their windows.
pub fn cells_of_samples(device: &Device, samples: &SampleStream, most_seen: f64) -> Integrated {
    let (updates, period) = updates_of_samples(samples);
    cells_of(device, device.power_timing, &updates, period, most_seen)
}

fn cells_of(
    device: &Device,
    timing: SensorTiming,
    updates: &[Update],
    period: Option<f64>,
    most_seen: f64,
) -> Integrated {
    let mut integrated = Integrated {
        period_s: period,
        duty: 1.0,
        ..Integrated::default()
    };
    let Some(period_s) = period.filter(|p| *p > 0.0) else {
        return integrated;
    };
    let window_s = timing.window_ms.map_or(period_s, |ms| ms * 1e-3);
    let tile = (window_s / period_s).round().max(1.0) as usize;
    let cell_ns = (period_s * tile as f64 * 1e9) as i64;
    let back_ns = ((timing.delay_ms.unwrap_or(0.0) * 1e-3 + 0.5 * window_s) * 1e9) as i64;
    let (gain, offset) = device.calibration.map_or((1.0, 0.0), |c| (c.gain, c.offset.get()));
    let thinned = thin(updates, tile);
    // Windows longer than their cells look at a part of the next one twice, which is as wrong as not at all.
    let covered = window_s / (period_s * tile as f64);
    integrated.duty = covered.min(1.0 / covered).min(most_seen);
    let watts: Vec<f64> = thinned.iter().map(|update| update.watts).collect();
    integrated.blind_w2 = unseen_variance(&watts, integrated.duty) / (gain * gain);
    let blind = integrated.blind_w2 * (cell_ns as f64 * 1e-9).powi(2);
    for (i, update) in thinned.iter().enumerate() {
        let middle = update.t - back_ns;
        let neighbour = |other: Option<&Update>, hole: bool| other.filter(|_| !hole).map(|o| o.t - back_ns);
        let before = neighbour(i.checked_sub(1).map(|j| &thinned[j]), update.after_hole);
        let after = neighbour(thinned.get(i + 1), thinned.get(i + 1).is_some_and(|n| n.after_hole));
        let start = before.map_or(middle - cell_ns / 2, |b| b + (middle - b) / 2);
        let start = start.max(integrated.cells.last().map_or(i64::MIN, |c| c.end));
        let end = after.map_or(middle + cell_ns / 2, |a| middle + (a - middle) / 2);
        if end <= start {
            continue;
        }
        let watts = (update.watts - offset) / gain;
        integrated.cells.push(Cell {
            start,
            end,
            joules: watts * (end - start) as f64 * 1e-9,
            known: true,
            ends_s: [update.half_ns as f64 * 1e-9 / 3.0_f64.sqrt(); 2],
            variance: blind,
        });
    }
    integrated
}

/// Every n-th update, counted from the last one before each hole: the first one kept has looked back to before the first one there is.
fn thin(updates: &[Update], n: usize) -> Vec<Update> {
    let mut since = 0;
    let mut kept: Vec<Update> = Vec::with_capacity(updates.len() / n + 1);
    for update in updates.iter().rev() {
        if since % n == 0 {
            kept.push(Update {
                after_hole: false,
                ..*update
            });
        }
        since += 1;
        if update.after_hole {
            kept.iter_mut().rev().take(1).for_each(|first| first.after_hole = true);
            since = 0;
        }
    }
    kept.reverse();
    kept
}

/// Variance (W²) of a cell's mean power about the reading that stands for it, where the window covers only `duty` of the cell:
/// the long-run variance of the readings (Bartlett weights), for readings that beat with the load are not independent.
pub fn unseen_variance(watts: &[f64], duty: f64) -> f64 {
    if duty >= ALL || watts.len() < 4 {
        return 0.0;
    }
    let lags = (watts.len() as f64).sqrt() as usize;
    let (own, tails) = long_run(watts, lags);
    (own + tails).max(0.1 * own) * (1.0 - duty) * few_values(lags, watts.len())
}

/// Variance of values, and what their dependence on those up to so many `lags` behind adds to that of their sum, for each (Bartlett weights).
pub fn long_run(values: &[f64], lags: usize) -> (f64, f64) {
    let n = values.len();
    let mean = values.iter().sum::<f64>() / n as f64;
    let covariance = |lag: usize| {
        let products = values.iter().zip(&values[lag..]).map(|(a, b)| (a - mean) * (b - mean));
        products.sum::<f64>() / n as f64
    };
    let tails = (1..=lags).map(|l| 2.0 * bartlett(l, lags) * covariance(l));
    (covariance(0), tails.sum())
}

/// Weight of the `l`-th of so many lags.
pub fn bartlett(l: usize, lags: usize) -> f64 {
    1.0 - l as f64 / (lags + 1) as f64
}

fn median_s(gaps: impl Iterator<Item = i64>) -> Option<f64> {
    let mut gaps: Vec<i64> = gaps.collect();
    if gaps.is_empty() {
        return None;
    }
    gaps.sort_unstable();
    Some(gaps[gaps.len() / 2] as f64 * 1e-9)
}
