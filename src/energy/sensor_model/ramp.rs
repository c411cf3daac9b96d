//! Ramps of the power: how long it takes to follow a marker, how sure that is, and what it moves from a phase into the next.
//!
//! A ramp delays the power by its mean lag and rounds the edges. The lag alone cannot be told from a delay of the sensor, but the
//! rounding can be seen: windows that end near an edge read less of a step. So the fit is repeated with ramps of different length, each
//! is weighted by how well it explains the readings (an average over models; Hoeting and others 1999).
//!
//! What is believed before: an A100's power at its rails follows a load within two samples of a 4.9 kHz meter (the recording of
//! `oxford.rs`), so that no ramp at all is likely. One board is little evidence: the estimate is made with that belief, its interval
//! without any. It reaches to the longest ramp that the readings do not exclude at 95 % (profile likelihood).

use crate::energy::timeline::Timeline;

use super::design::Theta;
use super::fit::{self, Setting, Stream};

/// Lengths of a linear ramp that are tried, ms.
const LENGTHS: [f64; 10] = [0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0];
const LONGEST: f64 = LENGTHS[LENGTHS.len() - 1];
/// How likely no ramp is, and how fast longer ramps become unlikely, ms.
const BELIEVED: f64 = 0.7;
const USUAL_MS: f64 = 2.0;
/// Worse by this (logarithm of likelihood) than the best: not pursued.
const HOPELESS: f64 = 9.0;
/// Steps from one length to the next: the other properties hardly move.
const FEW_STEPS: usize = 3;

/// One length of ramp and what follows from it.
#[derive(Debug, Clone, PartialEq)]
pub struct Assumed {
    pub length_ms: f64,
    /// How likely it is, with what is believed before.
    pub weight: f64,
    /// Logarithm of its likelihood against the best one's.
    pub against_best: f64,
    /// Leaf powers under it, watts.
    pub powers: Vec<f64>,
}

/// Variance (ms^2) of a linear ramp of `length` ms.
pub fn variance(length: f64) -> f64 {
    length * length / 12.0
}

/// Lags (ms) of what rounds an edge alike: a linear ramp of this length, an exponential one, halfway being the mean, and what lies in the
/// sensor: its response, jitter that polls do not show. The readings do not tell whose it is, and the sensor's own moves no energy.
pub fn lags(length: f64) -> [f64; 3] {
    [0.5 * length, variance(length).sqrt(), 0.0]
}

/// Which of [`lags`] is the sensor's.
pub const OF_SENSOR: usize = 2;

/// Try all lengths from converged `streams`. `inflation` is how much the residuals' correlations widen variances: the likelihood
/// counts for so much less. The streams are left at the likeliest length.
pub fn assume(setting: &Setting, streams: &mut [Stream], powers: &[f64], inflation: f64) -> Vec<Assumed> {
    let mut tried: Vec<(Assumed, f64, Vec<Theta>)> = Vec::new();
    let mut best = f64::NEG_INFINITY;
    let mut powers = powers.to_vec();
    for length_ms in LENGTHS {
        for stream in streams.iter_mut() {
            stream.ramp = variance(length_ms);
            stream.settle_blur();
        }
        let solution = fit::converge(setting, streams, Some(powers.clone()), FEW_STEPS);
        powers = fit::powers(setting, &solution);
        let likelihood = fit::log_likelihood(setting, streams, &powers) / inflation.max(1.0);
        if likelihood < best - HOPELESS {
            break;
        }
        best = best.max(likelihood);
        let assumed = Assumed {
            length_ms,
            weight: 0.0,
            against_best: 0.0,
            powers: powers.clone(),
        };
        tried.push((assumed, likelihood, streams.iter().map(|s| s.theta).collect()));
    }
    let weight = |(i, tried): (usize, &(Assumed, f64, Vec<Theta>))| (tried.1 - best).exp() * believed(i);
    let weights: Vec<f64> = tried.iter().enumerate().map(weight).collect();
    let sum: f64 = weights.iter().sum();
    for (one, weight) in tried.iter_mut().zip(weights) {
        (one.0.weight, one.0.against_best) = (weight / sum, one.1 - best);
    }
    if let Some((likeliest, _, thetas)) = tried.iter().max_by(|a, b| a.0.weight.total_cmp(&b.0.weight)) {
        for (stream, theta) in streams.iter_mut().zip(thetas) {
            stream.ramp = variance(likeliest.length_ms);
            stream.theta = *theta;
        }
    }
    tried.into_iter().map(|(assumed, ..)| assumed).collect()
}

/// How likely the i-th length is before looking: none, or one of an exponential distribution.
fn believed(i: usize) -> f64 {
    let beyond = |length: f64| {
        if length < LONGEST {
            (-length / USUAL_MS).exp()
        } else {
            0.0
        }
    };
    let share = |(from, to): (f64, f64)| (1.0 - BELIEVED) * (beyond(from) - beyond(to));
    if i == 0 { BELIEVED } else { share(stretch(i)) }
}

/// The lengths that the i-th stands for.
fn stretch(i: usize) -> (f64, f64) {
    let middle = |a: usize| 0.5 * (LENGTHS[a] + LENGTHS[a + 1]);
    let from = if i == 1 { 0.0 } else { middle(i - 1) };
    let to = if i + 1 == LENGTHS.len() { LONGEST } else { middle(i) };
    (from, to)
}

/// What a lag moves: for each of `lags` (ms, ascending), the energy that each leaf has more than its power says. A phase has the
/// energy of the lag before its beginning, and not that of the lag before its end.
pub fn carried_over(timeline: &Timeline, powers: &[f64], lags: &[f64]) -> Vec<Vec<f64>> {
    let watts: Vec<f64> = timeline
        .table
        .iter()
        .map(|shares| shares.iter().map(|&(l, share)| share * powers[l]).sum())
        .collect();
    let state = |i: usize| timeline.states[i] as usize;
    lags.iter()
        .map(|lag| {
            let lag = (lag * 1e6) as i64;
            let mut carried = vec![0.0; timeline.leaves];
            let before = |segment: usize| {
                let (mut joules, mut left) = (0.0, lag);
                for i in (0..segment).rev() {
                    let take = left.min(timeline.edges[i + 1] - timeline.edges[i]);
                    joules += watts[state(i)] * take as f64 * 1e-9;
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
                for &(leaf, share) in &timeline.table[state(i)] {
                    carried[leaf] += share * (entering - leaving);
                }
                entering = leaving;
            }
            carried
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_believed_before_adds_up_to_one() {
        let sum: f64 = (0..LENGTHS.len()).map(believed).sum();
        assert!((sum - 1.0).abs() < 1e-12, "{sum}");
    }

    #[test]
    fn a_lag_moves_power_from_a_phase_into_the_next_and_nothing_is_lost() {
        // 10 ms at 100 W, 10 ms at 300 W, and so on.
        let timeline = Timeline {
            edges: (0..=10).map(|i| i * 10_000_000).collect(),
            states: (0..10).map(|i| i % 2).collect(),
            table: vec![vec![(0, 1.0)], vec![(1, 1.0)]],
            leaves: 2,
        };
        let carried = carried_over(&timeline, &[100.0, 300.0], &[1.0]);
        // 5 beginnings of the second after the first, each 1 ms * (100 - 300) W; 4 of the first after the second.
        assert!((carried[0][1] - (5.0 * 0.1 - 4.0 * 0.3)).abs() < 1e-9, "{carried:?}");
        assert!((carried[0][0] + carried[0][1]).abs() < 1e-9, "{carried:?}");
    }
}
