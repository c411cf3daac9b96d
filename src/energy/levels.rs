//! How far above or below its mean the load lies, at any time of the run.
//!
//! What changes slowly (clocks, temperature, the data) is in neighbouring cells alike: it is no chance that single cells show, and where
//! the load meets a device at rest, what the load draws *there* counts, and not its mean over the run.
//!
//! A level is the ratio of what cells hold to what their leaves draw on average, over the cells around: so many to either side that all
//! leaves ran many times in them, and no execution stands for the load.

use super::curve::Curve;
use super::shares;
use super::timeline::Timeline;

/// A leaf that ran less often than this cannot show by its residuals how much its power varies.
pub const REPEATED: u64 = 12;
/// What is farther above its mean than so many times, or below, is no level of the same load: a counter that stands still, or a hole.
const MOST: f64 = 2.0;

/// Of each cell, how far the load lies from its mean there.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Levels {
    /// The ratio of each cell; empty where too few cells tell.
    pub of_cells: Vec<f64>,
    pub are_load: Vec<bool>,
}

impl Levels {
    /// Of all leaves inside phases that ran often.
    pub fn of_load(curve: &Curve, timeline: &Timeline, watts: &[f64]) -> Self {
        let outside = timeline.outside();
        let ran = timeline.segments().into_iter().enumerate();
        let are_load = ran.map(|(leaf, segments)| segments >= REPEATED && leaf != outside);
        Self::new(curve, timeline, watts, (are_load.collect(), REPEATED))
    }

    /// From the cells in which only leaves ran that `are_load`: over so many that `executions` of each of those are in what lies to one side.
    pub fn new(curve: &Curve, timeline: &Timeline, watts: &[f64], (are_load, executions): (Vec<bool>, u64)) -> Self {
        let mut members: Vec<usize> = Vec::new();
        let (mut joules, mut expected) = (Vec::new(), Vec::new());
        let cells = curve.cells.iter().map(|c| (c.start, c.end));
        shares::walk(timeline, cells, |i, shares| {
            let cell = &curve.cells[i];
            let is_of_source = cell.start >= curve.reach.0 && cell.end <= curve.reach.1;
            let is_load = shares.iter().all(|&(leaf, _)| are_load[leaf]);
            let inside: f64 = shares.iter().map(|&(_, s)| s).sum();
            // Nanoseconds are exact, their sums in seconds are not.
            let is_full = inside > 0.0 && cell.seconds() - inside < 1e-9;
            if cell.known && is_of_source && is_load && is_full {
                members.push(i);
                joules.push(cell.joules);
                expected.push(shares.iter().map(|&(leaf, s)| s * watts[leaf]).sum::<f64>());
            }
        });
        let n = members.len();
        let often = timeline
            .segments()
            .into_iter()
            .zip(&are_load)
            .filter(|&(_, &is_load)| is_load);
        let rarest = often.map(|(segments, _)| segments.max(1)).min().unwrap_or(1);
        let reach = (n as u64 * executions).div_ceil(rarest).max((n as f64).sqrt() as u64) as usize;
        let mut of_cells = Vec::new();
        if n > 2 * reach {
            let ratio: Vec<f64> = around(&joules, reach)
                .zip(around(&expected, reach))
                .map(|(j, e)| (j / e.max(f64::MIN_POSITIVE)).clamp(1.0 / MOST, MOST))
                .collect();
            let mut at = 0;
            of_cells.extend((0..curve.cells.len()).map(|i| {
                while at + 1 < n && i.abs_diff(members[at + 1]) <= i.abs_diff(members[at]) {
                    at += 1;
                }
                ratio[at]
            }));
        }
        Self { of_cells, are_load }
    }

    /// What `leaf` draws in `cell`, as a ratio to its mean.
    pub fn at(&self, cell: usize, leaf: usize) -> f64 {
        let level = self.of_cells.get(cell).filter(|_| self.are_load[leaf]);
        level.copied().unwrap_or(1.0)
    }
}

/// Means over each value and up to `reach` to either side.
pub fn around(values: &[f64], reach: usize) -> impl Iterator<Item = f64> {
    let sums: Vec<f64> = std::iter::once(0.0)
        .chain(values.iter().scan(0.0, |sum, value| {
            *sum += value;
            Some(*sum)
        }))
        .collect();
    let n = values.len();
    (0..n).map(move |i| {
        let (from, to) = (i.saturating_sub(reach), (i + reach + 1).min(n));
        (sums[to] - sums[from]) / (to - from) as f64
    })
}

#[cfg(test)]
mod tests {
    use super::super::difference::tests::{WATTS, cell, in_turn, part_time};
    use super::super::laws::chance;
    use super::*;

    /// A and B in turn, for so many milliseconds each, over 40 s in which their powers swing slowly by a fiftieth: the levels, and what the
    /// power of each cell was made of.
    fn levels(each_ms: [i64; 2], rest_ms: i64) -> Vec<(f64, f64)> {
        let timeline = in_turn(each_ms, 40_000);
        let drift = |i: usize| 1.0 + 0.02 * (i as f64 / 60.0).sin();
        let mut cells: Vec<_> = (0..400).map(|i| cell((100 * i, 100 * i + 100), 0.0)).collect();
        shares::walk(
            &timeline,
            cells.clone().iter().map(|c| (c.start, c.end)),
            |i, shares| {
                let joules: f64 = shares.iter().map(|&(leaf, s)| s * WATTS[leaf]).sum();
                cells[i].joules = joules * drift(i) * (1.0 + 0.01 * chance(i as i64));
            },
        );
        // Nothing in a hole tells, nor a cell that ends after the run.
        for hole in &mut cells[100..110] {
            (hole.known, hole.joules) = (false, 0.0);
        }
        cells[399].end += rest_ms * 1_000_000;
        let levels = Levels::new(&part_time(cells, 1.0), &timeline, &WATTS, (vec![true, true, false], 12));
        assert_eq!(levels.at(0, 2), 1.0, "the time outside is no load");
        (0..400).map(|i| (levels.at(i, 1), drift(i))).collect()
    }

    #[test]
    fn a_level_follows_what_changes_slowly() {
        for (i, (level, drift)) in levels([30, 20], 50).into_iter().enumerate() {
            assert!((level - drift).abs() < 0.006, "{i}: {level} for {drift}");
        }
    }

    #[test]
    fn a_counter_that_stands_still_is_no_load_of_nothing() {
        let timeline = in_turn([30, 20], 40_000);
        let cells = (0..400).map(|i| cell((100 * i, 100 * i + 100), if i < 200 { 0.0 } else { 18.0 }));
        let levels = Levels::new(
            &part_time(cells.collect(), 1.0),
            &timeline,
            &WATTS,
            (vec![true, true, false], 12),
        );
        assert_eq!((levels.at(0, 0), levels.at(0, 2)), (0.5, 1.0));
        assert!((levels.at(399, 0) - 1.0).abs() < 1e-9);
    }

    #[test]
    fn a_few_executions_are_no_level() {
        assert!(levels([3000, 2000], 0).iter().all(|&(level, _)| level == 1.0));
    }
}
