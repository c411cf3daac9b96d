//! When each power reading looked: its window, as the sensor was found.

use crate::energy::sensed::Sensed;
use crate::model::time::Interval;

use super::Model;
use super::design::{Design, Shape};
use super::rows::{self, Place};

/// A power reading, W, and its window, nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Look {
    pub start: i64,
    pub end: i64,
    pub watts: f64,
}

/// Power readings that appeared during `time`, ascending. None where a reading is no plain mean over a window, or where polls are too slow
/// to tell when it was.
pub fn looks(model: &Model, sensed: &Sensed<'_>, time: Interval) -> Vec<Look> {
    let is_plain = |found: &super::Found| found.theta.shape == Shape::Boxcar && found.theta.response == 0.0;
    let Some(found) = model.power.filter(|found| is_plain(found) && !found.is_blurred) else {
        return Vec::new();
    };
    let Some(rows) = rows::of_power(&sensed.device, sensed, time, Place::Anywhere).filter(|rows| rows.unseen == 0.0)
    else {
        return Vec::new();
    };
    let at = |s: f64| time.start.as_nanos() + (s * 1e9) as i64;
    let look = |row: &rows::Row| {
        let (start, end) = Design::window(row, &found.theta);
        Look {
            start: at(start),
            end: at(end),
            watts: row.watts,
        }
    };
    rows.rows.iter().map(look).collect()
}
