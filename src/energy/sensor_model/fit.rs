//! The joint fit: leaf powers, slow drift and the sensor's own properties from all readings at once.
//!
//! Weighted least squares with weak priors (a leaf's power lies somewhere below the limit; a delay is some milliseconds), solved by
//! Gauss-Newton in the sensor's properties. Their derivative columns stay in the design, so that the doubt about them is in the
//! doubt about the powers. What the data cannot tell keeps the prior's width, and comes out as unresolved.
//!
//! Unknowns, in this order: leaf powers (W), drift amplitudes (relative), gain of power readings against the counter (relative),
//! window, delay, follow, response of the power stream, delay, follow of the counter, and the share by which rises are slower than falls
//! (`skew`). The blur is a function of `follow` and of the ramps
//! assumed (`ramp`).

mod linear;
mod priors;

use std::ops::Range;

use super::design::{PROPERTIES, Theta};
use super::matrix::{Symmetric, TOGETHER, dot};
use super::overlap::Overlap;
use super::rows::Rows;
use linear::Linear;
pub use linear::{visit, visit_raw};
use priors::priors;

/// What is believed before looking, with standard deviations.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Prior {
    pub theta: Theta,
    pub window_sd: f64,
    pub delay_sd: f64,
    pub follow_sd: f64,
}

/// One stream in the fit.
pub struct Stream<'a> {
    pub rows: &'a Rows,
    pub prior: Prior,
    pub theta: Theta,
    /// Variance of the blur from ramps of the power, ms^2.
    pub ramp: f64,
    /// Time constant with which the power itself follows, ms ([`Theta::behind`]).
    pub own: f64,
    /// Standard deviation of a row about the model, watts.
    pub noise: f64,
    pub is_counter: bool,
    /// Correlation of a row's error with that of the row before, 0 to 1: windows that overlap have seen the same scatter of the load.
    pub memory: f64,
}

impl Stream<'_> {
    /// Blur that goes with the present `follow` and ramps. Of a deviation from the lattice the share `follow` is the sensor's own, the
    /// rest the poller's: two independent normal parts of which the sum was seen leave follow (1 - follow) of its variance unknown. To
    /// that comes what the rows say of themselves.
    pub fn settle_blur(&mut self) {
        let follow = self.theta.follow;
        let own = follow * (1.0 - follow) * self.rows.scatter.powi(2);
        self.theta.blur = self.ramp + 1e6 * (own + self.rows.unseen);
    }
}

/// Everything that is common to all rows.
#[derive(Clone)]
pub struct Setting<'a> {
    pub overlap: &'a Overlap<'a>,
    /// Leaves that have time in the run.
    pub active: Vec<usize>,
    pub leaves: usize,
    pub run_s: f64,
    /// Cosines of drift over the run.
    pub drift: usize,
    /// Mean power of the run, about which the first step is taken.
    pub mean_watts: f64,
    /// A leaf's power before looking, and its standard deviation.
    pub watts: f64,
    pub watts_sd: f64,
    /// Leaves that are parts of one phase.
    pub siblings: Vec<Siblings>,
    /// The lag about which rises may differ from falls, ms, where that is an unknown.
    pub skewed_ms: Option<f64>,
    /// So many candidates may be fitted at once.
    pub threads: usize,
}

/// Parts of one phase: which of the active leaves, and how far each of their powers is from the phase's, watts (standard deviation).
#[derive(Debug, Clone, PartialEq)]
pub struct Siblings {
    pub of_active: Range<usize>,
    pub sd: f64,
}

/// A solution.
#[derive(Debug, Clone)]
pub struct Solution {
    pub values: Vec<f64>,
    pub inverse: Symmetric,
    /// What was believed before: precision of the unknowns.
    pub precision: Symmetric,
    /// For each stream: variance of the residuals about it, W^2, and the number of rows.
    pub residuals: Vec<(f64, usize)>,
}

/// Amplitudes of relative drift a priori.
const DRIFT_SD: f64 = 0.1;
/// Power readings against the counter of one board.
const GAIN_SD: f64 = 0.05;
pub const STEPS: usize = 14;

impl Setting<'_> {
    pub fn unknowns(&self) -> usize {
        self.active.len() + self.drift + 8
    }
    pub fn gain_at(&self) -> usize {
        self.active.len() + self.drift
    }
    /// Where the stream's window, delay, follow, response stand (a counter has no window and no response of its own).
    pub fn theta_at(&self, stream: &Stream) -> [Option<usize>; PROPERTIES] {
        let at = self.gain_at() + 1;
        let response = (stream.theta.response > 0.0).then_some(at + 3);
        match stream.is_counter {
            false => [Some(at), Some(at + 1), Some(at + 2), response],
            true => [None, Some(at + 4), Some(at + 5), None],
        }
    }
    pub fn skew_at(&self) -> usize {
        self.gain_at() + 7
    }
    /// cos(pi j s) of the drift at time `t`, j from 1: each from the two before it (Chebyshev).
    pub fn cosines(&self, t: f64) -> impl Iterator<Item = f64> + use<> {
        let first = (std::f64::consts::PI * t / self.run_s).cos();
        std::iter::successors(Some((1.0, first)), move |&(before, last)| {
            Some((last, 2.0 * first * last - before))
        })
        .map(|(_, last)| last)
        .take(self.drift)
    }
}

/// Solve the linear problem at the streams' present properties.
pub fn solve(setting: &Setting, streams: &[Stream], powers: Option<&[f64]>) -> Solution {
    solve_by(setting, streams, &gather(setting, streams, powers))
}

/// The same from the sums of each stream.
fn solve_by(setting: &Setting, streams: &[Stream], sums: &[Sums]) -> Solution {
    let n = setting.unknowns();
    let (precision, pull) = priors(setting, streams);
    let (mut normal, mut right) = (precision.clone(), precision.times(&pull));
    for (stream, own) in streams.iter().zip(sums) {
        let weight = stream.noise.powi(-2);
        (0..n * n).for_each(|i| normal.a[i] += weight * own.normal.a[i]);
        (0..n).for_each(|i| right[i] += weight * own.right[i]);
    }
    let inverse = normal.inverse();
    let values = inverse.times(&right);
    let residuals = sums.iter().map(|s| s.residual_variance(setting, &values)).collect();
    Solution {
        values,
        inverse,
        precision,
        residuals,
    }
}

/// The sums of each stream.
pub fn gather(setting: &Setting, streams: &[Stream], powers: Option<&[f64]>) -> Vec<Sums> {
    let of = |stream: &Stream| {
        let mut own = Sums::zero(setting.unknowns());
        visit(setting, stream, powers, |_, columns, target| own.add(columns, target));
        own.complete()
    };
    streams.iter().map(of).collect()
}

/// Sums over one stream's rows: all that a solution and its residuals need.
pub struct Sums {
    /// Columns of rows that are not in `normal` yet.
    waiting: Vec<f64>,
    normal: Symmetric,
    right: Vec<f64>,
    squares: f64,
    rows: usize,
}

/// Logarithm of the evidence (the likelihood integrated over all unknowns) for what the setting believes beforehand, from `sums` with
/// rows as uncertain as `noise` (watts, of each stream) says, up to a constant.
pub fn log_evidence(setting: &Setting, streams: &[Stream], sums: &[Sums], noise: &[f64]) -> f64 {
    let n = setting.unknowns();
    let (precision, pull) = priors(setting, streams);
    let pulled = precision.times(&pull);
    let (mut normal, mut right) = (precision.clone(), pulled.clone());
    let mut squares = dot(&pull, &pulled);
    for (own, noise) in sums.iter().zip(noise) {
        let weight = noise.powi(-2);
        (0..n * n).for_each(|i| normal.a[i] += weight * own.normal.a[i]);
        (0..n).for_each(|i| right[i] += weight * own.right[i]);
        squares += weight * own.squares;
    }
    let explained = dot(&right, &normal.inverse().times(&right));
    -0.5 * (squares - explained + normal.log_determinant() - precision.log_determinant())
}

impl Sums {
    fn zero(n: usize) -> Self {
        Self {
            waiting: Vec::with_capacity(TOGETHER * n),
            normal: Symmetric::zero(n),
            right: vec![0.0; n],
            squares: 0.0,
            rows: 0,
        }
    }

    fn of(stream: &Stream, rows: &Linear) -> Self {
        let mut own = Self::zero(rows.width());
        rows.visit(stream, |columns, target| own.add(columns, target));
        own.complete()
    }

    fn add(&mut self, columns: &[f64], target: f64) {
        self.waiting.extend_from_slice(columns);
        if self.waiting.len() == TOGETHER * columns.len() {
            self.normal.add_squares(&self.waiting);
            self.waiting.clear();
        }
        self.right.iter_mut().zip(columns).for_each(|(r, c)| *r += c * target);
        self.squares += target * target;
        self.rows += 1;
    }

    /// What all rows gave.
    fn complete(mut self) -> Self {
        self.waiting.resize(TOGETHER * self.right.len(), 0.0);
        self.normal.add_squares(&self.waiting);
        self.normal.mirror();
        self
    }

    fn residual_variance(&self, setting: &Setting, values: &[f64]) -> (f64, usize) {
        let sum = self.squares - 2.0 * dot(values, &self.right) + self.normal.form(values);
        let free = (self.rows as f64 - setting.active.len() as f64).max(1.0);
        (sum.max(0.0) / free, self.rows)
    }
}

/// Leaf powers of a solution, for all leaves (those without time: the mean).
pub fn powers(setting: &Setting, solution: &Solution) -> Vec<f64> {
    let mut powers = vec![setting.mean_watts; setting.leaves];
    for (value, &leaf) in solution.values.iter().zip(&setting.active) {
        powers[leaf] = *value;
    }
    powers
}

/// Gauss-Newton: the streams' properties, from leaf powers `known` before if there are any, in at most `most` steps; the last solution.
pub fn converge(setting: &Setting, streams: &mut [Stream], mut known: Option<Vec<f64>>, most: usize) -> Solution {
    let mut left = most;
    loop {
        let linear = |stream: &Stream| Linear::of(setting, stream, known.as_deref());
        let rows: Vec<Linear> = streams.iter().map(linear).collect();
        let sums: Vec<Sums> = streams.iter().zip(&rows).map(|(s, rows)| Sums::of(s, rows)).collect();
        let solution = solve_by(setting, streams, &sums);
        let next = powers(setting, &solution);
        let mut largest = 0.0_f64;
        for ((stream, rows), (variance, _)) in streams.iter_mut().zip(&rows).zip(&solution.residuals) {
            stream.noise = variance.sqrt().max(1e-3);
            stream.memory = rows.memory(stream, &solution.values);
            if known.is_some() {
                largest = largest.max(step(setting, stream, &solution));
            }
        }
        let first = known.is_none();
        known = Some(next);
        left -= 1;
        if left == 0 || !first && largest < 0.02 {
            return solution;
        }
    }
}

/// Logarithm of the likelihood at the streams' present properties (noise unknown), priors included, up to a constant.
pub fn log_likelihood(setting: &Setting, streams: &[Stream], powers: &[f64]) -> f64 {
    let solution = solve(setting, streams, Some(powers));
    let (_, pull) = priors(setting, streams);
    let off: Vec<f64> = solution.values.iter().zip(&pull).map(|(v, p)| v - p).collect();
    let penalty = solution.precision.form(&off);
    let fit = |&(variance, rows): &(f64, usize)| rows as f64 * variance.max(1e-9).ln();
    -0.5 * (penalty + solution.residuals.iter().map(fit).sum::<f64>())
}

/// One step more, with all rows, from properties found with some of them.
pub fn refine(setting: &Setting, streams: &mut [Stream], about: Vec<f64>) -> Vec<f64> {
    let solution = solve(setting, streams, Some(&about));
    for stream in streams.iter_mut() {
        step(setting, stream, &solution);
    }
    powers(setting, &solution)
}

/// Move a stream's properties by most of the step that the linear problem suggests; returns the largest move, ms.
fn step(setting: &Setting, stream: &mut Stream, solution: &Solution) -> f64 {
    const SHARE: f64 = 0.7;
    let moves = setting
        .theta_at(stream)
        .map(|place| place.map_or(0.0, |p| SHARE * solution.values[p]));
    let old = stream.theta;
    let theta = &mut stream.theta;
    let reach = 0.1 * old.window + 1.0;
    theta.window = (old.window + moves[0].clamp(-reach, reach)).max(0.5);
    theta.delay = (old.delay + moves[1].clamp(-2.0, 2.0)).clamp(stream.rows.earliest_ms, 200.0);
    theta.follow = (old.follow + moves[2].clamp(-0.3, 0.3)).clamp(0.0, 1.0);
    theta.response = (old.response + moves[3]).clamp(0.5 * old.response, 2.0 * old.response);
    let theta = stream.theta;
    stream.settle_blur();
    (theta.window - old.window)
        .abs()
        .max((theta.delay - old.delay).abs())
        .max((theta.follow - old.follow).abs())
}

#[cfg(test)]
mod tests;
