//! Finding a stream's properties from the run's own data: a coarse search about what is believed, then Gauss-Newton.
//!
//! Owns the priors. Published tables of windows and delays are a place to start from, never an answer: boards of one architecture differ
//! (JimZeyuYang/GPU_Power_Benchmark lists 17.6 to 25.4 ms for A100s).

use super::Inputs;
use super::design::{Shape, Theta};
use super::fit::{self, Prior, Setting, Stream};
use super::kind::{self, CounterKind};
use super::rows::Rows;

/// A low pass must leave this much less unexplained (ratio of variances) to be taken for the sensor's shape.
const CLEARLY: f64 = 1.1;
/// Averages over this many periods are made by adding up (NVML's is documented as a mean over a second).
const LONG: f64 = 3.0;
/// After the coarse search it may still leave this much more.
const WORTH_A_TRY: f64 = 1.2;
/// Rows used for finding properties.
pub const FINDING: usize = 4000;

/// A stream as it enters a fit.
pub fn stream(rows: &Rows, theta: Theta, prior: Prior, is_counter: bool) -> Stream<'_> {
    Stream {
        rows,
        prior,
        theta,
        ramp: 0.0,
        noise: 1.0,
        is_counter,
    }
}

fn follow_prior(rows: &Rows) -> f64 {
    let poll = rows.half.powi(2) / 3.0;
    (1.0 - poll / rows.scatter.powi(2).max(1e-12)).clamp(0.0, 1.0)
}

/// The power stream's properties, by the shape of window that explains more.
pub fn power(inputs: &Inputs, setting: &Setting, rows: &Rows) -> (Theta, Prior) {
    let boxcar = search(Shape::Boxcar, inputs, setting, rows);
    let converged = |start: Theta| converged(start, inputs, setting, rows);
    let (theta, prior, variance) = converged(boxcar.0);
    if theta.window > LONG * rows.period * 1e3 {
        return (theta, prior);
    }
    let low_pass = search(Shape::LowPass, inputs, setting, rows);
    if low_pass.1 > WORTH_A_TRY * boxcar.1 {
        return (theta, prior);
    }
    let other = converged(low_pass.0);
    if CLEARLY * other.2 < variance {
        (other.0, other.1)
    } else {
        (theta, prior)
    }
}

/// What is believed of a power stream, its window aside.
fn power_prior(theta: Theta) -> Prior {
    Prior {
        theta: Theta {
            delay: 5.0,
            blur: 0.0,
            ..theta
        },
        window_sd: 1.0,
        delay_sd: 15.0,
        follow_sd: 0.5,
    }
}

/// A coarse search from what is believed: where to start, and the residual variance there.
fn search(shape: Shape, inputs: &Inputs, setting: &Setting, rows: &Rows) -> (Theta, f64) {
    let believed = inputs.device.power_timing;
    let period = rows.period * 1e3;
    let windows: Vec<f64> = match believed.window_ms {
        Some(w) => [0.7, 0.8, 0.9, 1.0, 1.1, 1.25].iter().map(|f| f * w).collect(),
        None => [0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.7, 0.85, 1.0]
            .iter()
            .map(|f| f * period)
            .collect(),
    };
    let few = rows.spread(800);
    let mut start = Theta {
        window: period,
        shape,
        delay: 0.0,
        blur: 0.0,
        follow: 0.0,
    };
    let mut least = f64::INFINITY;
    for &window in &windows {
        for delay in [-4.0, -2.0, 0.0, 2.0, 4.0, 6.0, 8.0, 10.0, 12.0, 15.0] {
            let theta = Theta {
                window,
                delay: delay + believed.delay_ms.unwrap_or(0.0),
                follow: follow_prior(rows),
                ..start
            };
            let streams = [stream(&few, theta, power_prior(theta), false)];
            let solution = fit::solve(setting, &streams, None);
            let (variance, _) = solution.residuals[0];
            if variance < least {
                (least, start) = (variance, theta);
            }
        }
    }
    (start, least)
}

/// Gauss-Newton from there; and the residual variance.
fn converged(start: Theta, inputs: &Inputs, setting: &Setting, rows: &Rows) -> (Theta, Prior, f64) {
    let centre = inputs.device.power_timing.window_ms.unwrap_or(start.window);
    let prior = Prior {
        window_sd: 0.2 * centre,
        ..power_prior(Theta {
            window: centre,
            ..start
        })
    };
    let many = rows.spread(FINDING);
    let mut streams = [stream(&many, start, prior, false)];
    fit::converge(setting, &mut streams, None, fit::STEPS);
    (streams[0].theta, prior, streams[0].noise.powi(2))
}

/// The counter's properties.
pub fn counter(inputs: &Inputs, setting: &Setting, rows: &Rows) -> (Theta, Prior) {
    let believed = inputs.device.counter_timing.delay_ms.unwrap_or(0.0);
    let few = rows.spread(800);
    let centre = Theta {
        window: 1.0,
        shape: Shape::Boxcar,
        delay: 5.0,
        blur: 0.0,
        follow: follow_prior(rows),
    };
    let prior = Prior {
        theta: centre,
        window_sd: 1.0,
        delay_sd: 15.0,
        follow_sd: 0.5,
    };
    let mut best: Option<(f64, Theta)> = None;
    for step in -3..10 {
        let theta = Theta {
            delay: believed + 2.0 * f64::from(step),
            ..centre
        };
        let streams = [stream(&few, theta, prior, true)];
        let solution = fit::solve(setting, &streams, None);
        let (variance, _) = solution.residuals[0];
        if best.is_none_or(|(least, _)| variance < least) {
            best = Some((variance, theta));
        }
    }
    let start = best.map_or(centre, |(_, theta)| theta);
    let many = rows.spread(FINDING);
    let mut streams = [stream(&many, start, prior, true)];
    fit::converge(setting, &mut streams, None, fit::STEPS);
    (streams[0].theta, prior)
}

/// Explain the counter as continuous and as a sum of short windows.
pub fn counter_kind(inputs: &Inputs, setting: &Setting, counter: &Rows, sensor: Option<Theta>) -> CounterKind {
    let few = counter.spread(1500);
    let windowed = few.windowed();
    let shape = sensor.map_or(Shape::Boxcar, |theta| theta.shape);
    let windows = sensor.map_or(
        vec![0.15 * 1e3 * few.period, 0.25e3 * few.period, 0.5e3 * few.period],
        |theta| vec![theta.window],
    );
    let follow = follow_prior(&few);
    let variance = |rows: &Rows, window: f64, is_counter: bool| {
        let delays = (-3..10).map(|step| inputs.device.counter_timing.delay_ms.unwrap_or(0.0) + 2.0 * f64::from(step));
        let one = |delay: f64| {
            let theta = Theta {
                window,
                shape,
                delay,
                blur: 0.0,
                follow,
            };
            let prior = Prior {
                theta,
                window_sd: 1.0,
                delay_sd: 1.0,
                follow_sd: 1.0,
            };
            let streams = [stream(rows, theta, prior, is_counter)];
            let solution = fit::solve(setting, &streams, None);
            solution.residuals[0].0
        };
        delays.map(one).fold(f64::INFINITY, f64::min)
    };
    let short = windows.iter().filter(|w| **w < 0.8e3 * few.period);
    let sampled = short
        .map(|&w| variance(&windowed, w, false))
        .fold(f64::INFINITY, f64::min);
    if sampled.is_infinite() {
        CounterKind::Unknown
    } else {
        kind::decide(variance(&few, 1.0, true), sampled)
    }
}
