//! Does the counter add up all time, or the power readings that look at part of it?
//!
//! Compare each counter difference with what a continuous counter would have shown (leaf powers times time in the cell) and with the
//! power reading of the same time: the slope of the one deviation over the other is 0 for a continuous counter and 1 for one that
//! adds up readings.

/// The counter's nature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CounterKind {
    Continuous,
    Sampled,
    Unknown,
}

/// One cell: what a continuous counter would have shown, what it showed, and the power read in that time (watts).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cell {
    pub continuous: f64,
    pub counted: f64,
    pub read: f64,
}

/// Slope, with an allowance of two standard errors to either side.
pub fn decide(cells: &[Cell]) -> (CounterKind, f64) {
    if cells.len() < 20 {
        return (CounterKind::Unknown, f64::NAN);
    }
    let n = cells.len() as f64;
    let mean = |f: fn(&Cell) -> f64| cells.iter().map(f).sum::<f64>() / n;
    let (mx, my) = (mean(|c| c.read - c.continuous), mean(|c| c.counted - c.continuous));
    let (mut xx, mut xy, mut yy) = (0.0, 0.0, 0.0);
    for cell in cells {
        let (x, y) = (cell.read - cell.continuous - mx, cell.counted - cell.continuous - my);
        xx += x * x;
        xy += x * y;
        yy += y * y;
    }
    if xx <= 0.0 {
        return (CounterKind::Unknown, f64::NAN);
    }
    let slope = xy / xx;
    let error = ((yy - slope * xy).max(0.0) / (n - 2.0) / xx).sqrt();
    let kind = match slope {
        s if s + 2.0 * error < 0.5 => CounterKind::Continuous,
        s if s - 2.0 * error > 0.5 => CounterKind::Sampled,
        _ => CounterKind::Unknown,
    };
    (kind, slope)
}
