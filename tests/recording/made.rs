//! A made-up run whose every row follows from its number, so that what was read can be compared with what must have been
//! written, however much of it there is.

use std::collections::BTreeMap;

use powerprof::model::device::{Calibration, Device, DeviceId, DeviceKind, SensorTiming, Source};
use powerprof::model::marker::{MarkerEvent, MarkerFaults, MarkerVerb};
use powerprof::model::recording::{Chunk, DeviceStreams, HostInfo, Recording, RunInfo};
use powerprof::model::sample::{
    Columns, CounterUnit, HostReading, PowerReading, PowerStream, SampleBatch, SampleOutcome, SensorEvent,
    SensorEventKind, StateReading,
};
use powerprof::model::time::{ClockAnchor, Timestamp};
use powerprof::model::units::Watts;

/// Sweeps between two state readings, host readings and markers.
pub const STATE_EVERY: u64 = 100;
pub const MARKER_EVERY: u64 = 7;
pub const SAMPLES_EVERY: u64 = 80;
pub const INTERVAL_NS: i64 = 10_000_000;

const START: i64 = 5_000_000_000_000;
/// From the monotonic clock to the wall clock.
const REALTIME: i64 = 1_700_000_000_000_000_000;

pub fn time(sweep: u64) -> Timestamp {
    // A little jitter, as a real sampler has it.
    Timestamp::from_nanos(START + sweep as i64 * INTERVAL_NS + (scramble(sweep) & 0xffff) as i64)
}

/// When the command was released.
pub fn released() -> Timestamp {
    time(0).plus_nanos(3_000_000)
}

/// A number that looks random and follows from `n` (SplitMix64).
pub fn scramble(n: u64) -> u64 {
    let mut z = n.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

pub fn run() -> RunInfo {
    RunInfo {
        powerprof_version: "0.1.0".into(),
        command: vec!["python".into(), "train.py".into(), "--name=größer".into()],
        working_directory: "/home/someone/training".into(),
        host: HostInfo {
            hostname: "node7".into(),
            os: "Debian 12".into(),
            kernel: "6.1.0".into(),
            cpu_model: "EPYC 7B13".into(),
            logical_cpus: Some(64),
            memory_bytes: Some(512 << 30),
        },
        started_realtime_ns: 1_764_000_000_123_456_789,
        started: Timestamp::from_nanos(START),
        ended: None,
        exit: None,
        complete: false,
        interval_ns: INTERVAL_NS,
        environment: BTreeMap::from([
            ("CUDA_VISIBLE_DEVICES".into(), "0,1".into()),
            ("SLURM_JOB_ID".into(), "4711".into()),
        ]),
        git_commit: Some("0123abcd-dirty".into()),
        simulated: None,
        labels: BTreeMap::from([("batch".into(), "8".into())]),
    }
}

pub fn gpu(index: u32) -> (Device, Columns) {
    let device = Device {
        id: DeviceId(format!("gpu{index}")),
        kind: DeviceKind::Gpu,
        source: Source::Nvml,
        name: "NVIDIA H100 80GB HBM3".into(),
        uuid: Some(format!("GPU-{index:08x}")),
        index: Some(index),
        contained_in: None,
        architecture: Some("Hopper".into()),
        power_limit: Some(Watts(700.0)),
        memory_total_bytes: Some(80 << 30),
        power_timing: SensorTiming {
            update_period_ms: Some(100.0),
            window_ms: Some(25.0),
            delay_ms: None,
        },
        counter_timing: SensorTiming {
            update_period_ms: Some(100.0),
            ..SensorTiming::default()
        },
        calibration: Some(Calibration {
            gain: 1.02,
            offset: Watts(-1.5),
        }),
        properties: BTreeMap::from([("driver".into(), "580.65".into())]),
    };
    let columns = Columns {
        watts: true,
        average_watts: true,
        counter: Some(CounterUnit {
            joules: 1e-3,
            wraps_at: None,
        }),
        utilization: true,
        memory_utilization: true,
        memory_used: true,
        temperature: true,
        sm_clock: true,
        memory_clock: true,
        throttle_reasons: true,
        power_limit: true,
        samples: index == 0,
    };
    (device, columns)
}

/// A CPU package: a counter that wraps, and nothing else.
pub fn cpu() -> (Device, Columns) {
    let device = Device {
        id: DeviceId("cpu0".into()),
        kind: DeviceKind::Cpu,
        source: Source::Rapl,
        name: "package-0".into(),
        uuid: None,
        index: Some(0),
        contained_in: None,
        architecture: None,
        power_limit: None,
        memory_total_bytes: None,
        power_timing: SensorTiming::default(),
        counter_timing: SensorTiming {
            update_period_ms: Some(1.0),
            ..SensorTiming::default()
        },
        calibration: None,
        properties: BTreeMap::new(),
    };
    let counter = Some(CounterUnit {
        joules: 1e-6,
        wraps_at: Some(262_143_328_850),
    });
    (
        device,
        Columns {
            counter,
            ..Columns::default()
        },
    )
}

fn power(device: usize, sweep: u64) -> PowerReading {
    // The sensor publishes every tenth sweep, and fails now and then.
    let published = scramble(sweep / 10 + 1000 * device as u64);
    let watts = 300.0 + (published % 100_000) as f64 * 1e-3;
    PowerReading {
        watts: (!sweep.is_multiple_of(997)).then_some(watts),
        average_watts: Some(350.0),
        counter: (!sweep.is_multiple_of(991)).then_some(sweep / 10 * 30_000 + published % 1000),
    }
}

fn state(device: usize, row: u64) -> StateReading {
    StateReading {
        utilization_pct: Some((scramble(row) % 101) as f64),
        memory_utilization_pct: Some(40.0),
        memory_used_bytes: (!row.is_multiple_of(5)).then_some((device as u64 + 1) << 30),
        temperature_c: Some(55.0),
        sm_clock_mhz: Some(1980.0),
        memory_clock_mhz: None,
        throttle_reasons: Some(4),
        power_limit_watts: Some(700.0),
    }
}

/// What one call for the driver's buffer gave: every third gave nothing.
fn samples(call: u64) -> SampleBatch {
    if call % 3 == 2 {
        return SampleBatch::nothing(SampleOutcome::Dry);
    }
    let at = |i: u64| time((call * SAMPLES_EVERY + i).saturating_sub(SAMPLES_EVERY)).plus_nanos(333);
    SampleBatch {
        outcome: SampleOutcome::Taken,
        samples: (1..=5).map(|i| (at(i), 250.0 + i as f64 / 3.0)).collect(),
        dropped: (call % 2) as u32,
    }
}

fn host(row: u64) -> HostReading {
    HostReading {
        cpu_pct: Some((row % 100) as f64),
        memory_used_bytes: Some(100 << 30),
        tree_cpu_pct: Some(398.5),
        tree_memory_bytes: Some(row << 20),
        tree_processes: (!row.is_multiple_of(3)).then_some(9),
    }
}

pub fn marker(row: u64) -> MarkerEvent {
    let verb = [MarkerVerb::Begin, MarkerVerb::End, MarkerVerb::Mark, MarkerVerb::Metric][(row % 4) as usize];
    let t = time(row * MARKER_EVERY);
    MarkerEvent {
        t,
        arrival: t.plus_nanos(5000),
        stamped: !row.is_multiple_of(3),
        verb,
        rank: (row % 2) as u32,
        name: ["step", "forward", "train", "rouge"][(scramble(row) % 4) as usize].into(),
        index: (verb == MarkerVerb::Begin).then_some(row),
        samples: (verb == MarkerVerb::End).then_some(8),
        tokens: (verb == MarkerVerb::End).then_some(8 * 4096),
        value: (verb == MarkerVerb::Metric).then_some(row as f64 / 3.0),
        // A list nobody named before, now and then.
        devices: (verb == MarkerVerb::Begin).then(|| format!("{}", row / 40)),
    }
}

/// Everything that happens in the sweeps `from..to`.
pub fn chunk(devices: &[(Device, Columns)], from: u64, to: u64) -> Chunk {
    let mut chunk = Chunk {
        // The first sweep comes a moment before the command is released.
        released: (from == 0 && to > 0).then(released),
        devices: devices
            .iter()
            .map(|(_, c)| DeviceStreams {
                power: PowerStream::with_columns(c),
                ..DeviceStreams::default()
            })
            .collect(),
        ..Chunk::default()
    };
    for sweep in from..to {
        let t = time(sweep);
        for (position, (_, columns)) in devices.iter().enumerate() {
            let half = 8_000 + (scramble(sweep) & 0xfff) as u32;
            chunk.devices[position]
                .power
                .push(columns, t, half, &power(position, sweep));
            if sweep.is_multiple_of(STATE_EVERY) && columns.utilization {
                chunk.devices[position]
                    .state
                    .push(columns, t, 50_000, &state(position, sweep / STATE_EVERY));
            }
            if sweep.is_multiple_of(SAMPLES_EVERY) && columns.samples {
                chunk.devices[position]
                    .samples
                    .push(t, 30_000, &samples(sweep / SAMPLES_EVERY));
            }
        }
        chunk
            .sweeps
            .due
            .push(Timestamp::from_nanos(START + sweep as i64 * INTERVAL_NS));
        chunk.sweeps.late_ns.push((scramble(sweep) & 0xffff) as u32);
        chunk.sweeps.busy_ns.push(20_000);
        if sweep.is_multiple_of(STATE_EVERY) {
            chunk.host.push(t, 90_000, &host(sweep / STATE_EVERY));
            chunk.anchors.push(ClockAnchor {
                monotonic: t,
                realtime_ns: t.as_nanos() + REALTIME,
                boottime_ns: t.as_nanos() + 77,
            });
        }
        if sweep.is_multiple_of(MARKER_EVERY) {
            chunk.markers.push(marker(sweep / MARKER_EVERY));
        }
        if sweep % 500 == 250 {
            let count = sweep / 500 + 1;
            chunk.marker_faults = Some(MarkerFaults {
                bad_lines: count,
                examples: (0..count.min(5))
                    .map(|i| format!("`nonsense {i}`: no such verb"))
                    .collect(),
                dropped: 2 * count,
            });
            chunk.events.push(SensorEvent {
                t,
                device: "gpu0".into(),
                kind: SensorEventKind::Gap,
                detail: format!("read failed at sweep {sweep}"),
            });
            chunk.warnings.push((t, format!("late by {sweep} ms")));
        }
    }
    chunk
}

/// What a reader must find after the sweeps `0..sweeps`.
pub fn expected(devices: &[(Device, Columns)], sweeps: u64) -> (Recording, Vec<DeviceStreams>) {
    let all = chunk(devices, 0, sweeps);
    let mut run = run();
    if let Some(released) = all.released {
        run.started = released;
        run.started_realtime_ns = released.as_nanos() + REALTIME;
    }
    let recording = Recording {
        run,
        anchors: all.anchors,
        devices: devices.iter().map(|(d, _)| d.clone()).collect(),
        markers: all.markers,
        marker_faults: all.marker_faults.unwrap_or_default(),
        host: all.host,
        sweeps: all.sweeps,
        events: all.events,
        warnings: all.warnings.into_iter().map(|(_, text)| text).collect(),
        last_seen: Timestamp::from_nanos(0),
        baseline: None,
    };
    (recording, all.devices)
}

/// Whether two streams are the same, NaN in the same places included.
pub fn same<T: std::fmt::Debug>(a: &T, b: &T) -> bool {
    // `Debug` prints every bit of a float that matters, and NaN as NaN.
    format!("{a:?}") == format!("{b:?}")
}
