//! Analyses to render in tests: a training run on two GPUs with an estimated CPU, and its odd relatives.

mod readings;

use std::collections::BTreeMap;

use crate::model::analysis::*;
use crate::model::device::{Device, DeviceId, DeviceKind, SensorTiming, Source};
use crate::model::span::Metric;
use crate::model::time::Timestamp;
use crate::model::units::{Joules, Seconds, Watts};

pub use self::readings::{long_run, short_run, training_with_readings};

/// 2026-11-23T22:12:04Z.
const STARTED_NS: i64 = 1_795_471_924_000_000_000;
const WALL_S: f64 = 124.3;
const GIB: f64 = (1u64 << 30) as f64;

/// A device by its id, e.g. `gpu1`.
pub fn device(id: &str, kind: DeviceKind, source: Source, name: &str) -> Device {
    Device {
        id: DeviceId(id.to_owned()),
        kind,
        source,
        name: name.to_owned(),
        uuid: (source == Source::Nvml).then(|| format!("GPU-5e0a8c2e-0000-4000-8000-0000000000{id}")),
        index: id.trim_start_matches(char::is_alphabetic).parse().ok(),
        contained_in: None,
        architecture: None,
        power_limit: None,
        memory_total_bytes: None,
        power_timing: SensorTiming::default(),
        counter_timing: SensorTiming::default(),
        calibration: None,
        properties: BTreeMap::new(),
    }
}

/// A measured energy with the grade that its interval earns.
pub fn energy(joules: f64, u95: f64, method: Method) -> EnergyEstimate {
    let grade = match (u95 / joules).abs() {
        r if method == Method::Estimate || r >= 0.1 => Grade::C,
        r if r < 0.02 => Grade::A,
        _ => Grade::B,
    };
    EnergyEstimate {
        joules: Some(Joules(joules)),
        u95: Some(Joules(u95)),
        u95_scale: Some(Joules(joules * if method == Method::Estimate { 0.3 } else { 0.058 })),
        contradiction: None,
        method,
        grade,
        upper_bound: None,
    }
}

/// One whose value the sensor cannot tell.
pub fn unresolved(bound: f64) -> EnergyEstimate {
    EnergyEstimate {
        method: Method::Regression,
        upper_bound: Some(Joules(bound)),
        ..EnergyEstimate::UNKNOWN
    }
}

fn analysed(device: Device, energy: EnergyEstimate, max_w: f64, util: f64, memory_gib: Option<f64>) -> DeviceAnalysis {
    let estimate = device.source == Source::Estimate;
    DeviceAnalysis {
        timing: SensorTiming {
            update_period_ms: (!estimate).then_some(100.0),
            window_ms: (!estimate).then_some(25.0),
            delay_ms: None,
        },
        mean_power: energy.joules.map(|j| j / Seconds(WALL_S)),
        max_power: Some(Watts(max_w)),
        mean_utilization_pct: Some(util),
        mean_memory_bytes: memory_gib.map(|g| g * GIB),
        max_memory_bytes: memory_gib.map(|g| (g * 1.1 * GIB) as u64),
        call_share: (!estimate).then_some(0.0031),
        origin: (!estimate).then_some(PowerOrigin::Polled),
        in_total: true,
        found: None,
        device,
        energy,
    }
}

/// `path`, executions, seconds, joules of each of gpu0, gpu1, cpu0, relative half-width, samples.
fn phase(path: &str, count: u64, wall: f64, joules: [f64; 3], relative: f64, samples: Option<u64>) -> PhaseAnalysis {
    let total: f64 = joules.iter().sum();
    let method = if count > 10 {
        Method::Regression
    } else {
        Method::Counter
    };
    let parts = [("gpu0", method), ("gpu1", method), ("cpu0", Method::Estimate)];
    PhaseAnalysis {
        path: path.to_owned(),
        name: path.rsplit('/').next().unwrap_or(path).to_owned(),
        depth: path.matches('/').count(),
        count,
        wall: Some(Seconds(wall)),
        energy: energy(total, total * relative, method),
        mean_power: Some(Watts(total / wall)),
        whole_time: true,
        whole_energy: true,
        samples,
        tokens: samples.map(|n| n * 4096),
        samples_per_s: samples.map(|n| n as f64 / wall),
        samples_per_s_per_w: samples.map(|n| n as f64 / total),
        mean_utilization_pct: Some(90.0 * total / wall / 1400.0),
        mean_memory_bytes: Some(61.2 * GIB),
        devices: (0..3)
            .map(|i| DeviceEnergy {
                id: parts[i].0.to_owned(),
                energy: energy(joules[i], joules[i] * relative, parts[i].1),
            })
            .collect(),
    }
}

/// Training, validation and inference on two H100 with an estimated CPU; one phase is too short for the sensor.
pub fn training() -> Analysis {
    let mut phases = vec![
        phase("load", 1, 6.2, [620.0, 610.0, 410.0], 0.012, None),
        phase("train", 2, 88.0, [50_100.0, 49_700.0, 5300.0], 0.0021, Some(1600)),
        phase(
            "train/step",
            400,
            86.4,
            [49_800.0, 49_400.0, 5200.0],
            0.0024,
            Some(1600),
        ),
        phase("train/step/data", 400, 1.3, [240.0, 235.0, 110.0], 0.21, None),
        phase(
            "train/step/forward",
            400,
            26.9,
            [15_700.0, 15_600.0, 1580.0],
            0.018,
            None,
        ),
        phase(
            "train/step/backward",
            400,
            54.1,
            [32_300.0, 32_050.0, 3260.0],
            0.011,
            None,
        ),
        phase("train/step/optimizer", 400, 4.1, [1560.0, 1515.0, 250.0], 0.074, None),
        phase("train/step/zero_grad", 400, 0.08, [20.0, 20.0, 2.0], 0.5, None),
        phase("validate", 2, 14.8, [7400.0, 7380.0, 820.0], 0.008, Some(512)),
        phase("infer", 1, 11.9, [4900.0, 4870.0, 640.0], 0.009, Some(64)),
    ];
    let too_short = &mut phases[7];
    too_short.energy = unresolved(71.3);
    too_short.mean_power = None;
    for part in &mut too_short.devices {
        part.energy = unresolved(35.0);
    }
    let top = |i: usize| {
        phases
            .iter()
            .filter(|p| p.depth == 0)
            .map(|p| p.devices[i].energy.joules.map_or(0.0, |j| j.get()))
            .sum::<f64>()
    };
    let rest = [310.0, 305.0, 190.0];
    let by_device: Vec<f64> = (0..3).map(|i| top(i) + rest[i]).collect();
    let sum: f64 = by_device.iter().sum();
    let gpu = |id: &str, joules: f64, util: f64| {
        let device = device(id, DeviceKind::Gpu, Source::Nvml, "NVIDIA H100 80GB HBM3");
        analysed(device, energy(joules, 95.0, Method::Counter), 698.4, util, Some(61.2))
    };
    let cpu = device(
        "cpu0",
        DeviceKind::Cpu,
        Source::Estimate,
        "AMD EPYC 9554 64-Core Processor",
    );
    let covered: f64 = phases
        .iter()
        .filter(|p| p.depth == 0)
        .filter_map(|p| p.wall)
        .map(Seconds::get)
        .sum();
    Analysis {
        run: RunSummary {
            command: ["lcbench-train", "--model", "led-base", "--seq-len", "4096"].map(str::to_owned).to_vec(),
            started_realtime_ns: STARTED_NS,
            started: Timestamp::from_nanos(5_000_000_000),
            wall: Seconds(WALL_S),
            exit_code: Some(0),
            complete: true,
            hosts: vec!["node17".to_owned()],
            simulated: None,
            labels: BTreeMap::new(),
        },
        total: energy(sum, 240.0, Method::Counter),
        devices: vec![
            gpu("gpu0", by_device[0], 86.0),
            gpu("gpu1", by_device[1], 85.2),
            analysed(cpu, energy(by_device[2], by_device[2] * 0.2, Method::Estimate), 140.0, 12.5, None),
        ],
        unattributed: Unattributed {
            wall: Seconds(WALL_S - covered),
            energy: energy(rest.iter().sum(), 31.0, Method::Counter),
            mean_power: Some(Watts(rest.iter().sum::<f64>() / (WALL_S - covered))),
            devices: ["gpu0", "gpu1", "cpu0"]
                .iter()
                .zip(rest)
                .map(|(id, joules)| DeviceEnergy {
                    id: (*id).to_owned(),
                    energy: energy(joules, 12.0, if *id == "cpu0" { Method::Estimate } else { Method::Counter }),
                })
                .collect(),
        },
        phases,
        metrics: metrics(),
        checks: [
            ("counter_integral", CheckStatus::Pass, "counter and integral of power agree within 0.4 % on gpu0"),
            (
                "lattice",
                CheckStatus::Warn,
                "the training step (216.1 ms) is near a multiple of the sensor's update period (100 ms): phases inside it may alias; \
                 a step of a slightly different length, or a longer run, tells them apart",
            ),
            ("closure", CheckStatus::Pass, "phases and unattributed add up to the total"),
        ]
        .map(|(name, status, detail)| Check {
            name: name.to_owned(),
            status,
            detail: detail.to_owned(),
        })
        .to_vec(),
        warnings: vec!["cpu0: /sys/class/powercap/intel-rapl:0/energy_uj: permission denied; its power is estimated".to_owned()],
        idle: None,
        study: None,
        alternatives: Vec::new(),
    }
}

/// The same with an idle baseline; of one phase there is a net bound alone.
pub fn net_of_idle() -> Analysis {
    let mut analysis = training();
    let net = |e: &EnergyEstimate| match e.joules {
        Some(Joules(joules)) => energy(0.8 * joules, 0.01 * joules, Method::Estimate),
        None => EnergyEstimate::UNKNOWN,
    };
    let mut phases: Vec<EnergyEstimate> = analysis.phases.iter().map(|p| net(&p.energy)).collect();
    phases[0] = unresolved(16.5);
    analysis.idle = Some(IdleBaseline {
        wall: Seconds(3.0),
        before_start: Seconds(0.1),
        interval: Seconds(0.01),
        polling: None,
        devices: Vec::new(),
        total: net(&analysis.total),
        phases,
        unattributed: net(&analysis.unattributed.energy),
    });
    analysis
}

fn metrics() -> Vec<Metric> {
    let metric = |name: &str, value, path: &str, second: i64| Metric {
        name: name.to_owned(),
        value,
        path: path.to_owned(),
        t: Timestamp::from_nanos((5 + second) * 1_000_000_000),
        rank: 0,
    };
    vec![
        metric("loss", 9.8123, "train/step", 8),
        metric("loss", 4.0711, "train/step", 40),
        metric("rouge", 17.35, "validate", 60),
        metric("loss", 3.2209, "train/step", 90),
    ]
}

/// A run of which nothing is known but that it began.
pub fn empty() -> Analysis {
    Analysis {
        run: RunSummary {
            command: Vec::new(),
            started_realtime_ns: 0,
            started: Timestamp::from_nanos(0),
            wall: Seconds(0.0),
            exit_code: None,
            complete: false,
            hosts: Vec::new(),
            simulated: Some("h100".to_owned()),
            labels: BTreeMap::new(),
        },
        total: EnergyEstimate::UNKNOWN,
        devices: Vec::new(),
        phases: Vec::new(),
        unattributed: Unattributed {
            wall: Seconds(0.0),
            energy: EnergyEstimate::UNKNOWN,
            mean_power: None,
            devices: Vec::new(),
        },
        metrics: Vec::new(),
        checks: Vec::new(),
        warnings: Vec::new(),
        idle: None,
        study: None,
        alternatives: Vec::new(),
    }
}
