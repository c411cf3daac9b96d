//! Part-time readings, and executions that last: an execution which draws more than its leaf usually does is in the window that saw some
//! of it, and in the rest of it as well.
//!
//! What the model leaves of a reading is taken to be as large, and of another sign, in what the window did not see: then a cell's mean lies
//! about its reading by a share 1 - duty of the readings' variance. Executions are not that restless. With d_k the share by which the k-th
//! draws more than expected, w_k its expected power, T_k its length, and of it t_ik seconds in window i (of length W_i, which stands for a
//! cell of C_i seconds),
//!
//! ```text
//! rest of reading i   r_i = sum_k d_k w_k t_ik / W_i  +  u_i (p_i - q_i) / W_i  +  what changes within executions  +  noise
//! cells in error by         sum_k d_k w_k (T_k - sum_i C_i t_ik / W_i)  +  C_i u_i (p_i - q_i) / W_i  +  the rest's part, as before
//! ```
//!
//! u_i is by how much window i lies later than was thought, p_i what the device draws at its end, and q_i at its beginning: a reading of
//! another window is wrong in all that it stands for.
//!
//! How much of the readings' variance is d_k's, and u_i's, is regressed on what each window holds: r_i^2 on sum_k (w_k t_ik / W_i)^2, which a
//! window inside one execution has most of, on ((p_i - q_i) / W_i)^2, of which it has none, on sum_k w_k^2 t_ik / W_i^2, which goes with time
//! alone, and on 1. Of the first estimate e with the standard error s, e - s^2 / e counts: next to all of what is clearly there, and none of
//! what may not be. Source: best linear prediction with random effects (Henderson, *Biometrics* 31 (1975) 423).
//!
//! *Limits of validity*: the same relative scatter for all leaves; independent executions. Units: seconds, watts, joules.

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
    /// If the window lies elsewhere by a second, W^2/s^2.
    pub moved: f64,
    /// Squares of what windows saw of the executions that end in the cell, all windows of one together, W^2; and of what they left out of
    /// those, or counted too often, J^2.
    pub seen: f64,
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
    // What the device draws at a window's beginning and at its end: a shift takes in the one for the other.
    let mut at_ends = vec![[None; 2]; cells.len()];
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
        let (mut seen_share, mut left_s, mut last) = (0.0, 0.0, None);
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
                seen_share += seen_s / window_s;
                for (draws, at) in at_ends[i].iter_mut().zip([window.0, window.1 - 1]) {
                    *draws = draws.or((start..end).contains(&at).then_some(w));
                }
                if let [Some(before), Some(behind)] = at_ends[i] {
                    scatter[i].moved = ((before - behind) / window_s).powi(2);
                }
                left_s -= cells[i].seconds() * seen_s / window_s;
                last = Some(i);
            }
        }
        if let Some(last) = last {
            scatter[last].seen += (w * seen_share).powi(2);
            scatter[last].left += (w * left_s).powi(2);
        }
    }
    scatter
}

/// What the rests of readings are made of, mean squares, W^2.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Parts {
    /// Executions that scatter as wholes: in each rest; in it and its neighbours together, the covariances with all of these added up; and in
    /// the means of cells about their readings.
    pub whole: f64,
    pub shared: f64,
    pub left: f64,
    /// Windows that lie elsewhere.
    pub moved: f64,
}

/// The same as these rests show it. `cell_s` is the cells' length.
pub fn parts(rests: &[f64], scatter: &[Scatter], cell_s: f64) -> Parts {
    let Some([of_whole, of_moved]) = variances(rests, scatter) else {
        return Parts::default();
    };
    let mean = |value: fn(&Scatter) -> f64| scatter.iter().map(value).sum::<f64>() / scatter.len() as f64;
    Parts {
        whole: of_whole * mean(|s| s.whole),
        shared: of_whole * mean(|s| s.seen - s.whole),
        left: of_whole * mean(|s| s.left) / (cell_s * cell_s),
        moved: of_moved * mean(|s| s.moved),
    }
}

/// The variance of d_k that the rests show, shrunk by its standard error; and that of where windows lie, s^2.
fn variances(rests: &[f64], scatter: &[Scatter]) -> Option<[f64; 2]> {
    const MOVED: usize = 1;
    const PARTS: [fn(&Scatter) -> f64; 4] = [|s| s.whole, |s| s.moved, |s| s.within, |_| 1.0];
    let n = rests.len() as f64;
    let square = rests.iter().map(|r| r * r).sum::<f64>() / n;
    // In units of their means, so that no sum is out of scale.
    let means = PARTS.map(|part| scatter.iter().map(part).sum::<f64>() / n);
    if square <= 0.0 || means[0] <= 0.0 {
        return None;
    }
    let mut kept: Vec<usize> = (0..PARTS.len()).filter(|&i| means[i] > 0.0).collect();
    loop {
        let (mut squares, mut products) = (Symmetric::zero(kept.len()), vec![0.0; kept.len()]);
        for (s, rest) in scatter.iter().zip(rests) {
            let row: Vec<f64> = kept.iter().map(|&i| PARTS[i](s) / means[i]).collect();
            squares.add_outer(1.0, &row, &row);
            products.iter_mut().zip(&row).for_each(|(p, x)| *p += x * rest * rest);
        }
        let inverse = squares.inverse();
        let values = inverse.times(&products);
        // What else there is can add to a variance, and not take from it.
        let others = values.iter().enumerate().skip(1).filter(|(_, value)| **value < 0.0);
        if let Some((least, _)) = others.min_by(|a, b| a.1.total_cmp(b.1)) {
            kept.remove(least);
            continue;
        }
        // A squared normal deviate has the variance 2.
        let error = (2.0 * inverse.at(0, 0).max(0.0)).sqrt() * square;
        let shrunk = values[0] - error * error / values[0].max(error);
        let of_moved = kept
            .iter()
            .position(|&i| i == MOVED)
            .map_or(0.0, |at| values[at] / means[MOVED]);
        return Some([shrunk.max(0.0) / means[0], of_moved.max(0.0)]);
    }
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
    /// without and with what is known of its parts. Windows lie up to `moved_ms` from where they are thought to be.
    fn error(as_wholes: bool, moved_ms: f64, together: usize) -> [f64; 4] {
        let timeline = in_turn([9, 18], CELLS * CELL_MS);
        let (curve, windows) = looked();
        let scatter = scatter(&curve, &timeline, &windows, &WATTS);
        let rest = rest(&timeline, as_wholes);
        let mean = |values: &[f64], from: i64, to: i64| {
            let inside = &values[(from / MS) as usize..(to / MS) as usize];
            inside.iter().sum::<f64>() / inside.len() as f64
        };
        let lengths = timeline
            .edges
            .windows(2)
            .map(|span| ((span[1] - span[0]) / MS) as usize);
        let expected: Vec<f64> = lengths
            .enumerate()
            .flat_map(|(k, ms)| std::iter::repeat_n(WATTS[k % 2], ms))
            .collect();
        let read = |(i, &(from, to)): (usize, &(i64, i64))| {
            let later = (moved_ms * chance(-(i as i64))).round() as i64 * MS;
            let seen = mean(&expected, from + later, to + later) + mean(&rest, from + later, to + later);
            seen - mean(&expected, from, to)
        };
        let reads: Vec<f64> = windows.iter().flatten().enumerate().map(read).collect();
        let cells = curve.cells.iter().zip(&reads);
        let errors: Vec<f64> = cells
            .map(|(cell, read)| mean(&rest, cell.start, cell.end) - read)
            .collect();
        let sums = errors.chunks(together).map(|some| some.iter().sum::<f64>());
        let truth = sums.map(|sum| sum * sum).sum::<f64>() / errors.len() as f64;
        let square = reads.iter().map(|r| r * r).sum::<f64>() / reads.len() as f64;
        let without = (1.0 - DUTY) * square;
        let parts = parts(&reads, &scatter, curve.cell_seconds());
        let with = parts.left + parts.moved + (1.0 - DUTY) * (square - parts.whole - parts.moved);
        let left = scatter.iter().map(|s| s.left).sum::<f64>() / scatter.len() as f64;
        let exact = 0.1 * 0.1 / 3.0 * left / curve.cell_seconds().powi(2);
        [truth, exact, without, with]
    }

    #[test]
    fn what_lasts_over_an_execution_is_seen_by_a_window_that_saw_some_of_it() {
        // Executions that the ends of a sum cut are in error for that alone: long sums have few.
        let [truth, exact, without, with] = error(true, 0.0, 150);
        assert!((0.8 * exact..1.4 * exact).contains(&truth), "{truth} {exact} W^2");
        assert!((0.85 * exact..1.3 * exact).contains(&with), "{with} {exact} W^2");
        assert!(exact < 0.6 * without, "{exact} {without} W^2");
    }

    #[test]
    fn what_changes_within_executions_is_not() {
        let [truth, _, without, with] = error(false, 0.0, 30);
        assert!((0.85..1.15).contains(&(truth / without)), "{truth} {without}");
        assert!(with > 0.95 * without, "{without} {with} W^2");
    }

    #[test]
    fn what_windows_saw_elsewhere_is_wrong_in_all_that_they_stand_for() {
        let [truth, exact, _, with] = error(true, 2.0, 10);
        assert!(truth > 20.0 * exact, "{truth} {exact} W^2");
        assert!((0.8..1.2).contains(&(with / truth)), "{with} {truth} W^2");
    }
}
