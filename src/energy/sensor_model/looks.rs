//! When each power reading looked: its window, as the sensor was found.

use crate::energy::sensed::Sensed;
use crate::model::time::Interval;

use super::Model;
use super::design::{Design, Shape};
use super::rows::{self, Place};

/// Windows of the power readings in the run, nanoseconds, ascending. None where a reading is no plain mean over one, or where polls are too
/// slow to tell when it was.
pub fn windows(model: &Model, sensed: &Sensed<'_>, run: Interval) -> Vec<(i64, i64)> {
    let is_plain = |found: &super::Found| found.theta.shape == Shape::Boxcar && found.theta.response == 0.0;
    let Some(found) = model.power.filter(|found| is_plain(found) && !found.is_blurred) else {
        return Vec::new();
    };
    let Some(rows) = rows::of_power(&sensed.device, sensed, run, Place::Anywhere).filter(|rows| rows.unseen == 0.0)
    else {
        return Vec::new();
    };
    let at = |s: f64| run.start.as_nanos() + (s * 1e9) as i64;
    let windows = rows.rows.iter().map(|row| Design::window(row, &found.theta));
    windows.map(|(start, end)| (at(start), at(end))).collect()
}
