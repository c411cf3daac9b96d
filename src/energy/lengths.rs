//! Beside power windows that tile all time: does the counter add up all time, or these readings?
//!
//! Either way its energy is the readings', to a thousandth: what differs is what happens where updates jitter, and windows leave gaps or
//! overlap. A counter of all time has seen the gaps. One that is made of the readings, each times the time since the one before (or times
//! a period that it believes in), gives them the power of the windows beside them, and its total is off by what that misses.
//!
//! ```text
//! windows    [########][########]   [########][####[####]####]      W each
//! ticks               ^         ^            ^         ^            as polls saw them: each within a bracket of +- h
//! own lengths         |-- l1 ---|---- l2 ----|--- l3 --|            l = energy of the cell / its reading
//! ```
//!
//! The lengths l that the cells would have as readings times lengths tell the two apart. Of a counter made of readings they are the times
//! between its ticks, exactly but for rounding: added up they follow the ticks for ever, and at every one of them the same shift has to
//! lie in the bracket in which polls saw it. Of a counter of all time l is W + g P / y, with g the gap, P its power and y the reading,
//! and so they wander off the ticks, by g (P/y - 1) and the reading's own noise in each cell: a random walk.
//!
//! Which it is, is a ratio of likelihoods: the chance of all brackets for a shift that stays (but for rounding), against that for one
//! that walks, the mean over steps from a thousandth of a period to a thirtieth. If it stays, the ratio has the mean 1 however many cells
//! were seen, so that it ever exceeds 1/p with the probability p at most (Ville). Of brackets nothing is assumed but that they hold the tick:
//! polls in step with the ticks prove nothing. The readings may be those that came with the ticks, or those before or after; with none of
//! them may the shift stay. A counter that multiplies with one period has lengths that are all the same, but for rounding. Only what is
//! neither has been seen to add up all time.
//!
//! Of any other the totals are doubted by what the gaps can have held, as a power integral's are: each cell by (sd of the device's range
//! x (l - W))^2; where l are all the same, the ticks as seen say how long the gaps were. An update that did not come leaves a whole
//! window unseen, whose mean differs from its neighbour's as neighbours do; and a period that is not the sensor's is a share of the energy.
//!
//! *Limits of validity.* Ticks and updates in step, one to one, and polls that are closer than half a period. Lengths that the driver
//! rounds to a millisecond walk as well. Units: seconds, watts, joules.

#[cfg(test)]
mod tests;

use crate::model::device::Device;
use crate::model::sample::PowerStream;

use super::counter::{self, CounterStep};
use super::integrate;
use super::uncertainty::step_of;

/// Fewer cells tell nothing.
const FEWEST: usize = 8;
/// So many tell as well as all.
const ENOUGH: usize = 1000;
/// Counter and readings have the same period, to this share.
const IN_STEP: f64 = 0.05;
/// What may be made of readings is taken to be, unless it is likelier by e^7 that it is not: once in a thousand.
const SURELY: f64 = 7.0;
/// Steps of the walks, as shares of a period.
const WALKS: [f64; 6] = [0.001, 0.002, 0.004, 0.008, 0.016, 0.032];
/// A counter made of readings adds the one that comes with its tick, or the one before or after that.
const LAGS: [f64; 3] = [0.0, -1.0, 1.0];

/// What a counter made of readings has not seen.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Gaps {
    /// Mean square of what each cell is longer or shorter than its window, s^2.
    pub each_s2: f64,
    /// How many windows a cell is short of because updates did not come, and the mean square by which neighbouring readings differ, W^2.
    pub missed: f64,
    pub step_w2: f64,
    pub period_s: f64,
    /// By which share its energy is off if it multiplied with a period that is not the sensor's.
    pub drift: f64,
}

impl Gaps {
    /// Variance of the energy of so many seconds, J^2, on a device whose power scatters by `sd_w`.
    pub fn variance(&self, seconds: f64, sd_w: f64) -> f64 {
        let missed = self.missed * self.step_w2 * self.period_s.powi(2);
        (sd_w.powi(2) * self.each_s2 + missed) * seconds / self.period_s
    }
}

/// A cell of the counter.
#[derive(Debug, Clone, Copy)]
struct Cell {
    /// Where its ticks were seen, from some common beginning, and how far they may be off, seconds.
    ticks: [f64; 2],
    half: [f64; 2],
    joules: f64,
    /// For how many periods too long polls saw the counter stand: not the poller missed something there.
    missed: f64,
    /// What it is as a reading times a length, for each lag.
    lengths: [Length; LAGS.len()],
    /// Whether it is about a period long, neither of its ticks is hidden by a pause of the poller, and the device works.
    is_usual: bool,
}

impl Cell {
    fn seen(&self) -> f64 {
        self.ticks[1] - self.ticks[0]
    }
}

#[derive(Debug, Clone, Copy)]
struct Length {
    watts: f64,
    own: f64,
    /// Variance of `own` from the rounding of its reading, s^2.
    rounding: f64,
    /// What one count of the counter is worth, seconds.
    count: f64,
}

/// What a counter beside windows of `window_s`, about as long as the power readings' period, may not have seen. `None` where it was seen to
/// add up all time, and where nothing can be told. The first says whether it was.
pub fn of(device: &Device, polled: &PowerStream, [window_s, power_s]: [f64; 2]) -> (bool, Option<Gaps>) {
    let (period, cells) = cells(device, polled);
    let usual: Vec<&Cell> = cells.iter().filter(|cell| cell.is_usual).collect();
    // Of slow polls the median is theirs, and not the mean.
    if usual.len() < FEWEST || (mean(&usual, Cell::seen) / power_s - 1.0).abs() > IN_STEP {
        return (false, None);
    }
    let equal = (0..LAGS.len()).find(|&lag| are_equal(&usual, lag));
    match equal.or_else(|| following(&cells, period)) {
        Some(lag) => (
            false,
            Some(gaps((&cells, &usual), (lag, equal.is_some()), (period, window_s))),
        ),
        None => (true, None),
    }
}

fn gaps(
    (cells, usual): (&[Cell], &[&Cell]),
    (lag, are_equal): (usize, bool),
    (period_s, window_s): (f64, f64),
) -> Gaps {
    let mut each_s2 = mean(usual, |cell| (cell.lengths[lag].own - window_s).powi(2));
    let mut drift = 0.0;
    if are_equal {
        let bracket = |cell: &Cell| cell.half.iter().map(|half| half.powi(2) / 3.0).sum::<f64>();
        each_s2 = each_s2.max(mean(usual, |cell| (cell.seen() - window_s).powi(2) - bracket(cell)));
        let sum = |joules: &dyn Fn(&Cell, &Length) -> f64| {
            let each = cells.iter().map(|cell| joules(cell, &cell.lengths[lag]));
            each.sum::<f64>()
        };
        let off = sum(&|cell, length| (cell.seen() - length.own) * length.watts).abs();
        // Of a steady load all readings are rounded to the same side.
        let rounded = sum(&|_, length| (3.0 * length.rounding).sqrt() * length.watts);
        drift = (off - rounded).max(0.0) / sum(&|cell, _| cell.joules);
    }
    let step = |pair: &[&Cell]| (pair[1].lengths[lag].watts - pair[0].lengths[lag].watts).powi(2);
    let seen: f64 = cells.iter().map(Cell::seen).sum();
    Gaps {
        each_s2,
        missed: cells.iter().map(|cell| cell.missed).sum::<f64>() * period_s / seen,
        step_w2: usual.windows(2).map(step).sum::<f64>() / (usual.len() - 1) as f64,
        period_s,
        drift,
    }
}

fn mean(cells: &[&Cell], value: impl Fn(&Cell) -> f64) -> f64 {
    cells.iter().map(|cell| value(cell)).sum::<f64>() / cells.len() as f64
}

/// The counter's usual period, and its cells as readings times lengths.
fn cells(device: &Device, polled: &PowerStream) -> (f64, Vec<Cell>) {
    const LOADED: f64 = 0.5;
    const LONGEST_HALF: f64 = 0.25;
    let (ticks, _) = counter::ticks(device, polled);
    let (updates, ..) = integrate::updates(device, polled);
    let first = ticks.first().map_or(0, |tick| tick.t);
    let seconds = |ns: i64| (ns - first) as f64 * 1e-9;
    let apart = ticks.windows(2).map(|pair| seconds(pair[1].t) - seconds(pair[0].t));
    let Some(period) = median(apart.collect()) else {
        return (0.0, Vec::new());
    };
    let counted = |step: CounterStep| match step {
        CounterStep::Advanced(counts) | CounterStep::Wrapped(counts) => {
            Some(counts as f64 * polled.counter_unit_joules)
        }
        CounterStep::First | CounterStep::Reset => None,
    };
    let joules: Vec<f64> = ticks.iter().filter_map(|tick| counted(tick.step)).collect();
    let energy_step = step_of(joules).unwrap_or(0.0).max(polled.counter_unit_joules);
    let power_step = step_of(updates.iter().map(|update| update.watts).collect()).unwrap_or(0.0);
    let length = |joules: f64, at: f64| {
        let update = updates.partition_point(|update| seconds(update.t) <= at);
        let watts = updates[update.checked_sub(1)?].watts;
        let own = joules / watts;
        let length = Length {
            watts,
            own,
            rounding: (own * power_step / watts).powi(2) / 12.0,
            count: energy_step / watts,
        };
        (watts > 0.0).then_some(length)
    };
    let of_pair = |pair: &[counter::Tick]| {
        let joules = counted(pair[1].step)?;
        let ticks = [seconds(pair[0].t), seconds(pair[1].t)];
        let half = [pair[0], pair[1]].map(|tick| tick.half_ns as f64 * 1e-9);
        // In the middle of the next cell it is the reading in force, whichever of the two is published first.
        let [with, before, after] = LAGS.map(|lag| length(joules, ticks[1] + (0.5 + lag) * period));
        Some(Cell {
            ticks,
            half,
            joules,
            missed: ((pair[1].stood_ns as f64 * 1e-9 / period).round() - 1.0).max(0.0),
            lengths: [with?, before?, after?],
            is_usual: half.iter().all(|half| *half < LONGEST_HALF * period)
                && (0.5..1.5).contains(&((ticks[1] - ticks[0]) / period)),
        })
    };
    let mut cells: Vec<Cell> = ticks.windows(2).filter_map(of_pair).collect();
    // An idle device's readings are small, and their rounding is not.
    let mut watts: Vec<f64> = cells.iter().map(|cell| cell.joules / cell.seen()).collect();
    watts.sort_by(f64::total_cmp);
    let most = watts.get(watts.len() * 9 / 10).copied().unwrap_or(0.0);
    cells
        .iter_mut()
        .for_each(|cell| cell.is_usual &= cell.joules > LOADED * most * cell.seen());
    (period, cells)
}

/// Whether all lengths are the same but for rounding: then the counter knows nothing of how long they were.
fn are_equal(usual: &[&Cell], lag: usize) -> bool {
    const ROUNDED: f64 = 3.0;
    let of_all = |value: &dyn Fn(&Length) -> f64| usual.iter().map(|cell| value(&cell.lengths[lag])).collect();
    let rounding = median(of_all(&|length| length.rounding + length.count.powi(2) / 6.0)).unwrap_or(0.0);
    scatter(of_all(&|length| length.own)).is_some_and(|own| own < ROUNDED * rounding.sqrt())
}

/// By which lag the lengths, added up, may follow the ticks as they were seen; `None` if they wander off them by each.
fn following(cells: &[Cell], period: f64) -> Option<usize> {
    let grid = period / 500.0;
    let usual = || cells.iter().filter(|cell| cell.is_usual);
    let scatter = |lag: usize| scatter(usual().map(|cell| cell.lengths[lag].own).collect()).unwrap_or(f64::INFINITY);
    let calmest = (0..LAGS.len()).min_by(|&a, &b| scatter(a).total_cmp(&scatter(b)))?;
    let mut stays = [0, 1, 2].map(|lag| (0.0, Chain::new(lag)));
    let mut walks = WALKS.map(|step| ((step * period / grid).powi(2), Chain::new(calmest)));
    let best = |stays: &[(f64, Chain)]| {
        stays
            .iter()
            .map(|(_, chain)| chain.shift.log)
            .fold(f64::NEG_INFINITY, f64::max)
    };
    for cell in usual().take(ENOUGH) {
        stays
            .iter_mut()
            .chain(&mut walks)
            .for_each(|(variance, chain)| chain.see(cell, *variance, grid));
        let best = best(&stays);
        let ratio = walks
            .iter()
            .map(|(_, chain)| (chain.shift.log - best).exp())
            .sum::<f64>()
            / WALKS.len() as f64;
        if ratio > SURELY.exp() {
            return None;
        }
    }
    (0..LAGS.len()).max_by(|&a, &b| stays[a].1.shift.log.total_cmp(&stays[b].1.shift.log))
}

/// Lengths by one lag, added up along neighbouring cells, and where they lie against the ticks.
#[derive(Debug)]
struct Chain {
    lag: usize,
    /// End of the last cell.
    behind: f64,
    sum: f64,
    count: f64,
    shift: Shift,
}

impl Chain {
    fn new(lag: usize) -> Self {
        Self {
            lag,
            behind: f64::NAN,
            sum: 0.0,
            count: 0.0,
            shift: Shift::default(),
        }
    }

    /// The next cell, if the shift moves by a chance of this variance from one to the next.
    fn see(&mut self, cell: &Cell, variance: f64, grid: f64) {
        let length = cell.lengths[self.lag];
        // However many cells there are between: what one was rounded up by, the next is short of.
        let bracket = |end: usize, sum: f64| {
            let (middle, reach) = (cell.ticks[end] - sum, cell.half[end] + length.count);
            [middle - reach, middle + reach].map(|edge| edge / grid)
        };
        if self.behind != cell.ticks[0] {
            (self.sum, self.count) = (cell.ticks[0], length.count);
            self.shift.begin(bracket(0, self.sum));
        }
        self.sum += length.own;
        self.behind = cell.ticks[1];
        // Where neighbours' counts are not worth the same, some of it is left.
        let rounding = length.rounding + (length.count - self.count).powi(2) / 12.0;
        self.count = length.count;
        self.shift.see(bracket(1, self.sum), variance + rounding / grid.powi(2));
    }
}

/// Where the shift between lengths added up and ticks may be: its chances on a grid, and the logarithm of those of all brackets so far.
#[derive(Debug, Default)]
struct Shift {
    first: i64,
    chances: Vec<f64>,
    log: f64,
}

impl Shift {
    /// Anywhere in the bracket.
    fn begin(&mut self, bracket: [f64; 2]) {
        let (first, last) = (bracket[0].floor() as i64, bracket[1].ceil() as i64);
        let count = (last - first + 1) as usize;
        self.first = first;
        self.chances = vec![1.0 / count as f64; count];
    }

    /// It moved by chance, with this variance, and is in the bracket now. What no shift explains is a slip: begun anew, at a price.
    fn see(&mut self, bracket: [f64; 2], variance: f64) {
        const SLIP: f64 = -5.0;
        let kernel = kernel(variance);
        let reach = kernel.len() as i64 / 2;
        let (first, last) = (bracket[0].floor() as i64, bracket[1].ceil() as i64);
        let chance = |at: i64| -> f64 {
            let from = (at - reach).max(self.first);
            let to = (at + reach + 1).min(self.first + self.chances.len() as i64);
            (from..to)
                .map(|i| self.chances[(i - self.first) as usize] * kernel[(at - i + reach) as usize])
                .sum()
        };
        let mut chances: Vec<f64> = (first..=last).map(chance).collect();
        let all: f64 = chances.iter().sum();
        if all.ln() < SLIP {
            self.log += SLIP;
            return self.begin(bracket);
        }
        chances.iter_mut().for_each(|chance| *chance /= all);
        self.log += all.ln();
        (self.first, self.chances) = (first, chances);
    }
}

/// Chances of steps of a walk on a grid, with this variance.
fn kernel(variance: f64) -> Vec<f64> {
    const FINE: f64 = 0.5;
    const REACH: f64 = 4.0;
    if variance < FINE {
        return vec![0.5 * variance, 1.0 - variance, 0.5 * variance];
    }
    let reach = (REACH * variance.sqrt()).ceil() as i64;
    let normal: Vec<f64> = (-reach..=reach)
        .map(|i| (-0.5 * (i * i) as f64 / variance).exp())
        .collect();
    let sum: f64 = normal.iter().sum();
    normal.iter().map(|chance| chance / sum).collect()
}

/// Standard deviation of most: 1.48 times the median distance from the median.
fn scatter(values: Vec<f64>) -> Option<f64> {
    const NORMAL: f64 = 1.4826;
    let middle = median(values.clone())?;
    Some(NORMAL * median(values.iter().map(|value| (value - middle).abs()).collect())?)
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}
