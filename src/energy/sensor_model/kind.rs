//! Does the counter add up all time, or readings that look at part of it?
//!
//! Its differences are explained twice: as means over all the time between two ticks, and as means over the power reading's window.
//! Phases that are shorter than the sensor's period make the two mixtures differ, and the residuals tell: those of all of the run, not
//! of the few cells at the edges of long phases, where whatever fits an edge a little better would decide.

use super::Inputs;
use super::design::{Shape, Theta};
use super::fit::{self, Prior, Setting, Stream};
use super::matrix::dot;
use super::rows::Rows;
use super::search::{follow_prior, stream};

/// The counter's nature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CounterKind {
    Continuous,
    Sampled,
    Unknown,
}

/// How much better one explanation must be than the other: ratio of residual variances, over all and in most parts of the run.
const CLEARLY: f64 = 1.3;
const IN_PARTS: f64 = 1.1;
const PARTS: usize = 8;
const MOST: usize = 6;
/// Part of the mean power that no explanation need explain.
const EXACT: f64 = 1e-3;
/// Shares of its period that a counter may look at where the power's windows do not say.
const PARTIAL: [f64; 3] = [0.15, 0.25, 0.5];
/// Fewer cells than this do not tell.
const TELLING: usize = 150;

/// Mean squares of the residuals under one explanation, in each part of the run.
type Left = [f64; PARTS];

/// Decide by what either explanation leaves.
fn decide(continuous: &Left, sampled: &Left) -> CounterKind {
    let clearly = |worse: &Left, better: &Left| {
        let sum = |left: &Left| left.iter().sum::<f64>();
        let agreeing = worse.iter().zip(better).filter(|(w, b)| **w > IN_PARTS * **b).count();
        sum(worse) > CLEARLY * sum(better) && agreeing >= MOST
    };
    if clearly(sampled, continuous) {
        CounterKind::Continuous
    } else if clearly(continuous, sampled) {
        CounterKind::Sampled
    } else {
        CounterKind::Unknown
    }
}

/// Explain the counter as continuous and as a sum of windows; where its readings do not tell, the user's own calibration may have.
pub fn of_counter(inputs: &Inputs, setting: &Setting, counter: &Rows, sensor: Option<Theta>) -> CounterKind {
    if inputs.adds_up {
        return CounterKind::Sampled;
    }
    let few = counter.spread(1500);
    // Of a counter that is polled as slowly as it moves, nobody knows what its cells hold.
    let tells = counter.unseen == 0.0 && few.rows.len() >= TELLING;
    let seen = tells.then(|| by_residuals(inputs, setting, &few, sensor)).flatten();
    let calibrated = inputs.device.properties.get("counter_kind").map(String::as_str);
    match (seen, calibrated) {
        (Some(CounterKind::Unknown) | None, Some("sampled")) => CounterKind::Sampled,
        (Some(CounterKind::Unknown) | None, Some("continuous")) => CounterKind::Continuous,
        _ => seen.unwrap_or(CounterKind::Unknown),
    }
}

fn by_residuals(inputs: &Inputs, setting: &Setting, few: &Rows, sensor: Option<Theta>) -> Option<CounterKind> {
    let period = 1e3 * few.period;
    // Windows as long as the counter's period add up all time: then, too, what is asked is whether a part of it explains the counter better.
    let is_whole = |window: f64| (0.8..1.2).contains(&(window / period));
    let partial = sensor.map(|theta| theta.window).filter(|&window| !is_whole(window));
    let windows = partial.map_or(PARTIAL.map(|share| share * period).to_vec(), |window| vec![window]);
    let believed = inputs.device.counter_timing.delay_ms.unwrap_or(0.0);
    let near = (-3..10).map(|step| believed + 2.0 * f64::from(step));
    // Where the power's windows lie far back, those of its sums may too.
    let far = sensor.map(|theta| theta.delay).filter(|&delay| delay > 20.0);
    let far = far
        .into_iter()
        .flat_map(|delay| (-5..6).map(move |step| delay + 2.0 * f64::from(step)));
    let delays = near.chain(far);
    // How much of an update's lateness is its own is not known here; both explanations may choose.
    let follows = [0.0, follow_prior(few)];
    let pairs: Vec<(f64, f64)> = delays.flat_map(|delay| follows.map(|follow| (delay, follow))).collect();
    let least = |rows: &Rows, window: f64, is_counter: bool| {
        let tried = pairs.iter().map(|&(delay, follow)| {
            let theta = Theta {
                window,
                // A counter adds up the power itself.
                shape: sensor
                    .filter(|_| !is_counter)
                    .map_or(Shape::Boxcar, |theta| theta.shape),
                delay,
                blur: 0.0,
                follow,
                response: 0.0,
            };
            let prior = Prior {
                theta,
                window_sd: 1.0,
                delay_sd: 1.0,
                follow_sd: 1.0,
            };
            left(setting, &stream(rows, theta, prior, is_counter))
        });
        tried.min_by(sum_of)
    };
    let windowed = few.windowed();
    let sampled = windows
        .iter()
        .filter_map(|&w| least(&windowed, w, false))
        .min_by(sum_of)?;
    // Where both explain all but a thousandth of the power, neither is right for a reason.
    let floor = (EXACT * inputs.mean_watts).powi(2);
    let with_floor = |left: Left| left.map(|l| l + floor);
    let kind = decide(&with_floor(least(few, 1.0, true)?), &with_floor(sampled));
    // That a part of any length does so better is no finding.
    let is_guess = partial.is_none() && kind == CounterKind::Sampled && sensor.is_some();
    Some(if is_guess { CounterKind::Unknown } else { kind })
}

fn sum_of(a: &Left, b: &Left) -> std::cmp::Ordering {
    a.iter().sum::<f64>().total_cmp(&b.iter().sum())
}

/// What a stream's best leaf powers leave of its rows.
fn left(setting: &Setting, stream: &Stream) -> Left {
    let solution = fit::solve(setting, std::slice::from_ref(stream), None);
    let mut squares: Vec<f64> = Vec::with_capacity(stream.rows.rows.len());
    fit::visit(setting, stream, None, |_, columns, target| {
        squares.push((target - dot(columns, &solution.values)).powi(2));
    });
    let part = |i: usize| {
        let part = &squares[i * squares.len() / PARTS..(i + 1) * squares.len() / PARTS];
        part.iter().sum::<f64>() / part.len().max(1) as f64
    };
    std::array::from_fn(part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_one_part_of_the_run_says_alone_is_not_taken_for_an_answer() {
        let plain = [1.0; PARTS];
        assert_eq!(decide(&plain, &[2.0; PARTS]), CounterKind::Continuous);
        assert_eq!(decide(&[2.0; PARTS], &plain), CounterKind::Sampled);
        let mut at_an_edge = plain;
        at_an_edge[3] = 100.0;
        assert_eq!(decide(&at_an_edge, &plain), CounterKind::Unknown);
    }
}
