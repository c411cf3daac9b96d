//! Laws of the analysis, as property tests: conservation, additivity over any cut, closed-form integrals, no null that became 0.

use std::collections::BTreeMap;
use std::convert::Infallible;

use proptest::prelude::*;

use super::{Options, analyze, spans};
use crate::model::analysis::{Analysis, Grade};
use crate::model::device::{Device, DeviceId, DeviceKind, SensorTiming, Source};
use crate::model::marker::{MarkerEvent, MarkerFaults, MarkerVerb};
use crate::model::recording::{DeviceStreams, HostInfo, Recording, RunInfo};
use crate::model::sample::{HostStream, PowerStream, SweepStream, Times};
use crate::model::time::Timestamp;
use crate::model::units::Watts;

const MS: i64 = 1_000_000;

fn gpu(n: u32) -> Device {
    Device {
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
        power_timing: SensorTiming::default(),
        counter_timing: SensorTiming::default(),
        calibration: None,
        properties: BTreeMap::new(),
    }
}

/// A recording from 0 to `end_ms`, with marker lines given as (milliseconds, verb, name, rank).
fn recording(devices: Vec<Device>, end_ms: i64, lines: &[(f64, MarkerVerb, &str, u32)]) -> Recording {
    let markers = lines.iter().map(|&(ms, verb, name, rank)| MarkerEvent {
        t: Timestamp::from_nanos((ms * 1e6) as i64),
        arrival: Timestamp::from_nanos((ms * 1e6) as i64),
        stamped: true,
        verb,
        rank,
        name: name.into(),
        index: None,
        samples: None,
        tokens: None,
        value: None,
        devices: None,
    });
    Recording {
        run: RunInfo {
            powerprof_version: String::new(),
            command: Vec::new(),
            working_directory: String::new(),
            host: HostInfo::default(),
            started_realtime_ns: 0,
            started: Timestamp::from_nanos(0),
            ended: Some(Timestamp::from_nanos(end_ms * MS)),
            exit: None,
            complete: true,
            interval_ns: 10 * MS,
            environment: BTreeMap::new(),
            git_commit: None,
            simulated: None,
            labels: BTreeMap::new(),
        },
        anchors: Vec::new(),
        devices,
        markers: markers.collect(),
        marker_faults: MarkerFaults::default(),
        host: HostStream::default(),
        sweeps: SweepStream::default(),
        events: Vec::new(),
        warnings: Vec::new(),
        last_seen: Timestamp::from_nanos(end_ms * MS),
    }
}

/// A counter in mJ that moves every `period_ms` to `joules(now)`, polled every 10 ms from before the run to after it.
fn counted(end_ms: i64, period_ms: i64, joules: impl Fn(f64) -> f64) -> DeviceStreams {
    let mut power = PowerStream {
        counter_unit_joules: 1e-3,
        ..PowerStream::default()
    };
    let mut times = Times::default();
    let mut at = -300 * MS + 3 * MS;
    while at < (end_ms + 300) * MS {
        times.push(Timestamp::from_nanos(at), 10_000);
        let published = at.div_euclid(period_ms * MS) * period_ms * MS;
        power
            .counter
            .push(Some(((1000.0 + joules(published as f64 * 1e-9)) * 1e3) as u64));
        at += 10 * MS;
    }
    power.times = times;
    DeviceStreams {
        power,
        ..DeviceStreams::default()
    }
}

fn run(recording: &Recording, streams: &[DeviceStreams]) -> Analysis {
    let spans = spans(&recording.markers, recording.interval());
    let mut next = streams.iter();
    analyze(recording, &spans, &Options::default(), |_| {
        Ok::<_, Infallible>(next.next().cloned().expect("a stream per device"))
    })
    .expect("streams cannot fail")
}

fn shown(analysis: &Analysis, path: &str) -> Option<f64> {
    let phase = analysis.phases.iter().find(|p| p.path == path).expect("the phase");
    phase.energy.joules.map(|j| j.get())
}

#[test]
fn a_constant_load_is_measured_as_such() {
    use MarkerVerb::{Begin, End};
    let lines = [
        (1033.0, Begin, "second", 0),
        (2033.0, End, "second", 0),
        (4321.0, Begin, "blink", 0),
        (4351.0, End, "blink", 0),
    ];
    let recording = recording(vec![gpu(0)], 10_000, &lines);
    let analysis = run(&recording, &[counted(10_000, 100, |t| 200.0 * t)]);
    let total = analysis.total.joules.expect("a total").get();
    assert!((total / 2000.0 - 1.0).abs() < 0.005, "{total}");
    let second = shown(&analysis, "second").expect("a second is resolved");
    assert!((second / 200.0 - 1.0).abs() < 0.02, "{second}");
    let blink = &analysis.phases[1].energy;
    assert_eq!((blink.joules, blink.u95, blink.grade), (None, None, Grade::Unresolved));
    let bound = blink.upper_bound.expect("an upper bound").get();
    assert!((6.0..30.0).contains(&bound), "{bound}");
    assert_eq!(analysis.phases[1].mean_power, None);
}

#[test]
fn without_readings_everything_is_unknown_and_never_zero() {
    let recording = recording(vec![gpu(0)], 1000, &[(10.0, MarkerVerb::Begin, "a", 0)]);
    let analysis = run(&recording, &[DeviceStreams::default()]);
    assert_eq!(analysis.total.joules, None);
    assert_eq!(analysis.total.upper_bound, None);
    assert_eq!(shown(&analysis, "a"), None);
    assert_eq!(analysis.phases[0].samples_per_s_per_w, None);
    assert!(!analysis.warnings.is_empty());
}

#[test]
fn a_hole_widens_the_interval_inside_it_and_nowhere_else() {
    use MarkerVerb::{Begin, End};
    let lines = [
        (0.0, Begin, "before", 0),
        (4000.0, End, "before", 0),
        (4000.0, Begin, "across", 0),
        (8000.0, End, "across", 0),
    ];
    let recording = recording(vec![gpu(0)], 10_000, &lines);
    let whole = counted(10_000, 100, |t| 200.0 * t);
    let mut holed = whole.clone();
    for (value, t) in holed.power.counter.iter_mut().zip(&whole.power.times.t) {
        // The counter starts again from zero after the hole: what it had counted is lost.
        *value = match t.as_nanos() / MS {
            5000..6000 => None,
            ms if ms >= 6000 => value.map(|v| v - 2_000_000),
            _ => *value,
        };
    }
    let (good, bad) = (run(&recording, &[whole]), run(&recording, &[holed]));
    let u95 = |analysis: &Analysis, i: usize| analysis.phases[i].energy.u95.map(|u| u.get());
    assert!((u95(&good, 0).expect("resolved") - u95(&bad, 0).expect("resolved")).abs() < 1.0);
    assert!(u95(&bad, 1).is_none_or(|u| u > 50.0 + u95(&good, 1).expect("resolved")));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Top phases and the rest add up to the total to the last bit, for time and energy, per device and in all.
    #[test]
    fn parts_add_up_to_the_whole(
        cuts in prop::collection::vec(0.0..5000.0_f64, 2..40),
        watts in prop::collection::vec(30.0..390.0_f64, 1..20),
        ranks in 1_u32..3,
    ) {
        use MarkerVerb::{Begin, End};
        const NAMES: [&str; 3] = ["a", "b", "c"];
        let mut sorted = cuts;
        sorted.sort_by(f64::total_cmp);
        let mut lines = Vec::new();
        for (i, pair) in sorted.chunks_exact(2).enumerate() {
            let (name, rank) = (NAMES[i % 3], i as u32 % ranks);
            let third = (pair[1] - pair[0]) / 3.0;
            lines.push((pair[0], Begin, name, rank));
            lines.push((pair[0] + third, Begin, "inner", rank));
            lines.push((pair[1] - third, End, "inner", rank));
            lines.push((pair[1], End, name, rank));
        }
        let recording = recording(vec![gpu(0), gpu(1)], 5000, &lines);
        let steps = watts.clone();
        let joules = move |t: f64| {
            // Half a second at each of the powers in turn.
            let (whole, rest) = ((t.max(0.0) / 0.5) as usize, t.max(0.0) % 0.5);
            let full: f64 = (0..whole).map(|i| 0.5 * steps[i % steps.len()]).sum();
            full + rest * steps[whole % steps.len()]
        };
        let streams = [counted(5000, 100, joules.clone()), counted(5000, 20, joules)];
        let parts = inner_figures(&recording, &streams);
        for figures in &parts {
            let whole = figures.len() - 1;
            let spans = spans(&recording.markers, recording.interval());
            let tops = (0..spans.phases.len()).filter(|&i| spans.phases[i].depth == 0);
            let sum: f64 = tops.map(|i| figures[i]).sum::<f64>() + figures[whole - 1];
            prop_assert_eq!(sum.to_bits(), figures[whole].to_bits());
        }
        let analysis = run(&recording, &streams);
        let tops = analysis.phases.iter().filter(|p| p.depth == 0);
        let wall: f64 = tops.map(|p| p.wall.get()).sum::<f64>() + analysis.unattributed.wall.get();
        prop_assert_eq!(wall, analysis.run.wall.get());
        let total = analysis.total.joules.expect("a total").get();
        let devices: f64 = analysis.devices.iter().map(|d| d.energy.joules.expect("a device").get()).sum();
        prop_assert_eq!(total.to_bits(), devices.to_bits());
    }

    /// A stretch cut anywhere has the energy of its pieces.
    #[test]
    fn energy_is_additive_over_any_cut(cut in 600.0..4400.0_f64, watts in 50.0..390.0_f64) {
        use MarkerVerb::{Begin, End};
        let pieces = [(500.0, Begin, "a", 0), (cut, End, "a", 0), (cut, Begin, "b", 0), (4500.0, End, "b", 0)];
        let one = [(500.0, Begin, "a", 0), (4500.0, End, "a", 0)];
        let joules = |t: f64| watts * t + 20.0 * (t * 1.7).sin();
        let stream = [counted(5000, 100, joules)];
        let cut = inner_figures(&recording(vec![gpu(0)], 5000, &pieces), &stream);
        let whole = inner_figures(&recording(vec![gpu(0)], 5000, &one), &stream);
        prop_assert!((cut[0][0] + cut[0][1] - whole[0][0]).abs() < 1e-5);
    }

    /// The interval holds the closed-form integral of any smooth waveform between any two times.
    #[test]
    fn the_interval_holds_the_truth(
        from in 300.0..2000.0_f64,
        length in 300.0..2500.0_f64,
        base in 120.0..250.0_f64,
        swing in 0.0..100.0_f64,
        hertz in 0.1..40.0_f64,
    ) {
        use MarkerVerb::{Begin, End};
        let omega = hertz * std::f64::consts::TAU;
        let joules = |t: f64| base * t + swing / omega * (1.0 - (omega * t).cos());
        let lines = [(from, Begin, "a", 0), (from + length, End, "a", 0)];
        let recording = recording(vec![gpu(0)], 5000, &lines);
        let analysis = run(&recording, &[counted(5000, 100, joules)]);
        let truth = joules((from + length) * 1e-3) - joules(from * 1e-3);
        let energy = &analysis.phases[0].energy;
        if let (Some(value), Some(u95)) = (energy.joules, energy.u95) {
            prop_assert!((value.get() - truth).abs() < u95.get(), "{value:?} {truth} {u95:?}");
        } else {
            prop_assert!(energy.upper_bound.expect("a bound").get() > truth);
        }
    }
}

/// The values behind what is shown, for each device: phases, outside, whole.
fn inner_figures(recording: &Recording, streams: &[DeviceStreams]) -> Vec<Vec<f64>> {
    use super::{attribute, curve, interval, timeline::Timeline};
    let run = recording.interval();
    let spans = spans(&recording.markers, run);
    let parents: Vec<Option<usize>> = spans.phases.iter().map(|p| p.parent.map(|p| p.0)).collect();
    let owners = attribute::owners(recording, &spans);
    let one = |i: usize| {
        let curve = curve::build(&recording.devices[i], &streams[i].power, run).expect("a curve");
        let timeline = Timeline::new(&spans, run, &owners.ranks[i]);
        let split = interval::split(&curve, &timeline, &parents);
        split.figures.iter().map(|f| f.joules).collect()
    };
    (0..recording.devices.len()).map(one).collect()
}
