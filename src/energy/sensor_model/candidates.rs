//! What a search starts from: which rows, which windows, and which of the places that were looked at.

use super::Inputs;
use super::design::Theta;
use super::rows::{Row, Rows};

/// What ran less often than this makes rare edges; for so long after one, seconds, a load may still be settling.
const OFTEN: u64 = 12;
const SETTLED_S: f64 = 1.0;
/// Not where that would leave less than this share of the readings.
const MOSTLY: f64 = 0.8;
/// The longest window that is looked for, ms: a little more than the second of NVML's long average (`nvml.h`).
pub const LONGEST: f64 = 1100.0;
/// So many valleys are followed to their ends.
const FAR_STARTS: usize = 6;

/// Rows that are no warming up: where a load begins or ends that does so a few times only, clocks rise and first steps are slow, which
/// long windows would explain. All of them where these are most.
pub fn settled(inputs: &Inputs, rows: &Rows) -> Rows {
    let timeline = inputs.timeline;
    let often = timeline.segments();
    let rare = |state: u32| {
        timeline.table[state as usize]
            .iter()
            .all(|&(leaf, _)| often[leaf] < OFTEN)
    };
    let since = |t: i64| (t - inputs.run.start.as_nanos()) as f64 * 1e-9;
    let changes: Vec<f64> = (1..timeline.states.len())
        .filter(|&i| rare(timeline.states[i]) != rare(timeline.states[i - 1]))
        .map(|i| since(timeline.edges[i]))
        .collect();
    let calm = |at: f64| {
        let last = changes.partition_point(|&change| change <= at);
        last == 0 || at - changes[last - 1] > SETTLED_S
    };
    let kept: Vec<Row> = rows
        .rows
        .iter()
        .filter(|row| calm(row.end.predicted))
        .copied()
        .collect();
    if (kept.len() as f64) < MOSTLY * rows.rows.len() as f64 {
        return rows.clone();
    }
    Rows { rows: kept, ..*rows }
}

/// Windows (ms) that nobody expects of this board: from a tenth of the usual ones to the longest.
pub fn unusual(usual: &[f64], run_s: f64) -> Vec<f64> {
    const FINE: f64 = 1.1;
    let (least, most) = usual
        .iter()
        .fold((f64::INFINITY, 0.0_f64), |(low, high), &w| (low.min(w), high.max(w)));
    let below = (1..=24).map(|i| least * FINE.powi(-i));
    let longer = std::iter::successors(Some(most * FINE), |w| Some(w * FINE));
    let longest = LONGEST.max(1.5 * most).min(longest_of(run_s));
    let above = longer.take_while(|w| *w < longest);
    below.chain(above).collect()
}

/// Windows (ms) that overlap. A reading less the one before is what came in at one end of the window less what left at the other: where
/// that other end is, is seen as sharply as phases are short.
pub fn overlapping(from: f64, run_s: f64) -> Vec<f64> {
    const STEP: f64 = 5.0;
    let longest = LONGEST.min(longest_of(run_s));
    std::iter::successors(Some(from), |w| Some(w + STEP.min(0.1 * w)))
        .take_while(|w| *w < longest)
        .collect()
}

/// Of a window (ms) that fills an eighth of the run, no more than a handful are independent.
fn longest_of(run_s: f64) -> f64 {
    1e3 * run_s / 8.0
}

/// Of pairs sorted by what is left unexplained, the best few of those windows that leave less than the ones beside them: windows a step
/// apart look alike, and each has a valley of its own.
pub fn least_about(sorted: Vec<(Theta, f64)>) -> Vec<(Theta, f64)> {
    let mut by_window: Vec<(Theta, f64)> = Vec::new();
    for (theta, left) in sorted {
        if by_window.iter().all(|(other, _)| other.window != theta.window) {
            by_window.push((theta, left));
        }
    }
    by_window.sort_by(|a, b| a.0.window.total_cmp(&b.0.window));
    let left = |i: usize| by_window.get(i).map_or(f64::INFINITY, |pair| pair.1);
    let valley = |&i: &usize| left(i) <= left(i.wrapping_sub(1)) && left(i) <= left(i + 1);
    let mut valleys: Vec<(Theta, f64)> = (0..by_window.len()).filter(valley).map(|i| by_window[i]).collect();
    valleys.sort_by(|a, b| a.1.total_cmp(&b.1));
    valleys.truncate(FAR_STARTS);
    valleys
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::energy::sensor_model::design::Shape;

    #[test]
    fn each_valley_is_a_start_and_the_deepest_is_the_first() {
        let at = |window: f64, left: f64| {
            let theta = Theta {
                window,
                shape: Shape::Boxcar,
                delay: 0.0,
                blur: 0.0,
                follow: 0.0,
                response: 0.0,
            };
            (theta, left)
        };
        let left = [9.0, 4.0, 6.0, 8.0, 3.0, 7.0];
        let mut tried: Vec<(Theta, f64)> = (0_u8..).map(f64::from).zip(left).map(|(w, left)| at(w, left)).collect();
        tried.sort_by(|a, b| a.1.total_cmp(&b.1));
        let windows: Vec<f64> = least_about(tried).iter().map(|(theta, _)| theta.window).collect();
        assert_eq!(windows, [4.0, 1.0]);
    }

    #[test]
    fn long_windows_are_looked_for_every_5_ms_and_no_longer_than_a_run_can_tell() {
        let windows = overlapping(120.0, 4.0);
        assert!(windows.windows(2).all(|pair| pair[1] - pair[0] <= 5.0));
        assert!(windows[0] == 120.0 && windows[windows.len() - 1] < 500.0 && windows.len() > 70);
        assert!(
            overlapping(120.0, 600.0)
                .last()
                .is_some_and(|w| (1090.0..1100.0).contains(w))
        );
    }
}
