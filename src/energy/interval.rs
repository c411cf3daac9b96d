//! The interval estimator: a cell's energy split between the phases in it by their time, and how wrong that can be.
//!
//! Within a cell only the sum is known. A phase that has x of the cell's L seconds gets x/L of its energy E; but with power between
//! a floor and a ceiling it can truly have had anything in
//!
//! ```text
//! max(floor x, E - ceiling (L - x))  ..  min(ceiling x, E - floor (L - x))
//! ```
//!
//! Where mean powers of the leaves are known (from the sensor model, or from a first split), a cell is shared in proportion to power
//! times time instead: the cell at the edge of two long phases is no longer split as if both drew the same. The bounds stay.
//!
//! A phase's cells that it fills alone add nothing to its doubt. Doubts of split cells add up *linearly*: a phase that always stands
//! beside the same neighbour is wrong to the same side each time, and repetition does not help (bias T dP/6 an edge).
//! Timing noise of the cell edges is independent and adds in quadrature. Where `edges` knows what the leaves draw, it doubts the split
//! cells of long phases by less; what is possible at most stays.

use super::curve::Curve;
use super::edges::{Doubts, Edge, Expected, Place, is_long};
use super::shares::{self, above};
use super::timeline::Timeline;
use super::uncertainty::{Figure, K95, exact_joules};

/// What the interval estimator says of one device.
#[derive(Debug, Clone, PartialEq)]
pub struct Split {
    /// Energy of each leaf (phases, then outside). They add up to the total, exactly.
    pub leaves: Vec<f64>,
    /// Time of each leaf, seconds, and how much of it no sensor saw.
    pub seconds: Vec<f64>,
    pub unseen_s: Vec<f64>,
    /// Energy of the time that was seen.
    pub seen_joules: Vec<f64>,
    /// Half-width (95 %) of each leaf's own energy, and how much of that lies in split cells.
    pub own_u95: Vec<f64>,
    pub own_at_edges: Vec<f64>,
    /// Each phase with everything inside it, then outside, then the whole run.
    pub figures: Vec<Figure>,
    /// The least of each that bounds allow, and how much of it lies in split cells.
    pub lowest: Vec<f64>,
    pub at_edges: Vec<f64>,
}

impl Split {
    /// Which figures, and which leaves' own, are of long phases.
    pub fn long(&self) -> [Vec<bool>; 2] {
        let figures = self.figures.iter().map(|figure| figure.joules);
        let of = |(joules, &at_edges): (f64, &f64)| is_long(at_edges, joules);
        [
            figures.zip(&self.at_edges).map(of).collect(),
            self.leaves.iter().copied().zip(&self.own_at_edges).map(of).collect(),
        ]
    }
}

/// Sums for a phase, everything inside it included.
#[derive(Debug, Clone, Copy, Default)]
struct Bounds {
    joules: f64,
    low: f64,
    high: f64,
    variance: f64,
    at_edges: f64,
    doubts: Doubts,
    /// The last cell it had a share of, and that cell if it was a split one.
    last: Option<usize>,
    open: Option<Open>,
}

/// A split cell of which it is not yet known what comes behind it.
#[derive(Debug, Clone, Copy)]
struct Open {
    edge: Edge,
    /// Whether the phase was in the cell before.
    before: bool,
    ends_s: [f64; 2],
    unseen: f64,
    /// How far the truth can be below and above the share.
    reach: (f64, f64),
}

/// Split `curve` over the leaves of `timeline`; `parents[p]` is the phase around phase p; `watts` are the leaves' mean powers, as far
/// as they are known; `expected` is what is known of them beside that.
pub fn split(
    curve: &Curve,
    timeline: &Timeline,
    parents: &[Option<usize>],
    watts: Option<&[f64]>,
    expected: Option<&Expected>,
) -> Split {
    let outside = timeline.outside();
    let whole = outside + 1;
    let mut leaves = vec![0.0; timeline.leaves];
    let mut seconds = vec![0.0; timeline.leaves];
    let mut unseen_s = vec![0.0; timeline.leaves];
    let mut seen_joules = vec![0.0; timeline.leaves];
    let mut own = vec![Bounds::default(); timeline.leaves];
    let mut bounds = vec![Bounds::default(); whole + 1];
    let mut inclusive = vec![(0.0, 0.0); whole + 1];
    let mut touched = Vec::new();
    let cells = curve.cells.iter().map(|c| (c.start, c.end));
    shares::walk(timeline, cells, |i, shares| {
        let cell = &curve.cells[i];
        let length = cell.seconds();
        let weight = |leaf: usize| match expected {
            Some(expected) => expected.watts_in(i, leaf),
            None => watts.map_or(1.0, |watts| watts[leaf]),
        };
        // Before and after the run the device is taken to draw what it draws outside every phase.
        let inside: f64 = shares.iter().map(|&(_, s)| s).sum();
        let beyond = (length - inside).max(0.0) * weight(outside);
        let weighted: f64 = shares.iter().map(|&(leaf, s)| s * weight(leaf)).sum::<f64>() + beyond;
        for &(leaf, s) in shares {
            // What ran in a hole is known, and what it draws elsewhere.
            let joules = match watts {
                Some(_) if !cell.known => s * weight(leaf),
                _ => cell.joules * s * weight(leaf) / weighted,
            };
            leaves[leaf] += joules;
            seen_joules[leaf] += if cell.known { joules } else { 0.0 };
            seconds[leaf] += s;
            unseen_s[leaf] += if cell.known { 0.0 } else { s };
            let edge = || {
                expected
                    .filter(|e| e.is_own_long(leaf))?
                    .edge((i, cell), shares, |other| other == leaf)
            };
            add(&mut own[leaf], curve, i, (s.min(length), joules), edge);
            for phase in above(parents, leaf).chain([whole]) {
                if inclusive[phase].0 == 0.0 {
                    touched.push(phase);
                }
                inclusive[phase] = (inclusive[phase].0 + s, inclusive[phase].1 + joules);
            }
        }
        for phase in touched.drain(..) {
            let (s, joules) = std::mem::take(&mut inclusive[phase]);
            let within = |leaf: usize| phase == whole || above(parents, leaf).any(|at| at == phase);
            let edge = || expected.filter(|e| e.is_long(phase))?.edge((i, cell), shares, within);
            add(&mut bounds[phase], curve, i, (s.min(length), joules), edge);
        }
    });
    own.iter_mut().chain(&mut bounds).for_each(|b| b.settle(false));
    if let Some(expected) = expected {
        let lags = |(i, b): (usize, &mut Bounds)| b.doubts.lagging(expected.lag(i));
        bounds.iter_mut().enumerate().for_each(lags);
        let lags = |(i, b): (usize, &mut Bounds)| b.doubts.lagging(expected.own_lag(i));
        own.iter_mut().enumerate().for_each(lags);
        let lagging = leaves.iter_mut().enumerate();
        lagging.for_each(|(leaf, joules)| *joules += expected.moved(leaf));
    }
    let mut figures: Vec<Figure> = bounds.iter().map(|b| figure(b, curve)).collect();
    for leaf in &mut leaves {
        *leaf = exact_joules(*leaf);
    }
    replace_by_sums(&mut figures, &leaves, parents);
    Split {
        leaves,
        seconds,
        unseen_s,
        seen_joules,
        own_u95: own.iter().map(|b| figure(b, curve).u95).collect(),
        own_at_edges: own.iter().map(|b| b.at_edges).collect(),
        lowest: bounds.iter().map(|b| b.joules - bounded_u95(b)).collect(),
        at_edges: bounds.iter().map(|b| b.at_edges).collect(),
        figures,
    }
}

/// The values of the figures are sums of leaves, so that they close exactly.
pub fn replace_by_sums(figures: &mut [Figure], leaves: &[f64], parents: &[Option<usize>]) {
    let outside = leaves.len() - 1;
    let mut sums = vec![0.0; figures.len()];
    for (leaf, joules) in leaves.iter().enumerate() {
        above(parents, leaf)
            .chain([outside + 1])
            .for_each(|phase| sums[phase] += joules);
    }
    for (figure, sum) in figures.iter_mut().zip(sums) {
        figure.joules = sum;
    }
}

/// One cell of which a phase has `s` seconds, and by estimate `share` joules; `edge` says what is known of its split.
fn add(bounds: &mut Bounds, curve: &Curve, i: usize, (s, share): (f64, f64), edge: impl FnOnce() -> Option<Edge>) {
    let cell = &curve.cells[i];
    let length = cell.seconds();
    let (floor, ceiling) = (curve.range.floor, curve.range.ceiling);
    let energy = cell.joules;
    let part = s / length;
    let before = bounds.last.replace(i).is_some_and(|last| last + 1 == i);
    bounds.settle(before);
    bounds.joules += share;
    // The last nanosecond of a cell is not worth a doubt.
    let alone = length - s < 1e-9;
    let (low, high) = match (cell.known, alone) {
        (false, _) => ((floor * s).min(share), (ceiling * s).max(share)),
        (true, true) => (share, share),
        (true, false) => (
            (floor * s).max(energy - ceiling * (length - s)).min(share),
            (ceiling * s).min(energy - floor * (length - s)).max(share),
        ),
    };
    let unseen = cell.variance * if alone { 1.0 } else { part };
    let end_s = cell.ends_s[0].max(cell.ends_s[1]);
    let timing = (cell.watts() * end_s.hypot(curve.delay_sd_s)).powi(2);
    let split = cell.known && !alone;
    let variance = if split {
        unseen + timing
    } else if cell.known {
        unseen
    } else {
        0.0
    };
    bounds.low += low;
    bounds.high += high;
    bounds.variance += variance;
    bounds.at_edges += if split { share } else { 0.0 };
    let (below, above) = (share - low, high - share);
    let open = split.then(edge).flatten().map(|edge| Open {
        edge,
        before,
        ends_s: cell.ends_s,
        unseen,
        reach: (below, above),
    });
    match open.filter(|open| open.alone() < below.max(above).hypot(K95 * variance.sqrt())) {
        Some(open) => bounds.open = Some(open),
        None => bounds.doubts.bounded(below, above, variance),
    }
}

impl Open {
    fn doubt(&self, doubts: &mut Doubts, place: Place) {
        doubts.edge(&self.edge, place, self.ends_s, self.unseen, self.reach);
    }

    /// Half-width of this cell alone.
    fn alone(&self) -> f64 {
        let mut doubts = Doubts::default();
        self.doubt(&mut doubts, Place::Within);
        doubts.u95(0.0)
    }
}

impl Bounds {
    /// What cell the last edge was in is known with the next.
    fn settle(&mut self, behind: bool) {
        if let Some(open) = self.open.take() {
            open.doubt(&mut self.doubts, Place::of(open.before, behind));
        }
    }
}

/// Half-width by the bounds alone.
fn bounded_u95(bounds: &Bounds) -> f64 {
    let bound = (bounds.joules - bounds.low).max(bounds.high - bounds.joules);
    bound.hypot(K95 * bounds.variance.sqrt())
}

fn figure(bounds: &Bounds, curve: &Curve) -> Figure {
    Figure {
        joules: bounds.joules,
        u95: bounded_u95(bounds).min(bounds.doubts.u95(curve.delay_sd_s)),
        scale: 0.0,
        upper: bounds.high + K95 * bounds.variance.sqrt(),
        guess: 0.0,
        common: 0.0,
        method: curve.method,
    }
}
