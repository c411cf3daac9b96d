//! The search for a power stream's properties: coarse about what is believed, then Gauss-Newton.
//!
//! Owns the priors. Published tables of windows and delays are a place to start from, never an answer: boards of one architecture differ
//! (JimZeyuYang/GPU_Power_Benchmark lists 17.6 to 25.4 ms for A100s).

use crate::model::analysis::PowerOrigin;
use crate::model::device::Device;

use super::Inputs;
use super::candidates::{LONGEST, least_about, overlapping, unusual};
use super::design::{Shape, Theta};
use super::fit::{self, Prior, Setting, Stream};
use super::lock;
use super::rows::Rows;
use super::side_by_side;

/// After the coarse search it may still leave this much more.
pub const WORTH_A_TRY: f64 = 1.2;
/// Rows used for finding properties.
pub const FINDING: usize = 4000;
/// Rows and delays (ms) of the search beyond what is usual: NVIDIA's boards are seen within 15 ms of their windows' ends, an AMD
/// MI210 190 ms later (`docs/measurement.md`).
pub const FAR_ROWS: usize = 400;
pub const FAR: std::ops::RangeInclusive<i32> = 6..=80;
pub const FAR_STEP_MS: f64 = 3.0;
/// A driver may stamp its own samples at the beginning of their windows, or anywhere in them: delays below zero. Those of polled readings
/// are not seen before their windows end.
const EARLY: std::ops::RangeInclusive<i32> = -12..=-2;
/// Windows of more than so many periods overlap. Their far ends are looked for with so many of the likeliest delays.
const OVERLAPPING: f64 = 1.2;
const DELAYS: usize = 2;
/// Windows within these shares of the believed one are that one.
const USUAL: std::ops::Range<f64> = 0.65..1.3;
/// With fewer stretches of phases than this, or fewer readings, nothing unusual is believed.
const REPEATED: usize = 60;
/// No more rows than these count when one window is set against another: what is wrong with any model is the same in all of them.
const COUNTED: f64 = 400.0;
/// How much less likely what is unusual is before looking (logarithm), and how far behind the likeliest a rival may be.
pub const UNUSUAL: f64 = 12.0;
pub const RIVALS_WITHIN: f64 = 12.0;

/// The device's property that says how well its window was measured.
const WINDOW_U95: &str = "power_window_u95_ms";
/// The same of its delay.
const DELAY_U95: &str = "power_delay_u95_ms";

/// Whether a window is about as long as is believed.
pub fn is_near(window: f64, believed: f64) -> bool {
    (USUAL.start * believed..USUAL.end * believed).contains(&window)
}

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
        own: 0.0,
        noise: 1.0,
        is_counter,
        memory: 0.0,
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

/// How many rows count when explanations are compared.
pub fn counted(rows: &Rows) -> f64 {
    (rows.rows.len() as f64).min(COUNTED)
}

/// Delays (ms) that slow polls feign: an update is taken to be in the middle between two, and may be just before the second.
pub fn early(rows: &Rows) -> impl Iterator<Item = f64> + use<> {
    const STEP: f64 = 3.0;
    let earliest = -1e3 * rows.half;
    std::iter::successors(Some(-7.0), |delay| Some(delay - STEP)).take_while(move |delay| *delay > earliest)
}

/// The delay that is believed of most boards, unless this one's was found far from it: then they say nothing of it.
pub fn usual_delay(found: f64) -> f64 {
    const USUAL_MS: f64 = 5.0;
    let [early, far] = [EARLY.end(), FAR.start()].map(|i| FAR_STEP_MS * f64::from(*i));
    if found > early && found < far { USUAL_MS } else { found }
}

/// What is believed of a power stream, its window aside.
fn power_prior(device: &Device, theta: Theta) -> Prior {
    let timing = device.power_timing;
    let measured = timing.delay_ms.zip(calibrated(device, DELAY_U95, 0.5));
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

/// Whether it is known beforehand how late the device's power readings are.
pub fn delay_was_measured(device: &Device) -> bool {
    device.power_timing.delay_ms.is_some() && calibrated(device, DELAY_U95, 0.5).is_some()
}

/// Standard uncertainty (ms) of what the user's own calibration found: twice what it was that day, and `least` at least, for another
/// day and another load.
fn calibrated(device: &Device, half_width: &str, least: f64) -> Option<f64> {
    let ms: f64 = device.properties.get(half_width)?.parse().ok()?;
    Some(ms.max(least)).filter(|sd| sd.is_finite())
}

/// A coarse search: where Gauss-Newton may start, and what is left unexplained there (W^2).
pub struct Search<'a> {
    pub inputs: &'a Inputs<'a>,
    pub setting: &'a Setting<'a>,
    pub rows: &'a Rows,
    /// The best of what is believed of such boards, and the best few of all else, best first.
    pub near: (Theta, f64),
    far: Vec<(Theta, f64)>,
}

/// Where Gauss-Newton came to.
pub struct Reached {
    pub theta: Theta,
    pub prior: Prior,
    pub variance: f64,
    /// How unlikely such properties are before looking (logarithm of the odds).
    pub unlikely: f64,
    pub rivals: Vec<(Theta, Prior)>,
}

impl Reached {
    /// How likely it is if `rows` count, up to a constant (logarithm).
    pub fn score(&self, rows: f64) -> f64 {
        -0.5 * rows * self.variance.ln() - self.unlikely
    }
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
    pub fn new(shape: Shape, inputs: &'a Inputs, setting: &'a Setting, rows: &'a Rows) -> Self {
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
            let pairs: Vec<(f64, f64)> = delays
                .iter()
                .flat_map(|&delay| windows.iter().map(move |&window| (window, delay)))
                .collect();
            let one = |(window, delay): (f64, f64)| {
                let theta = Theta {
                    window,
                    shape,
                    delay: base + delay,
                    blur: 0.0,
                    follow: follow_prior(rows),
                    response: 0.0,
                };
                let mut streams = [stream(rows, theta, power_prior(inputs.device, theta), false)];
                streams[0].memory = (1.0 - period / window).max(0.0);
                (theta, fit::solve(setting, &streams, None).residuals[0].0)
            };
            let mut all: Vec<(Theta, f64)> = side_by_side::map(setting.threads, pairs, one);
            all.sort_by(|a, b| a.1.total_cmp(&b.1));
            all
        };
        // What a low pass leaves unexplained changes slowly with its properties: a coarser search does.
        let every = if shape == Shape::LowPass { 2 } else { 1 };
        let thinned = |all: &[f64], every: usize| all.iter().copied().step_by(every).collect::<Vec<f64>>();
        let windows = thinned(&windows, every);
        let usual: Vec<f64> = early(rows)
            .chain([-4.0, -2.0, 0.0, 2.0, 4.0, 6.0, 8.0, 10.0, 12.0, 15.0])
            .collect();
        let near = tried(&rows.spread(800), &windows, &thinned(&usual, every))[0];
        let some = rows.spread(FAR_ROWS);
        let late: Vec<f64> = FAR.step_by(every * every).map(|i| FAR_STEP_MS * f64::from(i)).collect();
        let late = tried(&some, &thinned(&windows, 3), &late);
        let mut far: Vec<(Theta, f64)> = late.into_iter().take(1).collect();
        // A low pass has its readings from all the time before: its search is dear, and short.
        let unusual = unusual(&windows, setting.run_s);
        let windows: Vec<f64> = match shape {
            Shape::Boxcar => unusual,
            Shape::LowPass => unusual.into_iter().step_by(3).collect(),
        };
        if inputs.sensed.origin() == Some(PowerOrigin::Samples) {
            let early: Vec<f64> = EARLY.map(|i| FAR_STEP_MS * f64::from(i)).collect();
            far.extend(least_about(tried(&some, &thinned(&windows, 2), &early)));
        }
        let coarse = tried(&some, &windows, &thinned(&usual, 2));
        if shape == Shape::Boxcar {
            let long: Vec<&(Theta, f64)> = coarse
                .iter()
                .filter(|one| one.0.window > OVERLAPPING * period)
                .collect();
            let mut delays: Vec<f64> = long.iter().map(|one| one.0.delay - base).collect();
            delays.dedup();
            delays.truncate(DELAYS);
            let fine = tried(&some, &overlapping(OVERLAPPING * period, setting.run_s), &delays);
            far.extend(least_about(fine));
        }
        far.extend(least_about(coarse));
        Self {
            inputs,
            setting,
            rows,
            near,
            far,
        }
    }

    pub fn has_few_edges(&self) -> bool {
        self.inputs.timeline.states.len().min(self.rows.rows.len()) < REPEATED
    }

    /// What is left unexplained by the best start.
    pub fn least(&self) -> f64 {
        self.far
            .iter()
            .chain([&self.near])
            .map(|(_, left)| *left)
            .fold(f64::INFINITY, f64::min)
    }

    /// The likeliest. What is unusual must be more likely than what is believed: a step later, or a step longer, everything looks
    /// almost the same.
    pub fn best(&self) -> Reached {
        // A few edges fit whatever comes.
        if self.has_few_edges() {
            return self.believed();
        }
        let rows = self.finding_rows();
        let promising = if self.near.0.shape == Shape::LowPass {
            1.0
        } else {
            WORTH_A_TRY
        };
        // A window that was measured, on this board or on others like it, is not looked for elsewhere.
        let is_measured = calibrated(self.inputs.device, WINDOW_U95, 0.0).is_some();
        let far = self.far.iter().filter(|far| far.1 < promising * self.near.1);
        let far = far.filter(|(theta, _)| !is_measured || self.is_usual(theta.window));
        let starts = far.chain([&self.near]).map(|(start, _)| *start).collect();
        let mut all = self.all_converged(starts);
        let near = all.len() - 1;
        all[..near].iter_mut().for_each(|one| one.unlikely = UNUSUAL);
        let best_first = |a: &Reached, b: &Reached| b.score(rows).total_cmp(&a.score(rows));
        all.sort_by(best_first);
        let likeliest = all[0].theta;
        let alike = self.alike(&likeliest).into_iter();
        let alike = alike.map(|window| Theta { window, ..likeliest }).collect();
        for mut one in self.all_converged(alike) {
            one.unlikely = if self.is_usual(one.theta.window) { 0.0 } else { UNUSUAL };
            all.push(one);
        }
        all.sort_by(best_first);
        let mut best = all.remove(0);
        let most = best.score(rows);
        for one in all.into_iter().filter(|one| most - one.score(rows) < RIVALS_WITHIN) {
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

    /// Windows (ms) a step longer or shorter: of steps that are all equally long they have seen the same, in other proportions.
    fn alike(&self, theta: &Theta) -> Vec<f64> {
        let step = lock::step_ms(self.inputs.timeline).filter(|_| theta.shape == Shape::Boxcar);
        let windows = step.map(|step| [theta.window - step, theta.window + step]);
        windows
            .into_iter()
            .flatten()
            .filter(|window| (1.0..LONGEST).contains(window))
            // What is known of a board tells them apart.
            .filter(|&window| self.inputs.device.power_timing.window_ms.is_none() || self.is_usual(window))
            .collect::<Vec<f64>>()
    }

    /// Whether a window (ms) is what is believed of such boards.
    pub fn is_usual(&self, window: f64) -> bool {
        match self.inputs.device.power_timing.window_ms {
            Some(believed) => is_near(window, believed),
            None => window <= 1.05e3 * self.rows.period,
        }
    }

    /// Gauss-Newton from a start that a few edges must not move far.
    fn believed(&self) -> Reached {
        const FEW: f64 = 0.05;
        let believed = self.inputs.device.power_timing.window_ms;
        let start = Theta {
            window: believed.unwrap_or(self.near.0.window),
            ..self.near.0
        };
        let mut reached = self.converged_fully(start);
        if let Some(window) = believed.filter(|_| self.near.0.shape == Shape::Boxcar) {
            let sd = reached.prior.window_sd.min(FEW * window);
            reached.prior.window_sd = sd;
            reached.theta.window = reached.theta.window.clamp(window - sd, window + sd);
        }
        reached
    }

    /// How many rows count.
    pub fn finding_rows(&self) -> f64 {
        counted(self.rows)
    }

    fn all_converged(&self, starts: Vec<Theta>) -> Vec<Reached> {
        side_by_side::map(self.setting.threads, starts, |start| self.converged_fully(start))
    }

    pub fn converged_fully(&self, start: Theta) -> Reached {
        self.converged(start, &self.rows.spread(FINDING), fit::STEPS)
    }

    /// Gauss-Newton from a start, in at most `most` steps.
    pub fn converged(&self, start: Theta, rows: &Rows, most: usize) -> Reached {
        let device = self.inputs.device;
        // What was found far from the usual is a board of its own.
        let believed = device.power_timing.window_ms;
        let near = believed.filter(|_| self.is_usual(start.window));
        let centre = near.unwrap_or(start.window);
        let measured = near.and(calibrated(device, WINDOW_U95, 0.2));
        let about = Theta {
            window: centre,
            ..start
        };
        let prior = Prior {
            window_sd: measured.unwrap_or(0.2 * centre),
            ..power_prior(device, about)
        };
        let mut streams = [stream(rows, start, prior, false)];
        fit::converge(self.setting, &mut streams, None, most);
        Reached {
            theta: streams[0].theta,
            prior,
            variance: streams[0].noise.powi(2),
            unlikely: 0.0,
            rivals: Vec::new(),
        }
    }
}
