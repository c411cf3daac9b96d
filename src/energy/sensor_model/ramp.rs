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
use crate::energy::uncertainty::K95;

use super::design::{Shape, Theta};
use super::fit::{self, Setting, Solution, Stream};

/// Lengths of a linear ramp that are tried, ms: to twice the longest lag.
const LENGTHS: [f64; 13] = [0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.5, 12.0, 16.0];
/// How likely no ramp is, and how fast longer ramps become unlikely, ms.
const BELIEVED: f64 = 0.7;
const USUAL_MS: f64 = 2.0;
/// No board's power is believed to lag by more than this, ms: many times what was seen of one.
pub const MOST_LAG: f64 = 8.0;
/// Time constants that are tried of a power that follows exponentially, ms.
const TAUS: [f64; 7] = [0.5, 1.0, 2.0, 3.0, 4.5, 6.0, MOST_LAG];
/// Worse by this (logarithm of likelihood) than the best: not pursued.
const HOPELESS: f64 = 9.0;
/// Steps from one length to the next: the other properties hardly move.
const FEW_STEPS: usize = 3;

/// How the power follows its phases, and what comes of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Assumed {
    pub course: Course,
    /// How likely it is, with what is believed before.
    pub weight: f64,
    /// Logarithm of its likelihood against the best one's.
    pub against_best: f64,
    /// Leaf powers under it, watts.
    pub powers: Vec<f64>,
}

/// How the power follows its phases.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Course {
    /// Over so many ms, evenly.
    Linear(f64),
    /// With this time constant, ms.
    Exponential(f64),
}

impl Course {
    /// Its mean lag, ms.
    pub fn lag(self) -> f64 {
        match self {
            Self::Linear(length) => 0.5 * length,
            Self::Exponential(tau) => tau,
        }
    }
}

/// Variance (ms^2) of a linear ramp of `length` ms.
pub fn variance(length: f64) -> f64 {
    length * length / 12.0
}

/// How far below what they can be the `streams`' delays are under a course, in standard deviations (root of the sum of squares). What lags by
/// more than the delay that was found with it would be shown before it was there.
fn too_early(setting: &Setting, streams: &[Stream], course: Course, (solution, inflation): (&Solution, f64)) -> f64 {
    let of = |stream: &Stream| {
        let least = stream.rows.least_ms.filter(|_| stream.theta.shape == Shape::Boxcar)?;
        let at = setting.theta_at(stream)[1]?;
        // Polls that keep step with the updates see all of them at one place between two of them, and others scatter at least as far as there is
        // room.
        let room = stream.rows.half.powi(2) / 3.0;
        let place_ms = 1e3 * (room - stream.rows.scatter.powi(2)).max(0.0).sqrt();
        let sd = (inflation * solution.inverse.at(at, at)).sqrt().hypot(place_ms);
        // An exponential is followed explicitly, a ramp of another kind stands as far behind as it lags.
        let lag = if let Course::Linear(_) = course {
            course.lag()
        } else {
            0.0
        };
        Some((least + lag - stream.theta.delay).max(0.0) / sd.max(1e-3))
    };
    streams.iter().filter_map(of).map(|off| off * off).sum::<f64>().sqrt()
}

/// Try all courses from converged `streams`, the linear ones first, each kind ascending. `inflation` is how much the residuals'
/// correlations widen variances: the likelihood counts for so much less. Where powers come after their markers (`is_causal`), it counts too how
/// well delays bear the lag. The streams are left at the likeliest.
pub fn assume(
    setting: &Setting,
    streams: &mut [Stream],
    powers: &[f64],
    (inflation, is_causal): (f64, bool),
) -> Vec<Assumed> {
    let inflation = inflation.max(1.0);
    let settled: Vec<Theta> = streams.iter().map(|s| s.theta).collect();
    // An exponential before a sensor that is one itself changes nothing: a counter alone tells of it.
    let is_slow = |theta: &Theta| theta.shape == Shape::LowPass || theta.response > 0.0;
    let is_told = streams.iter().any(|s| s.is_counter || !is_slow(&s.theta));
    let mut tried: Vec<(Assumed, Vec<Theta>, f64)> = Vec::new();
    let mut best = f64::NEG_INFINITY;
    let mut go_on = |courses: &mut dyn Iterator<Item = Course>, start: Vec<f64>| {
        let mut powers = start;
        for course in courses {
            let before: Vec<(f64, f64)> = streams.iter().map(|s| (s.own, s.theta.delay)).collect();
            for (stream, (own, delay)) in streams.iter_mut().zip(before) {
                follow(stream, course);
                if stream.theta.response == 0.0 {
                    stream.theta.delay = (delay + own - stream.own).max(stream.rows.earliest_ms);
                }
            }
            let solution = fit::converge(setting, streams, Some(powers.clone()), FEW_STEPS);
            powers = fit::powers(setting, &solution);
            let likelihood = fit::log_likelihood(setting, streams, &powers) / inflation;
            if likelihood < best - HOPELESS {
                break;
            }
            best = best.max(likelihood);
            let early = too_early(setting, streams, course, (&solution, inflation));
            let assumed = Assumed {
                course,
                weight: believed(course),
                against_best: likelihood,
                powers: powers.clone(),
            };
            tried.push((assumed, streams.iter().map(|s| s.theta).collect(), early));
        }
        for (stream, theta) in streams.iter_mut().zip(&settled) {
            stream.theta = *theta;
            follow(stream, Course::Linear(0.0));
        }
    };
    go_on(&mut LENGTHS.into_iter().map(Course::Linear), powers.to_vec());
    if is_told {
        go_on(&mut TAUS.into_iter().map(Course::Exponential), powers.to_vec());
    }
    // Of what is too early without a lag no delay says how far it lags.
    if is_causal && tried.first().is_some_and(|(.., early)| *early < K95) {
        for (one, _, early) in &mut tried {
            one.against_best -= 0.5 * *early * *early;
        }
    }
    let best = tried
        .iter()
        .map(|(one, ..)| one.against_best)
        .fold(f64::NEG_INFINITY, f64::max);
    for (one, ..) in &mut tried {
        one.against_best -= best;
        one.weight *= one.against_best.exp();
    }
    let sum: f64 = tried.iter().map(|(one, ..)| one.weight).sum();
    tried.iter_mut().for_each(|(one, ..)| one.weight /= sum);
    if let Some((likeliest, thetas, _)) = tried.iter().max_by(|a, b| a.0.weight.total_cmp(&b.0.weight)) {
        for (stream, theta) in streams.iter_mut().zip(thetas) {
            stream.theta = *theta;
            follow(stream, likeliest.course);
        }
    }
    tried.into_iter().map(|(assumed, ..)| assumed).collect()
}

/// Have the stream's power follow in this way.
fn follow(stream: &mut Stream, course: Course) {
    (stream.ramp, stream.own) = match course {
        Course::Linear(length) => (variance(length), 0.0),
        Course::Exponential(tau) => (0.0, tau),
    };
    stream.settle_blur();
}

/// How likely a course is before looking: no ramp, or one whose length or time constant is of an exponential distribution. The linear one
/// of no length stands for none.
fn believed(course: Course) -> f64 {
    let (of_kind, at) = match course {
        Course::Linear(length) => (&LENGTHS[1..], length),
        Course::Exponential(tau) => (&TAUS[..], tau),
    };
    let Some(i) = of_kind.iter().position(|&one| one == at) else {
        return BELIEVED;
    };
    let middle = |a: usize| 0.5 * (of_kind[a] + of_kind[a + 1]);
    let from = if i == 0 { 0.0 } else { middle(i - 1) };
    let beyond = |at: f64| (-at / USUAL_MS).exp();
    let to = if i + 1 == of_kind.len() { 0.0 } else { beyond(middle(i)) };
    0.5 * (1.0 - BELIEVED) * (beyond(from) - to)
}

/// What a lag moves: for each of `lags` (ms), the energy that each leaf has more than its power says. A phase has the
/// energy of the lag before its beginning, and not that of the lag before its end.
pub fn carried_over(timeline: &Timeline, powers: &[f64], lags: &[f64]) -> Vec<Vec<f64>> {
    let watts = timeline.watts(powers);
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
        let linear = LENGTHS.into_iter().map(Course::Linear);
        let all = linear.chain(TAUS.into_iter().map(Course::Exponential));
        let sum: f64 = all.map(believed).sum();
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
