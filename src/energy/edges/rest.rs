//! What a device draws outside every phase: told by cells that hold nothing else, or else by readings. Units: watts, seconds.

use crate::energy::cell::Cell;
use crate::energy::curve::Curve;
use crate::energy::sensor_model::Look;
use crate::energy::shares;
use crate::energy::timeline::Timeline;

use super::TOLD;

/// What cells show that hold nothing but time outside every phase; or else readings that looked at nothing else, for cells are as long as
/// windows, and one may fit in between two of them. Mean power, and the seconds of one, for the others may have looked at the same.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rest {
    pub watts: f64,
    pub seconds: f64,
}

impl Rest {
    /// From cells, or from readings in the run and beside it, in the order of time.
    pub fn seen(curve: &Curve, timeline: &Timeline, looks: impl FnOnce() -> Vec<Look>) -> Option<Self> {
        let outside = timeline.outside();
        let is_rest = |shares: &[(usize, f64)]| shares.iter().all(|&(leaf, _)| leaf == outside);
        let mean = |sums: (f64, f64), count: usize| Self {
            watts: sums.0 / sums.1,
            seconds: sums.1 / count as f64,
        };
        let (mut sums, mut count) = ((0.0, 0.0), 0);
        let within = |cell: &Cell| cell.known && cell.start >= curve.reach.0 && cell.end <= curve.reach.1;
        shares::walk(timeline, curve.cells.iter().map(|c| (c.start, c.end)), |i, shares| {
            let cell = &curve.cells[i];
            if within(cell) && is_rest(shares) {
                sums = (sums.0 + cell.joules, sums.1 + cell.seconds());
                count += 1;
            }
        });
        if count >= TOLD {
            return Some(mean(sums, count));
        }
        let looks = looks();
        let (mut sums, mut count) = ((0.0, 0.0), 0);
        let stretches = looks.iter().map(|look| (look.start, look.end));
        shares::walk(timeline, stretches, |i, shares| {
            let look = &looks[i];
            let seconds = (look.end - look.start) as f64 * 1e-9;
            if seconds > 0.0 && is_rest(shares) {
                sums = (sums.0 + look.watts * seconds, sums.1 + seconds);
                count += 1;
            }
        });
        (count > 0).then(|| mean(sums, count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::energy::curve::{PowerRange, Story};
    use crate::model::analysis::Method;

    #[test]
    fn the_rest_is_told_by_cells_and_else_by_readings() {
        const MS: i64 = 1_000_000;
        let timeline = Timeline {
            edges: [0, 300, 2000].map(|ms| ms * MS).to_vec(),
            states: vec![1, 0],
            table: vec![vec![(0, 1.0)], vec![(1, 1.0)]],
            leaves: 2,
        };
        let cell = |start: i64, end: i64, watts: f64| Cell {
            start: start * MS,
            end: end * MS,
            joules: watts * (end - start) as f64 * 1e-3,
            known: true,
            ends_s: [0.0; 2],
            variance: 0.0,
        };
        let look = |end: i64, watts: f64| Look {
            start: (end - 1000) * MS,
            end: end * MS,
            watts,
        };
        let curve = |cells: Vec<Cell>| Curve {
            cells,
            range: PowerRange {
                floor: 0.0,
                ceiling: 500.0,
            },
            method: Method::Integral,
            story: Story::default(),
            delay_sd_s: 0.0,
            reach: (i64::MIN, i64::MAX),
        };
        let looks = || {
            vec![
                look(100, 59.0),
                look(200, 61.0),
                look(300, 63.0),
                look(400, 90.0),
                look(1400, 300.0),
            ]
        };
        let short = curve(vec![cell(-100, 100, 70.0), cell(100, 200, 73.0), cell(200, 400, 150.0)]);
        let by_cells = Rest::seen(&short, &timeline, || unreachable!("cells tell"));
        let by_readings = Rest::seen(
            &curve(vec![cell(-600, 400, 90.0), cell(400, 1400, 300.0)]),
            &timeline,
            looks,
        );
        assert_eq!(by_readings.map(|rest| (rest.watts, rest.seconds)), Some((61.0, 1.0)));
        let by_cells = by_cells.expect("two cells are outside");
        assert!(
            (by_cells.watts - 71.0).abs() < 1e-9 && (by_cells.seconds - 0.15).abs() < 1e-9,
            "{by_cells:?}"
        );
        assert_eq!(Rest::seen(&curve(Vec::new()), &timeline, Vec::new), None);
    }
}
