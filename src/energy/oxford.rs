//! A real A100 against an external meter: the published recording of JimZeyuYang/GPU_Power_Benchmark (MIT), 78 readings of 25 ms
//! windows over 8 s of 52 ms high and 52 ms low. The files are looked for beside the checkout; where they are not, this test says so.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::path::PathBuf;

use super::{Options, analyze, spans};
use crate::model::analysis::{Analysis, EnergyEstimate};
use crate::model::device::{Calibration, Device, DeviceId, DeviceKind, SensorTiming, Source};
use crate::model::marker::{MarkerEvent, MarkerFaults, MarkerVerb};
use crate::model::recording::{DeviceStreams, HostInfo, Recording, RunInfo};
use crate::model::sample::{HostStream, PowerStream, SweepStream, Times};
use crate::model::time::Timestamp;
use crate::model::units::Watts;

const NAMES: [&str; 2] = ["high", "low"];

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/fixtures/oxford-a100")
}

/// The numbers of a CSV file, header left out.
fn table(name: &str) -> Option<Vec<Vec<f64>>> {
    let text = std::fs::read_to_string(folder().join(name)).ok()?;
    let row = |line: &str| {
        line.split(',')
            .map(|cell| cell.trim().parse().ok())
            .collect::<Option<Vec<f64>>>()
    };
    Some(text.lines().skip(1).filter_map(row).collect())
}

fn ms(t: f64) -> Timestamp {
    Timestamp::from_nanos((t * 1e6) as i64)
}

fn device(calibration: Option<Calibration>) -> Device {
    Device {
        id: DeviceId("gpu0".into()),
        kind: DeviceKind::Gpu,
        source: Source::Imported,
        name: "NVIDIA A100-PCIE-40GB".into(),
        uuid: None,
        index: Some(0),
        contained_in: None,
        architecture: Some("Ampere".into()),
        power_limit: Some(Watts(250.0)),
        memory_total_bytes: None,
        power_timing: SensorTiming {
            update_period_ms: Some(100.0),
            window_ms: Some(25.0),
            delay_ms: None,
        },
        counter_timing: SensorTiming::default(),
        calibration,
        properties: BTreeMap::new(),
    }
}

fn analysed(readings: &[Vec<f64>], edges: &[f64], calibration: Option<Calibration>) -> Analysis {
    let (start, end) = (edges[0], edges[edges.len() - 1]);
    let line = |t: f64, verb, name: &str| MarkerEvent {
        t: ms(t),
        arrival: ms(t),
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
    let spans_of = |(i, pair): (usize, &[f64])| {
        let name = NAMES[i % 2];
        [
            line(pair[0], MarkerVerb::Begin, name),
            line(pair[1], MarkerVerb::End, name),
        ]
    };
    let recording = Recording {
        run: RunInfo {
            powerprof_version: String::new(),
            command: Vec::new(),
            working_directory: String::new(),
            host: HostInfo::default(),
            started_realtime_ns: 0,
            started: ms(start),
            ended: Some(ms(end)),
            exit: None,
            complete: true,
            interval_ns: 13_000_000,
            environment: BTreeMap::new(),
            git_commit: None,
            simulated: None,
            labels: BTreeMap::new(),
        },
        anchors: Vec::new(),
        devices: vec![device(calibration)],
        markers: edges.windows(2).enumerate().flat_map(spans_of).collect(),
        marker_faults: MarkerFaults::default(),
        host: HostStream::default(),
        sweeps: SweepStream::default(),
        events: Vec::new(),
        warnings: Vec::new(),
        last_seen: ms(end),
        baseline: None,
    };
    let mut times = Times::default();
    readings.iter().for_each(|row| times.push(ms(row[0]), 0));
    let streams = DeviceStreams {
        power: PowerStream {
            times,
            watts: readings.iter().map(|row| row[5]).collect(),
            ..PowerStream::default()
        },
        ..DeviceStreams::default()
    };
    let spans = spans(&recording.markers, recording.interval());
    let Ok(analysis) = analyze(&recording, &spans, &Options::default(), |_| {
        Ok::<_, Infallible>(streams.clone())
    });
    analysis
}

/// The meter's energy between two times, joules.
fn metered(meter: &[Vec<f64>], from: f64, to: f64) -> f64 {
    let piece = |pair: &[Vec<f64>]| {
        let (start, end) = (pair[0][0].max(from), pair[1][0].min(to));
        if end > start {
            0.5 * (pair[0][1] + pair[1][1]) * (end - start) * 1e-3
        } else {
            0.0
        }
    };
    meter.windows(2).map(piece).sum()
}

fn check(what: &str, calibrated: bool, energy: &EnergyEstimate, truth: f64, within: f64) {
    let value = energy
        .joules
        .unwrap_or_else(|| panic!("{what} is not resolved: {energy:?}"))
        .get();
    let (u95, scale) = (
        energy.u95.expect("an interval").get(),
        energy.u95_scale.expect("a tolerance").get(),
    );
    println!(
        "{what}: {value:.1} J, truth {truth:.1} J ({:+.2} %), u95 {u95:.1}, scale {scale:.1}",
        100.0 * (value / truth - 1.0)
    );
    assert!(
        (value / truth - 1.0).abs() < within,
        "{what}: {value} J against {truth} J"
    );
    // A board's own calibration leaves of its tolerance what the interval need not lean on.
    let half = if calibrated { u95 } else { u95 + scale };
    assert!(
        (value - truth).abs() < half,
        "{what}: the interval {u95} (tolerance {scale}) does not hold {truth} - {value}"
    );
}

#[test]
fn a_real_board_agrees_with_the_external_meter() {
    let (Some(readings), Some(edges), Some(meter)) = (table("readings.csv"), table("edges.csv"), table("meter.csv"))
    else {
        println!("SKIPPED: no recording in {}", folder().display());
        return;
    };
    let edges: Vec<f64> = edges.into_iter().map(|row| row[0]).collect();
    let mut truth = [0.0; 2];
    for (i, pair) in edges.windows(2).enumerate() {
        truth[i % 2] += metered(&meter, pair[0], pair[1]);
    }
    let board = Calibration {
        gain: 0.953_951,
        offset: Watts(-1.1766),
    };
    let calibrated = analysed(&readings, &edges, Some(board));
    for check in &calibrated.checks {
        println!("{:?} {}: {}", check.status, check.name, check.detail);
    }
    check("total", true, &calibrated.total, truth[0] + truth[1], 0.01);
    check("high", true, &calibrated.phases[0].energy, truth[0], 0.03);
    check("low", true, &calibrated.phases[1].energy, truth[1], 0.06);
    let power = calibrated.devices[0]
        .found
        .and_then(|f| f.power)
        .expect("a model of the sensor");
    assert!((power.period.value - 101.2).abs() < 0.1, "{power:?}");
    let (window, shape) = power.window.expect("a window");
    assert!(
        (window.value - 25.0).abs() < 2.0 && shape == "low-pass",
        "{window:?} {shape}"
    );
    // Without the board's calibration the sensor's tolerance holds the difference.
    let plain = analysed(&readings, &edges, None);
    check("total, not calibrated", false, &plain.total, truth[0] + truth[1], 0.1);
    check("high, not calibrated", false, &plain.phases[0].energy, truth[0], 0.1);
    check("low, not calibrated", false, &plain.phases[1].energy, truth[1], 0.15);
}
