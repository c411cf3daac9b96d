//! Finding a stream's properties from the run's own data: which shape of window, with or without a slow response, explains its readings.

use super::Inputs;
use super::candidates::settled;
use super::design::Shape;
use super::fit::Setting;
use super::response;
use super::rows::Rows;
use super::search::{Discovered, RIVALS_WITHIN, Search, UNUSUAL, WORTH_A_TRY, counted};

/// Windows of so many periods are long.
const LONG: f64 = 3.0;
/// Averages of about a second are made by adding up: NVML's is documented as a mean over one.
const SECOND_MS: f64 = 900.0;

/// The power stream's properties, by the shape of window that explains more.
pub fn power(inputs: &Inputs, setting: &Setting, rows: &Rows) -> Discovered {
    let rows = &settled(inputs, rows);
    let boxcar = Search::new(Shape::Boxcar, inputs, setting, rows);
    let best = boxcar.best();
    if boxcar.has_few_edges() || best.theta.window > SECOND_MS {
        return best.into();
    }
    // What a response adds to an average over several periods is not seen.
    let is_long = best.theta.window > LONG * rows.period * 1e3;
    let best = if is_long { best } else { response::slower(&boxcar, best) };
    let low_pass = Search::new(Shape::LowPass, inputs, setting, rows);
    if low_pass.least() > WORTH_A_TRY * boxcar.least() {
        return best.into();
    }
    let mut other = low_pass.best();
    other.unlikely += UNUSUAL;
    let rows = counted(rows);
    let gained = other.score(rows) - best.score(rows);
    let (mut likelier, less) = if gained > 0.0 { (other, best) } else { (best, other) };
    if gained.abs() < RIVALS_WITHIN {
        likelier.rivals.push((less.theta, less.prior));
    }
    likelier.into()
}
