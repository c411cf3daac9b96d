//! The sensor model: energy of phases shorter than the sensor's update, from the overlap of its windows with the phases.
//!
//! A reading is the mean over a window that lies somewhere on the timeline; thousands of readings with different mixtures of phases
//! determine the phases' powers, as long as the mixtures differ. Owns discovery (update lattice, window, delay, blur, kind of the
//! counter), the joint fit and its covariance. Leaves to `combine` what is made of it.
//!
//! *Limits of validity*: each phase has one mean power over the run, apart from slow drift common to all; scatter about it must not
//! follow the sensor's clock. Sub-window structure that always repeats at the same place of the same phase is averaged over it.

mod closure;
mod covariance;
mod design;
mod discover;
mod energies;
mod fit;
mod kind;
mod lattice;
mod lock;
mod matrix;
mod overlap;
mod ramp;
mod rows;

pub use closure::{Known, condition};
pub use kind::CounterKind;
pub use matrix::{Symmetric, dot};

use crate::model::device::Device;
use crate::model::sample::PowerStream;
use crate::model::time::Interval;

use super::curve::PowerRange;
use super::timeline::Timeline;
use design::Theta;
use fit::{Setting, Stream};
use overlap::Overlap;
use rows::Rows;

/// Rows used for finding all properties together, and for the powers.
const JOINT: usize = 6000;
const FITTING: usize = 100_000;
/// Fewer rows than this for each unknown power determine nothing.
const ROWS_PER_LEAF: usize = 4;
/// A mean direction as long as this is a lock.
const LOCKED: f64 = 0.8;

/// What was found about one stream's clock and window.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Found {
    pub period_ms: f64,
    pub theta: Theta,
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
    /// How far the power follows behind the markers.
    pub ramp: Ramp,
    pub power: Option<Found>,
    pub counter: Option<Found>,
    pub kind: CounterKind,
}

/// Why there is no model.
#[derive(Debug, Clone, PartialEq)]
pub enum Refusal {
    /// Too few updates, or nothing repeats: the interval estimator has the word.
    TooLittle,
    /// The sensor's windows stand still against the steps: (update period, step period), ms.
    Locked(f64, f64),
}

/// What the model starts from.
pub struct Inputs<'a> {
    pub device: &'a Device,
    pub stream: &'a PowerStream,
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
    let overlap = Overlap::new(inputs.timeline);
    let run_s = inputs.run.seconds();
    let active: Vec<usize> = (0..inputs.timeline.leaves)
        .filter(|&l| inputs.seconds[l] > 0.0)
        .collect();
    let power = rows::of_power(inputs.device, inputs.stream, inputs.run);
    let counter = rows::of_counter(inputs.device, inputs.stream, inputs.run);
    let enough = |rows: &Rows| rows.rows.len() >= ROWS_PER_LEAF * active.len() + 12;
    let power = power.filter(|r| enough(r) && !(inputs.contradiction && counter.as_ref().is_some_and(enough)));
    let counter = counter.filter(enough);
    let most = power
        .iter()
        .chain(&counter)
        .map(|r| r.rows.len())
        .max()
        .ok_or(Refusal::TooLittle)?;
    let setting = Setting {
        overlap: &overlap,
        leaves: inputs.timeline.leaves,
        run_s,
        drift: ((run_s / 30.0) as usize).clamp(3, 20).min(most / 25),
        mean_watts: inputs.mean_watts,
        watts: inputs.range.middle(),
        watts_sd: inputs.range.sd(),
        active,
    };
    if let Some((locked, period)) = locked(inputs, power.as_ref(), counter.as_ref()) {
        return Err(Refusal::Locked(locked, period));
    }
    let power_theta = power.as_ref().map(|rows| discover::power(inputs, &setting, rows));
    let sensor = power_theta.as_ref().map(|(theta, _)| *theta);
    let kind = counter.as_ref().map_or(CounterKind::Unknown, |rows| {
        discover::counter_kind(inputs, &setting, rows, sensor)
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
    let counter_theta = counter.as_ref().map(|rows| discover::counter(inputs, &setting, rows));
    let pair = |most: usize| {
        (
            power.as_ref().map(|r| r.spread(most)),
            counter.as_ref().map(|r| r.spread(most)),
        )
    };
    let (few, many) = (pair(JOINT), pair(FITTING));
    let mut streams: Vec<Stream> = Vec::new();
    for (rows, theta, is_counter) in [(&few.0, &power_theta, false), (&few.1, &counter_theta, true)] {
        if let (Some(rows), Some((theta, prior))) = (rows, theta) {
            streams.push(discover::stream(rows, *theta, *prior, is_counter));
        }
    }
    let converged = fit::converge(&setting, &mut streams, None, fit::STEPS);
    let all = |is_counter: bool| if is_counter { many.1.as_ref() } else { many.0.as_ref() };
    let (energies, covariance, ramp) = energies::energies(inputs, &setting, &mut streams, &converged, |stream| {
        all(stream.is_counter).unwrap_or(stream.rows)
    });
    let found = |is_counter: bool| {
        streams.iter().find(|s| s.is_counter == is_counter).map(|s| Found {
            period_ms: s.rows.period * 1e3,
            theta: s.theta,
        })
    };
    let (power, counter) = (found(false), found(true));
    Ok(Model {
        energies,
        covariance,
        ramp,
        power,
        counter,
        kind,
    })
}

/// Whether the windows of the stream that would be used stand still against the load.
fn locked(inputs: &Inputs, power: Option<&Rows>, counter: Option<&Rows>) -> Option<(f64, f64)> {
    let test = |rows: &Rows| {
        let starts: Vec<f64> = rows.rows.iter().map(|r| r.end.predicted).collect();
        lock::rayleigh(inputs.timeline, &starts)
            .filter(|(length, _)| *length > LOCKED)
            .map(|(_, step)| (rows.period * 1e3, step * 1e3))
    };
    // One free stream is enough.
    let all: Vec<Option<(f64, f64)>> = power.into_iter().chain(counter).map(test).collect();
    if all.iter().any(Option::is_none) {
        None
    } else {
        all.into_iter().flatten().next()
    }
}
