//! How far cells of a counter end from where polls saw them end, beyond what lies between two polls.
//!
//! A counter whose values become visible each after another while has cells that are taken for too long and for too short in turn, and their
//! energy does not follow: it is that of the true ends. A counter that itself ticks unevenly has cells of other lengths too, and other
//! energies with them. With L a cell's length, E its energy, P what its leaves draw,
//!
//! ```text
//! r = E - sum of P over the cell as it was seen                        s = standard deviation of how late its ends are seen
//! d = L - the median length                                            mean of -r d = 2 s^2 times the mean power
//! ```
//!
//! since r holds -P of what an end is too late, and +P of what a beginning is. What the power does beyond its means has nothing to do with
//! d. The variance within the polls' brackets is known; what is beyond counts where it exceeds twice its standard error.
//!
//! *Limits of validity*: counters that add up all time, over which leaves ran often. A delay that is the same each time is not seen here.
//! Units: seconds, joules, watts.

use super::curve::Curve;
use super::levels::Levels;
use super::noise;
use super::shares;
use super::timeline::Timeline;

/// Fewer cells do not tell a variance.
const ENOUGH: usize = 60;
/// Cells farther from the usual length than this share of it are of another kind: behind a stall, or of a tick that was not seen.
const ODD: f64 = 0.5;
const STANDARD_ERRORS: f64 = 2.0;

/// Variance of the ends of cells beyond their brackets, s^2; 0 where nothing of it is to be seen. `watts` are what the leaves draw, `levels`
/// how far they lie from that.
pub fn variance(curve: &Curve, timeline: &Timeline, watts: &[f64], levels: &Levels) -> f64 {
    let usual = curve.cell_seconds();
    let (mut beyond, mut joules, mut seconds) = (Vec::new(), 0.0, 0.0);
    let cells = curve.cells.iter().map(|c| (c.start, c.end));
    shares::walk(timeline, cells, |i, shares| {
        let cell = &curve.cells[i];
        let inside: f64 = shares.iter().map(|share| share.1).sum();
        let more = cell.seconds() - usual;
        let is_whole = (cell.seconds() - inside).abs() < 1e-9;
        let is_of_source = cell.start >= curve.reach.0 && cell.end <= curve.reach.1;
        if cell.known && is_of_source && is_whole && more.abs() < ODD * usual {
            let expected: f64 = shares
                .iter()
                .map(|&(leaf, s)| s * watts[leaf] * levels.at(i, leaf))
                .sum();
            beyond.push((expected - cell.joules) * more - cell.watts() * cell.ends_s2());
            joules += cell.joules;
            seconds += cell.seconds();
        }
    });
    let told = noise::mean(&beyond).filter(|_| beyond.len() >= ENOUGH);
    let sure = told.filter(|(mean, error)| *mean > STANDARD_ERRORS * error);
    sure.map_or(0.0, |(mean, _)| 0.5 * mean * seconds / joules)
}

#[cfg(test)]
mod tests {
    use super::super::cell::Cell;
    use super::super::difference::tests::{MS, WATTS, in_turn, part_time};
    use super::super::laws::chance;
    use super::*;
    use crate::model::analysis::Method;

    const CELLS: i64 = 1000;

    /// A and B in turn, counted about every tenth of a second: true ends are up to `uneven_ms` from there, and were seen up to `late_ms` off.
    fn found_ms(uneven_ms: f64, late_ms: f64) -> f64 {
        let timeline = in_turn([17, 12], CELLS * 101);
        let at = |k: i64| {
            let ns = |ms: f64| (ms * MS as f64) as i64;
            let truth = (k * 100 + 10) * MS + ns(uneven_ms * chance(k));
            (truth, truth + ns(late_ms * chance(-k)))
        };
        let energy = |from: i64, to: i64| {
            let mut joules = 0.0;
            shares::walk(&timeline, std::iter::once((from, to)), |_, shares| {
                joules = shares.iter().map(|&(leaf, s)| s * WATTS[leaf]).sum();
            });
            joules
        };
        let cell = |k: i64| Cell {
            start: at(k).1,
            end: at(k + 1).1,
            joules: energy(at(k).0, at(k + 1).0) * (1.0 + 0.02 * chance(k + 7919)),
            known: true,
            ends_s: [0.0; 2],
            variance: 0.0,
        };
        let curve = Curve {
            method: Method::Counter,
            ..part_time((0..CELLS).map(cell).collect(), 1.0)
        };
        1e3 * variance(&curve, &timeline, &WATTS, &Levels::default()).sqrt()
    }

    #[test]
    fn what_is_seen_late_is_told_from_what_is_uneven() {
        let sd = |most: f64| most / 3.0_f64.sqrt();
        for (uneven, late) in [(0.0, 2.5), (2.0, 2.5), (2.0, 1.0)] {
            let found = found_ms(uneven, late);
            assert!((0.85..1.15).contains(&(found / sd(late))), "{found} ms of {}", sd(late));
        }
        assert_eq!(found_ms(3.0, 0.0), 0.0);
    }
}
