//! A cell: a stretch of time of which only the energy as a whole is known; and lists of cells, ascending and apart. Units: nanoseconds,
//! joules.

use crate::model::time::Interval;

/// A stretch of time and its energy.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cell {
    pub start: i64,
    pub end: i64,
    pub joules: f64,
    /// Whether a sensor saw this energy; otherwise `joules` is only the power before and after, held.
    pub known: bool,
    /// Standard uncertainties of the times at which it starts and ends, seconds.
    pub ends_s: [f64; 2],
    /// Variance of `joules` from what the sensor did not look at (window shorter than period), J².
    pub variance: f64,
}

impl Cell {
    pub fn seconds(&self) -> f64 {
        (self.end - self.start) as f64 * 1e-9
    }
    pub fn watts(&self) -> f64 {
        self.joules / self.seconds()
    }
    /// Variance of its length, s^2.
    pub fn ends_s2(&self) -> f64 {
        self.ends_s[0].powi(2) + self.ends_s[1].powi(2)
    }
}

/// Seconds of the run that known cells cover.
pub fn overlap_s(cells: &[Cell], run: Interval) -> f64 {
    let inside = |c: &&Cell| (c.end.min(run.end.as_nanos()) - c.start.max(run.start.as_nanos())).max(0);
    cells.iter().filter(|c| c.known).map(|c| inside(&c)).sum::<i64>() as f64 * 1e-9
}

/// Energy of `cells` in `from..to`, if they know all of it. `at` is a position to search on from.
pub fn energy_between(cells: &[Cell], at: &mut usize, from: i64, to: i64) -> Option<f64> {
    while cells.get(*at).is_some_and(|c| c.end <= from) {
        *at += 1;
    }
    let mut joules = 0.0;
    let mut reached = from;
    for cell in &cells[*at..] {
        if reached >= to {
            break;
        }
        if !cell.known || cell.start > reached {
            return None;
        }
        let end = cell.end.min(to);
        joules += cell.watts() * (end - reached) as f64 * 1e-9;
        reached = end;
    }
    (reached >= to).then_some(joules)
}

/// Counter over integral where both know the energy.
pub fn compare(counter: &[Cell], power: &[Cell], run: Interval) -> Option<(f64, f64)> {
    let (mut counted, mut integrated, mut seconds, mut at) = (0.0, 0.0, 0.0, 0);
    let inside = |c: &&Cell| c.known && c.start >= run.start.as_nanos() && c.end <= run.end.as_nanos();
    for cell in counter.iter().filter(inside) {
        if let Some(joules) = energy_between(power, &mut at, cell.start, cell.end) {
            counted += cell.joules;
            integrated += joules;
            seconds += cell.seconds();
        }
    }
    (integrated > 0.0).then(|| (counted / integrated, seconds))
}

/// Counter cells, with power cells where the counter knows nothing.
pub fn splice(counter: &[Cell], power: &[Cell]) -> Vec<Cell> {
    let mut cells = Vec::with_capacity(counter.len() + 16);
    let (Some(first), Some(last)) = (counter.first(), counter.last()) else {
        return power.to_vec();
    };
    let mut at = 0;
    take(power, &mut at, i64::MIN, first.start, &mut cells);
    for cell in counter {
        if cell.known {
            cells.push(*cell);
        } else {
            let before = cells.len();
            take(power, &mut at, cell.start, cell.end, &mut cells);
            if cells.len() == before {
                cells.push(*cell);
            }
        }
    }
    take(power, &mut at, last.end, i64::MAX, &mut cells);
    cells
}

/// Append the parts of `power` that lie in `from..to`.
pub fn take(power: &[Cell], at: &mut usize, from: i64, to: i64, cells: &mut Vec<Cell>) {
    while power.get(*at).is_some_and(|c| c.end <= from) {
        *at += 1;
    }
    for cell in &power[*at..] {
        let (start, end) = (cell.start.max(from), cell.end.min(to));
        if cell.start >= to {
            break;
        }
        if end > start {
            let part = (end - start) as f64 / (cell.end - cell.start) as f64;
            cells.push(Cell {
                start,
                end,
                joules: cell.joules * part,
                variance: cell.variance * part,
                ..*cell
            });
        }
    }
}

/// Make the cells contiguous and long enough for the run: what lies between is unknown.
pub fn cover(cells: &mut Vec<Cell>, run: Interval) {
    let unknown = |start, end| Cell {
        start,
        end,
        joules: 0.0,
        known: false,
        ends_s: [0.0; 2],
        variance: 0.0,
    };
    let mut whole = Vec::with_capacity(cells.len() + 2);
    let mut reached = run.start.as_nanos().min(cells.first().map_or(i64::MAX, |c| c.start));
    for cell in cells.drain(..).filter(|c| c.end > c.start) {
        if cell.start > reached {
            whole.push(unknown(reached, cell.start));
        }
        reached = cell.end;
        whole.push(cell);
    }
    if reached < run.end.as_nanos() {
        whole.push(unknown(reached, run.end.as_nanos()));
    }
    *cells = whole;
}
