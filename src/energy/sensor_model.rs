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
mod fit;
mod kind;
mod lattice;
mod lock;
mod matrix;
mod overlap;
mod rows;

pub use closure::{Known, condition};
pub use kind::CounterKind;
pub use matrix::{Symmetric, dot};

use crate::model::device::Device;
use crate::model::sample::PowerStream;
use crate::model::time::Interval;

use super::shares;
use super::timeline::Timeline;
use design::Theta;
use fit::{Prior, Setting, Stream};
use overlap::Overlap;
use rows::Rows;

/// Rows used for finding the sensor's properties, and for the powers.
const FINDING: usize = 4000;
const FITTING: usize = 100_000;
/// Fewer rows than this for each unknown power determine nothing.
const ROWS_PER_LEAF: usize = 4;
/// No board's power takes longer than this to follow, on average, ms: a larger blur is the sensor's clock.
const SLOWEST_LAG: f64 = 1.5;
/// A mean direction as long as this is a lock.
const LOCKED: f64 = 0.8;

/// What was found about one stream's clock and window.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Found {
    pub period_ms: f64,
    pub theta: Theta,
}

/// The fitted model of one device.
#[derive(Debug, Clone)]
pub struct Model {
    /// Energy of every leaf, joules, and covariance (J^2). Leaves without time have none.
    pub energies: Vec<f64>,
    pub covariance: Symmetric,
    /// Energy that each leaf would have more, did all blur come from ramps of the power behind each edge.
    pub carried_over: Vec<f64>,
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
    pub ceiling_watts: f64,
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
        watts_sd: 0.5 * inputs.ceiling_watts.max(inputs.mean_watts),
        active,
    };
    if let Some((locked, period)) = locked(inputs, power.as_ref(), counter.as_ref()) {
        return Err(Refusal::Locked(locked, period));
    }
    let power_theta = power.as_ref().map(|rows| find_power(inputs, &setting, rows));
    let window = power_theta.as_ref().map(|(theta, _)| theta.window);
    let kind = counter.as_ref().map_or(CounterKind::Unknown, |rows| {
        counter_kind(inputs, &setting, rows, window)
    });
    // A counter that adds up power readings tells nothing that they do not; alone, it is a power sensor.
    let (power, power_theta, counter) = match (kind, power, counter) {
        (CounterKind::Sampled, None, Some(rows)) => {
            let rows = rows.windowed();
            let theta = find_power(inputs, &setting, &rows);
            (Some(rows), Some(theta), None)
        }
        (CounterKind::Sampled, power, _) => (power, power_theta, None),
        (_, power, counter) => (power, power_theta, counter),
    };
    let counter_theta = counter.as_ref().map(|rows| find_counter(inputs, &setting, rows));
    let (power, counter) = (power.map(|r| r.spread(FITTING)), counter.map(|r| r.spread(FITTING)));
    let mut streams: Vec<Stream> = Vec::new();
    for (rows, theta, is_counter) in [(&power, &power_theta, false), (&counter, &counter_theta, true)] {
        if let (Some(rows), Some((theta, prior))) = (rows, theta) {
            streams.push(stream(rows, *theta, *prior, is_counter));
        }
    }
    fit::converge(&setting, &mut streams);
    let found = |is_counter: bool| {
        streams.iter().find(|s| s.is_counter == is_counter).map(|s| Found {
            period_ms: s.rows.period * 1e3,
            theta: s.theta,
        })
    };
    let (power, counter) = (found(false), found(true));
    let (energies, covariance, carried_over) = energies(inputs, &setting, &streams);
    Ok(Model {
        energies,
        covariance,
        carried_over,
        power,
        counter,
        kind,
    })
}

fn stream(rows: &Rows, theta: Theta, prior: Prior, is_counter: bool) -> Stream<'_> {
    Stream {
        rows,
        prior,
        theta,
        noise: 1.0,
        is_counter,
    }
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

fn follow_prior(rows: &Rows) -> f64 {
    let poll = rows.half.powi(2) / 3.0;
    (1.0 - poll / rows.scatter.powi(2).max(1e-12)).clamp(0.0, 1.0)
}

/// The power stream's properties: a coarse search from what is believed, then Gauss-Newton.
fn find_power(inputs: &Inputs, setting: &Setting, rows: &Rows) -> (Theta, Prior) {
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
    let blur = (rows.scatter * 1e3).powi(2).min(0.25);
    let prior = |theta: Theta, window_sd: f64| Prior {
        theta: Theta {
            delay: 5.0,
            blur: 0.0,
            ..theta
        },
        window_sd,
        delay_sd: 15.0,
        blur_sd: (rows.scatter * 1e3).powi(2).max(4.0),
        follow_sd: 0.5,
    };
    let mut best: Option<(f64, Theta)> = None;
    for &window in &windows {
        for delay in [-4.0, -2.0, 0.0, 2.0, 4.0, 6.0, 8.0, 10.0, 12.0, 15.0] {
            let theta = Theta {
                window,
                delay: delay + believed.delay_ms.unwrap_or(0.0),
                blur: 0.0,
                follow: follow_prior(rows),
            };
            let streams = [stream(&few, theta, prior(theta, 1.0), false)];
            let solution = fit::solve(setting, &streams, None);
            let (variance, _) = fit::residual_variance(setting, &streams[0], None, &solution.values);
            if best.is_none_or(|(least, _)| variance < least) {
                best = Some((variance, theta));
            }
        }
    }
    let start = best.map_or(
        Theta {
            window: period,
            delay: 0.0,
            blur,
            follow: 0.0,
        },
        |(_, theta)| theta,
    );
    let centre = believed.window_ms.unwrap_or(start.window);
    let prior = Prior {
        theta: Theta {
            window: centre,
            ..prior(start, 1.0).theta
        },
        ..prior(start, 0.2 * centre)
    };
    let many = rows.spread(FINDING);
    let mut streams = [stream(&many, Theta { blur, ..start }, prior, false)];
    fit::converge(setting, &mut streams);
    (streams[0].theta, prior)
}

/// The counter's properties.
fn find_counter(inputs: &Inputs, setting: &Setting, rows: &Rows) -> (Theta, Prior) {
    let believed = inputs.device.counter_timing.delay_ms.unwrap_or(0.0);
    let few = rows.spread(800);
    let centre = Theta {
        window: 1.0,
        delay: 5.0,
        blur: 0.0,
        follow: follow_prior(rows),
    };
    let prior = Prior {
        theta: centre,
        window_sd: 1.0,
        delay_sd: 15.0,
        blur_sd: (rows.scatter * 1e3).powi(2).max(4.0),
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
        let (variance, _) = fit::residual_variance(setting, &streams[0], None, &solution.values);
        if best.is_none_or(|(least, _)| variance < least) {
            best = Some((variance, theta));
        }
    }
    let start = best.map_or(centre, |(_, theta)| theta);
    let many = rows.spread(FINDING);
    let mut streams = [stream(&many, Theta { blur: 0.25, ..start }, prior, true)];
    fit::converge(setting, &mut streams);
    (streams[0].theta, prior)
}

/// Explain the counter as continuous and as a sum of short windows.
fn counter_kind(inputs: &Inputs, setting: &Setting, counter: &Rows, window: Option<f64>) -> CounterKind {
    let few = counter.spread(1500);
    let windowed = few.windowed();
    let windows = window.map_or(
        vec![0.15 * 1e3 * few.period, 0.25e3 * few.period, 0.5e3 * few.period],
        |w| vec![w],
    );
    let follow = follow_prior(&few);
    let variance = |rows: &Rows, window: f64, is_counter: bool| {
        let delays = (-3..10).map(|step| inputs.device.counter_timing.delay_ms.unwrap_or(0.0) + 2.0 * f64::from(step));
        let one = |delay: f64| {
            let theta = Theta {
                window,
                delay,
                blur: 0.0,
                follow,
            };
            let prior = Prior {
                theta,
                window_sd: 1.0,
                delay_sd: 1.0,
                blur_sd: 1.0,
                follow_sd: 1.0,
            };
            let streams = [stream(rows, theta, prior, is_counter)];
            let solution = fit::solve(setting, &streams, None);
            fit::residual_variance(setting, &streams[0], None, &solution.values).0
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

/// Leaf energies, their covariance, and what ramps would carry over, from converged streams.
fn energies(inputs: &Inputs, setting: &Setting, streams: &[Stream]) -> (Vec<f64>, Symmetric, Vec<f64>) {
    let first = fit::solve(setting, streams, None);
    let powers = fit::powers(setting, &first);
    let solution = fit::solve(setting, streams, Some(&powers));
    let fitted = fit::powers(setting, &solution);
    let drift_s = drift_seconds(inputs, setting);
    let gradients = covariance::gradients(setting, &solution, inputs.seconds, &drift_s);
    let active = covariance::of_energies(setting, streams, &powers, &solution, &gradients);
    let leaves = setting.leaves;
    let looks = looks(setting, streams, &powers);
    let mut energies = vec![0.0; leaves];
    let mut covariance = Symmetric::zero(leaves);
    for (i, &leaf) in setting.active.iter().enumerate() {
        // The gradient's own entry is the time, drift included.
        energies[leaf] = fitted[leaf] * gradients[i][i];
        for (j, &other) in setting.active.iter().enumerate() {
            covariance.a[leaf * leaves + other] = active.at(i, j);
        }
        covariance.a[leaf * leaves + leaf] += few_looks(setting, energies[leaf], inputs.seconds[leaf], looks[leaf]);
    }
    let blur = streams
        .iter()
        .map(|s| ramp_blur(setting, s, &solution))
        .fold(f64::INFINITY, f64::min);
    (energies, covariance, carried_over(inputs.timeline, &fitted, blur))
}

/// How many rows each leaf was seen in, effectively: (sum x)^2 / sum x^2 of its overlaps.
fn looks(setting: &Setting, streams: &[Stream], powers: &[f64]) -> Vec<f64> {
    let mut sums = vec![(0.0, 0.0); setting.leaves];
    for stream in streams {
        fit::visit(setting, stream, Some(powers), |_, columns, _| {
            for (column, &leaf) in columns.iter().zip(&setting.active) {
                sums[leaf].0 += column;
                sums[leaf].1 += column * column;
            }
        });
    }
    sums.iter()
        .map(|(sum, square)| if *square > 0.0 { sum * sum / square } else { 0.0 })
        .collect()
}

/// Variance (J^2) that the residuals cannot show: a leaf seen in a few rows fits them whatever it drew, and one mean power over a run
/// is an assumption that holds to a part in a thousand at best.
fn few_looks(setting: &Setting, joules: f64, seconds: f64, looks: f64) -> f64 {
    const ENOUGH: f64 = 12.0;
    const IDEAL: f64 = 5e-4;
    let unknown = (1.0 - looks / ENOUGH).max(0.0) / looks.max(1.0);
    unknown * (setting.watts_sd * seconds).powi(2) + (IDEAL * joules).powi(2)
}

/// The most of a stream's blur that ramps of the power can account for, ms^2: what the clock's jitter leaves over, and what one
/// standard error more would be.
fn ramp_blur(setting: &Setting, stream: &Stream, solution: &fit::Solution) -> f64 {
    let error = setting.theta_at(stream)[2].map_or(0.0, |i| solution.inverse.at(i, i).max(0.0).sqrt());
    let follow = stream.theta.follow;
    let jitter = follow * (1.0 - follow) * (stream.rows.scatter * 1e3).powi(2);
    (stream.theta.blur - jitter + error).max(0.0)
}

/// For each cosine of the drift, its integral over each leaf's time.
fn drift_seconds(inputs: &Inputs, setting: &Setting) -> Vec<Vec<f64>> {
    const BINS: i64 = 1024;
    let mut sums = vec![vec![0.0; setting.leaves]; setting.drift];
    let (start, length) = (inputs.run.start.as_nanos(), inputs.run.nanos());
    let edge = |i: i64| start + (i128::from(length) * i128::from(i) / i128::from(BINS)) as i64;
    shares::walk(
        inputs.timeline,
        (0..BINS).map(|i| (edge(i), edge(i + 1))),
        |i, shares| {
            let middle = (i as f64 + 0.5) / BINS as f64 * setting.run_s;
            for (j, sums) in sums.iter_mut().enumerate() {
                let cosine = setting.cosine(j + 1, middle);
                shares.iter().for_each(|&(leaf, s)| sums[leaf] += s * cosine);
            }
        },
    );
    sums
}

/// A linear ramp of variance `blur` (ms^2) behind each edge makes the power lag by sqrt(3 blur) on average: a phase then has the
/// energy of the lag before its beginning, and not that of the lag before its end.
fn carried_over(timeline: &Timeline, powers: &[f64], blur: f64) -> Vec<f64> {
    let lag = ((3.0 * blur.max(0.0)).sqrt().min(SLOWEST_LAG) * 1e6) as i64;
    let mut carried = vec![0.0; timeline.leaves];
    let watts = |i: usize| {
        timeline.table[timeline.states[i] as usize]
            .iter()
            .map(|&(l, share)| share * powers[l])
            .sum::<f64>()
    };
    let before = |segment: usize| {
        let (mut joules, mut left) = (0.0, lag);
        for i in (0..segment).rev() {
            let take = left.min(timeline.edges[i + 1] - timeline.edges[i]);
            joules += watts(i) * take as f64 * 1e-9;
            left -= take;
            if left == 0 {
                break;
            }
        }
        joules
    };
    let mut entering = 0.0;
    for i in 0..timeline.states.len() {
        let leaving = if i + 1 < timeline.states.len() {
            before(i + 1)
        } else {
            0.0
        };
        for &(leaf, share) in &timeline.table[timeline.states[i] as usize] {
            carried[leaf] += share * (entering - leaving);
        }
        entering = leaving;
    }
    carried
}
