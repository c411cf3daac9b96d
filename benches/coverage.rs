//! Do the 95 % intervals hold the truth? Simulated training, many sensors, many seeds: writes a Markdown table.
//!
//! The simulator is written apart from the product: its truth is an exact integral of a piecewise linear power, its sensors are drawn
//! from it. `cargo bench --bench coverage -- [--seeds N] [--only WORD] [--out PATH]`.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fmt::Write as _;
use std::time::Instant;

use powerprof::energy::{Options, analyze, spans};
use powerprof::model::analysis::Analysis;
use powerprof::model::device::{Device, DeviceId, DeviceKind, SensorTiming, Source};
use powerprof::model::marker::{MarkerEvent, MarkerFaults, MarkerVerb};
use powerprof::model::recording::{DeviceStreams, HostInfo, Recording, RunInfo};
use powerprof::model::sample::{HostStream, PowerStream, SweepStream, Times};
use powerprof::model::time::Timestamp;
use powerprof::model::units::Watts;

/// A phase of a step: name, milliseconds, watts.
type PhaseSpec = (&'static str, f64, f64);

const PHASES: [PhaseSpec; 6] = [
    ("data", 3.0, 90.0),
    ("h2d", 0.8, 110.0),
    ("forward", 9.0, 330.0),
    ("backward", 17.0, 380.0),
    ("optimizer", 2.2, 210.0),
    ("log", 0.3, 100.0),
];

/// A sensor and a load. Times in ms.
#[derive(Clone)]
struct Case {
    name: String,
    steps: usize,
    phases: Vec<PhaseSpec>,
    /// Relative scatter of durations and of watts.
    duration_scatter: f64,
    power_scatter: f64,
    ramp: f64,
    period: f64,
    window: f64,
    power: bool,
    counter: Option<f64>,
    counter_step_j: f64,
    counter_sampled: bool,
    tick_jitter: f64,
    delay: (f64, f64),
    noise_w: f64,
    poll: f64,
    /// Polls stand still for 2 s and for 0.5 s; the counter starts again from nothing in the first of these.
    stalls: bool,
}

impl Case {
    fn ideal(period: f64, window: f64, counter: Option<f64>) -> Self {
        let counter_name = counter.map_or("none".into(), |c| format!("{c}"));
        Self {
            name: format!("{period}/{window}, counter {counter_name}"),
            steps: 4000,
            phases: PHASES.to_vec(),
            duration_scatter: 0.04,
            power_scatter: 0.03,
            ramp: 0.0,
            period,
            window,
            power: true,
            counter,
            counter_step_j: 1e-3,
            counter_sampled: false,
            tick_jitter: 0.3,
            delay: (1.0, 1.0),
            noise_w: 0.4,
            poll: 1.0,
            stalls: false,
        }
    }
    fn named(mut self, what: &str, change: impl Fn(&mut Self)) -> Self {
        change(&mut self);
        self.name = format!("{}, {what}", self.name);
        self
    }
}

/// SplitMix64 (Steele, Lea and Flood 2014) and Box-Muller: enough randomness for a simulation, the same on every machine.
struct Random(u64);

impl Random {
    fn uniform(&mut self) -> f64 {
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
struct Truth {
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
}

struct World {
    recording: Recording,
    streams: DeviceStreams,
    /// True energy of every path.
    truth: BTreeMap<String, f64>,
    total: f64,
}

const LEAD: f64 = 300.0;
const IDLE: f64 = 70.0;

fn nanos(ms: f64) -> Timestamp {
    Timestamp::from_nanos((ms * 1e6).round() as i64)
}

fn simulate(case: &Case, seed: u64) -> World {
    let mut random = Random(seed.wrapping_mul(0x5851_F42D_4C95_7F2D) ^ 0xC0FF_EE00);
    let mut pieces: Vec<(f64, f64, usize)> = Vec::new();
    let mut t = 200.0;
    for step in 0..case.steps {
        let drift = 1.0 + 0.02 * (step as f64 / 700.0).sin();
        for (k, &(_, ms, watts)) in case.phases.iter().enumerate() {
            let length = ms * (case.duration_scatter * random.normal()).exp();
            pieces.push((t, watts * (1.0 + case.power_scatter * random.normal()) * drift, k));
            t += length;
        }
    }
    let end = t;
    let run_end = end + 150.0;
    let mut truth = Truth {
        t: vec![],
        watts: vec![],
        joules: vec![],
    };
    truth.push(-2000.0, IDLE);
    let mut before = IDLE;
    for (i, &(start, watts, _)) in pieces.iter().enumerate() {
        let next = pieces.get(i + 1).map_or(end, |p| p.0);
        truth.push(start, before);
        let ramp = case.ramp.min(0.999 * (next - start));
        let reached = if case.ramp > 0.0 {
            before + (watts - before) * ramp / case.ramp
        } else {
            watts
        };
        truth.push(start + ramp, reached);
        before = reached;
    }
    truth.push(end, before);
    truth.push(end + case.ramp, IDLE);
    truth.push(run_end + 3000.0, IDLE);
    let run = (0.0, run_end);
    let mut energies: BTreeMap<String, f64> = BTreeMap::new();
    let mut lines: Vec<(f64, MarkerVerb, &str)> = vec![(200.0, MarkerVerb::Begin, "train")];
    let per_step = case.phases.len();
    for (i, &(start, _, k)) in pieces.iter().enumerate() {
        let next = pieces.get(i + 1).map_or(end, |p| p.0);
        let name = case.phases[k].0;
        if i % per_step == 0 {
            lines.push((start, MarkerVerb::Begin, "step"));
        }
        lines.push((start, MarkerVerb::Begin, name));
        lines.push((next, MarkerVerb::End, name));
        if i % per_step == per_step - 1 {
            lines.push((next, MarkerVerb::End, "step"));
        }
        *energies.entry(format!("train/step/{name}")).or_default() += truth.energy_to(next) - truth.energy_to(start);
    }
    lines.push((end, MarkerVerb::End, "train"));
    let total = truth.energy_to(run.1) - truth.energy_to(run.0);
    energies.insert("train".into(), truth.energy_to(end) - truth.energy_to(200.0));
    energies.insert("train/step".into(), truth.energy_to(end) - truth.energy_to(200.0));
    let streams = sense(case, &truth, run, &mut random);
    World {
        recording: recording(case, run, &lines),
        streams,
        truth: energies,
        total,
    }
}

/// Publications of the sensor as the poller sees them.
fn sense(case: &Case, truth: &Truth, run: (f64, f64), random: &mut Random) -> DeviceStreams {
    let published = |period: f64, random: &mut Random, value: &mut dyn FnMut(f64, &mut Random) -> f64| {
        let phase = random.uniform() * period;
        let mut all = Vec::new();
        let mut k = 0.0;
        while -700.0 + phase + k * period < run.1 + 600.0 {
            let tick = -700.0 + phase + k * period + case.tick_jitter * random.normal();
            let shown = tick + case.delay.0 + (case.delay.1 - case.delay.0) * random.uniform();
            all.push((shown, value(tick, random)));
            k += 1.0;
        }
        all
    };
    let power = published(case.period, random, &mut |tick, random| {
        let mean = (truth.energy_to(tick) - truth.energy_to(tick - case.window)) / (case.window * 1e-3);
        ((mean + case.noise_w * random.normal()) * 1e2).round() / 1e2
    });
    let mut sampled = 0.0;
    let counter = case.counter.map(|period| {
        published(period, random, &mut |tick, _| {
            let joules = if case.counter_sampled {
                sampled += period * 1e-3 * (truth.energy_to(tick) - truth.energy_to(tick - case.window))
                    / (case.window * 1e-3);
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

fn recording(case: &Case, run: (f64, f64), lines: &[(f64, MarkerVerb, &str)]) -> Recording {
    let marker = |&(ms, verb, name): &(f64, MarkerVerb, &str)| MarkerEvent {
        t: nanos(ms),
        arrival: nanos(ms),
        stamped: true,
        verb,
        rank: 0,
        name: name.into(),
        index: None,
        samples: None,
        tokens: None,
        value: None,
        devices: None,
    };
    let timing = SensorTiming {
        update_period_ms: Some(case.period),
        window_ms: Some(case.window),
        delay_ms: None,
    };
    let device = Device {
        id: DeviceId("gpu0".into()),
        kind: DeviceKind::Gpu,
        source: Source::Nvml,
        name: "NVIDIA A100".into(),
        uuid: None,
        index: Some(0),
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
        devices: vec![device],
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

fn analysed(world: &World) -> Analysis {
    let recording = &world.recording;
    let spans = spans(&recording.markers, recording.interval());
    analyze(recording, &spans, &Options::default(), |_| {
        Ok::<_, Infallible>(world.streams.clone())
    })
    .expect("infallible")
}

/// What happened to one path over all seeds.
#[derive(Default)]
struct Score {
    resolved: usize,
    covered: usize,
    bounded: usize,
    unresolved: usize,
    errors: Vec<f64>,
    half: Vec<f64>,
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let after = |flag: &str| {
        arguments
            .iter()
            .position(|a| a == flag)
            .and_then(|i| arguments.get(i + 1))
    };
    // `cargo test --all-targets` runs this too, without `--bench`: one case, to see that it still works.
    let real = arguments.iter().any(|a| a == "--bench" || a == "--seeds");
    let seeds: u64 = after("--seeds")
        .and_then(|s| s.parse().ok())
        .unwrap_or(if real { 100 } else { 2 });
    let only = after("--only").cloned().unwrap_or(if real {
        String::new()
    } else {
        "20/10, counter none".into()
    });
    let mut table = String::from(
        "| sensor (period/window ms) | path | rms error % | bias % | half-width % | intervals | cover % | bias / half-width | bounds held |\n|---|---|---|---|---|---|---|---|---|\n",
    );
    for case in cases().iter().filter(|c| c.name.contains(&only)) {
        let begun = Instant::now();
        let mut scores: BTreeMap<String, Score> = BTreeMap::new();
        let mut windows = Vec::new();
        for seed in 0..seeds {
            let world = simulate(case, seed);
            let analysis = analysed(&world);
            windows.extend(analysis.devices[0].timing.window_ms);
            if seed == 0 && arguments.iter().any(|a| a == "--show") {
                for check in &analysis.checks {
                    eprintln!("{:?} {}: {}", check.status, check.name, check.detail);
                }
            }
            let rows = analysis
                .phases
                .iter()
                .map(|p| (p.path.as_str(), &p.energy, world.truth[&p.path]));
            for (path, energy, truth) in rows.chain([("total", &analysis.total, world.total)]) {
                let score = scores.entry(path.to_owned()).or_default();
                match (energy.joules, energy.u95, energy.upper_bound) {
                    (Some(value), Some(u95), _) => {
                        score.resolved += 1;
                        score.covered += usize::from((value.get() - truth).abs() <= u95.get());
                        score.errors.push(value.get() / truth - 1.0);
                        score.half.push(u95.get() / truth);
                    }
                    (_, _, Some(bound)) => {
                        score.unresolved += 1;
                        score.bounded += usize::from(bound.get() >= truth);
                    }
                    _ => score.unresolved += 1,
                }
            }
        }
        let (mut resolved, mut covered) = (0, 0);
        for (path, s) in &scores {
            resolved += s.resolved;
            covered += s.covered;
            let n = s.errors.len().max(1) as f64;
            let bias = s.errors.iter().sum::<f64>() / n;
            let rms = (s.errors.iter().map(|e| e * e).sum::<f64>() / n).sqrt();
            let half = s.half.iter().sum::<f64>() / n;
            let shown = |v: f64| if s.resolved == 0 { "".into() } else { format!("{v:.2}") };
            let _ = writeln!(
                table,
                "| {} | {path} | {} | {} | {} | {} | {} | {} | {}/{} |",
                case.name,
                shown(100.0 * rms),
                shown(100.0 * bias),
                shown(100.0 * half),
                s.resolved,
                if s.resolved == 0 {
                    String::new()
                } else {
                    format!("{:.0}", 100.0 * s.covered as f64 / s.resolved as f64)
                },
                shown(bias.abs() / half),
                s.bounded,
                s.unresolved
            );
        }
        windows.sort_by(f64::total_cmp);
        let window = windows.get(windows.len() / 2).copied().unwrap_or(f64::NAN);
        let _ = writeln!(
            table,
            "| **{}** | all | | | | {resolved} | **{:.1}** | window {window:.1} ms | |",
            case.name,
            100.0 * covered as f64 / resolved.max(1) as f64
        );
        eprintln!("{}: {:.1} s", case.name, begun.elapsed().as_secs_f64());
    }
    match after("--out") {
        Some(path) => std::fs::write(path, table).expect("the table can be written"),
        None => println!("{table}"),
    }
}

fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (period, window) in [(20.0, 10.0), (100.0, 25.0), (100.0, 100.0), (100.0, 1000.0)] {
        for counter in [None, Some(10.0), Some(20.0), Some(100.0)] {
            cases.push(Case::ideal(period, window, counter));
        }
    }
    for (counter, base) in [(None, "B"), (Some(100.0), "C")] {
        let plain = || Case {
            name: format!("{base} 100/25, counter {counter:?}"),
            ..Case::ideal(100.0, 25.0, counter)
        };
        cases.push(plain().named("2 ms tick jitter", |c| c.tick_jitter = 2.0));
        cases.push(plain().named("delay 5-10 ms", |c| c.delay = (5.0, 10.0)));
        cases.push(plain().named("delay 8 ms", |c| c.delay = (8.0, 8.0)));
        cases.push(plain().named("2 ms ramps", |c| c.ramp = 2.0));
        cases.push(plain().named("8 % scatter", |c| (c.duration_scatter, c.power_scatter) = (0.08, 0.08)));
        cases.push(plain().named("10 ms polls", |c| c.poll = 10.0));
        if counter.is_some() {
            cases.push(plain().named("0.1 J counter", |c| c.counter_step_j = 0.1));
            cases.push(plain().named("sampled counter", |c| c.counter_sampled = true));
            cases.push(plain().named("counter only", |c| c.power = false));
        }
        type Change = fn(&mut Case);
        let defects: [(&str, Change); 5] = [
            ("jitter", |c| c.tick_jitter = 2.0),
            ("delay", |c| c.delay = (5.0, 10.0)),
            ("ramps", |c| c.ramp = 2.0),
            ("scatter", |c| (c.duration_scatter, c.power_scatter) = (0.08, 0.08)),
            ("coarse counter", |c| c.counter_step_j = 0.1),
        ];
        cases.push(plain().named("all together", |c| defects.iter().for_each(|(_, change)| change(c))));
        for (without, _) in &defects[..if counter.is_some() { 5 } else { 4 }] {
            let others = |c: &mut Case| {
                defects
                    .iter()
                    .filter(|d| d.0 != *without)
                    .for_each(|(_, change)| change(c))
            };
            cases.push(plain().named(&format!("all but {without}"), others));
        }
        cases.push(plain().named("stalls and a reset", |c| c.stalls = true));
        cases.push(plain().named("locked load", |c| {
            c.phases = vec![
                ("data", 20.0, 90.0),
                ("forward", 30.0, 330.0),
                ("backward", 50.0, 380.0),
            ];
            (c.duration_scatter, c.steps) = (0.0, 1200);
        }));
    }
    cases
}
