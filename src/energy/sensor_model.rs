//! The sensor model: energy of phases shorter than the sensor's update, from the overlap of its windows with the phases.
//!
//! A reading is the mean over a window that lies somewhere on the timeline; thousands of readings with different mixtures of phases
//! determine the phases' powers, as long as the mixtures differ. Owns discovery (update lattice, window, delay, blur, kind of the
//! counter), the joint fit and its covariance. Leaves to `combine` what is made of it.
//!
//! *Limits of validity*: each phase has one mean power over the run, or one shape of four parts, apart from slow drift common to all;
//! scatter about it must not follow the sensor's clock.

mod candidates;
mod closure;
mod contrast;
mod covariance;
mod design;
mod discover;
mod energies;
mod fit;
mod halves;
mod in_step;
mod kind;
mod lags;
mod lattice;
mod lock;
mod low_pass;
mod matrix;
mod overlap;
mod parts;
mod ramp;
mod response;
mod rivals;
mod rows;
mod search;
mod shapes;
mod skew;
mod ticks;
mod uneven;

pub use candidates::LONGEST as LONGEST_WINDOW_MS;
pub use closure::{Known, condition};
pub use kind::CounterKind;
pub use lock::Lock;
pub use matrix::{Symmetric, dot};

use crate::model::analysis::{FoundMs, FoundSensor, FoundStream, PowerOrigin};
use crate::model::device::Device;
use crate::model::time::Interval;

use super::curve::PowerRange;
use super::sensed::Sensed;
use super::timeline::Timeline;
use design::{PROPERTIES, Shape, Theta};
use fit::{Prior, Setting, Stream};
use overlap::Overlap;
use rivals::Tried;
use rows::{Place, Rows};
use search::Discovered;

/// Rows used for finding all properties together, and for the powers.
const JOINT: usize = 6000;
const FITTING: usize = 100_000;
/// Fewer rows than this for each unknown power determine nothing.
const ROWS_PER_LEAF: usize = 4;
/// The largest difference between halves, in standard deviations: what is no chance any more, and what is usual among some ten leaves.
const DISAGREE: f64 = 3.5;
const USUAL_WORST: f64 = 1.7;
const OFTEN: u64 = 12;
/// Less than this share of the variance of what readings see of half the leaves is left by the doubt about when they saw it: what is
/// there then depends on more than is known of the sensor.
const TELLING: f64 = 0.3;

/// What was found about one stream's clock and window, with standard uncertainties.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Found {
    pub updates: usize,
    pub period_ms: f64,
    pub period_sd_ms: f64,
    pub theta: Theta,
    pub window_sd_ms: f64,
    pub delay_sd_ms: f64,
    /// Standard deviation of the sensor's own updates about its clock.
    pub jitter_ms: f64,
    /// Whether polls were so slow that a reading's place is not known.
    pub is_blurred: bool,
}

/// The power's mean lag behind the markers, and its standard uncertainty, ms.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ramp {
    pub lag_ms: f64,
    pub sd_ms: f64,
}

/// The fitted model of one device.
#[derive(Debug, Clone)]
pub struct Model {
    /// Energy of every leaf, joules, and covariance (J^2). Leaves without time have none.
    pub energies: Vec<f64>,
    pub covariance: Symmetric,
    /// Of the covariance, what scatters: without what is not known of the power's lag and of the sensor's window.
    pub statistical: Symmetric,
    /// How far the power follows behind the markers.
    pub ramp: Ramp,
    pub power: Option<Found>,
    pub counter: Option<Found>,
    pub kind: CounterKind,
    /// Windows stand still at a few places of the steps: what lies between them no reading has seen.
    pub lock: Option<Lock>,
    /// Whether phases were fitted in parts.
    pub in_parts: bool,
    /// Whether windows and delays could be found at all: of phases that all draw the same they cannot.
    pub is_told: bool,
    /// By which share the windows of the power readings saw more of some phases than of others, or less.
    pub uneven: f64,
    /// Whose updates those of the power are.
    pub origin: Option<PowerOrigin>,
    /// For each leaf, energy by one half of the readings less that by the other, and how much of it noise explains (one standard
    /// deviation), joules.
    pub halves: Option<Vec<(f64, f64)>>,
}

impl Model {
    /// What a report says of the sensor.
    pub fn found(&self) -> FoundSensor {
        FoundSensor {
            power: self.power.map(|found| found.shown(true, self.is_told)),
            counter: self.counter.map(|found| found.shown(false, self.is_told)),
            counter_kind: match self.kind {
                CounterKind::Continuous => "continuous",
                CounterKind::Sampled => "sampled",
                CounterKind::Unknown => "unknown",
            },
            lag: FoundMs {
                value: self.ramp.lag_ms,
                u95: 2.0 * self.ramp.sd_ms,
            },
            in_parts: self.in_parts,
            origin: self.origin.filter(|_| self.power.is_some()),
        }
    }
}

impl Found {
    fn shown(&self, is_power: bool, is_told: bool) -> FoundStream {
        let ms = |value: f64, sd: f64| FoundMs { value, u95: 2.0 * sd };
        let shape = match self.theta.shape {
            Shape::Boxcar => "boxcar",
            Shape::LowPass => "low-pass",
        };
        FoundStream {
            updates: self.updates,
            period: ms(self.period_ms, self.period_sd_ms),
            window: (is_power && is_told).then(|| (ms(self.theta.window, self.window_sd_ms), shape)),
            delay: is_told.then(|| ms(self.theta.delay, self.delay_sd_ms)),
            jitter_ms: self.jitter_ms,
        }
    }
}

/// Why there is no model.
#[derive(Debug, Clone, PartialEq)]
pub enum Refusal {
    /// Too few updates, or nothing repeats: the interval estimator has the word.
    TooLittle,
    /// The sensor's windows stand still against the steps.
    Locked(Lock),
    /// Polls came so seldom that it is not known which phases a reading saw: half-width of its place in time, ms.
    Blurred(f64),
    /// No window and delay explain the power readings.
    Unexplained,
}

/// What the model starts from.
#[derive(Clone, Copy)]
pub struct Inputs<'a> {
    pub device: &'a Device,
    pub sensed: &'a Sensed<'a>,
    pub timeline: &'a Timeline,
    pub run: Interval,
    /// Seconds of each leaf.
    pub seconds: &'a [f64],
    pub mean_watts: f64,
    /// What the device's power lies between.
    pub range: PowerRange,
    /// Whether counter and power integral contradict each other: then the power readings are left out.
    pub contradiction: bool,
}

/// Fit the model.
pub fn fit(inputs: &Inputs) -> Result<Model, Refusal> {
    let power = rows::of_power(inputs.device, inputs.sensed, inputs.run, Place::Anywhere);
    let counter = rows::of_counter(inputs.device, inputs.sensed.polled, inputs.run, Place::Anywhere);
    let leaves = inputs.seconds.iter().filter(|s| **s > 0.0).count();
    let enough = |rows: &Rows| rows.rows.len() >= ROWS_PER_LEAF * leaves + 12;
    let power = power.filter(|r| enough(r) && !(inputs.contradiction && counter.as_ref().is_some_and(enough)));
    let counter = counter.filter(enough);
    let most = power
        .iter()
        .chain(&counter)
        .map(|r| r.rows.len())
        .max()
        .ok_or(Refusal::TooLittle)?;
    let overlap = Overlap::new(inputs.timeline);
    let setting = setting(inputs, &overlap, most);
    let power = power.map(|rows| in_step::power(inputs, &setting, rows));
    let counter = counter.map(|rows| in_step::counter(inputs, &setting, rows));
    let half_ms = power.as_ref().or(counter.as_ref()).map_or(0.0, |rows| rows.half * 1e3);
    let tells = |rows: &Rows| contrast::left(inputs, &overlap, rows) > TELLING;
    let (power, counter) = (power.filter(tells), counter.filter(tells));
    if power.is_none() && counter.is_none() {
        return Err(Refusal::Blurred(half_ms));
    }
    let lock = lock::of(inputs, power.as_ref(), counter.as_ref());
    if let Some(lock) = lock.filter(|lock| lock.places == 1) {
        return Err(Refusal::Locked(lock));
    }
    let power_theta = power.as_ref().map(|rows| discover::power(inputs, &setting, rows));
    let sensor = power_theta.as_ref().map(|found| found.theta);
    let kind = counter.as_ref().map_or(CounterKind::Unknown, |rows| {
        kind::of_counter(inputs, &setting, rows, sensor)
    });
    // A counter that adds up power readings tells nothing that they do not; alone, it is a power sensor.
    let (power, power_theta, counter) = match (kind, power, counter) {
        (CounterKind::Sampled, None, Some(rows)) => {
            let rows = rows.windowed();
            let theta = discover::power(inputs, &setting, &rows);
            (Some(rows), Some(theta), None)
        }
        (CounterKind::Sampled, power, _) => (power, power_theta, None),
        (_, power, counter) => (power, power_theta, counter),
    };
    let counter_theta = counter.as_ref().map(|rows| ticks::counter(inputs, &setting, rows));
    let pair = |most: usize| {
        (
            power.as_ref().map(|r| r.spread(most)),
            counter.as_ref().map(|r| r.spread(most)),
        )
    };
    let (few, many) = (pair(JOINT), pair(FITTING));
    let candidates = |found: &Discovered| -> Vec<(Theta, Prior)> {
        let rivals = found.rivals.iter().copied();
        std::iter::once((found.theta, found.prior)).chain(rivals).collect()
    };
    let windows = power_theta.as_ref().map_or(Vec::new(), candidates);
    let counter_found = counter_theta.as_ref().map(|found| (found.theta, found.prior));
    let fitted = |of_power: Option<(Theta, Prior)>| {
        let pairs = [(&few.0, of_power, false), (&few.1, counter_found, true)];
        let streams = pairs.into_iter().filter_map(|(rows, found, is_counter)| {
            let (theta, prior) = found?;
            Some(search::stream(rows.as_ref()?, theta, prior, is_counter))
        });
        Tried::new(&setting, streams.collect())
    };
    let mut tried: Vec<Tried> = if windows.is_empty() {
        vec![fitted(None)]
    } else {
        windows.into_iter().map(|window| fitted(Some(window))).collect()
    };
    // Together with the counter another window may be the likelier one.
    tried.sort_by(|a, b| b.likelihood.total_cmp(&a.likelihood));
    let possible = |tried: &Tried| !tried.is_impossible(&setting, inputs.range);
    if tried.iter().any(possible) {
        tried.retain(possible);
    }
    let mut likeliest = tried.remove(0);
    // What a counter counts over is known; where the windows of the power readings lie may have been found wrongly.
    let by_counter = (likeliest.streams.len() > 1).then(|| fitted(None));
    let contradicted = by_counter.as_ref().is_some_and(|alone| likeliest.contradicts(alone));
    if contradicted || likeliest.is_too_smooth() {
        let alone = by_counter.filter(|_| kind == CounterKind::Continuous);
        (likeliest, tried) = (alone.ok_or(Refusal::Unexplained)?, Vec::new());
    }
    let doubt = rivals::doubt(&setting, inputs.seconds, &likeliest, &tried);
    let is_told = likeliest.tells(&setting);
    let uneven = likeliest.uneven(&setting);
    let Tried {
        mut streams,
        solution: whole,
        ..
    } = likeliest;
    let all = |stream: &Stream<'_>| {
        if stream.is_counter {
            many.1.as_ref()
        } else {
            many.0.as_ref()
        }
    };
    let in_parts = shapes::fitted(inputs, (&setting, most), &streams, &whole, |s| all(s).unwrap_or(s.rows));
    let (mut estimate, streams, shaped) = in_parts.unwrap_or_else(|| {
        let estimate = energies::energies(inputs, &setting, &mut streams, &whole, |s| all(s).unwrap_or(s.rows));
        (estimate, streams, false)
    });
    for (off, weight) in &doubt {
        estimate.covariance.add_outer(*weight, off, off);
    }
    let found = |is_counter: bool| {
        let at = streams.iter().position(|s| s.is_counter == is_counter)?;
        Some(found(&streams[at], estimate.spreads[at]))
    };
    let halves: Option<Vec<(f64, f64)>> = estimate.halves.as_ref().map(|halves| {
        let sd = |leaf: usize| 2.0 * estimate.statistical.at(leaf, leaf).max(0.0).sqrt();
        halves.iter().enumerate().map(|(leaf, &d)| (d, sd(leaf))).collect()
    });
    // Halves that disagree by more than noise explains say how much more there is; of leaves that ran a few times, the edges disagree.
    let often = inputs.timeline.segments();
    let off = |(leaf, &(d, sd)): (usize, &(f64, f64))| {
        if sd > 0.0 && often[leaf] >= OFTEN {
            d.abs() / sd
        } else {
            0.0
        }
    };
    let worst = halves
        .iter()
        .flat_map(|h| h.iter().enumerate())
        .map(off)
        .fold(0.0, f64::max);
    if worst > DISAGREE {
        let wider = (worst / USUAL_WORST).powi(2);
        estimate.covariance.a.iter_mut().for_each(|a| *a *= wider);
    }
    Ok(Model {
        power: found(false),
        counter: found(true),
        energies: estimate.energies,
        covariance: estimate.covariance,
        statistical: estimate.statistical,
        ramp: estimate.ramp,
        kind,
        lock,
        in_parts: shaped,
        is_told,
        uneven,
        origin: inputs.sensed.origin(),
        halves,
    })
}

fn setting<'a>(inputs: &Inputs, overlap: &'a Overlap<'a>, rows: usize) -> Setting<'a> {
    let run_s = inputs.run.seconds();
    let leaves = inputs.timeline.leaves;
    Setting {
        overlap,
        leaves,
        run_s,
        drift: ((run_s / 30.0) as usize).clamp(3, 20).min(rows / 25),
        mean_watts: inputs.mean_watts,
        watts: inputs.range.middle(),
        // Half the range: wide enough for a phase at either end of it.
        watts_sd: 0.5 * (inputs.range.ceiling - inputs.range.floor),
        active: (0..leaves).filter(|&l| inputs.seconds[l] > 0.0).collect(),
        siblings: Vec::new(),
        skewed_ms: None,
    }
}

fn found(stream: &Stream, [window, delay, ..]: [f64; PROPERTIES]) -> Found {
    Found {
        updates: stream.rows.rows.len(),
        period_ms: stream.rows.period * 1e3,
        period_sd_ms: stream.rows.period_sd * 1e3,
        theta: stream.theta,
        window_sd_ms: window,
        delay_sd_ms: delay,
        jitter_ms: stream.theta.follow.sqrt() * stream.rows.scatter * 1e3,
        is_blurred: stream.rows.unseen > 0.0,
    }
}
