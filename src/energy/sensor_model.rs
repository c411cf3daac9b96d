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
mod held;
mod in_step;
mod kind;
mod lags;
mod lattice;
mod lock;
mod looks;
mod low_pass;
mod matrix;
mod overlap;
mod parts;
mod ramp;
mod readings;
mod response;
mod rivals;
mod rows;
mod search;
mod shapes;
mod side_by_side;
mod skew;
mod ticks;
mod uneven;

pub use candidates::LONGEST as LONGEST_WINDOW_MS;
pub use closure::{Known, condition};
pub use kind::CounterKind;
pub use lock::Lock;
pub use looks::{Look, looks};
pub use matrix::{Symmetric, dot};
pub use ramp::carried_over;
pub use search::delay_was_measured;

use crate::model::analysis::{FoundMs, FoundSensor, FoundStream, PowerOrigin};
use crate::model::device::Device;
use crate::model::time::Interval;

use super::curve::PowerRange;
use super::sensed::Sensed;
use super::summed;
use super::timeline::Timeline;
use super::uncertainty::K95;
use design::{PROPERTIES, Shape, Theta};
use fit::{Setting, Stream};
use overlap::Overlap;
use readings::{Readings, Sensor};
use rivals::Tried;

/// Rows used for finding all properties together, and for the powers.
const JOINT: usize = 6000;
const FITTING: usize = 100_000;

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

impl Ramp {
    /// The longest lag that is not excluded, ms.
    pub fn most_ms(&self) -> f64 {
        self.lag_ms.hypot(K95 * self.sd_ms)
    }

    /// The shortest and the longest, ms.
    pub fn ends_ms(&self) -> [f64; 2] {
        [-K95, K95].map(|k| (self.lag_ms + k * self.sd_ms).max(0.0))
    }
}

/// The fitted model of one device.
#[derive(Debug, Clone)]
pub struct Model {
    /// Energy of every leaf, joules, and covariance (J^2). Leaves without time have none.
    pub energies: Vec<f64>,
    pub covariance: Symmetric,
    /// Of the covariance, what scatters: without what is not known of the power's lag and of the sensor's window.
    pub statistical: Symmetric,
    /// The covariance without what is not known of the power's lag.
    pub without_lag: Symmetric,
    /// How far the power follows behind the markers.
    pub ramp: Ramp,
    pub power: Option<Found>,
    pub counter: Option<Found>,
    pub kind: CounterKind,
    /// Whether a counter of all time may be one of readings that look at all of it but for their jitter: no window tells the two apart.
    pub may_have_gaps: bool,
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
    /// Whether the power's windows were found, and look at a part of the time: of phases that are all long every window explains the
    /// readings, and what was believed of it is left.
    pub fn sees_part(&self) -> bool {
        const FOUND: f64 = 0.1;
        self.power.is_some_and(|found| {
            let (window, sd) = (found.theta.window, found.window_sd_ms);
            sd < FOUND * window && window + K95 * sd < summed::ALL * found.period_ms
        })
    }

    /// What a report says of the sensor.
    pub fn found(&self) -> FoundSensor {
        FoundSensor {
            power: self.power.map(|found| found.shown(true, self.is_told)),
            counter: self.counter.map(|found| found.shown(false, self.is_told)),
            counter_kind: match self.kind {
                CounterKind::Continuous if !self.may_have_gaps => "continuous",
                CounterKind::Sampled => "sampled",
                CounterKind::Continuous | CounterKind::Unknown => "unknown",
            },
            lag: FoundMs {
                value: self.ramp.lag_ms,
                u95: K95 * self.ramp.sd_ms,
            },
            in_parts: self.in_parts,
            origin: self.origin.filter(|_| self.power.is_some()),
        }
    }
}

impl Found {
    fn shown(&self, is_power: bool, is_told: bool) -> FoundStream {
        let ms = |value: f64, sd: f64| FoundMs { value, u95: K95 * sd };
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
    /// Windows are as long as whole steps, and see the same mixture of phases wherever they lie.
    Whole { window_ms: f64, step_ms: f64 },
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
    /// Whether the counter is so close to power readings of a part of the time that it adds up those.
    pub adds_up: bool,
    /// Whether all markers have their writer's own stamps: then no power comes before its marker.
    pub are_stamped: bool,
    /// So many threads may look for the sensor's properties.
    pub threads: usize,
}

/// Fit the model.
pub fn fit(inputs: &Inputs) -> Result<Model, Refusal> {
    let readings = Readings::enough(inputs).ok_or(Refusal::TooLittle)?;
    let most = readings.most();
    let overlap = Overlap::new(inputs.timeline);
    let setting = setting(inputs, &overlap, most);
    let readings = readings.telling(inputs, &setting, &overlap)?;
    let lock = lock::of(inputs, readings.power.as_ref(), readings.counter.as_ref());
    if let Some(lock) = lock.filter(|lock| lock.places == 1) {
        return Err(Refusal::Locked(lock));
    }
    let sensor = Sensor::discovered(inputs, &setting, readings);
    let (few, many) = (sensor.readings.spread(JOINT), sensor.readings.spread(FITTING));
    let (likeliest, rivals) = rivals::likeliest(&setting, inputs.range, &sensor, &few)?;
    if let Some(whole) = whole_steps(inputs, &overlap, &likeliest.streams) {
        return Err(whole);
    }
    if likeliest.holds_readings(&setting) && !inputs.adds_up {
        return fit(&Inputs {
            adds_up: true,
            ..*inputs
        });
    }
    let doubt = rivals::doubt(&setting, inputs.seconds, &likeliest, &rivals);
    let is_told = likeliest.tells(&setting);
    let uneven = likeliest.uneven(&setting);
    let Tried {
        mut streams,
        solution: whole,
        ..
    } = likeliest;
    let all = |stream: &Stream<'_>| many.of(stream.is_counter);
    let in_parts = shapes::fitted(inputs, (&setting, most), &streams, &whole, |s| all(s).unwrap_or(s.rows));
    let (mut estimate, streams, shaped) = in_parts.unwrap_or_else(|| {
        let estimate = energies::energies(inputs, &setting, &mut streams, &whole, |s| all(s).unwrap_or(s.rows));
        (estimate, streams, false)
    });
    let mut without_lag = estimate.statistical.clone();
    for (off, weight) in &doubt {
        estimate.covariance.add_outer(*weight, off, off);
        without_lag.add_outer(*weight, off, off);
    }
    let variance = |leaf: usize| estimate.statistical.at(leaf, leaf);
    let segments = inputs.timeline.segments();
    let halves = estimate
        .halves
        .as_ref()
        .map(|halves| halves::doubted(halves, variance, &segments));
    let wider = halves::wider(halves.as_deref().unwrap_or_default());
    let covariances = [&mut estimate.covariance, &mut without_lag];
    covariances
        .into_iter()
        .for_each(|covariance| covariance.a.iter_mut().for_each(|a| *a *= wider));
    let found = |is_counter: bool| {
        let at = streams.iter().position(|s| s.is_counter == is_counter)?;
        Some(found(&streams[at], estimate.spreads[at]))
    };
    Ok(Model {
        power: found(false),
        counter: found(true),
        energies: estimate.energies,
        covariance: estimate.covariance,
        statistical: estimate.statistical,
        without_lag,
        ramp: estimate.ramp,
        kind: sensor.kind,
        may_have_gaps: false,
        lock,
        in_parts: shaped,
        is_told,
        uneven,
        origin: inputs.sensed.origin(),
        halves,
    })
}

/// Why nothing inside the steps can be told, if all windows are whole numbers of them: as they were found, and as they are believed where
/// they may be that, for such readings tell little of their windows.
fn whole_steps(inputs: &Inputs, overlap: &Overlap, streams: &[Stream<'_>]) -> Option<Refusal> {
    let step_ms = lock::step_ms(inputs.timeline)?;
    let whole = |stream: &Stream<'_>| {
        if stream.theta.shape == Shape::LowPass {
            return None;
        }
        let rows = stream.rows.windowed();
        let windows = if stream.is_counter {
            vec![1e3 * rows.period]
        } else {
            let found = stream.theta.window;
            let believed = inputs.device.power_timing.window_ms;
            let may_be = believed.filter(|&believed| contrast::may_be(found, believed, step_ms));
            may_be.into_iter().chain([found]).collect()
        };
        let is_whole = |window: &f64| contrast::is_whole(inputs.timeline, overlap, &rows, *window);
        windows.into_iter().find(is_whole)
    };
    let windows: Option<Vec<f64>> = streams.iter().map(whole).collect();
    Some(Refusal::Whole {
        window_ms: windows?.first().copied()?,
        step_ms,
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
        threads: inputs.threads.min(low_pass::most_at_once(inputs.timeline)),
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
