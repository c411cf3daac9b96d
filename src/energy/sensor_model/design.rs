//! A row's prediction and its derivatives: what each leaf's power and each property of the sensor does to a reading.
//!
//! With the running overlap A_p(t), blurred in time by a variance v, and leaf powers b_p,
//!
//! ```text
//! power reading      mu = sum_p b_p [A_p(e) - A_p(e - W)] / W         e = predicted + follow * shift - delay
//! counter difference mu = sum_p b_p [A_p(e) - A_p(e')] / L            e' the tick before, in the same way
//! ```
//!
//! Blur stands for what no lattice tells: jitter of the sensor's clock that the poller could not see, and ramps of the power itself.
//! Regressing on the *expected* overlap given the predicted time is free of the bias that errors in regressors bring (Berkson).
//! Units inside: seconds and watts; window, delay in ms and blur in ms^2 as parameters.

use super::overlap::{Cursor, Overlap};
use super::rows::Row;

/// What is to be found out about one stream.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Theta {
    /// Length of the averaging window (power readings), ms.
    pub window: f64,
    /// End of the window to its appearance, ms.
    pub delay: f64,
    /// Variance of the blur, ms^2.
    pub blur: f64,
    /// How much of a seen deviation from the lattice is the sensor's own, 0 to 1.
    pub follow: f64,
}

/// Gauss-Legendre nodes and weights on [-1, 1]: the blur is a box of equal variance.
const NODES: [(f64, f64); 5] = [
    (0.0, 0.284_444_444_444_444_4),
    (-0.538_469_310_105_683, 0.239_314_335_249_683_2),
    (0.538_469_310_105_683, 0.239_314_335_249_683_2),
    (-0.906_179_845_938_664, 0.118_463_442_528_094_6),
    (0.906_179_845_938_664, 0.118_463_442_528_094_6),
];
/// Below this blur (ms^2) one node does.
const SHARP: f64 = 0.01;

/// A window's edge: overlap up to it, and the energy function F(t) = sum b_p A_p(t) around it.
#[derive(Debug, Clone, Default)]
struct Edge {
    at: Vec<f64>,
    beside: Vec<f64>,
    /// dF/dt, watts; d2F/dt2, watts per second.
    slope: f64,
    curvature: f64,
    cursor: Cursor,
}

/// Scratch space of one stream's pass over its rows, which come in order of time.
pub struct Design<'a> {
    overlap: &'a Overlap<'a>,
    start: Edge,
    end: Edge,
    /// Overlap per second of window: the columns of the leaves.
    pub columns: Vec<f64>,
    /// Derivatives by window, delay, blur, follow.
    pub theta: [f64; 4],
}

impl<'a> Design<'a> {
    pub fn new(overlap: &'a Overlap<'a>, leaves: usize) -> Self {
        let edge = Edge {
            at: vec![0.0; leaves],
            beside: vec![0.0; leaves],
            ..Edge::default()
        };
        Self {
            overlap,
            start: edge.clone(),
            end: edge,
            columns: vec![0.0; leaves],
            theta: [0.0; 4],
        }
    }

    /// Time of a row's window: (start, end), seconds.
    pub fn window(row: &Row, theta: &Theta) -> (f64, f64) {
        let place = |seen: &super::rows::Seen| seen.predicted + theta.follow * seen.shift - theta.delay * 1e-3;
        let end = place(&row.end);
        let start = row.start.as_ref().map_or(end - theta.window * 1e-3, place);
        (start, end)
    }

    /// Fill `columns`, and `theta` if leaf powers are given.
    pub fn row(&mut self, row: &Row, theta: &Theta, powers: Option<&[f64]>) {
        let (start, end) = Self::window(row, theta);
        let length = if row.start.is_some() {
            row.length
        } else {
            theta.window * 1e-3
        };
        look(self.overlap, &mut self.start, start, theta, powers);
        look(self.overlap, &mut self.end, end, theta, powers);
        for ((column, a), b) in self.columns.iter_mut().zip(&self.end.at).zip(&self.start.at) {
            *column = (a - b) / length;
        }
        let Some(powers) = powers else { return };
        let mean = super::matrix::dot(&self.columns, powers);
        let (rise, bend) = (
            self.end.slope - self.start.slope,
            self.end.curvature - self.start.curvature,
        );
        let moved = match &row.start {
            Some(before) => row.end.shift * self.end.slope - before.shift * self.start.slope,
            None => row.end.shift * rise,
        };
        let window = if row.start.is_some() {
            0.0
        } else {
            1e-3 * (self.start.slope - mean) / length
        };
        self.theta = [window, -1e-3 * rise / length, 0.5e-6 * bend / length, moved / length];
    }
}

/// Overlap up to `t`, blurred; with powers also the energy function's derivatives.
fn look(overlap: &Overlap, edge: &mut Edge, t: f64, theta: &Theta, powers: Option<&[f64]>) {
    let half = (3.0 * theta.blur.max(0.0)).sqrt() * 1e-3;
    blurred(overlap, &mut edge.cursor, t, half, &mut edge.at);
    let Some(powers) = powers else { return };
    let step = (0.5 * half).max(0.8e-3);
    let here = super::matrix::dot(&edge.at, powers);
    blurred(overlap, &mut edge.cursor, t - step, half, &mut edge.beside);
    let before = super::matrix::dot(&edge.beside, powers);
    blurred(overlap, &mut edge.cursor, t + step, half, &mut edge.beside);
    let after = super::matrix::dot(&edge.beside, powers);
    edge.slope = (after - before) / (2.0 * step);
    edge.curvature = (after - 2.0 * here + before) / (step * step);
}

fn blurred(overlap: &Overlap, cursor: &mut Cursor, t: f64, half: f64, sums: &mut [f64]) {
    sums.fill(0.0);
    if half * half * 1e6 / 3.0 < SHARP {
        overlap.add(t, 1.0, cursor, sums);
        return;
    }
    for (node, weight) in NODES {
        overlap.add(t + node * half, weight, cursor, sums);
    }
}
