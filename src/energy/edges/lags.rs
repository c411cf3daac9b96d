//! Power that lags behind the markers: what it moves into a phase, or out of it, over all executions. Units: joules, watts, milliseconds.

use crate::energy::sensor_model::{Ramp, carried_over};
use crate::energy::timeline::Timeline;

/// What a lag moves between the leaves, J.
pub struct Lags {
    /// In the mean over the lags that are possible.
    pub mean: Vec<f64>,
    /// By the shortest and by the longest of these, by half of the longest, and by twice as much.
    ends: [Vec<f64>; 4],
}

impl Lags {
    pub fn of(timeline: &Timeline, watts: &[f64], ramp: Ramp) -> Self {
        let [least_ms, most_ms] = ramp.ends_ms();
        let lags = [ramp.lag_ms, least_ms, most_ms, 0.5 * most_ms, 2.0 * most_ms];
        let mut by = carried_over(timeline, watts, &lags).into_iter();
        let mut next = || by.next().unwrap_or_default();
        Self {
            mean: next(),
            ends: std::array::from_fn(|_| next()),
        }
    }

    /// How far from the mean it may be: by a delay that is the shortest, the longest or half of that, and a ramp that lags by the longest in
    /// the mean, from 0 to twice (Simpson's rule).
    pub fn farthest(&self, of: impl Fn(&[f64]) -> Vec<f64>) -> Vec<f64> {
        let mean = of(&self.mean);
        let [least, most, half, twice] = [0, 1, 2, 3].map(|i| of(&self.ends[i]));
        let of_one = |i: usize| {
            let ramp = (4.0 * most[i] + twice[i]) / 6.0;
            let off = [least[i], most[i], half[i], ramp].map(|by| (by - mean[i]).abs());
            off.into_iter().fold(0.0, f64::max)
        };
        (0..mean.len()).map(of_one).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::energy::shares;
    use crate::energy::uncertainty::K95;

    #[test]
    fn a_lag_moves_what_runs_before_a_phase_into_it_and_its_end_out() {
        const MS: i64 = 1_000_000;
        // Outside, two steps of a quiet leaf and a busy one, outside: a train, its two leaves, and the rest.
        let timeline = Timeline {
            edges: [0, 100, 110, 130, 140, 160, 200].map(|ms| ms * MS).to_vec(),
            states: vec![2, 0, 1, 0, 1, 2],
            table: vec![vec![(1, 1.0)], vec![(2, 1.0)], vec![(3, 1.0)]],
            leaves: 4,
        };
        let parents = [None, Some(0), Some(0)];
        let watts = [0.0, 100.0, 300.0, 60.0];
        let between = |lag_ms: f64, sd_ms: f64| Lags::of(&timeline, &watts, Ramp { lag_ms, sd_ms });
        let lags = between(0.0, 2.0 / K95);
        let of_figures = lags.farthest(|by| shares::inclusive(by, &parents));
        // Of 2 ms: 60 W come into the train and 300 W go out of it; inside, each step's quiet leaf has 300 W of the busy one, or 60.
        let expected = [0.48, 0.06 * 2.0 + 0.3 * 2.0 - 2.0 * 0.1 * 2.0, 0.4 * 2.0, 0.48, 0.0];
        for (found, expected) in of_figures.iter().zip(expected) {
            assert!((found - expected).abs() < 1e-9, "{of_figures:?}");
        }
        // Between no lag and 2 ms, and 1 ms in the mean: half of it is moved, half of it left to doubt.
        let lags = between(1.0, 1.0 / K95);
        assert!((lags.mean[3] - 0.24).abs() < 1e-9, "{:?}", lags.mean);
        assert!((lags.mean.iter().sum::<f64>()).abs() < 1e-9, "nothing is lost");
        let train = lags.farthest(|by| shares::inclusive(by, &parents))[0];
        assert!((train - 0.24).abs() < 1e-9, "{train}");
    }
}
