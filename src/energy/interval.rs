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
//! Timing noise of the cell edges is independent and adds in quadrature.

use super::curve::Curve;
use super::shares;
use super::timeline::Timeline;
use super::uncertainty::{Figure, exact_joules};

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
    /// Half-width (95 %) of each leaf's own energy.
    pub own_u95: Vec<f64>,
    /// Each phase with everything inside it, then outside, then the whole run.
    pub figures: Vec<Figure>,
}

/// Sums for a phase, everything inside it included.
#[derive(Debug, Clone, Copy, Default)]
struct Bounds {
    joules: f64,
    low: f64,
    high: f64,
    variance: f64,
}

/// Split `curve` over the leaves of `timeline`; `parents[p]` is the phase around phase p; `watts` are the leaves' mean powers, as far
/// as they are known.
pub fn split(curve: &Curve, timeline: &Timeline, parents: &[Option<usize>], watts: Option<&[f64]>) -> Split {
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
        let weight = |leaf: usize| watts.map_or(1.0, |w| w[leaf]);
        // Before and after the run the device is taken to draw what it draws outside every phase.
        let inside: f64 = shares.iter().map(|&(_, s)| s).sum();
        let beyond = (length - inside).max(0.0) * weight(outside);
        let weighted: f64 = shares.iter().map(|&(leaf, s)| s * weight(leaf)).sum::<f64>() + beyond;
        for &(leaf, s) in shares {
            // What ran in a hole is known, and what it draws elsewhere.
            let joules = match watts {
                Some(watts) if !cell.known => s * watts[leaf],
                _ => cell.joules * s * weight(leaf) / weighted,
            };
            leaves[leaf] += joules;
            seen_joules[leaf] += if cell.known { joules } else { 0.0 };
            seconds[leaf] += s;
            unseen_s[leaf] += if cell.known { 0.0 } else { s };
            add(&mut own[leaf], curve, i, (s.min(length), joules));
            let mut at = Some(leaf);
            while let Some(phase) = at {
                if inclusive[phase].0 == 0.0 {
                    touched.push(phase);
                }
                inclusive[phase] = (inclusive[phase].0 + s, inclusive[phase].1 + joules);
                at = parents.get(phase).copied().flatten();
            }
            if inclusive[whole].0 == 0.0 {
                touched.push(whole);
            }
            inclusive[whole] = (inclusive[whole].0 + s, inclusive[whole].1 + joules);
        }
        for phase in touched.drain(..) {
            let (s, joules) = std::mem::take(&mut inclusive[phase]);
            add(&mut bounds[phase], curve, i, (s.min(length), joules));
        }
    });
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
        figures,
    }
}

/// The values of the figures are sums of leaves, so that they close exactly.
pub fn replace_by_sums(figures: &mut [Figure], leaves: &[f64], parents: &[Option<usize>]) {
    let outside = leaves.len() - 1;
    let mut sums = vec![0.0; figures.len()];
    for (leaf, joules) in leaves.iter().enumerate() {
        let mut at = Some(leaf);
        while let Some(phase) = at {
            sums[phase] += joules;
            at = parents.get(phase).copied().flatten();
        }
        sums[outside + 1] += joules;
    }
    for (figure, sum) in figures.iter_mut().zip(sums) {
        figure.joules = sum;
    }
}

/// One cell of which a phase has `s` seconds, and by estimate `share` joules.
fn add(bounds: &mut Bounds, curve: &Curve, i: usize, (s, share): (f64, f64)) {
    let cell = &curve.cells[i];
    let length = cell.seconds();
    let (floor, ceiling) = (curve.range.floor, curve.range.ceiling);
    let energy = cell.joules;
    let part = s / length;
    bounds.joules += share;
    // The last nanosecond of a cell is not worth a doubt.
    let alone = length - s < 1e-9;
    if !cell.known {
        bounds.low += (floor * s).min(share);
        bounds.high += (ceiling * s).max(share);
    } else if alone {
        bounds.low += share;
        bounds.high += share;
        bounds.variance += cell.variance;
    } else {
        bounds.low += (floor * s).max(energy - ceiling * (length - s)).min(share);
        bounds.high += (ceiling * s).min(energy - floor * (length - s)).max(share);
        bounds.variance += cell.variance * part + (cell.watts() * cell.edge_s.hypot(curve.delay_sd_s)).powi(2);
    }
}

fn figure(bounds: &Bounds, curve: &Curve) -> Figure {
    let bound = (bounds.joules - bounds.low).max(bounds.high - bounds.joules);
    let noise = 2.0 * bounds.variance.sqrt();
    Figure {
        joules: bounds.joules,
        u95: bound.hypot(noise),
        scale: 0.0,
        upper: bounds.high + noise,
        method: curve.method,
    }
}
