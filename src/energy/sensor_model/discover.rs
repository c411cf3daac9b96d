//! Finding a stream's properties from the run's own data: a coarse search about what is believed, then Gauss-Newton.
//!
//! Owns the priors. Published tables of windows and delays are a place to start from, never an answer: boards of one architecture differ
//! (JimZeyuYang/GPU_Power_Benchmark lists 17.6 to 25.4 ms for A100s).

use crate::model::analysis::PowerOrigin;
use crate::model::device::Device;

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
/// Rows and delays (ms) of the search beyond what is usual: NVIDIA's boards are seen within 15 ms of their windows' ends, an AMD
/// MI210 190 ms later (`docs/measurement.md`).
const FAR_ROWS: usize = 400;
const FAR: std::ops::RangeInclusive<i32> = 6..=80;
const FAR_STEP_MS: f64 = 3.0;
/// A driver may stamp its own samples at the beginning of their windows, or anywhere in them: delays below zero. Those of polled readings
/// are not seen before their windows end.
const EARLY: std::ops::RangeInclusive<i32> = -12..=-2;
const FAR_STARTS: usize = 6;
/// A counter's delay out there must leave this much less unexplained (ratio of variances).
const FAR_CLEARLY: f64 = 1.05;

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
    let boxcar = Search::new(Shape::Boxcar, inputs, setting, rows);
    let best = boxcar.best();
    if best.theta.window > LONG * rows.period * 1e3 {
        return (best.theta, best.prior);
    }
    let low_pass = Search::new(Shape::LowPass, inputs, setting, rows);
    if low_pass.least() > WORTH_A_TRY * boxcar.least() {
        return (best.theta, best.prior);
    }
    let other = low_pass.best();
    if CLEARLY * other.variance < best.variance {
        (other.theta, other.prior)
    } else {
        (best.theta, best.prior)
    }
}

/// The delay that is believed of most boards, unless this one's was found far from it: then they say nothing of it.
fn usual_delay(found: f64) -> f64 {
    const USUAL_MS: f64 = 5.0;
    let [early, far] = [EARLY.end(), FAR.start()].map(|i| FAR_STEP_MS * f64::from(*i));
    if found > early && found < far { USUAL_MS } else { found }
}

/// What is believed of a power stream, its window aside.
fn power_prior(device: &Device, theta: Theta) -> Prior {
    let timing = device.power_timing;
    let measured = timing.delay_ms.zip(calibrated(device, "power_delay_u95_ms", 0.5));
    let (delay, delay_sd) = measured.unwrap_or((usual_delay(theta.delay), 15.0));
    Prior {
        theta: Theta {
            delay,
            blur: 0.0,
            ..theta
        },
        window_sd: 1.0,
        delay_sd,
        follow_sd: 0.5,
    }
}

/// Standard uncertainty (ms) of what the user's own calibration found: twice what it was that day, and `least` at least, for another
/// day and another load.
fn calibrated(device: &Device, half_width: &str, least: f64) -> Option<f64> {
    let ms: f64 = device.properties.get(half_width)?.parse().ok()?;
    Some(ms.max(least)).filter(|sd| sd.is_finite())
}

/// A coarse search: where Gauss-Newton may start, and what is left unexplained there (W^2).
struct Search<'a> {
    inputs: &'a Inputs<'a>,
    setting: &'a Setting<'a>,
    rows: &'a Rows,
    /// The best of what is believed of such boards, and the best few of all else, best first.
    near: (Theta, f64),
    far: Vec<(Theta, f64)>,
}

/// Where Gauss-Newton came to.
struct Reached {
    theta: Theta,
    prior: Prior,
    variance: f64,
}

impl<'a> Search<'a> {
    fn new(shape: Shape, inputs: &'a Inputs, setting: &'a Setting, rows: &'a Rows) -> Self {
        let believed = inputs.device.power_timing;
        let period = rows.period * 1e3;
        let windows: Vec<f64> = match believed.window_ms {
            Some(w) => [0.7, 0.8, 0.9, 1.0, 1.1, 1.25].map(|f| f * w).to_vec(),
            None => [0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.7, 0.85, 1.0]
                .map(|f| f * period)
                .to_vec(),
        };
        let base = believed.delay_ms.unwrap_or(0.0);
        let tried = |rows: &Rows, windows: &[f64], delays: &[f64]| {
            let pairs = delays
                .iter()
                .flat_map(|&delay| windows.iter().map(move |&window| (window, delay)));
            let one = |(window, delay): (f64, f64)| {
                let theta = Theta {
                    window,
                    shape,
                    delay: base + delay,
                    blur: 0.0,
                    follow: follow_prior(rows),
                };
                let streams = [stream(rows, theta, power_prior(inputs.device, theta), false)];
                (theta, fit::solve(setting, &streams, None).residuals[0].0)
            };
            let mut all: Vec<(Theta, f64)> = pairs.map(one).collect();
            all.sort_by(|a, b| a.1.total_cmp(&b.1));
            all
        };
        // What a low pass leaves unexplained changes slowly with its properties: a coarser search does.
        let every = if shape == Shape::LowPass { 2 } else { 1 };
        let thinned = |all: &[f64], every: usize| all.iter().copied().step_by(every).collect::<Vec<f64>>();
        let windows = thinned(&windows, every);
        let usual = [-4.0, -2.0, 0.0, 2.0, 4.0, 6.0, 8.0, 10.0, 12.0, 15.0];
        let near = tried(&rows.spread(800), &windows, &thinned(&usual, every))[0];
        let some = rows.spread(FAR_ROWS);
        let late: Vec<f64> = FAR.map(|i| FAR_STEP_MS * f64::from(i)).collect();
        let late = tried(&some, &thinned(&windows, 3), &late);
        let mut far: Vec<(Theta, f64)> = late.into_iter().take(1).collect();
        if inputs.sensed.origin() == Some(PowerOrigin::Samples) {
            let early: Vec<f64> = EARLY.map(|i| FAR_STEP_MS * f64::from(i)).collect();
            far.extend(least_about(tried(&some, &thinned(&unusual(&windows), 2), &early)));
        }
        far.extend(least_about(tried(&some, &unusual(&windows), &thinned(&usual, 2))));
        Self {
            inputs,
            setting,
            rows,
            near,
            far,
        }
    }

    /// What is left unexplained by the best start.
    fn least(&self) -> f64 {
        self.far
            .iter()
            .chain([&self.near])
            .map(|(_, left)| *left)
            .fold(f64::INFINITY, f64::min)
    }

    /// What is unusual must be much more likely than what is believed: a step later, or a step longer, everything looks almost the
    /// same.
    fn best(&self) -> Reached {
        const MUCH: f64 = 10.0;
        let mut best = self.converged(self.near.0);
        let rows = self.rows.rows.len().min(FINDING) as f64;
        let mut needed = MUCH;
        for (start, _) in self.far.iter().filter(|far| far.1 < WORTH_A_TRY * self.near.1) {
            let far = self.converged(*start);
            if 0.5 * rows * (best.variance / far.variance).ln() > needed {
                (best, needed) = (far, 0.0);
            }
        }
        best
    }

    /// Gauss-Newton from a start.
    fn converged(&self, start: Theta) -> Reached {
        let device = self.inputs.device;
        // What was found far from the usual is a board of its own.
        let believed = device.power_timing.window_ms;
        let near = believed.filter(|w| (0.65 * w..1.3 * w).contains(&start.window));
        let centre = near.unwrap_or(start.window);
        let measured = near.and(calibrated(device, "power_window_u95_ms", 0.2));
        let about = Theta {
            window: centre,
            ..start
        };
        let prior = Prior {
            window_sd: measured.unwrap_or(0.2 * centre),
            ..power_prior(device, about)
        };
        let many = self.rows.spread(FINDING);
        let mut streams = [stream(&many, start, prior, false)];
        fit::converge(self.setting, &mut streams, None, fit::STEPS);
        Reached {
            theta: streams[0].theta,
            prior,
            variance: streams[0].noise.powi(2),
        }
    }
}

/// Windows (ms) that nobody expects of this board: from a tenth of the usual ones to the tenfold.
fn unusual(usual: &[f64]) -> Vec<f64> {
    const FINE: f64 = 1.1;
    let (least, most) = usual
        .iter()
        .fold((f64::INFINITY, 0.0_f64), |(low, high), &w| (low.min(w), high.max(w)));
    let below = (1..=24).map(|i| least * FINE.powi(-i));
    let above = (1..=24).map(|i| most * FINE.powi(i));
    below.chain(above).collect()
}

/// Of pairs sorted by what is left unexplained, the best few of those windows that leave less than the ones beside them: windows a step
/// apart look alike, and each has a valley of its own.
fn least_about(sorted: Vec<(Theta, f64)>) -> Vec<(Theta, f64)> {
    let mut by_window: Vec<(Theta, f64)> = Vec::new();
    for (theta, left) in sorted {
        if by_window.iter().all(|(other, _)| other.window != theta.window) {
            by_window.push((theta, left));
        }
    }
    by_window.sort_by(|a, b| a.0.window.total_cmp(&b.0.window));
    let left = |i: usize| by_window.get(i).map_or(f64::INFINITY, |pair| pair.1);
    let valley = |&i: &usize| left(i) <= left(i.wrapping_sub(1)) && left(i) <= left(i + 1);
    let mut valleys: Vec<(Theta, f64)> = (0..by_window.len()).filter(valley).map(|i| by_window[i]).collect();
    valleys.sort_by(|a, b| a.1.total_cmp(&b.1));
    valleys.truncate(FAR_STARTS);
    valleys
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
    let near = best(&few, &mut (-3..10).map(|step| 2.0 * f64::from(step)));
    let some = rows.spread(FAR_ROWS);
    let far = best(&some, &mut FAR.map(|i| FAR_STEP_MS * f64::from(i)));
    let delay = if FAR_CLEARLY * far.1 < left(&some, near.0) {
        far.0
    } else {
        near.0
    };
    let start = Theta { delay, ..centre };
    let prior = Prior {
        theta: Theta {
            delay: usual_delay(delay),
            ..centre
        },
        ..prior
    };
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
        let near = (-3..10).map(|step| inputs.device.counter_timing.delay_ms.unwrap_or(0.0) + 2.0 * f64::from(step));
        // Where the power's windows lie far back, those of its sums may too.
        let far = sensor.map(|theta| theta.delay).filter(|&delay| delay > 20.0);
        let delays = near.chain(
            far.into_iter()
                .flat_map(|delay| (-5..6).map(move |step| delay + 2.0 * f64::from(step))),
        );
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
    let seen = if sampled.is_infinite() {
        CounterKind::Unknown
    } else {
        kind::decide(variance(&few, 1.0, true), sampled)
    };
    // Where these readings do not tell, the user's own calibration may have.
    match (seen, inputs.device.properties.get("counter_kind").map(String::as_str)) {
        (CounterKind::Unknown, Some("sampled")) => CounterKind::Sampled,
        (CounterKind::Unknown, Some("continuous")) => CounterKind::Continuous,
        _ => seen,
    }
}
