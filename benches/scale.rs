//! A long run: does the analysis stay within seconds and bounded memory? `cargo bench --bench scale -- [STEPS] [DEVICES]`.
//!
//! Ten hours, a million steps of four phases, eight devices with a reading every 100 ms seen by a poll every 10 ms. Prints how long the
//! analysis of each device took and the highest memory; a figure of this machine and no other.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::time::{Duration, Instant};

use powerprof::energy::{Options, analyze};
use powerprof::model::device::{Device, DeviceId, DeviceKind, SensorTiming, Source};
use powerprof::model::marker::MarkerFaults;
use powerprof::model::recording::{DeviceStreams, HostInfo, Recording, RunInfo};
use powerprof::model::sample::{HostStream, PowerStream, SweepStream};
use powerprof::model::span::{Phase, PhaseIndex, RankDevices, SpanInstance, Spans};
use powerprof::model::time::{Interval, Timestamp};
use powerprof::model::units::Watts;

const MS: i64 = 1_000_000;
/// Name, milliseconds, watts.
const PHASES: [(&str, i64, f64); 4] = [
    ("data", 3, 90.0),
    ("forward", 11, 330.0),
    ("backward", 19, 380.0),
    ("optimizer", 3, 210.0),
];

fn at(ns: i64) -> Timestamp {
    Timestamp::from_nanos(ns)
}

fn instance(phase: usize, start: i64, end: i64) -> SpanInstance {
    SpanInstance {
        phase: PhaseIndex(phase),
        rank: 0,
        interval: Interval::new(at(start), at(end)),
        index: None,
        samples: None,
        tokens: None,
        closed: true,
        cut: false,
    }
}

/// The spans, and the power's knees: (nanoseconds, watts from there on).
fn load(steps: usize) -> (Spans, Vec<(i64, f64)>) {
    let phase = |path: &str, parent: Option<usize>, depth| Phase {
        path: path.into(),
        name: path.rsplit('/').next().unwrap_or(path).into(),
        parent: parent.map(PhaseIndex),
        depth,
    };
    let mut phases = vec![phase("step", None, 0)];
    phases.extend(
        PHASES
            .iter()
            .map(|(name, _, _)| phase(&format!("step/{name}"), Some(0), 1)),
    );
    let (mut instances, mut knees, mut now) = (Vec::with_capacity(5 * steps), Vec::with_capacity(4 * steps), 0_i64);
    let mut noise = 12345_u64;
    for _ in 0..steps {
        let (first, begin) = (instances.len(), now);
        instances.push(instance(0, begin, begin));
        for (i, &(_, ms, watts)) in PHASES.iter().enumerate() {
            noise = noise
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            let end = now + ms * MS + (noise >> 44) as i64;
            instances.push(instance(i + 1, now, end));
            knees.push((now, watts));
            now = end;
        }
        instances[first].interval = Interval::new(at(begin), at(now));
    }
    knees.push((now, 0.0));
    let spans = Spans {
        phases,
        instances,
        ranks: vec![RankDevices { rank: 0, devices: None }],
        ..Spans::default()
    };
    (spans, knees)
}

/// A reading every 100 ms, the mean over 25 ms, seen every 10 ms.
fn stream(knees: &[(i64, f64)], end: i64) -> DeviceStreams {
    let mut power = PowerStream::default();
    let (mut joules, mut i) = (Vec::with_capacity(knees.len()), 0.0);
    for pair in knees.windows(2) {
        joules.push(i);
        i += pair[0].1 * (pair[1].0 - pair[0].0) as f64 * 1e-9;
    }
    joules.push(i);
    let energy = |t: i64| {
        let k = knees.partition_point(|knee| knee.0 <= t).max(1) - 1;
        joules[k] + knees[k].1 * (t - knees[k].0) as f64 * 1e-9
    };
    let (mut shown, mut tick) = (0.0, -1);
    for now in (0..end).step_by(10 * MS as usize) {
        if now / (100 * MS) != tick {
            tick = now / (100 * MS);
            shown = (energy(tick * 100 * MS) - energy((tick * 100 - 25).max(0) * MS)) / 0.025;
        }
        power.times.push(at(now), 5_000);
        power.watts.push(shown);
    }
    DeviceStreams {
        power,
        ..DeviceStreams::default()
    }
}

/// Processor time of this process so far, seconds (`/proc/self/stat`, in hundredths: proc(5)); `None` elsewhere.
fn processor_s() -> Option<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    let fields: Vec<&str> = stat.rsplit(") ").next()?.split(' ').collect();
    let ticks = |i: usize| fields.get(i)?.parse::<f64>().ok();
    Some((ticks(11)? + ticks(12)?) / 100.0)
}

fn main() {
    let numbers: Vec<usize> = std::env::args().filter_map(|a| a.parse().ok()).collect();
    // `cargo test --all-targets` runs this too, without `--bench`: a short run, to see that it still works.
    let usual = if std::env::args().any(|a| a == "--bench") {
        (1_000_000, 8)
    } else {
        (5_000, 1)
    };
    let (steps, devices) = (
        numbers.first().copied().unwrap_or(usual.0),
        numbers.get(1).copied().unwrap_or(usual.1),
    );
    let (spans, knees) = load(steps);
    let end = knees[knees.len() - 1].0;
    let device = |n: u32| Device {
        id: DeviceId(format!("gpu{n}")),
        kind: DeviceKind::Gpu,
        source: Source::Nvml,
        name: "NVIDIA A100".into(),
        uuid: None,
        index: Some(n),
        contained_in: None,
        architecture: None,
        power_limit: Some(Watts(400.0)),
        memory_total_bytes: None,
        power_timing: SensorTiming {
            update_period_ms: Some(100.0),
            window_ms: Some(25.0),
            delay_ms: None,
        },
        counter_timing: SensorTiming::default(),
        calibration: None,
        properties: BTreeMap::new(),
    };
    let recording = Recording {
        run: RunInfo {
            powerprof_version: String::new(),
            command: Vec::new(),
            working_directory: String::new(),
            host: HostInfo::default(),
            started_realtime_ns: 0,
            started: at(0),
            ended: Some(at(end)),
            exit: None,
            complete: true,
            interval_ns: 10 * MS,
            environment: BTreeMap::new(),
            git_commit: None,
            simulated: None,
            labels: BTreeMap::new(),
        },
        anchors: Vec::new(),
        devices: (0..devices as u32).map(device).collect(),
        markers: Vec::new(),
        marker_faults: MarkerFaults::default(),
        host: HostStream::default(),
        sweeps: SweepStream::default(),
        events: Vec::new(),
        warnings: Vec::new(),
        last_seen: at(end),
        baseline: None,
    };
    let readings = stream(&knees, end);
    drop(knees);
    let mut making = Duration::ZERO;
    let (begun, used) = (Instant::now(), processor_s());
    let Ok(analysis) = analyze(&recording, &spans, &Options::default(), |_| {
        let copying = Instant::now();
        let copy = readings.clone();
        making += copying.elapsed();
        Ok::<_, Infallible>(copy)
    });
    let spent = (begun.elapsed() - making).as_secs_f64();
    if let (Some(before), Some(after)) = (used, processor_s()) {
        // The copies of the readings are in it; on a busy machine it says more than the clock.
        println!(
            "processor time {:.1} s, {:.2} s a device",
            after - before,
            (after - before) / devices as f64
        );
    }
    println!(
        "{steps} steps, {devices} devices, {:.1} h: {spent:.1} s, {:.2} s a device",
        end as f64 / 3.6e12,
        spent / devices as f64
    );
    for phase in &analysis.phases {
        println!("{:16} {:?} {:?}", phase.path, phase.energy.grade, phase.energy.joules);
    }
    if let Ok(status) = std::fs::read_to_string("/proc/self/status") {
        status
            .lines()
            .filter(|l| l.starts_with("VmHWM"))
            .for_each(|l| println!("{l}"));
    }
}
