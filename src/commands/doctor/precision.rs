//! What precision a phase can expect from a sensor, by putting a made-up run through the very analysis that recordings go through.
//!
//! Nothing here knows a formula: a load with a phase of the asked length is played to a sensor with this device's period, window and
//! counter, polled as recordings are, and analysed. The interval that comes out is what a user would see.
//!
//! A phase that is executed once begins somewhere in the sensor's period, and no user can choose where: it is played at several places,
//! and the middle of what they give is told, and how many give nothing.
//!
//! *Limits of validity.* The load is one of two levels (a quarter and four fifths of the power limit) whose phases scatter by 4 % in
//! length and 3 % in power; a real load may be kinder or worse. The sensor's tolerance (`u95_scale`) is not part of it.

use std::convert::Infallible;

use crate::energy::{self, Options};
use crate::model::analysis::{EnergyEstimate, Grade};
use crate::model::device::Device;
use crate::model::marker::{MarkerEvent, MarkerFaults, MarkerVerb};
use crate::model::recording::{DeviceStreams, HostInfo, Recording, RunInfo};
use crate::model::sample::{Columns, CounterUnit, HostStream, PowerReading, PowerStream, SweepStream};
use crate::model::time::Timestamp;

/// The phases asked about, seconds.
pub const PHASES_S: [f64; 3] = [0.01, 0.1, 1.0];
/// How long the run of repeated phases is, seconds.
pub const REPEATED_FOR_S: f64 = 60.0;
/// How long the run with one execution is, seconds.
const ONCE_IN_S: f64 = 10.0;
const POLL_S: f64 = 0.01;
/// Places in the sensor's period at which a phase that is executed once begins.
pub const PLACES: usize = 5;
/// A phase is followed by this many times its length of something else: no simple ratio to anything.
const REST: f64 = 1.618;
const LENGTH_SCATTER: f64 = 0.04;
const POWER_SCATTER: f64 = 0.03;

/// A sensor as far as it is known: periods and windows in seconds.
#[derive(Debug, Clone, Copy)]
pub struct Known {
    pub power: Option<(f64, f64)>,
    pub counter_s: Option<f64>,
    pub counter_unit: Option<CounterUnit>,
    pub limit_watts: f64,
    /// Not read more often than this.
    pub poll_s: f64,
}

/// What to expect of a phase: its half-width (95 %) relative to its energy, where it is resolved at all.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Expected {
    pub relative_u95: Option<f64>,
    pub grade: Grade,
}

/// For one length of phase: executed once, and again and again for a minute.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Precision {
    pub phase_s: f64,
    pub once: Expected,
    /// Of the [`PLACES`] where it may begin, those where one execution is not resolved.
    pub once_unresolved: usize,
    pub repeated: Expected,
}

/// What each length of phase can expect of this device. `None`: too little is known of its sensor.
pub fn of(device: &Device, known: &Known) -> Option<Vec<Precision>> {
    known.power.map(|_| ()).or(known.counter_s.map(|_| ()))?;
    let precision = |phase_s| {
        let (once, once_unresolved) = once_anywhere(device, known, phase_s);
        Precision {
            phase_s,
            once,
            once_unresolved,
            repeated: played(device, known, &repeated(phase_s), REPEATED_FOR_S),
        }
    };
    Some(PHASES_S.into_iter().map(precision).collect())
}

/// A stretch of the made-up load: seconds, power as a share of the limit, whether it is the phase asked about.
type Stretch = (f64, f64, bool);

const LOW: f64 = 0.25;
const HIGH: f64 = 0.8;

/// Where in the slowest rhythm a phase begins, seconds: evenly spread over one period.
fn places(known: &Known) -> impl Iterator<Item = f64> {
    let period_s = known.power.map_or(0.0, |(period, _)| period);
    let slowest_s = known.counter_s.map_or(period_s, |counter_s| counter_s.max(period_s));
    (0..PLACES).map(move |i| slowest_s * i as f64 / PLACES as f64)
}

/// The middle of what a phase that is executed once can expect, and at how many places it is not resolved, which is worse than any
/// interval.
fn once_anywhere(device: &Device, known: &Known, phase_s: f64) -> (Expected, usize) {
    let width = |e: &Expected| e.relative_u95.unwrap_or(f64::INFINITY);
    let all = places(known).map(|place_s| played(device, known, &once(phase_s, place_s), ONCE_IN_S));
    let mut all: Vec<Expected> = all.collect();
    all.sort_by(|a, b| width(a).total_cmp(&width(b)));
    let unresolved = all.iter().filter(|e| e.grade == Grade::Unresolved).count();
    (all[PLACES / 2], unresolved)
}

fn once(phase_s: f64, place_s: f64) -> Vec<Stretch> {
    // Not at the sensor's own updates (`streams`), whatever the period.
    let before = 0.45 * ONCE_IN_S + 0.0371 + place_s;
    vec![
        (before, LOW, false),
        (phase_s, HIGH, true),
        (ONCE_IN_S - before - phase_s, LOW, false),
    ]
}

fn repeated(phase_s: f64) -> Vec<Stretch> {
    let mut stretches = vec![(0.05, LOW, false)];
    let mut at = 0.05;
    let mut n = 0.0_f64;
    // Equidistributed numbers in -1..1 (multiples of irrational numbers): the same ones each time.
    let spread = |n: f64, step: f64| 2.0 * (n * step).fract() - 1.0;
    while at < REPEATED_FOR_S {
        n += 1.0;
        let phase = phase_s * (1.0 + 1.7 * LENGTH_SCATTER * spread(n, 0.618_033_988));
        let rest = phase_s * REST * (1.0 + 1.7 * LENGTH_SCATTER * spread(n, 0.414_213_562));
        stretches.push((
            phase,
            HIGH * (1.0 + 1.7 * POWER_SCATTER * spread(n, 0.732_050_807)),
            true,
        ));
        stretches.push((
            rest,
            LOW * (1.0 + 1.7 * POWER_SCATTER * spread(n, 0.236_067_977)),
            false,
        ));
        at += phase + rest;
    }
    stretches
}

/// The load's energy from its start, exactly.
struct Truth {
    edges_s: Vec<f64>,
    joules: Vec<f64>,
}

impl Truth {
    fn of(stretches: &[Stretch], limit_watts: f64) -> Self {
        let (mut edges_s, mut joules) = (vec![0.0], vec![0.0]);
        let (mut t, mut e) = (0.0, 0.0);
        for &(seconds, share, _) in stretches {
            t += seconds;
            e += seconds * share * limit_watts;
            edges_s.push(t);
            joules.push(e);
        }
        Self { edges_s, joules }
    }

    /// Before the start and after the end, as at the edge.
    fn energy(&self, t: f64) -> f64 {
        let last = self.edges_s.len() - 1;
        let i = self.edges_s.partition_point(|e| *e <= t).clamp(1, last);
        let (t0, t1) = (self.edges_s[i - 1], self.edges_s[i]);
        let slope = (self.joules[i] - self.joules[i - 1]) / (t1 - t0).max(1e-12);
        self.joules[i - 1] + slope * (t - t0)
    }
}

fn ns(seconds: f64) -> Timestamp {
    Timestamp::from_nanos((seconds * 1e9) as i64)
}

/// What the sensor would have said of this load.
fn streams(known: &Known, truth: &Truth, length_s: f64) -> DeviceStreams {
    let columns = Columns {
        watts: known.power.is_some(),
        counter: known.counter_s.and(known.counter_unit),
        ..Columns::default()
    };
    let mut stream = PowerStream::with_columns(&columns);
    let poll_s = known.poll_s.max(POLL_S);
    let mut t = -0.25;
    while t < length_s + 0.25 {
        let published = |period: f64| ((t - 0.37 * period) / period).floor() * period + 0.37 * period;
        let reading = PowerReading {
            watts: known.power.map(|(period, window)| {
                let end = published(period);
                (truth.energy(end) - truth.energy(end - window)) / window
            }),
            average_watts: None,
            counter: columns.counter.zip(known.counter_s).map(|(unit, period)| {
                // A counter has counted for long.
                ((truth.energy(published(period.max(1e-3))) + 1e6) / unit.joules) as u64
            }),
        };
        stream.push(&columns, ns(t), 20_000, &reading);
        t += poll_s;
    }
    DeviceStreams {
        power: stream,
        ..DeviceStreams::default()
    }
}

fn markers(stretches: &[Stretch]) -> Vec<MarkerEvent> {
    let mut events = Vec::new();
    let mut at = 0.0;
    for &(seconds, _, asked) in stretches {
        if asked {
            for (t, verb) in [(at, MarkerVerb::Begin), (at + seconds, MarkerVerb::End)] {
                events.push(MarkerEvent {
                    t: ns(t),
                    arrival: ns(t),
                    stamped: true,
                    verb,
                    rank: 0,
                    name: "phase".into(),
                    index: None,
                    samples: None,
                    tokens: None,
                    value: None,
                    devices: None,
                });
            }
        }
        at += seconds;
    }
    events
}

fn played(device: &Device, known: &Known, stretches: &[Stretch], length_s: f64) -> Expected {
    let truth = Truth::of(stretches, known.limit_watts);
    let streams = streams(known, &truth, length_s);
    let recording = Recording {
        run: RunInfo {
            powerprof_version: String::new(),
            command: Vec::new(),
            working_directory: String::new(),
            host: HostInfo::default(),
            started_realtime_ns: 0,
            started: ns(0.0),
            ended: Some(ns(length_s)),
            exit: None,
            complete: true,
            interval_ns: (POLL_S * 1e9) as i64,
            environment: Default::default(),
            git_commit: None,
            simulated: None,
            labels: Default::default(),
        },
        anchors: Vec::new(),
        devices: vec![Device {
            contained_in: None,
            ..device.clone()
        }],
        markers: markers(stretches),
        marker_faults: MarkerFaults::default(),
        host: HostStream::default(),
        sweeps: SweepStream::default(),
        events: Vec::new(),
        warnings: Vec::new(),
        last_seen: ns(length_s),
        baseline: None,
    };
    let spans = energy::spans(&recording.markers, recording.interval());
    let Ok(analysis) = energy::analyze(&recording, &spans, &Options::default(), |_| {
        Ok::<_, Infallible>(streams.clone())
    });
    let energy = analysis
        .phases
        .first()
        .map_or(EnergyEstimate::UNKNOWN, |phase| phase.energy);
    let relative = energy.joules.zip(energy.u95).map(|(joules, u95)| (u95 / joules).abs());
    Expected {
        relative_u95: relative.filter(|r| r.is_finite()),
        grade: energy.grade,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::device::{DeviceId, DeviceKind, SensorTiming, Source};
    use crate::model::units::Watts;

    fn a100() -> Device {
        Device {
            id: DeviceId("gpu0".into()),
            kind: DeviceKind::Gpu,
            source: Source::Nvml,
            name: "NVIDIA A100-SXM4-80GB".into(),
            uuid: None,
            index: Some(0),
            contained_in: None,
            architecture: Some("Ampere".into()),
            power_limit: Some(Watts(400.0)),
            memory_total_bytes: None,
            power_timing: SensorTiming {
                update_period_ms: Some(100.0),
                window_ms: Some(25.0),
                delay_ms: None,
            },
            counter_timing: SensorTiming::default(),
            calibration: None,
            properties: Default::default(),
        }
    }

    const PART_TIME: Known = Known {
        power: Some((0.1, 0.025)),
        counter_s: None,
        counter_unit: None,
        limit_watts: 400.0,
        poll_s: 0.0,
    };

    #[test]
    fn a_short_phase_is_not_resolved_once_and_is_when_it_repeats() {
        let expected = of(&a100(), &PART_TIME).expect("a known sensor");
        assert_eq!(
            expected[0].once.grade,
            Grade::Unresolved,
            "10 ms once on a 100 ms sensor"
        );
        assert!(
            expected[0].repeated.relative_u95.is_some_and(|r| r < 0.3),
            "{expected:?}"
        );
        assert!(
            expected[2].repeated.relative_u95.is_some_and(|r| r < 0.2),
            "{expected:?}"
        );
    }

    /// What is once found at a lucky place is no promise: a counter's tick on each edge of the phase.
    #[test]
    fn what_is_told_of_one_execution_does_not_hang_on_where_it_begins() {
        let known = Known {
            counter_s: Some(0.1),
            counter_unit: Some(CounterUnit {
                joules: 1e-3,
                wraps_at: None,
            }),
            ..PART_TIME
        };
        let lucky = played(&a100(), &known, &once(0.1, 0.0), ONCE_IN_S);
        // What the counter adds up nobody knows, so that it is no surer than readings of a quarter of that time.
        assert!(lucky.relative_u95.is_some_and(|r| r < 0.2), "{lucky:?}");
        let (once, unresolved) = once_anywhere(&a100(), &known, 0.1);
        assert_eq!(once.grade, Grade::Unresolved, "not resolved at {unresolved} places");
        assert!((PLACES / 2 + 1..PLACES).contains(&unresolved), "{unresolved}");
    }

    #[test]
    fn a_counter_makes_long_phases_sharper_and_nothing_known_promises_nothing() {
        let with_counter = Known {
            counter_s: Some(0.02),
            counter_unit: Some(CounterUnit {
                joules: 1e-3,
                wraps_at: None,
            }),
            ..PART_TIME
        };
        let (plain, counted) = (
            of(&a100(), &PART_TIME).expect("known"),
            of(&a100(), &with_counter).expect("known"),
        );
        let once = |p: &[Precision]| p[2].once.relative_u95.unwrap_or(f64::INFINITY);
        assert!(once(&counted) < once(&plain), "{counted:?} against {plain:?}");
        let nothing = Known {
            power: None,
            counter_s: None,
            ..PART_TIME
        };
        assert_eq!(of(&a100(), &nothing), None);
    }
}
