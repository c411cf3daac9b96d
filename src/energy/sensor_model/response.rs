//! Sensors that follow the power slowly and then average: a first-order response before the boxcar.
//!
//! A power that follows its phases slowly looks the same. The rails of the one board that was metered follow a load within a millisecond
//! (`oxford.rs`), so it is taken for the sensor's filter, which moves no energy; how much it may be the power's own is doubted (`energies`).
//!
//! Where a slow response is not expected, a longer window or one a whole step longer stands in for it, and phases come out wrong by
//! tens of per cent: so windows are looked for anew with it.

use super::design::{Shape, Theta};
use super::search::{RIVALS_WITHIN, Reached, Search, UNUSUAL, counted};
use super::side_by_side;

/// Response times that are tried, ms: what ramps do not cover, up to a window's length of the usual boards.
const TRIED: [f64; 7] = [2.5, 4.0, 6.5, 10.0, 15.0, 22.0, 33.0];
/// Of these, where one is looked for at all.
const FIRST: [usize; 3] = [1, 3, 5];
/// How much less likely a slow response is before looking, and what makes one worth a search (logarithms).
const SLOW: f64 = 6.0;
const PROMISING: f64 = 3.0;
/// Rows used for the search.
const ROWS: usize = 1500;
/// So many steps tell which are promising.
const FEW_STEPS: usize = 5;
/// So many of the best are followed to the end.
const FOLLOWED: usize = 3;

/// The likeliest of all windows with a response, where that is likelier by more than it was unlikely; else `plain`, with rivals.
pub fn slower(search: &Search, plain: Reached) -> Reached {
    if plain.theta.shape == Shape::LowPass {
        return plain;
    }
    let some = search.rows.spread(ROWS);
    let n = counted(&some);
    // The middle of what a reading has seen stays where it is.
    let start = |window: f64, response: f64| Theta {
        window,
        response,
        delay: plain.theta.delay + 0.5 * (plain.theta.window - window) - response,
        ..plain.theta
    };
    let left = |theta: Theta| search.converged(theta, &some, FEW_STEPS);
    let without = left(plain.theta).variance;
    let gained = |with: &Reached| 0.5 * n * (without / with.variance).ln();
    let promising = FIRST
        .iter()
        .any(|&i| gained(&left(start(plain.theta.window, TRIED[i]))) > PROMISING);
    if !promising {
        return plain;
    }
    let windows = plain
        .rivals
        .iter()
        .map(|(theta, _)| theta.window)
        .chain([plain.theta.window, search.near.0.window])
        .chain(search.inputs.device.power_timing.window_ms)
        .chain([1e3 * search.rows.period]);
    let starts = windows
        .flat_map(|window| TRIED.map(|response| start(window, response)))
        .collect();
    let threads = search.setting.threads;
    let mut tried: Vec<Reached> = side_by_side::map(threads, starts, left);
    tried.sort_by(|a, b| a.variance.total_cmp(&b.variance));
    let mut ends: Vec<Reached> = Vec::new();
    for one in tried {
        let same = |other: &Reached| {
            (other.theta.window - one.theta.window).abs() < 0.03 * one.theta.window
                && (other.theta.response - one.theta.response).abs() < 0.1 * one.theta.response
        };
        if !ends.iter().any(same) {
            ends.push(one);
        }
    }
    ends.truncate(FOLLOWED);
    let n = search.finding_rows();
    let finished = |end: Reached| {
        let end = search.converged_fully(end.theta);
        let unusual = if search.is_usual(end.theta.window) {
            0.0
        } else {
            UNUSUAL
        };
        Reached {
            unlikely: SLOW + unusual,
            ..end
        }
    };
    let mut ends = side_by_side::map(threads, ends, finished);
    // A response longer than the window is a low pass, which is looked for by itself.
    ends.retain(|end| end.theta.response < end.theta.window);
    let rivals = plain.rivals.clone();
    ends.push(plain);
    ends.sort_by(|a, b| b.score(n).total_cmp(&a.score(n)));
    let mut best = ends.remove(0);
    let most = best.score(n);
    let others = ends.into_iter().filter(|end| most - end.score(n) < RIVALS_WITHIN);
    best.rivals = others.map(|end| (end.theta, end.prior)).chain(rivals).collect();
    best
}
