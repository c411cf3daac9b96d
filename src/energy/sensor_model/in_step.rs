//! A poller that keeps step with the sensor it polls as slowly as that updates.
//!
//! Where polls are rare, an update lies anywhere between two of them, and every row is blurred by that (`rows`). Unless the poll's period
//! is the sensor's, or a multiple of it, to the microsecond: then each update lies at the same place between its polls, which a delay
//! describes, and nothing is blurred. A logger with a timer of its own at 20 or 100 ms does that to sensors of 20 or 100 ms.
//!
//! ```text
//! polls      |         |         |         |
//! updates       x         x         x         x        in step: as far behind a poll each time
//! ```
//!
//! Time stamps do not tell the two apart: the readings do, which fit sharp windows or blurred ones.

use super::Inputs;
use super::discover;
use super::fit::{self, Setting};
use super::rows::{self, Place, Rows};
use super::search::{self, Discovered, FINDING, UNUSUAL};
use super::ticks;

/// Power readings, sharp where that explains clearly more of them.
pub fn power(inputs: &Inputs, setting: &Setting, rows: Rows) -> Rows {
    if rows.unseen == 0.0 {
        return rows;
    }
    let sharp = rows::of_power(inputs.device, inputs.sensed, inputs.run, Place::InStep);
    let search = |rows: &Rows| discover::power(inputs, setting, rows);
    sharp
        .filter(|sharp| gained(setting, sharp, &rows, false, search) > UNUSUAL)
        .unwrap_or(rows)
}

/// The same of a counter.
pub fn counter(inputs: &Inputs, setting: &Setting, rows: Rows) -> Rows {
    if rows.unseen == 0.0 {
        return rows;
    }
    let sharp = rows::of_counter(inputs.device, inputs.sensed.polled, inputs.run, Place::InStep);
    let search = |rows: &Rows| ticks::counter(inputs, setting, rows);
    sharp
        .filter(|sharp| {
            let blurred = Rows {
                unseen: rows.unseen,
                ..sharp.clone()
            };
            gained(setting, sharp, &blurred, true, search) > UNUSUAL
        })
        .unwrap_or(rows)
}

/// How much likelier sharp rows are than blurred ones, each with the properties that suit them best (logarithm).
fn gained(
    setting: &Setting,
    sharp: &Rows,
    blurred: &Rows,
    is_counter: bool,
    search: impl Fn(&Rows) -> Discovered,
) -> f64 {
    let left = |rows: &Rows| {
        let rows = rows.spread(FINDING);
        let found = search(&rows);
        let mut streams = [search::stream(&rows, found.theta, found.prior, is_counter)];
        fit::converge(setting, &mut streams, None, fit::STEPS);
        (streams[0].noise.powi(2).ln(), rows.rows.len())
    };
    let ((sharp, n), (blurred, m)) = (left(sharp), left(blurred));
    0.5 * n.min(m) as f64 * (blurred - sharp)
}
