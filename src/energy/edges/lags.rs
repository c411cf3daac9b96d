//! Power that lags behind the markers: what it moves into a phase, or out of it, over all executions. Units: joules, watts, milliseconds.

use crate::energy::sensor_model::carried_over;
use crate::energy::timeline::Timeline;

/// What a lag moves between the leaves, J: of half of it, of all, and of twice as much.
pub struct Lags([Vec<f64>; 3]);

impl Lags {
    pub fn of(timeline: &Timeline, watts: &[f64], most_ms: f64) -> Self {
        let mut by = carried_over(timeline, watts, &[0.5, 1.0, 2.0].map(|part| part * most_ms)).into_iter();
        Self(std::array::from_fn(|_| by.next().unwrap_or_default()))
    }

    /// The farthest of a delay by half of it, by all, and a ramp that lags by all in the mean, from 0 to twice (Simpson's rule).
    pub fn farthest(&self, of: impl Fn(&[f64]) -> Vec<f64>) -> Vec<f64> {
        let [half, all, twice] = [0, 1, 2].map(|i| of(&self.0[i]));
        let each = half.iter().zip(&all).zip(&twice);
        each.map(|((half, all), twice)| half.abs().max(all.abs()).max((4.0 * all + twice).abs() / 6.0))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::energy::shares;

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
        let lags = Lags::of(&timeline, &[0.0, 100.0, 300.0, 60.0], 2.0);
        let of_figures = lags.farthest(|by| shares::inclusive(by, &parents));
        // Of 2 ms: 60 W come into the train and 300 W go out of it; inside, each step's quiet leaf has 300 W of the busy one, or 60.
        let expected = [0.48, 0.06 * 2.0 + 0.3 * 2.0 - 2.0 * 0.1 * 2.0, 0.4 * 2.0, 0.48, 0.0];
        for (found, expected) in of_figures.iter().zip(expected) {
            assert!((found - expected).abs() < 1e-9, "{of_figures:?}");
        }
    }
}
