//! Laws of the analysis, as property tests: conservation, additivity over any cut, closed-form integrals, no null that became 0.

use std::collections::BTreeMap;
use std::convert::Infallible;

use proptest::prelude::*;

use super::{Options, analyze, spans};
use crate::model::analysis::{Analysis, Grade, Method};
use crate::model::device::{Device, DeviceId, DeviceKind, SensorTiming, Source};
use crate::model::marker::{MarkerEvent, MarkerFaults, MarkerVerb};
use crate::model::recording::{DeviceStreams, HostInfo, Recording, RunInfo};
use crate::model::sample::{HostStream, PowerStream, SweepStream, Times};
use crate::model::time::Timestamp;
use crate::model::units::{Seconds, Watts};

const MS: i64 = 1_000_000;

/// Anything between -1 and 1, of variance a third, and the same for the same number.
pub(super) fn chance(i: i64) -> f64 {
    let mixed = (i as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    ((mixed ^ (mixed >> 29)).wrapping_mul(0xBF58_476D_1CE4_E5B9) >> 11) as f64 / (1_u64 << 52) as f64 - 1.0
}

pub(super) fn gpu(n: u32) -> Device {
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

/// The analysis of a recording with one device.
pub(super) fn analysed(recording: &Recording, power: PowerStream) -> Analysis {
    analysed_with(recording, power, &Options::default())
}

pub(super) fn analysed_with(recording: &Recording, power: PowerStream, options: &Options) -> Analysis {
    let spans = spans(&recording.markers, recording.interval());
    let streams = DeviceStreams {
        power,
        ..DeviceStreams::default()
    };
    analyze(recording, &spans, options, |_| Ok::<_, Infallible>(streams.clone())).expect("streams cannot fail")
}

/// A recording from 0 to `end_ms`, with marker lines given as (milliseconds, verb, name, rank).
pub(super) fn recording(devices: Vec<Device>, end_ms: i64, lines: &[(f64, MarkerVerb, &str, u32)]) -> Recording {
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
        baseline: None,
    }
}

/// A counter in mJ that moves every `period_ms` to `joules(now)`, polled every 10 ms from before the run to after it.
pub(super) fn counted(end_ms: i64, period_ms: i64, joules: impl Fn(f64) -> f64) -> DeviceStreams {
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
    let of: BTreeMap<_, _> = recording.devices.iter().map(|d| &d.id).zip(streams).collect();
    analyze(recording, &spans, &Options::default(), |device| {
        Ok::<_, Infallible>(of[&device.id].clone())
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
    let total = bad.total.joules.expect("a total").get();
    assert!((total / 2000.0 - 1.0).abs() < 0.01, "{total}");
    let u95 = |analysis: &Analysis, i: usize| analysis.phases[i].energy.u95.map(|u| u.get());
    assert!((u95(&good, 0).expect("resolved") - u95(&bad, 0).expect("resolved")).abs() < 1.0);
    assert!(u95(&bad, 1).is_none_or(|u| u > 50.0 + u95(&good, 1).expect("resolved")));
}

#[test]
fn phases_shorter_than_the_update_are_told_apart() {
    use MarkerVerb::{Begin, End};
    // Steps of 20 ms at 100 W and 31 ms at 300 W, lengths scattered by up to a tenth, on a counter that moves every 100 ms.
    let (mut lines, mut knees, mut now, mut joules, mut noise) = (Vec::new(), Vec::new(), 200.0, 0.0, 7_u64);
    let mut truth = [0.0; 2];
    for _ in 0..1500 {
        for (i, (name, ms, watts)) in [("a", 20.0, 100.0), ("b", 31.0, 300.0)].into_iter().enumerate() {
            noise = noise
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            let length = ms * (0.9 + 0.2 * (noise >> 40) as f64 / (1_u64 << 24) as f64);
            lines.extend([(now, Begin, name, 0), (now + length, End, name, 0)]);
            knees.push((now * 1e-3, joules, watts));
            truth[i] += watts * length * 1e-3;
            joules += watts * length * 1e-3;
            now += length;
        }
    }
    knees.push((now * 1e-3, joules, 60.0));
    let energy = |t: f64| match knees.partition_point(|k| k.0 <= t) {
        0 => 60.0 * (t - 0.2),
        i => knees[i - 1].1 + knees[i - 1].2 * (t - knees[i - 1].0),
    };
    let recording = recording(vec![gpu(0)], now as i64 + 300, &lines);
    let analysis = run(&recording, &[counted(now as i64 + 300, 100, energy)]);
    for (phase, truth) in analysis.phases.iter().zip(truth) {
        let value = phase.energy.joules.expect("resolved").get();
        assert_eq!(phase.energy.method, Method::Regression);
        assert!((value / truth - 1.0).abs() < 0.05, "{}: {value} {truth}", phase.path);
        assert!((value - truth).abs() < phase.energy.u95.expect("an interval").get());
    }
}

#[test]
fn a_sensor_locked_to_the_steps_gives_no_figures_inside_them() {
    use MarkerVerb::{Begin, End};
    let mut lines = Vec::new();
    for i in 0..300 {
        let start = 100.0 * f64::from(i);
        lines.extend([(start, Begin, "a", 0), (start + 40.0, End, "a", 0)]);
        lines.extend([(start + 40.0, Begin, "b", 0), (start + 100.0, End, "b", 0)]);
    }
    let energy = |t: f64| {
        let (steps, rest) = ((t / 0.1).floor(), t - (t / 0.1).floor() * 0.1);
        22.0 * steps + 100.0 * rest.min(0.04) + 300.0 * (rest - 0.04).max(0.0)
    };
    let recording = recording(vec![gpu(0)], 30_000, &lines);
    let analysis = run(&recording, &[counted(30_000, 100, energy)]);
    assert!((analysis.total.joules.expect("the total").get() / energy(30.0) - 1.0).abs() < 0.01);
    assert_eq!(analysis.phases[0].energy.grade, Grade::Unresolved);
    assert!(
        analysis.warnings.iter().any(|w| w.contains("locked")),
        "{:?}",
        analysis.warnings
    );
}

/// One poll of a broken sensor: gap before it (ms), watts, counter.
fn any_poll() -> impl Strategy<Value = (i64, f64, Option<u64>)> {
    let watts = prop_oneof![5 => 0.0..500.0_f64, 1 => Just(f64::NAN), 1 => Just(0.0), 1 => Just(-3.0)];
    let counter = prop_oneof![6 => (0_u64..1_000_000).prop_map(Some), 1 => Just(None), 1 => Just(Some(0)), 1 => Just(Some(u64::MAX))];
    (prop_oneof![9 => 0_i64..30, 1 => 30_i64..3000], watts, counter)
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
        let wall: f64 = tops.filter_map(|p| p.wall).map(Seconds::get).sum::<f64>() + analysis.unattributed.wall.get();
        prop_assert_eq!(wall, analysis.run.wall.get());
        let total = analysis.total.joules.expect("a total").get();
        let devices: f64 = analysis.devices.iter().map(|d| d.energy.joules.expect("a device").get()).sum();
        prop_assert_eq!(total.to_bits(), devices.to_bits());
    }

    /// Whatever a sensor says, the analysis ends, and what it shows is a number.
    #[test]
    fn nonsense_is_survived(
        polls in prop::collection::vec(any_poll(), 0..300),
        cuts in prop::collection::vec(0.0..5000.0_f64, 0..60),
        end in 0_i64..6000,
        ranks in 1_u32..4,
    ) {
        let lines: Vec<(f64, MarkerVerb, &str, u32)> = cuts
            .iter()
            .enumerate()
            .map(|(i, &t)| (t, if i % 3 == 2 { MarkerVerb::End } else { MarkerVerb::Begin }, ["a", "b"][i % 2], i as u32 % ranks))
            .collect();
        let mut power = PowerStream { counter_unit_joules: 1e-3, ..PowerStream::default() };
        let mut at = -200;
        for (gap, watts, counter) in polls {
            at += gap;
            power.times.push(Timestamp::from_nanos(at * MS), 1000);
            power.watts.push(watts);
            power.counter.push(counter);
        }
        let stream = DeviceStreams { power, ..DeviceStreams::default() };
        let analysis = run(&recording(vec![gpu(0), gpu(1)], end, &lines), &[stream, DeviceStreams::default()]);
        let shown = analysis.phases.iter().map(|p| &p.energy).chain([&analysis.total, &analysis.unattributed.energy]);
        for energy in shown {
            for value in [energy.joules, energy.u95, energy.u95_scale, energy.upper_bound].into_iter().flatten() {
                prop_assert!(value.get().is_finite() && (energy.joules.is_none() || value.get() >= 0.0), "{energy:?}");
            }
        }
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
        let sensed = super::sensed::Sensed::of(&recording.devices[i], &streams[i], run);
        let curve = curve::build(&sensed.device, &sensed, run, curve::Sources::All).expect("a curve");
        let timeline = Timeline::new(&spans, run, &owners.ranks[i]);
        let split = interval::split(&curve, &timeline, &parents, None, None);
        split.figures.iter().map(|f| f.joules).collect()
    };
    (0..recording.devices.len()).map(one).collect()
}
