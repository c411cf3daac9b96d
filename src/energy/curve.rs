//! A device's energy over time: cells of which only the energy as a whole is known.
//!
//! Owns the joining of sources: counter cells first, power cells where the counter has a hole or has not ticked yet, and an honest
//! nothing where both are silent. Leaves to `interval` how a cell is split between the phases that share it.
//!
//! ```text
//! counter   .....|------|------|------|xxxxxxxxx|------|......      x reset or stuck: energy unknown
//! power     |--|--|--|--|--|--|--|--|--|--|  hole   |--|--|--|
//! curve     |--|-|------|------|------|--|--|?????|.|------|..|     ? known = false: held power, bounds instead of a value
//! ```
//!
//! Invariants: cells are contiguous, ascending, and cover the run. Units: nanoseconds, joules.

use crate::model::analysis::{Method, PowerOrigin};
use crate::model::device::{Device, Source};
use crate::model::time::Interval;

use super::cell::{Cell, compare, cover, energy_between, overlap_s, splice, take};
use super::counter;
use super::integrate::Integrated;
use super::lengths::{self, Gaps};
use super::sensed::Sensed;
use super::summed::{self, Summed};

/// The power a device can have within a cell, watts: what splits of a cell's energy are possible.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PowerRange {
    pub floor: f64,
    pub ceiling: f64,
}

impl PowerRange {
    /// Mean of a power that can be anything in the range.
    pub fn middle(&self) -> f64 {
        0.5 * (self.floor + self.ceiling)
    }

    /// Its standard deviation.
    pub fn sd(&self) -> f64 {
        (self.ceiling - self.floor) / 12.0_f64.sqrt()
    }

    /// Phases shorter than a cell average out, so the cells' own extremes are no bound: half the lowest, and the power limit (twice
    /// the highest where it is unknown).
    fn of(cells: &[Cell], device: &Device) -> Self {
        let known = cells.iter().filter(|c| c.known && c.end > c.start).map(Cell::watts);
        let (low, high) = known.fold((f64::INFINITY, 0.0_f64), |(low, high), w| (low.min(w), high.max(w)));
        let floor = if low.is_finite() { (0.5 * low).max(0.0) } else { 0.0 };
        let ceiling = match device.power_limit {
            Some(limit) if limit.get() > 0.0 => (1.05 * high).max(limit.get()),
            _ => 2.0 * high,
        };
        Self { floor, ceiling }
    }
}

impl Curve {
    /// The counter adds up readings that look at part of the time: its cells are worth no more than those.
    pub fn doubt_counter(&mut self) {
        if self.method != Method::Counter {
            return;
        }
        let blind = self.story.blind_w2;
        for cell in self.cells.iter_mut().filter(|c| c.known) {
            let s = cell.seconds();
            let unseen = blind * s * self.story.power_period_ms.map_or(s, |ms| ms * 1e-3);
            cell.variance = cell.variance.max(unseen) + self.range.sd().powi(2) * cell.ends_s2();
        }
    }

    /// In place of `believed`, whose windows were what is believed of such boards. That the counter has seen more than the readings counts
    /// where both have it so; of windows that may cover all of the time (not `sees_part`) nothing more is said than before.
    pub fn beside(mut self, believed: &Self, sees_part: bool) -> Self {
        self.story.summed = match sees_part {
            false => believed.story.summed,
            true if believed.story.duty < summed::ALL => self.story.summed.and(believed.story.summed),
            true => self.story.summed,
        };
        self
    }

    /// The counter may be made of readings whose windows tile all time but for their jitter: nobody has seen what the gaps between them hold.
    pub fn doubt_gaps(&mut self) {
        let (Some(gaps), Method::Counter) = (self.story.gaps, self.method) else {
            return;
        };
        for cell in self.cells.iter_mut().filter(|c| c.known) {
            cell.variance += gaps.variance(cell.seconds(), self.range.sd());
        }
    }

    /// Whether its energy is that of readings which look at part of the time.
    pub fn is_part_time(&self) -> bool {
        self.method == Method::Integral && self.story.blind_w2 > 0.0
    }

    /// The sensor's own updates jitter by so much, beside what the poller adds.
    pub fn doubt_jitter(&mut self, jitter_s: f64) {
        if self.method == Method::Integral {
            let more = gaps(self.range, jitter_s);
            self.cells
                .iter_mut()
                .filter(|c| c.known)
                .for_each(|c| c.variance += more);
        }
    }

    /// Each reading is off by chance, with this variance, W^2.
    pub fn doubt_noise(&mut self, variance: f64) {
        for cell in self.cells.iter_mut().filter(|c| c.known) {
            cell.variance += variance * cell.seconds().powi(2);
        }
    }

    /// The sensor sees the same part of every step, and a counter that adds up its readings has seen no more: what it does not see can be
    /// anything the device can draw.
    pub fn doubt_unseen(&mut self, adds_up_readings: bool) {
        let is_of_readings = self.method == Method::Integral || adds_up_readings && self.method == Method::Counter;
        if is_of_readings && self.story.duty < summed::ALL {
            self.cells.iter_mut().for_each(|c| c.known = false);
        }
    }

    /// Median length of the known cells, seconds.
    pub fn cell_seconds(&self) -> f64 {
        let mut lengths: Vec<i64> = self.cells.iter().filter(|c| c.known).map(|c| c.end - c.start).collect();
        lengths.sort_unstable();
        lengths.get(lengths.len() / 2).map_or(0.0, |&l| l as f64 * 1e-9)
    }
}

/// Where a source's figures came from and how much of the run they cover.
#[derive(Debug, Clone, PartialEq)]
pub struct Curve {
    pub cells: Vec<Cell>,
    pub range: PowerRange,
    pub method: Method,
    pub story: Story,
    /// How well the time between a cell's end and its visibility is known: a standard uncertainty, seconds.
    pub delay_sd_s: f64,
    /// From where to where the source that `method` names says anything, nanoseconds: beyond, cells are of the other one.
    pub reach: (i64, i64),
}

/// How long after the end of a cell its value becomes visible is believed to lie in 0 to 10 ms, taken as uniform
/// (`docs/measurement.md`; the boards of the SC24 survey lie between -2 and 7 ms).
pub const DELAY_SD_S: f64 = 2.9e-3;
pub const USUAL_DELAY_S: f64 = 5e-3;

/// A counter that does not move for so many of its usual cells stands still.
const LONG: i64 = 5;
/// It has lost energy if it went on by less than this share of what power readings saw.
const LOST: f64 = 0.7;
/// The period that a counter is granted which never moved.
const NEVER_MOVED_NS: i64 = 200_000_000;

/// What happened on the way from readings to the curve: the material of checks and warnings.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Story {
    /// Seconds of the run no sensor saw.
    pub hole_s: f64,
    /// Longest of those stretches, seconds.
    pub longest_hole_s: f64,
    /// Counter resets, and stretches in which the counter stood still while power flowed.
    pub resets: u64,
    pub stuck_s: f64,
    /// Stretches in which it stood still, and then moved by all that had flowed meanwhile.
    pub late_s: f64,
    /// Readings dropped as impossible (a single zero, a step back and forth).
    pub glitches: u64,
    /// Counter energy over power integral where both were seen, and the seconds that covers.
    pub counter_over_integral: Option<(f64, f64)>,
    /// Whether the counter is made of the power readings; beside those that look at all of the time, only whether it is not.
    pub summed: Summed,
    /// What it has not seen if it may be made of readings that look at all of the time.
    pub gaps: Option<Gaps>,
    /// The same of the driver's own samples over the polled readings, where the samples are used.
    pub samples_over_polled: Option<(f64, f64)>,
    /// Share of the time that the power windows cover, and the variance (W^2) of a cell's mean power for what they do not.
    pub duty: f64,
    pub blind_w2: f64,
    /// Median time between updates as seen, milliseconds.
    pub power_period_ms: Option<f64>,
    pub counter_period_ms: Option<f64>,
    /// By how much the counter moves at a time, J.
    pub counter_step_joules: f64,
}

/// Counter and power integral differ by so much and contradict each other, beside what is usual.
const CONTRADICTION: f64 = 0.10;

impl Story {
    /// By which share counter and power integral usually differ at most over so many seconds: windows that look at part of the time, ends.
    pub fn usual_difference(seconds: f64) -> f64 {
        0.02 + 0.1 / seconds.max(0.1)
    }

    /// By which share of its own the counter's energy is too low if the power readings are right (too high: below 0), where the two
    /// contradict each other.
    pub fn contradiction(&self) -> Option<f64> {
        let (ratio, seconds) = self.counter_over_integral?;
        let is_one = (ratio - 1.0).abs() >= CONTRADICTION + Self::usual_difference(seconds);
        is_one.then(|| 1.0 / ratio.max(f64::MIN_POSITIVE) - 1.0)
    }
}

/// What a curve is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sources {
    All,
    PowerAlone,
}

/// The curve of one device by its sensors' timing as it stands in `device`, or `None` where no sensor said anything usable.
pub fn build(device: &Device, sensed: &Sensed<'_>, run: Interval, sources: Sources) -> Option<Curve> {
    let mut counter = counter::cells(device, sensed.polled);
    let power = sensed.cells(device, run);
    let mut story = Story {
        resets: counter.resets,
        glitches: counter.glitches + power.glitches,
        samples_over_polled: power.over_polled,
        duty: power.duty,
        blind_w2: power.blind_w2,
        power_period_ms: power.period_s.map(|s| s * 1e3),
        counter_period_ms: counter.period_s.map(|s| s * 1e3),
        counter_step_joules: counter.step_joules,
        ..Story::default()
    };
    let mut counter_cells = counter.cells;
    let (still, stood) = (std::mem::take(&mut counter.still), counter.stood_ns);
    mark_stuck(&mut counter_cells, (&still, &stood), &power.cells, &mut story);
    story.counter_over_integral = compare(&counter_cells, &power.cells, run);
    story.summed = summed::of(&counter_cells, &power.cells, power.duty);
    if let Some(timing) = tiled(device, sensed, &power) {
        let (adds_up_all_time, gaps) = lengths::of(device, sensed.polled, timing);
        story.gaps = gaps;
        if adds_up_all_time {
            story.summed = Summed::No;
        }
    }
    if sources == Sources::PowerAlone {
        counter_cells.clear();
    }
    let counted: f64 = overlap_s(&counter_cells, run);
    let reach = |cells: &[Cell]| Some((cells.first()?.start, cells.last()?.end));
    let [counter_reach, power_reach] =
        [&counter_cells, &power.cells].map(|cells| reach(cells).unwrap_or((i64::MIN, i64::MAX)));
    let mut cells = splice(&counter_cells, &power.cells);
    if cells.iter().all(|c| !c.known) {
        return None;
    }
    cover(&mut cells, run);
    fill(&mut cells);
    for cell in cells.iter().filter(|c| !c.known) {
        let s = (cell.end.min(run.end.as_nanos()) - cell.start.max(run.start.as_nanos())).max(0) as f64 * 1e-9;
        story.hole_s += s;
        story.longest_hole_s = story.longest_hole_s.max(s);
    }
    let method = match device.source {
        Source::Estimate => Method::Estimate,
        _ if counted > 0.5 * run.seconds() => Method::Counter,
        _ => Method::Integral,
    };
    let range = PowerRange::of(&cells, device);
    if method == Method::Integral {
        for cell in cells.iter_mut().filter(|c| c.known) {
            cell.variance += range.sd().powi(2) * cell.ends_s2();
        }
    }
    let period_s = match method {
        Method::Counter => counter.period_s,
        _ => power.period_s,
    };
    Some(Curve {
        delay_sd_s: DELAY_SD_S.hypot(common_age_s(&cells, period_s)),
        range,
        cells,
        method,
        story,
        reach: if method == Method::Counter {
            counter_reach
        } else {
            power_reach
        },
    })
}

/// Window and period of polled readings of which each looks at about all the time since the one before, seconds.
fn tiled(device: &Device, sensed: &Sensed<'_>, power: &Integrated) -> Option<[f64; 2]> {
    let period_s = power
        .period_s
        .filter(|_| sensed.origin() != Some(PowerOrigin::Samples))?;
    let window_s = device.power_timing.window_ms.map_or(period_s, |ms| ms * 1e-3);
    let is_tiled = (summed::ALL..1.0 / summed::ALL).contains(&(window_s / period_s));
    is_tiled.then_some([window_s, period_s])
}

/// Where updates are polled as slowly as they come, or more slowly, how old they are when they are seen is not known, and if the sensor
/// is faster than the polls it is much the same each time: a doubt that all edges have in common. Standard uncertainty, seconds.
fn common_age_s(cells: &[Cell], period_s: Option<f64>) -> f64 {
    let mut edges: Vec<f64> = cells.iter().filter(|c| c.known).map(|c| c.ends_s[1]).collect();
    edges.sort_by(f64::total_cmp);
    let usual = edges.get(edges.len() / 2).copied().unwrap_or(0.0);
    // An edge anywhere in a bracket as long as the period has a standard uncertainty of a twelfth's root of it.
    let slow = usual * 12.0_f64.sqrt() > 0.75 * period_s.unwrap_or(f64::INFINITY);
    if slow { usual } else { 0.0 }
}

/// Windows that should tile time overlap and leave gaps as the updates jitter: there the power can be anything. J^2.
fn gaps(range: PowerRange, jitter_s: f64) -> f64 {
    2.0 * (range.sd() * jitter_s).powi(2)
}

/// A counter that stood still for much longer than its period while power flowed has lost that energy, or tells of it late: then power
/// readings say how the time between shared it. A long cell in which nobody looked is none of that: `stood` says how long polls saw it
/// stand in each cell.
fn mark_stuck(counter: &mut Vec<Cell>, (still, stood): (&[(i64, i64)], &[i64]), power: &[Cell], story: &mut Story) {
    let mut lengths: Vec<i64> = counter.iter().map(|c| c.end - c.start).collect();
    lengths.sort_unstable();
    let usual = lengths.get(lengths.len() / 2).copied().unwrap_or(NEVER_MOVED_NS);
    for &(from, to) in still.iter().filter(|(from, to)| to - from > LONG * usual) {
        // Its last periods are not over yet, and a device that is nearly off may not have filled a count.
        let short = counter.iter().filter(|c| c.end - c.start <= LONG * usual);
        let usual_joules = short.map(|c| c.joules).fold(0.0, f64::max);
        let seen: f64 = within(power, from, to).iter().map(|c| c.joules).sum();
        if seen > LONG as f64 * usual_joules {
            story.stuck_s += (to - from) as f64 * 1e-9;
        }
    }
    let mut at = 0;
    let mut cells = Vec::with_capacity(counter.len());
    for (mut cell, &stood_ns) in counter.drain(..).zip(stood) {
        let long = cell.known && stood_ns.min(cell.end - cell.start) > LONG * usual;
        let seen = long
            .then(|| energy_between(power, &mut at, cell.start, cell.end))
            .flatten();
        match seen {
            Some(seen) if cell.joules < LOST * seen => {
                cell.known = false;
                story.stuck_s += cell.seconds();
            }
            Some(seen) if cell.joules * LOST < seen => {
                story.late_s += cell.seconds();
                let share = cell.joules / seen;
                cells.extend(within(power, cell.start, cell.end).into_iter().map(|part| Cell {
                    joules: share * part.joules,
                    ..part
                }));
                continue;
            }
            _ => {}
        }
        cells.push(cell);
    }
    *counter = cells;
}

/// The parts of `cells` that lie in `from..to`.
fn within(cells: &[Cell], from: i64, to: i64) -> Vec<Cell> {
    let mut parts = Vec::new();
    take(cells, &mut 0, from, to, &mut parts);
    parts
}

/// Unknown cells hold the power of the known cells beside them: a value to carry, bounded as unknown.
fn fill(cells: &mut [Cell]) {
    let mut before = None;
    for i in 0..cells.len() {
        if cells[i].known {
            before = Some(cells[i].watts());
            continue;
        }
        let after = cells[i..].iter().find(|c| c.known).map(Cell::watts);
        let held = match (before, after) {
            (Some(a), Some(b)) => 0.5 * (a + b),
            (Some(one), None) | (None, Some(one)) => one,
            (None, None) => 0.0,
        };
        cells[i].joules = held * cells[i].seconds();
    }
}
