//! Part-time readings, and executions that last: an execution which draws more than its leaf usually does is in the window that saw some
//! of it, and in the rest of it as well.
//!
//! What the model leaves of a reading is taken to be as large, and of another sign, in what the window did not see: then a cell's mean lies
//! about its reading by a share 1 - duty of the readings' variance. Executions are not that restless. With d_k the share by which the k-th
//! draws more than expected, w_k its expected power, T_k its length, and of it t_ik seconds in window i (of length W_i, which stands for a
//! cell of C_i seconds),
//!
//! ```text
//! rest of reading i   r_i = sum_k d_k w_k t_ik / W_i  +  what changes within executions  +  noise
//! cells in error by         sum_k d_k w_k (T_k - sum_i C_i t_ik / W_i)  +  the rest's part, as before
//! ```
//!
//! How much of the readings' variance is d_k's is regressed on what each window holds: r_i^2 on sum_k (w_k t_ik / W_i)^2, which a window
//! inside one execution has most of, on sum_k w_k^2 t_ik / W_i^2, which goes with time alone, and on 1. Of the estimate e with the standard
//! error s, e - s^2 / e counts: next to all of what is clearly there, and none of what may not be. Source: best linear prediction with random
//! effects (Henderson, *Biometrics* 31 (1975) 423).
//!
//! *Limits of validity*: the same relative scatter for all leaves; independent executions. Never wider than without. Units: seconds, watts,
//! joules.

use super::curve::Curve;
use super::sensor_model::Symmetric;
use super::timeline::Timeline;

/// What relative scatter by one (d_k of variance 1) does to a cell and its reading.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Scatter {
    /// Variance of the reading if executions scatter as wholes, W^2.
    pub whole: f64,
    /// If they scatter within, each second anew, W^2.
    pub within: f64,
    /// Squares of what windows left out of the executions that end in the cell, or counted too often, J^2.
    pub left: f64,
}

/// The scatter of every cell that has a window, the others in between taken as seen; `watts` are what the leaves draw.
pub fn scatter(curve: &Curve, timeline: &Timeline, windows: &[Option<(i64, i64)>], watts: &[f64]) -> Vec<Scatter> {
    let powers = timeline.watts(watts);
    let cells = &curve.cells;
    let mut scatter = vec![Scatter::default(); cells.len()];
    // Windows may lie before their cells or behind: but in the order of the cells.
    let seen: Vec<(usize, (i64, i64))> = windows
        .iter()
        .enumerate()
        .filter_map(|(i, w)| Some((i, (*w)?)))
        .collect();
    let (mut first_cell, mut first_window) = (0, 0);
    let spans = timeline.edges.windows(2).zip(&timeline.states);
    for (span, &state) in spans {
        let (start, end, w) = (span[0], span[1], powers[state as usize]);
        let overlap_s = |(from, to): (i64, i64)| (end.min(to) - start.max(from)).max(0) as f64 * 1e-9;
        while first_cell < cells.len() && cells[first_cell].end <= start {
            first_cell += 1;
        }
        while first_window < seen.len() && seen[first_window].1.1 <= start {
            first_window += 1;
        }
        let (mut left_s, mut last) = (0.0, None);
        for i in (first_cell..cells.len()).take_while(|&i| cells[i].start < end) {
            if windows[i].is_some() {
                left_s += overlap_s((cells[i].start, cells[i].end));
                last = Some(i);
            }
        }
        for &(i, window) in seen[first_window..].iter().take_while(|(_, (from, _))| *from < end) {
            let (seen_s, window_s) = (overlap_s(window), (window.1 - window.0) as f64 * 1e-9);
            if seen_s > 0.0 {
                scatter[i].whole += (w * seen_s / window_s).powi(2);
                scatter[i].within += w * w * seen_s / (window_s * window_s);
                left_s -= cells[i].seconds() * seen_s / window_s;
                last = Some(i);
            }
        }
        if let Some(last) = last {
            scatter[last].left += (w * left_s).powi(2);
        }
    }
    scatter
}

/// How much smaller the mean square of a reading's unseen part, W^2, is for these readings' rests than a share 1 - duty of their own: by what
/// lasts. `cell_s` is the cells' length.
pub fn less(rests: &[f64], scatter: &[Scatter], (duty, cell_s): (f64, f64)) -> f64 {
    let n = rests.len() as f64;
    let Some(of_whole) = variance_of_whole(rests, scatter) else {
        return 0.0;
    };
    let mean = |value: fn(&Scatter) -> f64| scatter.iter().map(value).sum::<f64>() / n;
    let (seen, left) = ((1.0 - duty) * mean(|s| s.whole), mean(|s| s.left) / (cell_s * cell_s));
    of_whole * (seen - left).max(0.0)
}

/// The variance of d_k that the rests show, shrunk by its standard error.
fn variance_of_whole(rests: &[f64], scatter: &[Scatter]) -> Option<f64> {
    let n = rests.len() as f64;
    let square = rests.iter().map(|r| r * r).sum::<f64>() / n;
    // In units of their means, so that no sum is out of scale.
    let mean = |value: fn(&Scatter) -> f64| scatter.iter().map(value).sum::<f64>() / n;
    let (whole, within) = (mean(|s| s.whole), mean(|s| s.within));
    if square <= 0.0 || whole <= 0.0 || within <= 0.0 {
        return None;
    }
    // What else there is can add to a variance, and not take from it: of the fits that say so the fullest.
    for others in [&[true, true][..], &[true, false], &[false, true], &[false, false]] {
        let row = |s: &Scatter| {
            let all = [s.within / within, 1.0];
            let kept = all.into_iter().zip(others).filter(|(_, kept)| **kept).map(|(x, _)| x);
            std::iter::once(s.whole / whole).chain(kept).collect::<Vec<f64>>()
        };
        let unknowns = 1 + others.iter().filter(|kept| **kept).count();
        let (mut squares, mut products) = (Symmetric::zero(unknowns), vec![0.0; unknowns]);
        for (s, rest) in scatter.iter().zip(rests) {
            let row = row(s);
            squares.add_outer(1.0, &row, &row);
            products.iter_mut().zip(&row).for_each(|(p, x)| *p += x * rest * rest);
        }
        let inverse = squares.inverse();
        let values = inverse.times(&products);
        if values[1..].iter().all(|value| *value >= 0.0) {
            // A squared normal deviate has the variance 2.
            let error = (2.0 * inverse.at(0, 0).max(0.0)).sqrt() * square;
            let shrunk = values[0] - error * error / values[0].max(error);
            return Some(shrunk.max(0.0) / whole);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::super::cell::Cell;
    use super::super::difference::tests::{MS, WATTS, cell, in_turn, part_time};
    use super::super::laws::chance;
    use super::*;

    const CELLS: i64 = 6000;
    const CELL_MS: i64 = 20;
    const DUTY: f64 = 0.5;

    /// Cells of 20 ms, of which windows see the last ten, each a millisecond later.
    fn looked() -> (Curve, Vec<Option<(i64, i64)>>) {
        let cell = |i: i64| cell((i * CELL_MS, (i + 1) * CELL_MS), 1.0);
        let curve = part_time((0..CELLS).map(cell).collect(), DUTY);
        let window = |cell: &Cell| (cell.start + 11 * MS, cell.start + 21 * MS);
        let windows = curve.cells.iter().map(|cell| Some(window(cell))).collect();
        (curve, windows)
    }

    /// Power less what is expected of it, W, in each millisecond, where executions are off by up to a tenth as wholes or millisecond by
    /// millisecond.
    fn rest(timeline: &Timeline, as_wholes: bool) -> Vec<f64> {
        let mut rest = Vec::new();
        for (k, span) in timeline.edges.windows(2).enumerate() {
            for ms in span[0] / MS..span[1] / MS {
                let draw = chance(if as_wholes { k as i64 } else { ms });
                rest.push(0.1 * WATTS[k % 2] * draw);
            }
        }
        rest
    }

    /// Variance of a cell's mean about its reading, W^2, over sums of so many cells; of executions as wholes in theory; and what is said of it,
    /// without and with what lasts.
    fn error(as_wholes: bool, together: usize) -> [f64; 4] {
        let timeline = in_turn([9, 18], CELLS * CELL_MS);
        let (curve, windows) = looked();
        let scatter = scatter(&curve, &timeline, &windows, &WATTS);
        let rest = rest(&timeline, as_wholes);
        let mean = |from: i64, to: i64| {
            let inside = &rest[(from / MS) as usize..(to / MS) as usize];
            inside.iter().sum::<f64>() / inside.len() as f64
        };
        let reads: Vec<f64> = windows.iter().flatten().map(|&(from, to)| mean(from, to)).collect();
        let cells = curve.cells.iter().zip(&reads);
        let errors: Vec<f64> = cells.map(|(cell, read)| mean(cell.start, cell.end) - read).collect();
        let sums = errors.chunks(together).map(|some| some.iter().sum::<f64>());
        let truth = sums.map(|sum| sum * sum).sum::<f64>() / errors.len() as f64;
        let square = reads.iter().map(|r| r * r).sum::<f64>() / reads.len() as f64;
        let without = (1.0 - DUTY) * square;
        let lasts = less(&reads, &scatter, (DUTY, curve.cell_seconds()));
        let left = scatter.iter().map(|s| s.left).sum::<f64>() / scatter.len() as f64;
        let exact = 0.1 * 0.1 / 3.0 * left / curve.cell_seconds().powi(2);
        [truth, exact, without, without - lasts]
    }

    #[test]
    fn what_lasts_over_an_execution_is_seen_by_a_window_that_saw_some_of_it() {
        // Executions that the ends of a sum cut are in error for that alone: long sums have few.
        let [truth, exact, without, with] = error(true, 150);
        assert!((0.8 * exact..1.4 * exact).contains(&truth), "{truth} {exact} W^2");
        assert!((0.85 * exact..1.3 * exact).contains(&with), "{with} {exact} W^2");
        assert!(exact < 0.6 * without, "{exact} {without} W^2");
    }

    #[test]
    fn what_changes_within_executions_is_not() {
        let [truth, _, without, with] = error(false, 30);
        assert!((0.85..1.15).contains(&(truth / without)), "{truth} {without}");
        assert!(with > 0.95 * without, "{without} {with} W^2");
    }
}
