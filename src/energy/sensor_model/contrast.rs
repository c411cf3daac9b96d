//! How much readings can differ at all: where it is not known exactly when they were taken, and where windows are as long as steps.
//!
//! A sensor that is polled as slowly as it updates, or more slowly, has shown its value for an unknown time: the mixture of phases that
//! it saw is expected, not known. If that blur is longer than the steps, all readings are expected to have seen nearly the same.
//!
//! A window as long as a whole number of steps sees the same mixture wherever it lies, but for what steps differ in length by; one that is
//! half a step longer sees all that there is to see.

use crate::energy::timeline::Timeline;

use super::Inputs;
use super::design::{Design, Shape, Theta};
use super::lock;
use super::overlap::Overlap;
use super::rows::Rows;
use super::search;

/// So many readings show it.
const READINGS: usize = 500;

/// Variance of the expected overlaps against that of sharp ones: the median over leaves. 1 where nothing is unseen.
pub fn left(inputs: &Inputs, overlap: &Overlap, rows: &Rows) -> f64 {
    if rows.unseen == 0.0 {
        return 1.0;
    }
    let window = inputs.device.power_timing.window_ms.unwrap_or(rows.period * 1e3);
    let rows = rows.spread(READINGS);
    let sharp = scatter(overlap, &rows, (window, 0.0));
    let blurred = scatter(overlap, &rows, (window, 1e6 * rows.unseen));
    median_ratio(&blurred, &sharp).unwrap_or(0.0)
}

/// Whether windows of this length (ms) are whole numbers of steps, so that their readings differ by next to nothing.
pub fn is_whole(timeline: &Timeline, overlap: &Overlap, rows: &Rows, window_ms: f64) -> bool {
    /// Middle half of the overlaps, as a share of that of windows half a step longer. Steps that scatter by 1 % leave two hundredths, and a
    /// window of 3.1 steps over a tenth, which tells enough.
    const LEAST: f64 = 0.05;
    /// Multiples of it fill the unit interval evenly, however many.
    const GOLDEN: f64 = 0.618_033_988_75;
    let Some(step_ms) = lock::step_ms(timeline).filter(|step_ms| window_ms > 0.5 * step_ms) else {
        return false;
    };
    // Anywhere in the steps: of readings that nearly keep step with them, all windows, longer ones too, would see nearly the same.
    let mut rows = rows.spread(READINGS);
    for (i, row) in rows.rows.iter_mut().enumerate() {
        row.end.predicted += 1e-3 * step_ms * (GOLDEN * i as f64).fract();
    }
    // What is seen before the first step and behind the last is not in the middle half.
    let middle = |window: f64| -> Vec<f64> {
        let mut seen = vec![Vec::with_capacity(rows.rows.len()); timeline.leaves];
        each_row(overlap, &rows, (window, 0.0), |columns| {
            seen.iter_mut()
                .zip(columns)
                .for_each(|(seen, column)| seen.push(window * column));
        });
        seen.into_iter().map(middle_half).collect()
    };
    median_ratio(&middle(window_ms), &middle(window_ms + 0.5 * step_ms)).is_some_and(|ratio| ratio < LEAST)
}

/// Whether a window that was `found` may be the `believed` one: it is about as long, or would be if it were some whole steps shorter. Windows a
/// step apart explain readings about equally well.
pub fn may_be(found: f64, believed: f64, step_ms: f64) -> bool {
    let steps = ((found - believed) / step_ms).round().max(0.0);
    search::is_near(found - steps * step_ms, believed)
}

/// From the first quartile to the third.
fn middle_half(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let at = |quarters: usize| values.get(quarters * values.len() / 4).copied().unwrap_or(0.0);
    at(3) - at(1)
}

/// The overlaps of each row's window of this length (ms) and blur (ms^2) with the leaves.
fn each_row(overlap: &Overlap, rows: &Rows, (window, blur): (f64, f64), mut row_of: impl FnMut(&[f64])) {
    let theta = Theta {
        window,
        shape: Shape::Boxcar,
        delay: 0.0,
        blur,
        follow: 0.0,
        response: 0.0,
    };
    let leaves = overlap.leaves();
    let mut design = Design::new(overlap, theta, rows.rows.len());
    for row in &rows.rows {
        design.row(row, None);
        row_of(&design.columns[..leaves]);
    }
}

/// Variance of each leaf's overlap with windows of this length (ms) and blur (ms^2).
fn scatter(overlap: &Overlap, rows: &Rows, theta: (f64, f64)) -> Vec<f64> {
    let mut sums = vec![(0.0, 0.0); overlap.leaves()];
    each_row(overlap, rows, theta, |columns| {
        for (sum, column) in sums.iter_mut().zip(columns) {
            *sum = (sum.0 + column, sum.1 + column * column);
        }
    });
    let count = rows.rows.len().max(1) as f64;
    let variance = |(sum, square): (f64, f64)| (square - sum * sum / count).max(0.0);
    sums.into_iter().map(variance).collect()
}

/// Median over the leaves that were seen.
fn median_ratio(part: &[f64], whole: &[f64]) -> Option<f64> {
    let seen = part.iter().zip(whole).filter(|(_, whole)| **whole > 0.0);
    let mut ratios: Vec<f64> = seen.map(|(part, whole)| part / whole).collect();
    ratios.sort_by(f64::total_cmp);
    ratios.get(ratios.len() / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::energy::sensor_model::rows::{Row, Seen};

    /// 600 steps of a tenth of a second, of 30 and 70 ms, which scatter by a third of one, and readings that keep step with them.
    fn is_whole_of(window_ms: f64) -> bool {
        const MS: i64 = 1_000_000;
        let mut edges = vec![0];
        for step in 0..600 {
            let begins = step * 100 * MS;
            edges.extend([begins + 30 * MS + (step * 7 % 3 - 1) * MS / 3, begins + 100 * MS]);
        }
        let timeline = Timeline {
            edges,
            states: (0..1200).map(|i| i % 2).collect(),
            table: vec![vec![(0, 1.0)], vec![(1, 1.0)]],
            leaves: 3,
        };
        let row = |i: i32| Row {
            end: Seen {
                predicted: 0.05 + 0.1 * f64::from(i),
                shift: 0.0,
            },
            start: None,
            length: 0.1,
            watts: 200.0,
        };
        let rows = Rows {
            rows: (5..595).map(row).collect(),
            period: 0.1,
            period_sd: 1e-6,
            scatter: 0.0,
            half: 5e-4,
            unseen: 0.0,
            earliest_ms: 0.0,
            least_ms: None,
        };
        is_whole(&timeline, &Overlap::new(&timeline), &rows, window_ms)
    }

    #[test]
    fn a_window_some_steps_longer_may_be_the_believed_one() {
        assert!(may_be(98.0, 100.0, 99.4) && may_be(198.7, 100.0, 99.4) && may_be(298.0, 100.0, 99.4));
        assert!(!may_be(150.0, 100.0, 99.4) && !may_be(25.0, 100.0, 32.0));
    }

    #[test]
    fn windows_of_whole_steps_are_told_though_readings_keep_step_with_them() {
        assert!(is_whole_of(100.0) && is_whole_of(200.0));
        assert!(!is_whole_of(80.0) && !is_whole_of(150.0));
        assert!(!is_whole_of(40.0), "shorter than half a step");
    }
}
