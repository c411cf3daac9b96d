//! A cell: a stretch of time of which only the energy as a whole is known. Units: nanoseconds, joules.

/// A stretch of time and its energy.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cell {
    pub start: i64,
    pub end: i64,
    pub joules: f64,
    /// Whether a sensor saw this energy; otherwise `joules` is only the power before and after, held.
    pub known: bool,
    /// Standard uncertainty of the cell's edges in time, seconds.
    pub edge_s: f64,
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
}
