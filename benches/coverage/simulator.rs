//! Simulated training on a simulated sensor, with the truth beside it.
//!
//! Written apart from the product: the truth is an exact integral of a piecewise linear power, the sensor's readings are drawn from it.

use std::collections::BTreeMap;

use powerprof::model::device::{Device, DeviceId, DeviceKind, SensorTiming, Source};
use powerprof::model::marker::{MarkerEvent, MarkerFaults, MarkerVerb};
use powerprof::model::recording::{DeviceStreams, HostInfo, Recording, RunInfo};
use powerprof::model::sample::{HostStream, PowerStream, SweepStream, Times};
use powerprof::model::time::Timestamp;
use powerprof::model::units::Watts;

use crate::cases::{Case, PhaseSpec};

/// SplitMix64 (Steele, Lea and Flood 2014) and Box-Muller: enough randomness for a simulation, the same on every machine.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x5851_F42D_4C95_7F2D) ^ 0xC0FF_EE00)
    }
    pub fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.uniform()
    }
    pub fn log_between(&mut self, low: f64, high: f64) -> f64 {
        self.between(low.ln(), high.ln()).exp()
    }
    pub fn often(&mut self, share: f64) -> bool {
        self.uniform() < share
    }
    pub fn one_of(&mut self, values: &[f64]) -> f64 {
        values[(self.uniform() * values.len() as f64) as usize]
    }
    pub fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }
    fn normal(&mut self) -> f64 {
        (-2.0 * (1.0 - self.uniform()).ln()).sqrt() * (std::f64::consts::TAU * self.uniform()).cos()
    }
}

/// Power that runs linearly between knees (ms, W), and its exact integral (J).
pub struct Truth {
    t: Vec<f64>,
    watts: Vec<f64>,
    joules: Vec<f64>,
}

impl Truth {
    fn push(&mut self, t: f64, watts: f64) {
        if let (Some(&t0), Some(&w0), Some(&j0)) = (self.t.last(), self.watts.last(), self.joules.last()) {
            self.joules.push(j0 + 0.5 * (watts + w0) * (t - t0) * 1e-3);
        } else {
            self.joules.push(0.0);
        }
        self.t.push(t);
        self.watts.push(watts);
    }
    fn energy_to(&self, t: f64) -> f64 {
        let i = self.t.partition_point(|&x| x <= t).clamp(1, self.t.len() - 1);
        let (t0, t1) = (self.t[i - 1], self.t[i]);
        let (w0, w1) = (self.watts[i - 1], self.watts[i]);
        let x = t - t0;
        let slope = if t1 > t0 { (w1 - w0) / (t1 - t0) } else { 0.0 };
        self.joules[i - 1] + (w0 * x + 0.5 * slope * x * x) * 1e-3
    }
    /// What the power sensor shows at `tick`.
    fn shown(&self, case: &Case, tick: f64) -> f64 {
        if !case.low_pass {
            return (self.energy_to(tick) - self.energy_to(tick - case.window)) / (case.window * 1e-3);
        }
        const SLICE: f64 = 0.25;
        let tau = 0.5 * case.window;
        let (mut sum, mut weights, mut newer) = (0.0, 0.0, self.energy_to(tick));
        for i in 0..(10.0 * tau / SLICE) as usize {
            let older = self.energy_to(tick - (i + 1) as f64 * SLICE);
            let weight = (-(i as f64 + 0.5) * SLICE / tau).exp();
            sum += weight * (newer - older) / (SLICE * 1e-3);
            weights += weight;
            newer = older;
        }
        sum / weights
    }
}

pub struct World {
    pub recording: Recording,
    /// Of each device.
    pub streams: Vec<DeviceStreams>,
    /// True energy of every path.
    pub truth: BTreeMap<String, f64>,
    pub total: f64,
}

const LEAD: f64 = 300.0;
const IDLE: f64 = 70.0;
const VALIDATION: PhaseSpec = ("validate", 1000.0, 250.0);

fn nanos(ms: f64) -> Timestamp {
    Timestamp::from_nanos((ms * 1e6).round() as i64)
}

/// A stretch of one mean power, and the phase it belongs to.
struct Piece {
    start: f64,
    end: f64,
    watts: f64,
    phase: Option<&'static str>,
}

/// What the trainer does, and the markers it writes.
fn load(case: &Case, random: &mut Random) -> (Vec<Piece>, Vec<(f64, MarkerVerb, &'static str)>) {
    use MarkerVerb::{Begin, End};
    let (mut pieces, mut lines) = (Vec::new(), vec![(200.0, Begin, "train")]);
    let mut t = 200.0;
    let mut piece = |t: &mut f64, length: f64, watts: f64, phase| {
        pieces.push(Piece {
            start: *t,
            end: *t + length,
            watts,
            phase,
        });
        *t += length;
    };
    for step in 0..case.steps {
        let drift = 1.0 + 0.02 * (step as f64 / 700.0).sin();
        lines.push((t, Begin, "step"));
        let longer = if random.uniform() < 0.5 { case.long_steps } else { 1.0 };
        for (k, &(name, ms, watts)) in case.phases.iter().enumerate() {
            if k + 1 == case.phases.len() && step < case.late_from {
                continue;
            }
            let length = ms * longer * (case.duration_scatter * random.normal()).exp();
            lines.push((t, Begin, name));
            let watts = watts * (1.0 + case.power_scatter * random.normal()) * drift;
            piece(&mut t, length, watts, Some(name));
            lines.push((t, End, name));
        }
        if case.gaps > 0.0 {
            piece(&mut t, -case.gaps * (1.0 - random.uniform()).ln(), IDLE, None);
        }
        lines.push((t, End, "step"));
        if step % case.validate_every == case.validate_every - 1 {
            let (name, ms, watts) = VALIDATION;
            lines.push((t, Begin, name));
            piece(&mut t, ms * (0.1 * random.normal()).exp(), watts, Some(name));
            lines.push((t, End, name));
        }
    }
    lines.push((t, End, "train"));
    (pieces, lines)
}

/// The power that follows from it.
fn power(case: &Case, pieces: &[Piece], run_end: f64) -> Truth {
    let mut truth = Truth {
        t: vec![],
        watts: vec![],
        joules: vec![],
    };
    truth.push(-2000.0, IDLE);
    let mut before = IDLE;
    let end = pieces.last().map_or(0.0, |p| p.end);
    let idle = Piece {
        start: end,
        end: run_end + 3000.0,
        watts: IDLE,
        phase: None,
    };
    for piece in pieces.iter().chain([&idle]) {
        let swing = if piece.phase.is_some() { case.slope } else { 0.0 };
        let (first, last) = (piece.watts * (1.0 - swing), piece.watts * (1.0 + swing));
        truth.push(piece.start, before);
        if case.settling > 0.0 {
            for part in [0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 4.5] {
                let t = piece.start + part * case.settling;
                if t < piece.end {
                    truth.push(t, first + (before - first) * (-part).exp());
                }
            }
            let left = (-(piece.end - piece.start) / case.settling).exp();
            before = last + (before - first) * left;
        } else {
            let ramp = case.ramp.min(0.999 * (piece.end - piece.start));
            let reached = if case.ramp > 0.0 {
                before + (first - before) * ramp / case.ramp
            } else {
                first
            };
            truth.push(piece.start + ramp, reached);
            before = if swing > 0.0 { last } else { reached };
        }
        truth.push(piece.end, before);
    }
    truth
}

pub fn simulate(case: &Case, seed: u64) -> World {
    let mut random = Random::new(seed);
    let loads: Vec<_> = (0..case.ranks).map(|_| load(case, &mut random)).collect();
    let ends = loads.iter().filter_map(|(pieces, _)| pieces.last()).map(|p| p.end);
    let run = (0.0, ends.fold(200.0, f64::max) + 150.0);
    let mut energies: BTreeMap<String, f64> = BTreeMap::new();
    let (mut total, mut streams, mut lines) = (0.0, Vec::new(), Vec::new());
    for (rank, (pieces, own)) in loads.into_iter().enumerate() {
        let truth = power(case, &pieces, run.1);
        account(&truth, &pieces, &mut energies);
        total += truth.energy_to(run.1) - truth.energy_to(run.0);
        streams.push(sense(case, &truth, run, &mut random));
        lines.extend(own.into_iter().map(|line| (line, rank as u32)));
    }
    lines.sort_by(|a, b| a.0.0.total_cmp(&b.0.0));
    World {
        recording: recording(case, run, &lines),
        streams,
        truth: energies,
        total,
    }
}

/// Add up what each path drew.
fn account(truth: &Truth, pieces: &[Piece], energies: &mut BTreeMap<String, f64>) {
    for piece in pieces {
        let joules = truth.energy_to(piece.end) - truth.energy_to(piece.start);
        let in_step = piece.phase != Some(VALIDATION.0);
        let path = match piece.phase {
            Some(name) if in_step => Some(format!("train/step/{name}")),
            Some(name) => Some(format!("train/{name}")),
            None => None,
        };
        if let Some(path) = path {
            *energies.entry(path).or_default() += joules;
        }
        if in_step {
            *energies.entry("train/step".into()).or_default() += joules;
        }
        *energies.entry("train".into()).or_default() += joules;
    }
}

/// Publications of the sensor as the poller sees them.
fn sense(case: &Case, truth: &Truth, run: (f64, f64), random: &mut Random) -> DeviceStreams {
    let published = |period: f64, random: &mut Random, value: &mut dyn FnMut(f64, &mut Random) -> f64| {
        let phase = random.uniform() * period;
        let mut all = Vec::new();
        let mut k = 0.0;
        while -700.0 + phase + k * period < run.1 + 600.0 {
            let due = -700.0 + phase + k * period;
            let wander = case.wander * (due / 60_000.0 * std::f64::consts::TAU).sin();
            let tick = due + wander + case.tick_jitter * random.normal();
            let shown = tick + case.delay.0 + (case.delay.1 - case.delay.0) * random.uniform();
            all.push((shown, value(tick, random)));
            k += 1.0;
        }
        all
    };
    let power = published(case.period, random, &mut |tick, random| {
        let mean = truth.shown(case, tick);
        ((mean + case.noise_w * random.normal()) * 1e2).round() / 1e2
    });
    let mut sampled = 0.0;
    let counter = case.counter.map(|period| {
        published(period, random, &mut |tick, _| {
            let joules = if case.counter_sampled {
                sampled += period * 1e-3 * truth.shown(case, tick);
                sampled
            } else {
                1000.0 + truth.energy_to(tick)
            };
            (joules / case.counter_step_j).floor() * case.counter_step_j
        })
    });
    let mut stream = PowerStream {
        counter_unit_joules: 1e-3,
        ..PowerStream::default()
    };
    let mut times = Times::default();
    let mut now = -LEAD + random.uniform();
    let (mut p, mut c) = (0, 0);
    let mut lost = 0.0;
    while now < run.1 + LEAD {
        if case.stalls && ((20_000.0..22_000.0).contains(&now) || (60_000.0..60_500.0).contains(&now)) {
            lost = truth.energy_to(21_000.0) + 1000.0;
            now += case.poll;
            continue;
        }
        times.push(nanos(now), 5_000);
        while power.get(p + 1).is_some_and(|next| next.0 <= now) {
            p += 1;
        }
        if case.power {
            stream.watts.push(power[p].1);
        }
        if let Some(counter) = &counter {
            while counter.get(c + 1).is_some_and(|next| next.0 <= now) {
                c += 1;
            }
            stream
                .counter
                .push(Some(((counter[c].1 - lost).max(0.0) * 1e3).round() as u64));
        }
        now += case.poll * (1.0 + 0.1 * (random.uniform() - 0.5));
    }
    stream.times = times;
    DeviceStreams {
        power: stream,
        ..DeviceStreams::default()
    }
}

fn recording(case: &Case, run: (f64, f64), lines: &[((f64, MarkerVerb, &str), u32)]) -> Recording {
    let marker = |&((ms, verb, name), rank): &((f64, MarkerVerb, &str), u32)| MarkerEvent {
        t: nanos(ms),
        arrival: nanos(ms),
        stamped: true,
        verb,
        rank,
        name: name.into(),
        index: None,
        samples: None,
        tokens: None,
        value: None,
        devices: (case.ranks > 1).then(|| rank.to_string()),
    };
    let timing = SensorTiming {
        update_period_ms: Some(case.period),
        window_ms: case.believed_window,
        delay_ms: None,
    };
    let device = |index: usize| Device {
        id: DeviceId(format!("gpu{index}")),
        kind: DeviceKind::Gpu,
        source: Source::Nvml,
        name: "NVIDIA A100".into(),
        uuid: None,
        index: Some(index as u32),
        contained_in: None,
        architecture: None,
        power_limit: Some(Watts(400.0)),
        memory_total_bytes: None,
        power_timing: timing,
        counter_timing: SensorTiming::default(),
        calibration: None,
        properties: BTreeMap::new(),
    };
    Recording {
        run: RunInfo {
            powerprof_version: String::new(),
            command: Vec::new(),
            working_directory: String::new(),
            host: HostInfo::default(),
            started_realtime_ns: 0,
            started: nanos(run.0),
            ended: Some(nanos(run.1)),
            exit: None,
            complete: true,
            interval_ns: (case.poll * 1e6) as i64,
            environment: BTreeMap::new(),
            git_commit: None,
            simulated: None,
            labels: BTreeMap::new(),
        },
        anchors: Vec::new(),
        devices: (0..case.ranks).map(device).collect(),
        markers: lines.iter().map(marker).collect(),
        marker_faults: MarkerFaults::default(),
        host: HostStream::default(),
        sweeps: SweepStream::default(),
        events: Vec::new(),
        warnings: Vec::new(),
        last_seen: nanos(run.1),
        baseline: None,
    }
}
