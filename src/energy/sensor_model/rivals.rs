//! Windows and delays that explain the readings almost as well as the likeliest: a window longer by a step sees nearly the same.
//!
//! Owns the joint fits of all candidates, and what the rest add to the doubt about the leaves' energies.

use crate::energy::curve::PowerRange;

use super::design::Theta;
use super::fit::{self, Prior, Setting, Stream};
use super::kind::CounterKind;
use super::readings::{Readings, Sensor};
use super::{Refusal, side_by_side, uneven};

/// Streams that tell of one power leave as much of the counter unexplained together as it leaves alone; those that leave this many times
/// more (ratio of variances) do not.
const CONTRADICTED: f64 = 2.0;
/// Residuals of power readings that are so much smoother than noise are no noise.
const TOO_SMOOTH: f64 = 8.0;
/// What readings are counted in, watts: what differs by less does not differ.
const MILLIWATT: f64 = 1e-3;

/// The best of a thousand windows makes phases of one power differ by four standard deviations.
const DIFFERENT: f64 = 5.0;

/// Powers that many standard deviations outside what the device can draw are no chance.
const SURE: f64 = 4.0;

/// A joint fit of all streams from one discovery.
pub struct Tried<'a> {
    pub streams: Vec<Stream<'a>>,
    pub solution: fit::Solution,
    powers: Vec<f64>,
    pub likelihood: f64,
}

impl<'a> Tried<'a> {
    pub fn new(setting: &Setting, mut streams: Vec<Stream<'a>>) -> Self {
        let solution = fit::converge(setting, &mut streams, None, fit::STEPS);
        let powers = fit::powers(setting, &solution);
        Self {
            likelihood: fit::log_likelihood(setting, &streams, &powers),
            powers,
            solution,
            streams,
        }
    }

    /// Whether it has a leaf draw less than the device can, or more, and is sure of it.
    pub fn is_impossible(&self, setting: &Setting, range: PowerRange) -> bool {
        (0..setting.active.len()).any(|i| {
            let (watts, sd) = (self.solution.values[i], self.solution.inverse.at(i, i).max(0.0).sqrt());
            watts + SURE * sd < range.floor || watts - SURE * sd > range.ceiling
        })
    }

    /// Whether phases draw different powers: where they do not, any window explains the readings as well as any other.
    pub fn tells(&self, setting: &Setting) -> bool {
        (0..setting.active.len()).any(|i| {
            let sd = self.solution.inverse.at(i, i).max(0.0).sqrt();
            (self.solution.values[i] - setting.mean_watts).abs() > DIFFERENT * sd
        })
    }

    /// By which share its power windows saw more of some phases than of others, or less.
    pub fn uneven(&self, setting: &Setting) -> f64 {
        self.stream(false)
            .map_or(0.0, |(power, _)| uneven::share(setting, power, &self.powers))
    }

    /// Whether the counter's ticks come so much later than the power's windows end that it holds their readings: one of a part of the time
    /// stands for what follows it, and the counter is late by half of their period. Of one that adds up all time no board was seen to be
    /// late by more than some milliseconds (`curve::DELAY_SD_S`).
    pub fn holds_readings(&self, setting: &Setting) -> bool {
        const PART: f64 = 0.8;
        const LATE_MS: f64 = 12.0;
        let (Some((power, _)), Some((counter, _))) = (self.stream(false), self.stream(true)) else {
            return false;
        };
        let is_part = power.theta.window < PART * 1e3 * power.rows.period;
        // Of a load that never changes, or once, delays are what is believed of them, and doubted as much.
        let doubt = 2.0 * self.delay_sd(setting, power).hypot(self.delay_sd(setting, counter));
        is_part && counter.theta.delay - power.theta.delay > LATE_MS + doubt
    }

    /// Standard uncertainty of a stream's delay, ms.
    fn delay_sd(&self, setting: &Setting, stream: &Stream) -> f64 {
        let [_, at, ..] = setting.theta_at(stream);
        at.map_or(0.0, |at| self.solution.inverse.at(at, at).max(0.0).sqrt())
    }

    fn stream(&self, of_counter: bool) -> Option<(&Stream<'a>, f64)> {
        let at = self.streams.iter().position(|stream| stream.is_counter == of_counter)?;
        Some((&self.streams[at], self.solution.residuals[at].0))
    }

    /// How many times more is left of the power's readings than one differs from the next: small where the right model leaves noise (von
    /// Neumann's ratio), and where windows overlap as many times larger as periods fit into one.
    fn smoothness(&self) -> Option<f64> {
        let (power, left) = self.stream(false)?;
        let rows = &power.rows.rows;
        let squares = rows
            .windows(2)
            .map(|pair| 0.5 * (pair[1].watts - pair[0].watts).powi(2));
        let from_one_to_the_next = squares.sum::<f64>() / rows.len().max(1) as f64;
        // Readings that never change fit every window.
        if from_one_to_the_next < MILLIWATT * MILLIWATT {
            return None;
        }
        let overlapping = (power.theta.window * 1e-3 / power.rows.period).max(1.0);
        let left = left / (1.0 - power.memory.powi(2));
        Some(left / (overlapping * from_one_to_the_next))
    }

    /// Whether what is left of the power's readings is smoother than windows as long as those found can make it: then the windows are not
    /// those.
    pub fn is_too_smooth(&self) -> bool {
        self.smoothness().is_some_and(|ratio| ratio > TOO_SMOOTH)
    }

    /// Whether the counter's readings, which `alone` explains, are not explained together with the power's, and what is left of those is
    /// smooth.
    pub fn contradicts(&self, alone: &Self) -> bool {
        let left_of_counter = |tried: &Self| tried.stream(true).map(|(_, left)| left);
        let (Some(together), Some(least)) = (left_of_counter(self), left_of_counter(alone)) else {
            return false;
        };
        together > CONTRADICTED * least && self.smoothness().is_some_and(|ratio| ratio > 1.0)
    }
}

/// The likeliest joint fit of some of a sensor's readings, and those of the other windows that were found for its power.
pub fn likeliest<'a>(
    setting: &Setting,
    range: PowerRange,
    sensor: &Sensor,
    some: &'a Readings,
) -> Result<(Tried<'a>, Vec<Tried<'a>>), Refusal> {
    let fitted = |window: Option<(Theta, Prior)>| Tried::new(setting, sensor.streams(some, window));
    let windows = sensor.windows();
    let mut tried: Vec<Tried> = if windows.is_empty() {
        vec![fitted(None)]
    } else {
        side_by_side::map(setting.threads, windows, |window| fitted(Some(window)))
    };
    // Together with the counter another window may be the likelier one.
    tried.sort_by(|a, b| b.likelihood.total_cmp(&a.likelihood));
    let possible = |tried: &Tried| !tried.is_impossible(setting, range);
    if tried.iter().any(possible) {
        tried.retain(possible);
    }
    let likeliest = tried.remove(0);
    // What a counter counts over is known; where the windows of the power readings lie may have been found wrongly.
    let by_counter = (likeliest.streams.len() > 1).then(|| fitted(None));
    let contradicted = by_counter.as_ref().is_some_and(|alone| likeliest.contradicts(alone));
    if contradicted || likeliest.is_too_smooth() {
        let alone = by_counter.filter(|_| sensor.kind == CounterKind::Continuous);
        return Ok((alone.ok_or(Refusal::Unexplained)?, Vec::new()));
    }
    Ok((likeliest, tried))
}

/// How far each rival's leaf energies lie from the likeliest's, J, and how likely it is beside it. Neighbouring readings are not
/// independent, so that likelihoods count for less than they say.
pub fn doubt(setting: &Setting, seconds: &[f64], likeliest: &Tried, rivals: &[Tried]) -> Vec<(Vec<f64>, f64)> {
    const CAUTION: f64 = 2.0;
    let odds: Vec<f64> = rivals
        .iter()
        .map(|rival| ((rival.likelihood - likeliest.likelihood) / CAUTION).exp())
        .collect();
    let all = 1.0 + odds.iter().sum::<f64>();
    let off = |rival: &Tried| -> Vec<f64> {
        let active = |leaf: usize| setting.active.contains(&leaf);
        let difference = |leaf: usize| (rival.powers[leaf] - likeliest.powers[leaf]) * seconds[leaf];
        (0..setting.leaves)
            .map(|leaf| if active(leaf) { difference(leaf) } else { 0.0 })
            .collect()
    };
    rivals
        .iter()
        .zip(odds)
        .map(|(rival, odds)| (off(rival), odds / all))
        .collect()
}
