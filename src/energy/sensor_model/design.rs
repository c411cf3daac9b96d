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

use super::low_pass::LowPass;
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
/// The derivative by a time constant is the difference to one so much longer.
const SLOWER: f64 = 1.02;
/// A row asks so often for what a low pass shows: at both ends of its window, and on either side of them.
const LOOKS: usize = 6;

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
    theta: Theta,
    /// The low pass of the sensor or the power, if there is one.
    low_pass: Option<LowPass<'a>>,
    /// One a little slower.
    slower: Option<LowPass<'a>>,
    start: Edge,
    end: Edge,
    /// Overlap per second of window: the columns of the leaves.
    pub columns: Vec<f64>,
    /// Derivatives by window, delay, follow, response.
    pub derivatives: [f64; PROPERTIES],
}

impl<'a> Design<'a> {
    /// For about so many rows of a stream with these properties.
    pub fn new(overlap: &'a Overlap<'a>, theta: Theta, rows: usize) -> Self {
        let leaves = overlap.timeline().leaves;
        let edge = Edge {
            at: vec![0.0; leaves],
            beside: vec![0.0; leaves],
            ..Edge::default()
        };
        let tau = match theta.shape {
            Shape::Boxcar => 1e-3 * theta.response,
            Shape::LowPass => 0.5e-3 * theta.window,
        };
        let low_pass = |tau: f64, looks: usize| (tau > 0.0).then(|| LowPass::new(overlap, tau, looks));
        Self {
            overlap,
            theta,
            low_pass: low_pass(tau, LOOKS * rows),
            slower: low_pass(SLOWER * tau, rows),
            start: edge.clone(),
            end: edge,
            columns: vec![0.0; leaves],
            derivatives: [0.0; PROPERTIES],
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

    /// Fill `columns`, and `derivatives` if leaf powers are given.
    pub fn row(&mut self, row: &Row, powers: Option<&[f64]>) {
        if row.start.is_none() && self.theta.shape == Shape::LowPass {
            self.by_low_pass(row, powers);
        } else {
            self.boxcar(row, powers);
        }
    }

    fn by_low_pass(&mut self, row: &Row, powers: Option<&[f64]>) {
        let (Some(low_pass), Some(slower)) = (&self.low_pass, &self.slower) else {
            return self.columns.fill(0.0); // a window of no length has seen nothing
        };
        let (_, end) = Self::window(row, &self.theta);
        let half = half_width(&self.theta);
        let edge = &mut self.end;
        let mut at = |low_pass: &LowPass, t: f64, sums: &mut [f64]| {
            sums.fill(0.0);
            let half = if is_sharp(half) { 0.0 } else { half };
            low_pass.add(t, half, 1.0, &mut edge.cursor, sums);
        };
        at(low_pass, end, &mut self.columns);
        let Some(powers) = powers else { return };
        let step = (0.5 * half).max(STEP);
        let mut mean = |low_pass: &LowPass, t: f64| {
            at(low_pass, t, &mut edge.beside);
            super::matrix::dot(&edge.beside, powers)
        };
        let slope = (mean(low_pass, end + step) - mean(low_pass, end - step)) / (2.0 * step);
        let here = super::matrix::dot(&self.columns, powers);
        let by_tau = (mean(slower, end) - here) / (slower.tau() - low_pass.tau());
        self.derivatives = [0.5e-3 * by_tau, -1e-3 * slope, row.end.shift * slope, 0.0];
    }

    fn boxcar(&mut self, row: &Row, powers: Option<&[f64]>) {
        let (start, end) = Self::window(row, &self.theta);
        let length = if row.start.is_some() {
            row.length
        } else {
            self.theta.window * 1e-3
        };
        let energy = Energy {
            overlap: self.overlap,
            half: half_width(&self.theta),
            low_pass: self.low_pass.as_ref(),
            slower: self.slower.as_ref(),
        };
        energy.look(&mut self.start, start, powers);
        energy.look(&mut self.end, end, powers);
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
        self.derivatives = [window, -1e-3 * rise / length, moved / length, response];
    }
}

/// The energy function of a boxcar's edges.
struct Energy<'a> {
    overlap: &'a Overlap<'a>,
    /// Half-width of the blur, seconds.
    half: f64,
    low_pass: Option<&'a LowPass<'a>>,
    slower: Option<&'a LowPass<'a>>,
}

impl Energy<'_> {
    /// Overlap up to `t`, blurred; with powers also the energy function's slope.
    fn look(&self, edge: &mut Edge, t: f64, powers: Option<&[f64]>) {
        edge.at.fill(0.0);
        self.add(edge, (t, self.half), self.low_pass, 1.0, Side::At);
        let Some(powers) = powers else { return };
        // The slope of a function blurred by a box is its difference over the box.
        let reach = self.half.max(STEP);
        edge.beside.fill(0.0);
        self.add(edge, (t - reach, 0.0), self.low_pass, -1.0, Side::Beside);
        self.add(edge, (t + reach, 0.0), self.low_pass, 1.0, Side::Beside);
        edge.slope = super::matrix::dot(&edge.beside, powers) / (2.0 * reach);
        edge.by_response = 0.0;
        if let (Some(low_pass), Some(slower)) = (self.low_pass, self.slower) {
            edge.beside.fill(0.0);
            self.add(edge, (t, self.half), self.slower, 1.0, Side::Beside);
            let by_slower = super::matrix::dot(&edge.beside, powers);
            edge.by_response = (by_slower - super::matrix::dot(&edge.at, powers)) / (slower.tau() - low_pass.tau());
        }
    }

    /// Add `weight` times the overlap up to `t`, blurred by a box of half-width `half`, to the edge's sums. A first-order response of time
    /// constant r still holds back r times what it shows: its overlap is A less r times the low pass of the shares.
    fn add(&self, edge: &mut Edge, (t, half): (f64, f64), response: Option<&LowPass>, weight: f64, side: Side) {
        let sums = match side {
            Side::At => &mut edge.at,
            Side::Beside => &mut edge.beside,
        };
        let half = if is_sharp(half) { 0.0 } else { half };
        if half == 0.0 {
            self.overlap.add(t, weight, &mut edge.cursor, sums);
        } else {
            self.overlap.add_mean(t, half, weight, &mut edge.cursor, sums);
        }
        if let Some(response) = response {
            response.add(t, half, -weight * response.tau(), &mut edge.cursor, sums);
        }
    }
}

/// Which of an edge's sums.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    At,
    Beside,
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
            let mut design = Design::new(&overlap, theta, 40);
            let seen: Vec<f64> = (0..40)
                .map(|i| {
                    design.row(&at(1.0 + 0.013 * f64::from(i)), None);
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
