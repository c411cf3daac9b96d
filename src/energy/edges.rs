//! Cells at the edges of long phases: how far the split of one may be off, where the leaves' mean powers are known.
//!
//! What the power can be at all bounds a split (`interval`), and that is wide: it allows for a device that draws its limit up to the
//! marker and next to nothing behind it. Where the sensor model knows what the leaves draw on average, and the curve's own cells show how
//! far single ones lie from that, the doubt about a split is a standard uncertainty.
//!
//! ```text
//! cell, E joules     |-------------------|       a = what A's leaves draw in their seconds on average, b = the same of the rest
//! phase A                      begins ^----      A gets E a / (a + b) = p E
//! ```
//!
//! - *Chance*: A's stretch differs from its level there (`levels`) by a variance va, the rest by vb. p E is wrong by p of the rest's difference less
//!   (1 - p) of A's: p^2 vb + (1 - p)^2 va, and another time at each edge: quadrature.
//! - *Means*: how surely p is known, from the covariance of the leaves' powers. The same at each edge: linear.
//! - *Lag*: power that follows its markers late takes a sensor's delay that was found with it, so that cells lie as if it did not, and are
//!   split as if it did not. The phase has the energy of the lag before its beginning and not that of the lag before its end: what it
//!   draws inside does not matter, nor where cells end. By the mean of that over possible lags its value is moved, by the farthest it is
//!   doubted (`lags`).
//! - *Surprise*: d = E - a - b. If all of it is A's, A had (1 - p) d more than its share; if it is the rest's, p d less; as far as the
//!   device can. Over the edges at which a phase begins, and those at which it ends, these are added with their signs: what is no chance
//!   there is local power that differs from the mean at every such edge (first steps that are slow, power that rises inside a phase),
//!   and counts in full.
//!
//! *Limits of validity*: leaves that ran twelve times, or fill cells alone; phases with most of their energy in cells of their own: the
//! split of others is the model's word, and not a second one. Never more than the bound. Units: joules, watts, seconds.

mod doubts;
mod lags;
mod rest;
#[cfg(test)]
mod tests;

pub use doubts::{Doubts, Place};
pub use rest::Rest;

use crate::model::analysis::Method;

use super::cell::Cell;
use super::curve::Curve;
use super::levels::{Levels, REPEATED};
use super::sensor_model::{Model, Ramp, Symmetric};
use super::shares;
use super::timeline::Timeline;
use super::uncertainty::K95;
use lags::Lags;

/// Cells that a leaf fills alone: so many tell its mean, and so many its scatter.
const TOLD: usize = 2;
const SCATTER_TOLD: usize = 4;
/// A device that draws less than this share of what it draws under load is idle.
const IDLE: f64 = 0.5;
/// A phase with more than this share of its energy in split cells is not long: about five cells at a time.
const SPLIT_SHARE: f64 = 0.2;

/// What the leaves are expected to draw, and how sure that is.
#[derive(Debug, Clone, PartialEq)]
pub struct Expected {
    watts: Vec<f64>,
    /// Of the mean powers, W^2.
    covariance: Symmetric,
    known: Vec<bool>,
    repeated: Vec<bool>,
    /// How far what ran often inside phases lies from its mean.
    levels: Levels,
    /// Variance of the energy of a stretch about its mean, for each second of it, J^2/s.
    scatter: Vec<f64>,
    /// The same for each watt of a stretch of which nothing else is known, J.
    grain: f64,
    /// Whether the device idles outside every phase.
    is_idle: bool,
    /// Whether cells scatter by the timing of their ends too: their energy is counted, and not power times time.
    is_counted: bool,
    /// Variance of what a counter rounds off at each end of a cell, J^2.
    rounded: f64,
    /// What the power's lag behind the markers may move into each figure, or out of it, at 95 %; and of the leaves' own, J.
    lag: Vec<f64>,
    own_lag: Vec<f64>,
    /// What the lag that is likely in the mean moves into each leaf, or out of it, J.
    moved: Vec<f64>,
    /// Which of the split's figures are of long phases, and which leaves' own.
    long: Vec<bool>,
    own_long: Vec<bool>,
}

/// One split cell, as seen by a phase.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Edge {
    /// From chance, J^2; half-width from the means, J.
    pub variance: f64,
    pub means: f64,
    /// What the surprise says the phase had beyond its share: if all of it is the phase's, and if it is the rest's; variance by chance.
    pub surprise: [f64; 2],
    pub chance: [f64; 2],
    /// Variance of what the counter has rounded off at the end of the cell on the phase's side and at that on the rest's, J^2.
    pub rounded: [f64; 2],
    /// Watts that a shift of the cell moves: of its end on the phase's side and of that on the rest's (squares), and of both.
    pub ends_w2: [f64; 2],
    pub shifted_w: f64,
}

/// Sums over cells: those that a leaf fills alone, or those in which something ran that ran often.
#[derive(Debug, Clone, Copy, Default)]
struct Sums {
    cells: usize,
    seconds: f64,
    joules: f64,
    expected: f64,
    /// Sum of (joules - expected)^2, and what of it the cells' ends are expected to add.
    squares: f64,
    timing: f64,
}

impl Sums {
    /// Sum of squares of what the power itself scatters by: the ends are a doubt of their own. `few`: how much larger it may be for being of
    /// few cells.
    fn own_squares(&self, few: f64) -> f64 {
        few * (self.squares - self.timing).max(0.0)
    }
}

impl Expected {
    /// From the powers that the curve is split by and the leaves' seconds; `None` where its cells are too few to tell how they scatter.
    /// `long` and `own_long` say which figures, and which leaves' own, are of long phases ([`is_long`]); `rest` is what was
    /// seen of the time outside, `lag` how far the power lags behind the markers where cells lie as if it did not.
    pub fn new(
        curve: &Curve,
        (timeline, parents): (&Timeline, &[Option<usize>]),
        (watts, seconds): (&[f64], &[f64]),
        (model, rest, lag): (&Model, Option<Rest>, Ramp),
        [long, own_long]: [Vec<bool>; 2],
    ) -> Option<Self> {
        let outside = timeline.outside();
        let segments = timeline.segments();
        let repeated: Vec<bool> = segments.iter().map(|&n| n >= REPEATED).collect();
        let levels = Levels::of_load(curve, timeline, watts);
        let mut alone = vec![Sums::default(); timeline.leaves];
        let mut mixed = Sums::default();
        let is_counted = curve.method == Method::Counter;
        // A counter of whole steps says up to a step less than there was, each as likely.
        let rounded = if is_counted {
            curve.story.counter_step_joules.powi(2) / 12.0
        } else {
            0.0
        };
        let cells = curve.cells.iter().map(|c| (c.start, c.end));
        shares::walk(timeline, cells, |i, shares| {
            let cell = &curve.cells[i];
            // Cells of another source are not as calm, or not as restless.
            if !cell.known || cell.start < curve.reach.0 || cell.end > curve.reach.1 {
                return;
            }
            let beyond = beyond_s(cell, shares);
            let inside = shares.iter().map(|&(leaf, s)| s * watts[leaf] * levels.at(i, leaf));
            let expected = inside.sum::<f64>() + beyond * watts[outside];
            let only = match shares {
                [] => Some(outside),
                &[(leaf, _)] if beyond == 0.0 || leaf == outside => Some(leaf),
                _ => None,
            };
            // An idle device, recorded for long, would make the load look calm.
            let load = shares.iter().any(|&(leaf, _)| repeated[leaf]).then_some(&mut mixed);
            for sums in load.into_iter().chain(only.map(|leaf| &mut alone[leaf])) {
                sums.cells += 1;
                sums.seconds += cell.seconds();
                sums.joules += cell.joules;
                sums.expected += expected;
                sums.squares += (cell.joules - expected).powi(2);
                if is_counted {
                    sums.timing += cell.watts().powi(2) * cell.ends_s2() + 2.0 * rounded;
                }
            }
        });
        if mixed.cells < REPEATED as usize {
            return None;
        }
        // Of a stretch of which nothing else is known, the variance goes with its energy: so assumes the split in proportion to it.
        let grain = mixed.own_squares(1.0) / mixed.expected;
        let leaves = timeline.leaves;
        let lags = Lags::of(timeline, watts, lag);
        let mut expected = Self {
            watts: watts.to_vec(),
            covariance: Symmetric::zero(leaves),
            known: vec![false; leaves],
            repeated,
            levels,
            grain,
            is_idle: watts[outside] * mixed.seconds < IDLE * mixed.joules && alone[outside].cells >= SCATTER_TOLD,
            scatter: watts.iter().map(|w| grain * w).collect(),
            is_counted,
            rounded,
            lag: lags.farthest(|by| shares::inclusive(by, parents)),
            own_lag: lags.farthest(<[f64]>::to_vec),
            moved: lags.mean,
            long,
            own_long,
        };
        let mut off = vec![0.0; leaves];
        for leaf in (0..leaves).filter(|&leaf| seconds[leaf] > 0.0) {
            let told = alone[leaf];
            if told.cells >= SCATTER_TOLD {
                // Few cells may lie closer together than cells do: the variance of Student's t.
                let few = (told.cells - 1) as f64 / (told.cells - 3) as f64;
                expected.scatter[leaf] = told.own_squares(few) / told.seconds;
            } else if told.cells >= TOLD {
                expected.scatter[leaf] = expected.scatter[leaf].max(told.own_squares(1.0) / told.seconds);
            }
            expected.known[leaf] = true;
            if expected.repeated[leaf] {
                off[leaf] = watts[leaf] - model.energies[leaf] / seconds[leaf];
                let others = (0..leaves).filter(|&other| seconds[other] > 0.0 && segments[other] >= REPEATED);
                for other in others {
                    let joules2 = model.without_lag.at(leaf, other);
                    expected.covariance.a[leaf * leaves + other] = joules2 / (seconds[leaf] * seconds[other]);
                }
            } else if told.cells >= TOLD {
                off[leaf] = watts[leaf] - told.joules / told.seconds;
                // Cells of one execution have what is peculiar to it in common.
                let independent = told.cells.min(segments[leaf].max(1) as usize) as f64;
                let each_s = told.seconds / told.cells as f64;
                expected.covariance.a[leaf * leaves + leaf] = expected.scatter[leaf] / each_s / independent;
            } else if let Some(rest) = rest.filter(|_| leaf == outside) {
                off[leaf] = watts[leaf] - rest.watts;
                expected.covariance.a[leaf * leaves + leaf] = expected.scatter[leaf] / rest.seconds;
            } else {
                expected.known[leaf] = false;
            }
        }
        expected.covariance.add_outer(1.0, &off, &off);
        Some(expected)
    }

    /// Whether the split's figure, or the leaf's own, is of a long phase.
    pub fn is_long(&self, figure: usize) -> bool {
        self.long[figure]
    }

    /// How far a lag of the power may move the figure, or the leaf's own, J.
    pub fn lag(&self, figure: usize) -> f64 {
        self.lag[figure]
    }

    pub fn own_lag(&self, leaf: usize) -> f64 {
        self.own_lag[leaf]
    }

    /// What a lag moves into the leaf in the mean, or out of it, J.
    pub fn moved(&self, leaf: usize) -> f64 {
        self.moved[leaf]
    }

    pub fn is_own_long(&self, leaf: usize) -> bool {
        self.own_long[leaf]
    }

    /// What the leaf draws in cell `i`.
    pub fn watts_in(&self, i: usize, leaf: usize) -> f64 {
        self.watts[leaf] * self.levels.at(i, leaf)
    }

    /// The `i`-th cell, of which the leaves in `shares` that are `inside` have their seconds, and the rest belongs to others.
    pub fn edge(
        &self,
        (i, cell): (usize, &Cell),
        shares: &[(usize, f64)],
        inside: impl Fn(usize) -> bool,
    ) -> Option<Edge> {
        let outside = self.watts.len() - 1;
        let beyond = [(outside, beyond_s(cell, shares))];
        let pieces = || {
            let within = shares.iter().map(|&(leaf, s)| (leaf, s, usize::from(!inside(leaf))));
            within.chain(beyond.iter().filter(|b| b.1 > 0.0).map(|&(leaf, s)| (leaf, s, 1)))
        };
        if pieces().any(|(leaf, ..)| !self.known[leaf]) {
            return None;
        }
        // What fills cells alone shows nothing of its power inside them: if a load swings in step with the cells, the surprise says so
        // only beside one that is known. At the ends of the run what runs outside goes on: an idle device is as calm inside cells as they
        // are among themselves, and what is not idle is taken to be no calmer than the load.
        let told = pieces().any(|(leaf, ..)| self.repeated[leaf]);
        if !told && pieces().any(|(leaf, ..)| leaf != outside) {
            return None;
        }
        let (mut seconds, mut joules, mut variance) = ([0.0; 2], [0.0; 2], [0.0; 2]);
        for (leaf, s, side) in pieces() {
            let watts = self.watts_in(i, leaf);
            let inside = if told || self.is_idle { 0.0 } else { self.grain * watts };
            seconds[side] += s;
            joules[side] += s * watts;
            variance[side] += s * self.scatter[leaf].max(inside);
        }
        let [a, b] = joules;
        if a <= 0.0 || b <= 0.0 {
            return None;
        }
        let (p, q) = (a / (a + b), b / (a + b));
        // d ln(a / b) by each leaf's watts.
        let pull = |(leaf, s, side): (usize, f64, usize)| (leaf, if side == 0 { s / a } else { -s / b });
        let pulls = || pieces().map(pull);
        let relative: f64 = pulls()
            .flat_map(|(i, x)| pulls().map(move |(j, y)| (i, j, x * y)))
            .map(|(i, j, xy)| xy * self.covariance.at(i, j))
            .sum();
        let surprise = cell.joules - a - b;
        let (of_a, of_b) = (a / seconds[0], b / seconds[1]);
        // Which of its ends is the phase's, its place says (`Doubts`).
        let ends_s2 = if self.is_counted { 0.5 * cell.ends_s2() } else { 0.0 };
        let both = variance[0] + variance[1] + (of_a.powi(2) + of_b.powi(2)) * ends_s2 + 2.0 * self.rounded;
        Some(Edge {
            variance: p * p * variance[1] + q * q * variance[0],
            means: K95 * cell.joules * p * q * relative.max(0.0).sqrt(),
            surprise: [q * surprise, -p * surprise],
            chance: [q * q * both, p * p * both],
            ends_w2: [(q * of_a).powi(2), (p * of_b).powi(2)],
            rounded: [q * q, p * p].map(|share| share * self.rounded),
            shifted_w: q * of_a + p * of_b,
        })
    }
}

/// Seconds of the cell before or after the run: the device draws there what it draws outside every phase.
fn beyond_s(cell: &Cell, shares: &[(usize, f64)]) -> f64 {
    let inside: f64 = shares.iter().map(|&(_, s)| s).sum();
    let beyond = cell.seconds() - inside;
    // Nanoseconds are exact, their sums in seconds are not.
    if beyond > 1e-9 { beyond } else { 0.0 }
}

/// Whether a phase with `split` of its `joules` in split cells is long.
pub fn is_long(split: f64, joules: f64) -> bool {
    split < SPLIT_SHARE * joules
}
