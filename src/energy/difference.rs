//! A cell of a power integral is its reading, held. Where windows look at a part of the cell, and the model says what they saw of which
//! phase, the reading is worth the cell's mean once that is made good: the difference estimator of survey sampling.
//!
//! ```text
//! cell      |  A  |    B    |  A  |      m = what A and B draw on average, in their seconds of the cell, as a mean
//! window       [=======]                 e = the same in the window
//! reading y                              worth y + m - e
//! ```
//!
//! What is left to doubt is how far y lies from e (`blind`), and the leaves' powers where windows saw more of one leaf, over a phase, than
//! cells hold of it: d' C d, with d those seconds and C the powers' covariance. Source: Särndal, Swensson, Wretman, *Model Assisted Survey
//! Sampling*, 1992, section 6.3.
//!
//! *Limits of validity*: a boxcar whose place is known. Units: nanoseconds, joules, watts, seconds.

use super::curve::Curve;
use super::persistence::{self, Scatter};
use super::sensor_model::Symmetric;
use super::shares::{self, above};
use super::timeline::Timeline;

/// What a cell's reading and its mean should be, by what the leaves draw, W, and what makes them differ from that.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Expected {
    pub read: f64,
    pub mean: f64,
    pub scatter: Scatter,
}

/// For each cell the window that lies in its middle, if there is one.
fn window_of_cells(curve: &Curve, windows: &[(i64, i64)]) -> Vec<Option<(i64, i64)>> {
    let middle = |(start, end): (i64, i64)| start + (end - start) / 2;
    let of_cell = |cell: &super::cell::Cell| {
        let at = middle((cell.start, cell.end));
        let next = windows.partition_point(|&window| middle(window) < at);
        let near = windows[next.saturating_sub(1)..(next + 1).min(windows.len())].iter();
        let nearest = near.copied().min_by_key(|&window| (middle(window) - at).abs());
        nearest.filter(|&window| cell.known && (cell.start..=cell.end).contains(&middle(window)))
    };
    curve.cells.iter().map(of_cell).collect()
}

/// For each cell that has a window, `visit` the seconds that each leaf had in the window and in the cell.
fn walk(
    timeline: &Timeline,
    (curve, windows): (&Curve, &[Option<(i64, i64)>]),
    mut visit: impl FnMut(usize, &[(usize, f64)], &[(usize, f64)]),
) {
    let paired: Vec<usize> = (0..curve.cells.len()).filter(|&i| windows[i].is_some()).collect();
    // Stretches are walked in the order of their starts.
    let in_turn = |i: usize| {
        let cell = (curve.cells[i].start, curve.cells[i].end);
        let window = windows[i].unwrap_or(cell);
        let [cell, window] = [(false, cell), (true, window)];
        if window.1.0 <= cell.1.0 {
            [window, cell]
        } else {
            [cell, window]
        }
    };
    let mut first: Vec<(usize, f64)> = Vec::new();
    let stretches = paired.iter().flat_map(|&i| in_turn(i)).map(|(_, stretch)| stretch);
    shares::walk(timeline, stretches, |at, shares| {
        let i = paired[at / 2];
        let (is_window, _) = in_turn(i)[at % 2];
        if at % 2 == 0 {
            first.clear();
            first.extend_from_slice(shares);
        } else if is_window {
            visit(i, shares, &first);
        } else {
            visit(i, &first, shares);
        }
    });
}

/// What was found of the cells.
pub struct Differences {
    windows: Vec<Option<(i64, i64)>>,
    /// For each cell, where there is something to expect.
    pub expected: Vec<Option<Expected>>,
}

impl Differences {
    /// By where the windows lie and what each leaf draws.
    pub fn new(curve: &Curve, timeline: &Timeline, windows: &[(i64, i64)], watts: &[f64]) -> Self {
        let windows = window_of_cells(curve, windows);
        let scatter = persistence::scatter(curve, timeline, &windows, watts);
        let mut expected = vec![None; curve.cells.len()];
        walk(timeline, (curve, &windows), |i, seen, whole| {
            let means = mean(seen, watts).zip(mean(whole, watts));
            let scatter = scatter[i];
            expected[i] = means.map(|(read, mean)| Expected { read, mean, scatter });
        });
        Self { windows, expected }
    }

    /// Variance (J^2) that the leaves' powers, known with `covariance` (W^2), bring into each phase, outside and the run where the cells that
    /// are `corrected` were made good.
    pub fn variances(
        &self,
        (curve, corrected): (&Curve, &[bool]),
        (timeline, parents): (&Timeline, &[Option<usize>]),
        covariance: &Symmetric,
    ) -> Vec<f64> {
        let leaves = timeline.leaves;
        let whole = leaves;
        // Seconds that windows stand for more than cells hold: of each leaf, for each figure.
        let mut more = vec![0.0; (whole + 1) * leaves];
        let mut parts: Vec<(usize, f64)> = Vec::new();
        walk(timeline, (curve, &self.windows), |i, seen, held| {
            if !corrected[i] {
                return;
            }
            let cell_s = curve.cells[i].seconds();
            let seen_s: f64 = seen.iter().map(|share| share.1).sum();
            parts.clear();
            for &(leaf, s) in held {
                parts.extend(above(parents, leaf).chain([whole]).map(|phase| (phase, s / cell_s)));
            }
            for &(figure, part) in &parts {
                let row = &mut more[figure * leaves..(figure + 1) * leaves];
                seen.iter()
                    .for_each(|&(leaf, s)| row[leaf] += part * cell_s * s / seen_s);
                held.iter().for_each(|&(leaf, s)| row[leaf] -= part * s);
            }
        });
        more.chunks(leaves).map(|more| covariance.form(more).max(0.0)).collect()
    }
}

fn mean(shares: &[(usize, f64)], watts: &[f64]) -> Option<f64> {
    let seconds: f64 = shares.iter().map(|share| share.1).sum();
    let joules: f64 = shares.iter().map(|&(leaf, s)| s * watts[leaf]).sum();
    (seconds > 0.0).then(|| joules / seconds)
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::blind;
    use super::super::cell::Cell;
    use super::super::curve::{PowerRange, Story};
    use super::super::laws::chance;
    use super::*;
    use crate::model::analysis::Method;

    pub const MS: i64 = 1_000_000;
    const CELLS: usize = 400;
    const CELL_MS: i64 = 100;
    const WINDOW_MS: i64 = 25;
    /// What A and B draw; the third leaf is the time outside, of which there is none.
    pub const WATTS: [f64; 3] = [100.0, 300.0, 0.0];
    const PARENTS: [Option<usize>; 2] = [None, None];

    /// A and B in turn, for so many milliseconds each, over at least `whole_ms`.
    pub fn in_turn(each_ms: [i64; 2], whole_ms: i64) -> Timeline {
        let (mut edges, mut states) = (vec![0], Vec::new());
        while edges[edges.len() - 1] < whole_ms * MS {
            let next = states.len() as u32 % 2;
            edges.push(edges[edges.len() - 1] + each_ms[next as usize] * MS);
            states.push(next);
        }
        Timeline {
            edges,
            states,
            table: vec![vec![(0, 1.0)], vec![(1, 1.0)]],
            leaves: 3,
        }
    }

    fn energy(timeline: &Timeline, stretch: (i64, i64)) -> f64 {
        let mut joules = 0.0;
        shares::walk(timeline, std::iter::once(stretch), |_, shares| {
            joules = shares.iter().map(|&(leaf, s)| s * WATTS[leaf]).sum();
        });
        joules
    }

    /// A cell from one millisecond to another.
    pub fn cell((start, end): (i64, i64), joules: f64) -> Cell {
        Cell {
            start: start * MS,
            end: end * MS,
            joules,
            known: true,
            ends_s: [0.0; 2],
            variance: 0.0,
        }
    }

    /// A power integral whose windows cover the share `duty` of the cells.
    pub fn part_time(cells: Vec<Cell>, duty: f64) -> Curve {
        Curve {
            cells,
            range: PowerRange {
                floor: 50.0,
                ceiling: 400.0,
            },
            method: Method::Integral,
            story: Story {
                duty,
                blind_w2: 1.0,
                ..Story::default()
            },
            delay_sd_s: 0.0,
            reach: (i64::MIN, i64::MAX),
        }
    }

    /// Readings of the last quarter of each cell, off by chance up to `noise` watts; and where their windows lay.
    fn read(timeline: &Timeline, noise: f64) -> (Curve, Vec<(i64, i64)>) {
        let windows: Vec<(i64, i64)> = (0..CELLS as i64)
            .map(|i| ((i * CELL_MS + 40) * MS, (i * CELL_MS + 40 + WINDOW_MS) * MS))
            .collect();
        let cell = |i: usize| {
            let watts = energy(timeline, windows[i]) / (WINDOW_MS as f64 * 1e-3) + noise * chance(i as i64);
            let start = i as i64 * CELL_MS;
            cell((start, start + CELL_MS), watts * CELL_MS as f64 * 1e-3)
        };
        let curve = part_time((0..CELLS).map(cell).collect(), 0.25);
        (curve, windows)
    }

    /// How far the sum of the cells from the `from`-th to the `to`-th is from the truth, and its standard uncertainty.
    fn off(timeline: &Timeline, curve: &Curve, (from, to): (usize, usize)) -> (f64, f64) {
        let cells = &curve.cells[from..to];
        let truth = energy(timeline, (cells[0].start, cells[cells.len() - 1].end));
        let joules: f64 = cells.iter().map(|cell| cell.joules).sum();
        let variance: f64 = cells.iter().map(|cell| cell.variance).sum();
        (joules - truth, variance.sqrt())
    }

    #[test]
    fn cells_are_made_good_by_what_their_windows_saw_of_which_leaf() {
        let timeline = in_turn([50, 53], CELLS as i64 * CELL_MS);
        let (raw, windows) = read(&timeline, 2.0);
        // Windows move through the steps by 3 ms a cell: over ten cells they see too much of one leaf.
        let few = (20, 30);
        let (mut by_context, mut by_model) = (raw.clone(), raw);
        blind::by_context(&mut by_context, &timeline, &PARENTS);
        let (raw_off, raw_sd) = off(&timeline, &by_context, few);
        assert!(raw_off.abs() > 30.0, "{raw_off} ± {raw_sd} J");
        let differences = Differences::new(&by_model, &timeline, &windows, &WATTS);
        let corrected = blind::by_model(&mut by_model, (&timeline, &PARENTS), &differences.expected);
        assert_eq!(corrected.iter().filter(|is| **is).count(), CELLS);
        for range in [few, (0, CELLS)] {
            let (off, sd) = off(&timeline, &by_model, range);
            assert!(off.abs() < 2.0 * sd && sd < 0.1 * raw_sd, "{off} ± {sd} J");
        }
    }

    #[test]
    fn what_is_expected_and_does_not_come_makes_nothing_good() {
        let timeline = in_turn([50, 53], CELLS as i64 * CELL_MS);
        let (raw, windows) = read(&timeline, 2.0);
        let mut curve = raw.clone();
        let exchanged = [WATTS[1], WATTS[0], WATTS[2]];
        let differences = Differences::new(&curve, &timeline, &windows, &exchanged);
        let corrected = blind::by_model(&mut curve, (&timeline, &PARENTS), &differences.expected);
        assert!(!corrected.contains(&true));
        assert_eq!(curve, raw);
    }

    #[test]
    fn powers_that_are_not_known_well_are_doubted_where_windows_saw_more_of_one() {
        let timeline = in_turn([50, 53], CELLS as i64 * CELL_MS);
        let (curve, windows) = read(&timeline, 0.0);
        let differences = Differences::new(&curve, &timeline, &windows, &WATTS);
        let mut corrected = vec![false; CELLS];
        corrected[7] = true;
        // The eighth cell, 700 to 800 ms, has 50 ms of A, from 721 on, and 50 of B; its window, 740 to 765 ms, has A alone.
        let covariance = Symmetric {
            n: 3,
            a: vec![4.0, 0.0, 0.0, 0.0, 9.0, 0.0, 0.0, 0.0, 0.0],
        };
        let variances = differences.variances((&curve, &corrected), (&timeline, &PARENTS), &covariance);
        let whole = (4.0 + 9.0) * 0.05 * 0.05;
        let expected = [0.25 * whole, 0.25 * whole, 0.0, whole];
        for (variance, expected) in variances.iter().zip(expected) {
            assert!((variance - expected).abs() < 1e-12, "{variances:?}");
        }
    }
}
