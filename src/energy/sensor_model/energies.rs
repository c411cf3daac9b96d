//! From a converged fit to leaf energies: their covariance, and what ramps of the power could move between them.

use crate::energy::shares;
use crate::energy::timeline::Timeline;

use super::Inputs;
use super::covariance;
use super::fit::{self, Setting, Stream};
use super::matrix::Symmetric;

/// No board's power takes longer than this to follow, on average, ms: a larger blur is the sensor's clock.
const SLOWEST_LAG: f64 = 1.5;

/// Leaf energies, their covariance, and what ramps would carry over, from converged streams.
pub fn energies(inputs: &Inputs, setting: &Setting, streams: &mut [Stream]) -> (Vec<f64>, Symmetric, Vec<f64>) {
    let first = fit::solve(setting, streams, None);
    let powers = fit::refine(setting, streams, fit::powers(setting, &first));
    let solution = fit::solve(setting, streams, Some(&powers));
    let fitted = fit::powers(setting, &solution);
    let drift_s = drift_seconds(inputs, setting);
    let gradients = covariance::gradients(setting, &solution, inputs.seconds, &drift_s);
    let active = covariance::of_energies(setting, streams, &powers, &solution, &gradients);
    let leaves = setting.leaves;
    let looks = looks(setting, streams, &powers);
    let mut energies = vec![0.0; leaves];
    let mut covariance = Symmetric::zero(leaves);
    for (i, &leaf) in setting.active.iter().enumerate() {
        // The gradient's own entry is the time, drift included.
        energies[leaf] = fitted[leaf] * gradients[i][i];
        for (j, &other) in setting.active.iter().enumerate() {
            covariance.a[leaf * leaves + other] = active.at(i, j);
        }
        covariance.a[leaf * leaves + leaf] += few_looks(setting, energies[leaf], inputs.seconds[leaf], looks[leaf]);
    }
    let blur = streams
        .iter()
        .map(|s| ramp_blur(setting, s, &solution))
        .fold(f64::INFINITY, f64::min);
    (energies, covariance, carried_over(inputs.timeline, &fitted, blur))
}

/// How many rows each leaf was seen in, effectively: (sum x)^2 / sum x^2 of its overlaps.
fn looks(setting: &Setting, streams: &[Stream], powers: &[f64]) -> Vec<f64> {
    let mut sums = vec![(0.0, 0.0); setting.leaves];
    for stream in streams {
        fit::visit(setting, stream, Some(powers), |_, columns, _| {
            for (column, &leaf) in columns.iter().zip(&setting.active) {
                sums[leaf].0 += column;
                sums[leaf].1 += column * column;
            }
        });
    }
    sums.iter()
        .map(|(sum, square)| if *square > 0.0 { sum * sum / square } else { 0.0 })
        .collect()
}

/// Variance (J^2) that the residuals cannot show: a leaf seen in a few rows fits them whatever it drew, and one mean power over a run
/// is an assumption that holds to a part in a thousand at best.
fn few_looks(setting: &Setting, joules: f64, seconds: f64, looks: f64) -> f64 {
    const ENOUGH: f64 = 12.0;
    const IDEAL: f64 = 5e-4;
    let unknown = (1.0 - looks / ENOUGH).max(0.0) / looks.max(1.0);
    unknown * (setting.watts_sd * seconds).powi(2) + (IDEAL * joules).powi(2)
}

/// The most of a stream's blur that ramps of the power can account for, ms^2: what the clock's jitter leaves over, and what one
/// standard error more would be.
fn ramp_blur(setting: &Setting, stream: &Stream, solution: &fit::Solution) -> f64 {
    let error = setting.theta_at(stream)[2].map_or(0.0, |i| solution.inverse.at(i, i).max(0.0).sqrt());
    let follow = stream.theta.follow;
    let jitter = follow * (1.0 - follow) * (stream.rows.scatter * 1e3).powi(2);
    (stream.theta.blur - jitter + error).max(0.0)
}

/// For each cosine of the drift, its integral over each leaf's time.
fn drift_seconds(inputs: &Inputs, setting: &Setting) -> Vec<Vec<f64>> {
    const BINS: i64 = 1024;
    let mut sums = vec![vec![0.0; setting.leaves]; setting.drift];
    let (start, length) = (inputs.run.start.as_nanos(), inputs.run.nanos());
    let edge = |i: i64| start + (i128::from(length) * i128::from(i) / i128::from(BINS)) as i64;
    shares::walk(
        inputs.timeline,
        (0..BINS).map(|i| (edge(i), edge(i + 1))),
        |i, shares| {
            let middle = (i as f64 + 0.5) / BINS as f64 * setting.run_s;
            for (j, sums) in sums.iter_mut().enumerate() {
                let cosine = setting.cosine(j + 1, middle);
                shares.iter().for_each(|&(leaf, s)| sums[leaf] += s * cosine);
            }
        },
    );
    sums
}

/// A linear ramp of variance `blur` (ms^2) behind each edge makes the power lag by sqrt(3 blur) on average: a phase then has the
/// energy of the lag before its beginning, and not that of the lag before its end.
fn carried_over(timeline: &Timeline, powers: &[f64], blur: f64) -> Vec<f64> {
    let lag = ((3.0 * blur.max(0.0)).sqrt().min(SLOWEST_LAG) * 1e6) as i64;
    let mut carried = vec![0.0; timeline.leaves];
    let watts = |i: usize| {
        timeline.table[timeline.states[i] as usize]
            .iter()
            .map(|&(l, share)| share * powers[l])
            .sum::<f64>()
    };
    let before = |segment: usize| {
        let (mut joules, mut left) = (0.0, lag);
        for i in (0..segment).rev() {
            let take = left.min(timeline.edges[i + 1] - timeline.edges[i]);
            joules += watts(i) * take as f64 * 1e-9;
            left -= take;
            if left == 0 {
                break;
            }
        }
        joules
    };
    let mut entering = 0.0;
    for i in 0..timeline.states.len() {
        let leaving = if i + 1 < timeline.states.len() {
            before(i + 1)
        } else {
            0.0
        };
        for &(leaf, share) in &timeline.table[timeline.states[i] as usize] {
            carried[leaf] += share * (entering - leaving);
        }
        entering = leaving;
    }
    carried
}
