//! Which courses of the power the readings leave possible, and what they move between the leaves.

use crate::energy::timeline::Timeline;
use crate::energy::uncertainty::K95;

use super::Ramp;
use super::design::Shape;
use super::fit::Stream;
use super::matrix::Symmetric;
use super::ramp::{self, Assumed, Course};
use super::skew;

/// Lags (ms) for which it is worked out what they move; between them it is very nearly linear.
const KNOTS: [f64; 5] = [0.0, 0.5, 1.5, 3.0, ramp::MOST_LAG];
/// A ramp is excluded if the logarithm of its likelihood is less than the best one's by more than this: half of chi-squared with one
/// degree of freedom, at 95 %.
const EXCLUDED: f64 = 1.92;
/// How much of a low pass may be the power's, ms.
const LOW_PASS_OWN: f64 = 3.0;

/// Average over the courses of the power that are possible: move `energies` to the mean over them, add the distance of the farthest that
/// is not excluded to the covariance.
///
/// What rounds an edge may be the power's, which moves energy by its lag, or the sensor's own (its response, jitter that polls do not
/// show), which moves none: readings do not tell `whose` it is. That the sensor's `response` (ms) was found does not make what is rounded
/// beside it the power's: a ramp of the same roundness takes its place, and leaves next to nothing of it.
pub fn average(
    (timeline, seconds): (&Timeline, &[f64]),
    active: &[usize],
    (assumed, response, whose): (&[Assumed], Option<f64>, Whose),
    (about, fitted): (&[f64], &[f64]),
    energies: &mut [f64],
    covariance: &mut Symmetric,
) -> Ramp {
    let leaves = timeline.leaves;
    let knots = ramp::carried_over(timeline, fitted, &KNOTS);
    let carried = |course: Course| -> Vec<f64> {
        match course {
            Course::Linear(length) => (0..leaves).map(|leaf| between(&knots, leaf, 0.5 * length)).collect(),
            Course::Exponential(tau) => skew::followed(timeline, fitted, tau),
        }
    };
    let of = |one: &Assumed, by_power: bool| {
        let lagging = if by_power {
            carried(one.course)
        } else {
            vec![0.0; leaves]
        };
        let mut by = vec![0.0; leaves];
        for &leaf in active {
            by[leaf] = (one.powers[leaf] - about[leaf]) * seconds[leaf] + lagging[leaf];
        }
        Possible {
            weight: one.weight,
            against_best: one.against_best,
            lag: if by_power { one.course.lag() } else { 0.0 },
            by,
        }
    };
    let (linear, exponential) = by_kind(assumed);
    let ways = [&linear, &exponential]
        .into_iter()
        .flat_map(|kind| whose.by_power().iter().map(move |&by_power| (kind, by_power)));
    let possible: Vec<Vec<Possible>> = ways
        .map(|(kind, by_power)| kind.iter().map(|one| of(one, by_power)).collect())
        .collect();
    let all = || possible.iter().flatten();
    let weights: f64 = all().map(|p| p.weight).sum();
    let mut middle = vec![0.0; leaves];
    for one in all() {
        middle
            .iter_mut()
            .zip(&one.by)
            .for_each(|(m, b)| *m += one.weight / weights * b);
    }
    let lag_ms = all().map(|p| p.weight / weights * p.lag).sum::<f64>();
    let found: Vec<(f64, Vec<f64>)> = possible.iter().flat_map(|way| not_excluded(way)).collect();
    let from_middle = |by: &[f64]| -> Vec<f64> { by.iter().zip(&middle).map(|(b, m)| b - m).collect() };
    let mut farthest_ms = lag_ms;
    for (lag, by) in farthest(&found, lag_ms)
        .into_iter()
        .chain(least_lag(&found, lag_ms, from_middle))
    {
        farthest_ms = if (lag - lag_ms).abs() > (farthest_ms - lag_ms).abs() {
            *lag
        } else {
            farthest_ms
        };
        let off = from_middle(by);
        // The end of an interval that holds 95 %.
        covariance.add_outer(K95.powi(-2), &off, &off);
    }
    // Of the response that was found, nothing tells how much is the power's.
    let own_ms = own_ms(response);
    let off = carried(Course::Exponential(own_ms));
    covariance.add_outer(K95.powi(-2), &off, &off);
    energies.iter_mut().zip(&middle).for_each(|(e, m)| *e += m);
    let sd_ms = (farthest_ms - lag_ms).abs().hypot(own_ms) / K95;
    Ramp { lag_ms, sd_ms }
}

/// Whose the roundness of the edges can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose {
    Anyones,
    /// A low pass has rounded all it can: what is rounder is the power's.
    ThePowers,
}

impl Whose {
    pub fn of(streams: &[Stream]) -> Self {
        let is_low_pass = |stream: &Stream| !stream.is_counter && stream.theta.shape == Shape::LowPass;
        if streams.iter().any(is_low_pass) {
            Self::ThePowers
        } else {
            Self::Anyones
        }
    }

    fn by_power(self) -> &'static [bool] {
        match self {
            Self::Anyones => &[true, false],
            Self::ThePowers => &[true],
        }
    }
}

/// How much of a response (ms) may be the power's own.
fn own_ms(response: Option<f64>) -> f64 {
    response.unwrap_or(0.0).min(ramp::MOST_LAG)
}

/// The longest lag (ms) that is not excluded, beside a response that may be the power's.
pub fn longest(assumed: &[Assumed], response: Option<f64>) -> f64 {
    let of = |one: &Assumed| Possible {
        weight: one.weight,
        against_best: one.against_best,
        lag: one.course.lag(),
        by: Vec::new(),
    };
    let of_kind = |kind: Vec<&Assumed>| not_excluded(&kind.into_iter().map(of).collect::<Vec<_>>());
    let (linear, exponential) = by_kind(assumed);
    let found = [of_kind(linear), of_kind(exponential)];
    found.iter().flatten().map(|one| one.0).fold(own_ms(response), f64::max)
}

/// The linear courses, and the others.
fn by_kind(assumed: &[Assumed]) -> (Vec<&Assumed>, Vec<&Assumed>) {
    assumed.iter().partition(|one| matches!(one.course, Course::Linear(_)))
}

/// Time constant (ms) of what comes before a boxcar, where one was found: the sensor's response, or the power's own. A sensor that is a low
/// pass and no boxcar is one of a kind that was metered, and little of it the power's.
pub fn response(streams: &[Stream]) -> Option<f64> {
    let power = streams.iter().find(|stream| !stream.is_counter)?;
    match power.theta.shape {
        Shape::LowPass => Some(LOW_PASS_OWN.min(0.5 * power.theta.window)),
        Shape::Boxcar => Some(power.theta.response).filter(|ms| *ms > 0.0),
    }
}

/// A length and a shape of ramp, and what it adds to the energies.
struct Possible {
    weight: f64,
    against_best: f64,
    lag: f64,
    by: Vec<f64>,
}

/// What the readings do not exclude: lags, and what each adds to the energies. `possible` are of one kind, ascending;
/// between them the likelihood is taken to be linear.
fn not_excluded(possible: &[Possible]) -> Vec<(f64, Vec<f64>)> {
    let mut found = Vec::new();
    for (i, one) in possible.iter().enumerate() {
        if one.against_best >= -EXCLUDED {
            found.push((one.lag, one.by.clone()));
            continue;
        }
        for beside in [i.checked_sub(1), Some(i + 1)].into_iter().flatten() {
            let Some(other) = possible.get(beside).filter(|o| o.against_best >= -EXCLUDED) else {
                continue;
            };
            let share = (other.against_best + EXCLUDED) / (other.against_best - one.against_best);
            let to = |from: f64, to: f64| from + share * (to - from);
            let by = other.by.iter().zip(&one.by).map(|(&a, &b)| to(a, b)).collect();
            found.push((to(other.lag, one.lag), by));
        }
    }
    found
}

/// The one whose lag is farthest from `lag_ms`.
fn farthest(found: &[(f64, Vec<f64>)], lag_ms: f64) -> Option<&(f64, Vec<f64>)> {
    let off = |one: &(f64, Vec<f64>)| (one.0 - lag_ms).abs();
    found.iter().max_by(|a, b| off(a).total_cmp(&off(b)))
}

/// Of those that lag less than `lag_ms`, the one that moves the leaves most: a blur that is the sensor's moves what the readings saw, and
/// not what they did not.
fn least_lag(
    found: &[(f64, Vec<f64>)],
    lag_ms: f64,
    from_middle: impl Fn(&[f64]) -> Vec<f64>,
) -> Option<&(f64, Vec<f64>)> {
    let moved = |one: &(f64, Vec<f64>)| from_middle(&one.1).iter().map(|joules| joules.abs()).sum::<f64>();
    let less = found.iter().filter(|one| one.0 < lag_ms);
    less.max_by(|a, b| moved(a).total_cmp(&moved(b)))
}

/// Linear between the knots, and on beyond the last.
fn between(carried: &[Vec<f64>], leaf: usize, lag: f64) -> f64 {
    let i = KNOTS.partition_point(|&k| k <= lag).clamp(1, KNOTS.len() - 1);
    let (from, to) = (carried[i - 1][leaf], carried[i][leaf]);
    from + (to - from) * (lag - KNOTS[i - 1]) / (KNOTS[i] - KNOTS[i - 1])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// For each (length, likelihood against the best one's) a ramp that lags by half of it. A leaf that gets 10 J for each millisecond of
    /// lag.
    fn possible(lengths: &[(f64, f64)]) -> Vec<Possible> {
        let one = |&(length, against_best): &(f64, f64)| Possible {
            weight: against_best.exp(),
            against_best,
            lag: 0.5 * length,
            by: vec![5.0 * length],
        };
        lengths.iter().map(one).collect()
    }

    #[test]
    fn the_interval_reaches_to_the_longest_ramp_that_is_not_excluded() {
        // Between 1 ms and 2 ms the likelihood falls from 0.92 to 2.92 below the best: 1.92 is halfway.
        let farthest = |lengths: &[(f64, f64)], lag: f64| {
            let found = not_excluded(&possible(lengths));
            super::farthest(&found, lag).cloned().expect("not all are excluded")
        };
        let (lag, by) = farthest(&[(0.0, 0.0), (1.0, -0.92), (2.0, -2.92), (3.0, -8.0)], 0.1);
        assert!((lag - 0.75).abs() < 1e-9 && (by[0] - 7.5).abs() < 1e-9, "{lag}, {by:?}");
        // Where nothing tells lengths apart, to the longest.
        let (lag, _) = farthest(&[(0.0, 0.0), (1.0, -0.1), (6.0, -0.2)], 0.1);
        assert!((lag - 3.0).abs() < 1e-9, "{lag}");
        // Where no ramp is what is excluded, as far down as it is: a quarter of the way from 2 ms to none.
        let (lag, _) = farthest(&[(0.0, -7.68), (2.0, 0.0), (3.0, -9.0)], 1.0);
        assert!((lag - 0.75).abs() < 1e-9, "{lag}");
    }

    #[test]
    fn whose_a_roundness_is_stays_open_where_a_response_was_found() {
        // A hundred times 20 ms at 100 W and 20 ms at 300 W, whose edges are round as if the power took 8 ms.
        let timeline = Timeline {
            edges: (0..=200).map(|i| i * 20_000_000).collect(),
            states: (0..200).map(|i| i % 2).collect(),
            table: vec![vec![(0, 1.0)], vec![(1, 1.0)]],
            leaves: 2,
        };
        let watts = [100.0, 300.0];
        let assumed = [(0.0, -40.0), (8.0, 0.0)].map(|(length, against_best): (f64, f64)| Assumed {
            course: Course::Linear(length),
            weight: against_best.exp(),
            against_best,
            powers: watts.to_vec(),
        });
        for response in [None, Some(0.3)] {
            let (mut energies, mut covariance) = (vec![0.0; 2], Symmetric::zero(2));
            let found = average(
                (&timeline, &[2.0, 2.0]),
                &[0, 1],
                (&assumed, response, Whose::Anyones),
                (&watts, &watts),
                &mut energies,
                &mut covariance,
            );
            // If all of it is the power's, 4 ms of 200 W at each of a hundred edges count for the other phase.
            let all = 0.004 * 200.0 * 100.0;
            assert!(
                (energies[0] - 0.5 * all).abs() < 0.02 * all,
                "{response:?}: {energies:?}"
            );
            assert!((found.lag_ms - 2.0).abs() < 1e-6, "{response:?}: {found:?}");
            let half_width = K95 * covariance.at(0, 0).sqrt();
            assert!(half_width > 0.49 * all, "{response:?}: {half_width} J of {all} J");
        }
    }
}
