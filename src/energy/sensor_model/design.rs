//! A row's prediction and its derivatives: what each leaf's power and each property of the sensor does to a reading.
//!
//! With the running overlap A_p(t), blurred in time by a variance v, and leaf powers b_p,
//!
//! ```text
//! power reading      mu = sum_p b_p [A_p(e) - A_p(e - W)] / W         e = predicted + follow * shift - delay
//! counter difference mu = sum_p b_p [A_p(e) - A_p(e')] / L            e' the tick before, in the same way
//! ```
//!
//! Some sensors are no boxcar but a low pass, which shows an exponentially weighted mean instead: an A100's readings beside its meter
//! (`oxford.rs`) are off by 9 W with the best boxcar and by 3 W with a low pass of 13 ms. Its window is given as twice its time
//! constant, the boxcar of equal mean age and equal noise.
//!
//! Blur stands for what no lattice tells: jitter of the sensor's clock that the poller could not see, and ramps of the power itself.
//! Regressing on the *expected* overlap given the predicted time is free of the bias that errors in regressors bring (Berkson).
//! How much blur there is, is not fitted with the rest: see `ramp`.
//! Units inside: seconds and watts; window, delay in ms and blur in ms^2 as parameters.

use super::overlap::{Cursor, Overlap};
use super::rows::Row;

/// How a power reading weighs the past.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    Boxcar,
    LowPass,
}

/// What is to be found out about one stream.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Theta {
    /// Length of the averaging window (power readings), ms; of a low pass twice its time constant.
    pub window: f64,
    pub shape: Shape,
    /// End of the window to its appearance, ms.
    pub delay: f64,
    /// Variance of the blur, ms^2.
    pub blur: f64,
    /// How much of a seen deviation from the lattice is the sensor's own, 0 to 1.
    pub follow: f64,
    /// Time constant (first order, ms) with which what a boxcar averages follows the power; of a counter, which adds up the power itself, that
    /// with which the power follows the phases.
    pub response: f64,
}

impl Theta {
    /// What a sensor with these properties shows of a power that follows with a time constant of `own` ms, where it has no response itself.
    pub fn behind(self, own: f64) -> Self {
        let response = if self.response > 0.0 { self.response } else { own };
        Self { response, ..self }
    }
}

/// How many properties a fit finds: window, delay, follow, response.
pub const PROPERTIES: usize = 4;

/// Below this blur (ms^2) there is none.
const SHARP: f64 = 0.01;
/// Differences are taken over at least this time, seconds.
const STEP: f64 = 0.8e-3;

/// A window's edge: overlap up to it, and the slope there of the energy function F(t) = sum b_p A_p(t).
#[derive(Debug, Clone, Default)]
struct Edge {
    at: Vec<f64>,
    beside: Vec<f64>,
    /// dF/dt and dF by the response time, watts.
    slope: f64,
    by_response: f64,
    cursor: Cursor,
}

/// Scratch space of one stream's pass over its rows, which come in order of time.
pub struct Design<'a> {
    overlap: &'a Overlap<'a>,
    start: Edge,
    end: Edge,
    /// Overlap per second of window: the columns of the leaves.
    pub columns: Vec<f64>,
    /// Derivatives by window, delay, follow, response.
    pub theta: [f64; PROPERTIES],
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
            theta: [0.0; PROPERTIES],
        }
    }

    /// Time of a row's window: (start, end), seconds.
    pub fn window(row: &Row, theta: &Theta) -> (f64, f64) {
        let place = |seen: &super::rows::Seen| seen.predicted + theta.follow * seen.shift - theta.delay * 1e-3;
        let end = place(&row.end);
        let reach = match theta.shape {
            Shape::Boxcar => theta.window,
            Shape::LowPass => 2.0 * theta.window,
        };
        let start = row.start.as_ref().map_or(end - reach * 1e-3, place);
        (start, end)
    }

    /// Fill `columns`, and `theta` if leaf powers are given.
    pub fn row(&mut self, row: &Row, theta: &Theta, powers: Option<&[f64]>) {
        if row.start.is_none() && theta.shape == Shape::LowPass {
            self.low_pass(row, theta, powers);
        } else {
            self.boxcar(row, theta, powers);
        }
    }

    fn low_pass(&mut self, row: &Row, theta: &Theta, powers: Option<&[f64]>) {
        let (_, end) = Self::window(row, theta);
        let tau = 0.5e-3 * theta.window;
        let half = half_width(theta);
        let (overlap, edge) = (self.overlap, &mut self.end);
        let mut at = |t: f64, tau: f64, sums: &mut [f64]| {
            sums.fill(0.0);
            let half = if is_sharp(half) { 0.0 } else { half };
            overlap.add_low_pass(t, tau, half, 1.0, &mut edge.cursor, sums);
        };
        at(end, tau, &mut self.columns);
        let Some(powers) = powers else { return };
        let (step, longer) = ((0.5 * half).max(STEP), 1.02 * tau);
        let mut mean = |t: f64, tau: f64| {
            at(t, tau, &mut edge.beside);
            super::matrix::dot(&edge.beside, powers)
        };
        let slope = (mean(end + step, tau) - mean(end - step, tau)) / (2.0 * step);
        let here = super::matrix::dot(&self.columns, powers);
        let by_tau = (mean(end, longer) - here) / (longer - tau);
        self.theta = [0.5e-3 * by_tau, -1e-3 * slope, row.end.shift * slope, 0.0];
    }

    fn boxcar(&mut self, row: &Row, theta: &Theta, powers: Option<&[f64]>) {
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
        let rise = self.end.slope - self.start.slope;
        let moved = match &row.start {
            Some(before) => row.end.shift * self.end.slope - before.shift * self.start.slope,
            None => row.end.shift * rise,
        };
        let window = if row.start.is_some() {
            0.0
        } else {
            1e-3 * (self.start.slope - mean) / length
        };
        let response = 1e-3 * (self.end.by_response - self.start.by_response) / length;
        self.theta = [window, -1e-3 * rise / length, moved / length, response];
    }
}

/// Overlap up to `t`, blurred; with powers also the energy function's slope.
fn look(overlap: &Overlap, edge: &mut Edge, t: f64, theta: &Theta, powers: Option<&[f64]>) {
    let (half, response) = (half_width(theta), 1e-3 * theta.response);
    edge.at.fill(0.0);
    followed(overlap, edge, t, half, response, 1.0, Side::At);
    let Some(powers) = powers else { return };
    // The slope of a function blurred by a box is its difference over the box.
    let reach = half.max(STEP);
    edge.beside.fill(0.0);
    followed(overlap, edge, t - reach, 0.0, response, -1.0, Side::Beside);
    followed(overlap, edge, t + reach, 0.0, response, 1.0, Side::Beside);
    edge.slope = super::matrix::dot(&edge.beside, powers) / (2.0 * reach);
    edge.by_response = 0.0;
    if response > 0.0 {
        const LONGER: f64 = 1.02;
        edge.beside.fill(0.0);
        followed(overlap, edge, t, half, LONGER * response, 1.0, Side::Beside);
        let longer = super::matrix::dot(&edge.beside, powers);
        edge.by_response = (longer - super::matrix::dot(&edge.at, powers)) / ((LONGER - 1.0) * response);
    }
}

/// Which of an edge's sums.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    At,
    Beside,
}

/// Add `weight` times the overlap up to `t`, blurred by a box of half-width `half`, to the edge's sums. A first-order response of time
/// constant r still holds back r times what it shows: its overlap is A less r times the low pass of the shares.
fn followed(overlap: &Overlap, edge: &mut Edge, t: f64, half: f64, response: f64, weight: f64, side: Side) {
    let sums = match side {
        Side::At => &mut edge.at,
        Side::Beside => &mut edge.beside,
    };
    let sharp = is_sharp(half);
    if sharp {
        overlap.add(t, weight, &mut edge.cursor, sums);
    } else {
        overlap.add_mean(t, half, weight, &mut edge.cursor, sums);
    }
    if response > 0.0 {
        let half = if sharp { 0.0 } else { half };
        overlap.add_low_pass(t, response, half, -weight * response, &mut edge.cursor, sums);
    }
}

fn is_sharp(half: f64) -> bool {
    half * half * 1e6 / 3.0 < SHARP
}

/// Half the width of the blur's box, seconds.
fn half_width(theta: &Theta) -> f64 {
    (3.0 * theta.blur.max(0.0)).sqrt() * 1e-3
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::energy::timeline::Timeline;

    #[test]
    fn a_blur_far_wider_than_the_steps_leaves_nothing_of_them_to_see() {
        // 11 ms and 23 ms in turns for 6.8 s.
        let (mut edges, mut t) = (vec![0], 0);
        for i in 0..400 {
            t += if i % 2 == 0 { 11_000_000 } else { 23_000_000 };
            edges.push(t);
        }
        let timeline = Timeline {
            states: (0..400).map(|i| i % 2).collect(),
            edges,
            table: vec![vec![(0, 1.0)], vec![(1, 1.0)]],
            leaves: 2,
        };
        let overlap = Overlap::new(&timeline);
        let mut design = Design::new(&overlap, 2);
        let at = |predicted: f64| Row {
            end: crate::energy::sensor_model::rows::Seen { predicted, shift: 0.0 },
            start: None,
            length: 0.0,
            watts: 0.0,
        };
        // Half-width 250 ms: some fifteen steps.
        for (blur, most) in [(0.0, 1.0), (250.0 * 250.0 / 3.0, 0.02)] {
            let theta = Theta {
                window: 10.0,
                shape: Shape::Boxcar,
                delay: 0.0,
                blur,
                follow: 0.0,
                response: 0.0,
            };
            let seen: Vec<f64> = (0..40)
                .map(|i| {
                    design.row(&at(1.0 + 0.013 * f64::from(i)), &theta, None);
                    assert!((design.columns[0] + design.columns[1] - 1.0).abs() < 1e-9);
                    design.columns[0]
                })
                .collect();
            let (low, high) = seen.iter().fold((1.0_f64, 0.0_f64), |(l, h), x| (l.min(*x), h.max(*x)));
            assert!(high - low <= most + 1e-9, "{low} to {high}");
            assert!(blur > 0.0 || high - low > 0.9, "sharp windows see the steps");
        }
    }
}
