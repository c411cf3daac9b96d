//! When a counter's ticks are seen: its delay, from the run's own data.

use super::Inputs;
use super::candidates::settled;
use super::design::{Shape, Theta};
use super::fit::{self, Prior, Setting};
use super::rows::Rows;
use super::search::{
    Discovered, FAR, FAR_ROWS, FAR_STEP_MS, FINDING, UNUSUAL, counted, early, follow_prior, stream, usual_delay,
};
use super::side_by_side;

/// Valleys this much less deep than the deepest (ratio of variances) may turn out to be the deepest.
const WORTH_A_TRY: f64 = 1.5;

/// The counter's properties.
pub fn counter(inputs: &Inputs, setting: &Setting, rows: &Rows) -> Discovered {
    let with_rare_edges = rows.spread(FINDING);
    let rows = &settled(inputs, rows);
    let believed = inputs.device.counter_timing.delay_ms.unwrap_or(0.0);
    let few = rows.spread(800);
    let centre = Theta {
        window: 1.0,
        shape: Shape::Boxcar,
        delay: 5.0,
        blur: 0.0,
        follow: follow_prior(rows),
        response: 0.0,
    };
    let prior = Prior {
        theta: centre,
        window_sd: 1.0,
        delay_sd: 15.0,
        follow_sd: 0.5,
    };
    let left = |rows: &Rows, delay: f64| {
        let theta = Theta { delay, ..centre };
        fit::solve(setting, &[stream(rows, theta, prior, true)], None).residuals[0].0
    };
    let tried = |rows: &Rows, delays: &mut dyn Iterator<Item = f64>| -> Vec<(f64, f64)> {
        let delays = delays.map(|delay| believed + delay).collect();
        side_by_side::map(setting.threads, delays, |delay| (delay, left(rows, delay)))
    };
    let near = tried(&few, &mut early(rows).chain((-3..10).map(|step| 2.0 * f64::from(step))));
    let some = rows.spread(FAR_ROWS);
    let far = tried(&some, &mut FAR.map(|i| FAR_STEP_MS * f64::from(i)));
    let many = rows.spread(FINDING);
    let reached = |delay: f64| {
        let prior = Prior {
            theta: Theta {
                delay: usual_delay(delay),
                ..centre
            },
            ..prior
        };
        let mut streams = [stream(&many, Theta { delay, ..centre }, prior, true)];
        fit::converge(setting, &mut streams, None, fit::STEPS);
        (streams[0].theta, prior, streams[0].noise.powi(2))
    };
    // Steps of a few ms leave many delays to choose from, and few rows, coarsely looked at, may have the wrong one in front.
    let likeliest = |tried: &[(f64, f64)]| {
        let ends = side_by_side::map(setting.threads, least(tried), reached).into_iter();
        ends.min_by(|a, b| a.2.total_cmp(&b.2))
            .unwrap_or_else(|| reached(centre.delay))
    };
    let likeliest_far = least(&far).first().copied().unwrap_or(centre.delay);
    let (near, far) = (likeliest(&near), reached(likeliest_far));
    // A step later everything looks the same, but not where a load begins or ends.
    let gained = 0.5 * counted(&many) * (near.2 / far.2).ln();
    let at_edges = left(&with_rare_edges, near.0.delay) > left(&with_rare_edges, far.0.delay);
    let (theta, prior, _) = if gained > UNUSUAL && at_edges { far } else { near };
    Discovered {
        theta,
        prior,
        rivals: Vec::new(),
    }
}

/// Of delays (ms) and what each leaves unexplained, the few from which to go on: those that leave less than their neighbours, the best first.
fn least(tried: &[(f64, f64)]) -> Vec<f64> {
    const FEW: usize = 4;
    let mut by_delay = tried.to_vec();
    by_delay.sort_by(|a, b| a.0.total_cmp(&b.0));
    let left = |i: Option<usize>| i.and_then(|i| by_delay.get(i)).map_or(f64::INFINITY, |one| one.1);
    let is_least = |&i: &usize| left(Some(i)) <= left(i.checked_sub(1)).min(left(Some(i + 1)));
    let mut least: Vec<(f64, f64)> = (0..by_delay.len()).filter(is_least).map(|i| by_delay[i]).collect();
    least.sort_by(|a, b| a.1.total_cmp(&b.1));
    let worth = WORTH_A_TRY * least.first().map_or(0.0, |best| best.1);
    least.retain(|one| one.1 <= worth);
    least.into_iter().take(FEW).map(|one| one.0).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_search_goes_on_from_every_valley_that_is_nearly_as_deep_as_the_deepest() {
        let tried = [
            (4.0, 9.0),
            (-4.0, 3.0),
            (-2.0, 9.0),
            (0.0, 3.1),
            (2.0, 3.2),
            (6.0, 3.9),
            (8.0, 2.9),
        ];
        assert_eq!(least(&tried), [8.0, -4.0, 0.0]);
        assert!(least(&[]).is_empty());
    }
}
