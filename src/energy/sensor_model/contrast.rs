//! How much of the differences between readings is left where it is not known exactly when they were taken.
//!
//! A sensor that is polled as slowly as it updates, or more slowly, has shown its value for an unknown time: the mixture of phases that
//! it saw is expected, not known. If that blur is longer than the steps, all readings are expected to have seen nearly the same.

use super::Inputs;
use super::design::{Design, Shape, Theta};
use super::overlap::Overlap;
use super::rows::Rows;

/// So many readings show it.
const READINGS: usize = 500;

/// Variance of the expected overlaps against that of sharp ones: the median over leaves. 1 where nothing is unseen.
pub fn left(inputs: &Inputs, overlap: &Overlap, rows: &Rows) -> f64 {
    if rows.unseen == 0.0 {
        return 1.0;
    }
    let window = inputs.device.power_timing.window_ms.unwrap_or(rows.period * 1e3);
    let rows = rows.spread(READINGS);
    let scatter = |blur: f64| {
        let theta = Theta {
            window,
            shape: Shape::Boxcar,
            delay: 0.0,
            blur,
            follow: 0.0,
            response: 0.0,
        };
        let leaves = inputs.timeline.leaves;
        let mut design = Design::new(overlap, theta, rows.rows.len());
        let mut sums = vec![(0.0, 0.0); leaves];
        for row in &rows.rows {
            design.row(row, None);
            for (sum, column) in sums.iter_mut().zip(&design.columns) {
                *sum = (sum.0 + column, sum.1 + column * column);
            }
        }
        let count = rows.rows.len().max(1) as f64;
        let variance = |(sum, square): (f64, f64)| (square - sum * sum / count).max(0.0);
        sums.into_iter().map(variance).collect::<Vec<f64>>()
    };
    let (sharp, blurred) = (scatter(0.0), scatter(1e6 * rows.unseen));
    let seen = sharp.iter().zip(blurred).filter(|(sharp, _)| **sharp > 0.0);
    let mut left: Vec<f64> = seen.map(|(sharp, blurred)| blurred / sharp).collect();
    left.sort_by(f64::total_cmp);
    left.get(left.len() / 2).copied().unwrap_or(0.0)
}
