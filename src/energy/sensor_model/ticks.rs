//! When a counter's ticks are seen: its delay, from the run's own data.

use super::Inputs;
use super::candidates::settled;
use super::design::{Shape, Theta};
use super::fit::{self, Prior, Setting};
use super::rows::Rows;
use super::search::{
    Discovered, FAR, FAR_ROWS, FAR_STEP_MS, FINDING, UNUSUAL, counted, early, follow_prior, stream, usual_delay,
};

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
    let best = |rows: &Rows, delays: &mut dyn Iterator<Item = f64>| {
        let tried = delays.map(|delay| (believed + delay, left(rows, believed + delay)));
        tried
            .min_by(|a, b| a.1.total_cmp(&b.1))
            .unwrap_or((centre.delay, f64::INFINITY))
    };
    let near = best(&few, &mut early(rows).chain((-3..10).map(|step| 2.0 * f64::from(step))));
    let some = rows.spread(FAR_ROWS);
    let far = best(&some, &mut FAR.map(|i| FAR_STEP_MS * f64::from(i)));
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
    let (near, far) = (reached(near.0), reached(far.0));
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
