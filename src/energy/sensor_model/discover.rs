//! Finding a stream's properties from the run's own data: a coarse search about what is believed, then Gauss-Newton.
//!
//! Owns the priors. Published tables of windows and delays are a place to start from, never an answer: boards of one architecture differ
//! (JimZeyuYang/GPU_Power_Benchmark lists 17.6 to 25.4 ms for A100s).

use crate::model::analysis::PowerOrigin;
use crate::model::device::Device;

use super::Inputs;
use super::design::{Shape, Theta};
use super::fit::{self, Prior, Setting, Stream};
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
/// With fewer stretches of phases than this, nothing unusual is believed.
const REPEATED: usize = 60;
/// How much less likely what is unusual is before looking (logarithm), and how far behind the likeliest a rival may be.
const UNUSUAL: f64 = 6.0;
const RIVALS_WITHIN: f64 = 12.0;
/// A counter's delay out there must leave this much less unexplained (ratio of variances).
const FAR_CLEARLY: f64 = 1.05;

/// A stream as it enters a fit.
pub fn stream(rows: &Rows, theta: Theta, prior: Prior, is_counter: bool) -> Stream<'_> {
    let theta = Theta {
        blur: theta.blur.max(1e6 * rows.unseen),
        ..theta
    };
    Stream {
        rows,
        prior,
        theta,
        ramp: 0.0,
        noise: 1.0,
        is_counter,
    }
}

pub fn follow_prior(rows: &Rows) -> f64 {
    let poll = rows.half.powi(2) / 3.0;
    (1.0 - poll / rows.scatter.powi(2).max(1e-12)).clamp(0.0, 1.0)
}

/// A stream's properties, and others that explain its readings almost as well.
#[derive(Debug, Clone)]
pub struct Discovered {
    pub theta: Theta,
    pub prior: Prior,
    pub rivals: Vec<(Theta, Prior)>,
}

/// The power stream's properties, by the shape of window that explains more.
pub fn power(inputs: &Inputs, setting: &Setting, rows: &Rows) -> Discovered {
    let boxcar = Search::new(Shape::Boxcar, inputs, setting, rows);
    let best = boxcar.best();
    if best.theta.window > LONG * rows.period * 1e3 {
        return best.into();
    }
    let low_pass = Search::new(Shape::LowPass, inputs, setting, rows);
    if low_pass.least() > WORTH_A_TRY * boxcar.least() {
        return best.into();
    }
    let other = low_pass.best();
    if CLEARLY * other.variance < best.variance {
        other.into()
    } else {
        best.into()
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
    rivals: Vec<(Theta, Prior)>,
}

impl From<Reached> for Discovered {
    fn from(reached: Reached) -> Self {
        Self {
            theta: reached.theta,
            prior: reached.prior,
            rivals: reached.rivals,
        }
    }
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
        let late: Vec<f64> = FAR.step_by(every * every).map(|i| FAR_STEP_MS * f64::from(i)).collect();
        let late = tried(&some, &thinned(&windows, 3), &late);
        let mut far: Vec<(Theta, f64)> = late.into_iter().take(1).collect();
        // A low pass has its readings from all the time before: its search is dear, and short.
        let unusual = unusual(&windows, setting.run_s);
        let windows: Vec<f64> = match shape {
            Shape::Boxcar => unusual,
            Shape::LowPass => unusual.into_iter().filter(|w| *w < period).step_by(3).collect(),
        };
        if inputs.sensed.origin() == Some(PowerOrigin::Samples) {
            let early: Vec<f64> = EARLY.map(|i| FAR_STEP_MS * f64::from(i)).collect();
            far.extend(least_about(tried(&some, &thinned(&windows, 2), &early)));
        }
        far.extend(least_about(tried(&some, &windows, &thinned(&usual, 2))));
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

    /// The likeliest. What is unusual must be more likely than what is believed: a step later, or a step longer, everything looks
    /// almost the same.
    fn best(&self) -> Reached {
        // A few edges fit whatever comes.
        if self.inputs.timeline.states.len() < REPEATED {
            return self.converged(self.near.0);
        }
        let rows = self.rows.rows.len().min(FINDING) as f64;
        let near = self.converged(self.near.0);
        let promising = if self.near.0.shape == Shape::LowPass {
            1.0
        } else {
            WORTH_A_TRY
        };
        let far = self.far.iter().filter(|far| far.1 < promising * self.near.1);
        let far: Vec<Reached> = far.map(|(start, _)| self.converged(*start)).collect();
        let gained = |one: &Reached| 0.5 * rows * (near.variance / one.variance).ln() - UNUSUAL;
        let mut all: Vec<(f64, Reached)> = far.into_iter().map(|one| (gained(&one), one)).collect();
        all.push((0.0, near));
        all.sort_by(|a, b| b.0.total_cmp(&a.0));
        let (most, mut best) = all.remove(0);
        for (_, one) in all.into_iter().filter(|(gained, _)| most - gained < RIVALS_WITHIN) {
            let same = |theta: &Theta| {
                (theta.window - one.theta.window).abs() < 0.03 * one.theta.window
                    && (theta.delay - one.theta.delay).abs() < 1.0
            };
            if !same(&best.theta) && !best.rivals.iter().any(|(theta, _)| same(theta)) {
                best.rivals.push((one.theta, one.prior));
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
            rivals: Vec::new(),
        }
    }
}

/// Windows (ms) that nobody expects of this board: from a tenth of the usual ones to the tenfold, or to the second that NVML's long
/// average has (`nvml.h`).
fn unusual(usual: &[f64], run_s: f64) -> Vec<f64> {
    const FINE: f64 = 1.1;
    const LONGEST: f64 = 1100.0;
    let (least, most) = usual
        .iter()
        .fold((f64::INFINITY, 0.0_f64), |(low, high), &w| (low.min(w), high.max(w)));
    let below = (1..=24).map(|i| least * FINE.powi(-i));
    let longer = std::iter::successors(Some(most * FINE), |w| Some(w * FINE));
    // Of a window that fills an eighth of the run, no more than a handful are independent.
    let longest = (10.0 * most).min(LONGEST).max(1.5 * most).min(1e3 * run_s / 8.0);
    let above = longer.take_while(|w| *w < longest);
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
pub fn counter(inputs: &Inputs, setting: &Setting, rows: &Rows) -> Discovered {
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
    Discovered {
        theta: streams[0].theta,
        prior,
        rivals: Vec::new(),
    }
}
