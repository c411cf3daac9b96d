//! The driver's own buffer of power samples: recorded where it is finer than the readings, and worth it.

use powerprof::energy::{self, Options};
use powerprof::model::analysis::{Analysis, EnergyEstimate, PowerOrigin};
use powerprof::model::recording::DeviceStreams;
use powerprof::model::sample::SampleOutcome;
use powerprof::recording::Reader;
use serde_json::{Value, json};

use crate::fake_gpu::with_gpus;
use crate::support::{Place, number, stderr, stdout};

/// Announces a load of two phases of about 60 ms ahead of time, and marks them at exactly those instants. Lengths and powers differ from
/// step to step: no sensor is locked to the steps, and one that looks at part of the time sees too little of each. What each phase draws
/// in truth goes into a file.
const TRAINER: &str = r#"
import json, os, random, time
random.seed(5)
t = time.monotonic_ns() + 500_000_000
lines, marks, joules = [], [], {"a": 0.0, "b": 0.0}
for step in range(STEPS):
    for name, ms, watts in ("a", 60, 230), ("b", 55, 170):
        end = t + int(ms * 1e6 * random.uniform(0.8, 1.2))
        watts *= random.uniform(0.75, 1.25)
        joules[name] += watts * (end - t) * 1e-9
        lines.append(f"{t} {watts}\n")
        marks += [f"begin {name} t={t}\n", f"end {name} t={end}\n"]
        t = end
lines.append(f"{t} 60\n")
with open("load.txt", "a") as load:
    load.write("".join(lines))
with open("truth.json", "w") as truth:
    json.dump(joules, truth)
time.sleep((t - time.monotonic_ns()) / 1e9 + 0.05)
with open(os.environ["POWERPROF_MARKERS"], "w") as pipe:
    for mark in marks:
        pipe.write(mark)
        pipe.flush()
"#;

/// An A100's sensor (every 100 ms, the mean of 25) without a counter, and a ring behind it.
fn gpu(place: &Place, samples: Value) -> Value {
    json!({"gpus": [{
        "profile": "a100",
        "truth": {"trace": {"path": place.file("load.txt"), "initial_w": 60.0}},
        "counter": {"kind": "none"},
        "samples": samples,
    }]})
}

fn train(place: &Place, config: &Value, steps: u32) {
    let script = TRAINER.replace("STEPS", &steps.to_string());
    let output = with_gpus(place, config, &["--quiet", "--", "python3", "-c", &script])
        .output()
        .expect("powerprof runs");
    assert!(output.status.success(), "{}", stderr(&output));
}

/// run.h5, analysed; `change` sees the readings before.
fn analysed(place: &Place, change: impl Fn(&mut DeviceStreams) + Sync) -> Analysis {
    let reader = Reader::open(&place.file("run.h5")).expect("a recording");
    let mut recording = reader.recording().expect("readable");
    // Markers with stamps of their own let the polled reading's delay bound how far the power lags, and not that of samples: without them,
    // what differs is the readings.
    recording.markers.iter_mut().for_each(|marker| marker.stamped = false);
    let spans = energy::spans(&recording.markers, recording.interval());
    energy::analyze(&recording, &spans, &Options::default(), |device| {
        let mut streams = reader.streams(device)?;
        change(&mut streams);
        Ok::<_, powerprof::recording::RecordingError>(streams)
    })
    .expect("analysable")
}

fn streams(place: &Place) -> DeviceStreams {
    let reader = Reader::open(&place.file("run.h5")).expect("a recording");
    let devices = reader.recording().expect("readable").devices;
    let gpu = devices.iter().find(|d| d.id.0 == "gpu0").expect("gpu0");
    reader.streams(gpu).expect("readable")
}

fn of_gpu<'a>(analysis: &'a Analysis, path: &str) -> &'a EnergyEstimate {
    let phase = analysis.phases.iter().find(|p| p.path == path).expect("the phase");
    let of_gpu = phase.devices.iter().find(|d| d.id == "gpu0").expect("gpu0");
    &of_gpu.energy
}

/// Half-width of an estimate's interval; of one that is not resolved, all that it may be.
fn width(energy: &EnergyEstimate) -> f64 {
    match (energy.joules, energy.u95, energy.upper_bound) {
        (Some(_), Some(u95), _) => u95.get(),
        (_, _, bound) => bound.map_or(f64::INFINITY, |bound| bound.get()),
    }
}

fn sample_buffer(place: &Place) -> String {
    let reader = Reader::open(&place.file("run.h5")).expect("a recording");
    let devices = reader.recording().expect("readable").devices;
    let gpu = devices.iter().find(|d| d.id.0 == "gpu0").expect("gpu0");
    gpu.properties["sample_buffer"].clone()
}

#[test]
fn a_finer_ring_is_recorded_and_narrows_the_intervals_of_short_phases() {
    let place = Place::new();
    train(&place, &gpu(&place, json!({"period_ms": 20})), 100);
    let said = sample_buffer(&place);
    assert!(
        said.starts_with("20.0 ms apart, CLOCK_") && said.ends_with(", recorded"),
        "{said}"
    );

    let streams = streams(&place);
    let (samples, calls) = (&streams.samples, &streams.samples.calls);
    let reader = Reader::open(&place.file("run.h5")).expect("a recording");
    let run = reader.recording().expect("readable").interval();
    // Every entry of the ring's lattice, from before the run to its end, none twice and none missing.
    assert!(samples.t[0] < run.start && samples.t[samples.t.len() - 1] > run.end.plus_nanos(-20_000_000));
    for pair in samples.t.windows(2) {
        assert!((pair[1] - pair[0] - 20_000_000).abs() < 10_000, "{}", pair[1] - pair[0]);
    }
    let taken: u32 = calls.taken.iter().sum();
    assert_eq!(
        (taken as usize, calls.dropped.iter().sum::<u32>()),
        (samples.t.len(), 0)
    );
    // A third of 120 samples of 20 ms.
    assert!(
        (calls.times.len() as f64) < 4.0 + run.seconds() / 0.8,
        "{} calls",
        calls.times.len()
    );

    let with = analysed(&place, |_| {});
    let without = analysed(&place, |streams| streams.samples = Default::default());
    // As if the driver stamped the beginning of a sample's window.
    let early = analysed(&place, |streams| {
        let t = &mut streams.samples.t;
        t.iter_mut().for_each(|t| *t = t.plus_nanos(-25_000_000));
    });
    let truth = std::fs::read_to_string(place.file("truth.json")).expect("the trainer wrote it");
    let truth: Value = serde_json::from_str(&truth).expect("JSON");
    let mut widths = (0.0, 0.0);
    for path in ["a", "b"] {
        let (fine, coarse, truth) = (of_gpu(&with, path), of_gpu(&without, path), number(&truth[path]));
        let joules = fine.joules.expect("resolved").get();
        assert!(
            (joules - truth).abs() <= width(fine),
            "{path}: {fine:?} against {truth}"
        );
        let shifted = of_gpu(&early, path);
        let joules = shifted.joules.expect("resolved").get();
        assert!(
            (joules - truth).abs() <= width(shifted),
            "{path}: {shifted:?} against {truth}"
        );
        widths = (widths.0 + width(fine), widths.1 + width(coarse));
    }
    // 0.55 to 0.8 on a busy machine: the rest is mostly how far the power may lag, which no finer reading tells.
    assert!(widths.0 < 0.95 * widths.1, "{widths:?} J with samples and without");
    let report = place.report();
    let device = report["devices"]
        .as_array()
        .expect("devices")
        .iter()
        .find(|d| d["id"] == "gpu0");
    let device = device.expect("gpu0");
    assert_eq!(device["power_stream"], "samples");
    assert_eq!(device["sensor"]["power_stream"], "samples");
    let text = place.powerprof(["report", "run.h5"]).output().expect("powerprof runs");
    assert!(
        stdout(&text).contains("from the driver's own samples"),
        "{}",
        stdout(&text)
    );
}

#[test]
fn a_ring_no_finer_than_the_readings_is_left_alone() {
    let place = Place::new();
    train(&place, &gpu(&place, json!({"period_ms": 100})), 5);
    assert_eq!(
        sample_buffer(&place),
        "100.0 ms apart, not finer than the power readings: not recorded"
    );
    assert_eq!(streams(&place).samples, Default::default());
    let report = place.report();
    assert_eq!(report["devices"][0]["power_stream"], "polled");
}

#[test]
fn a_ring_that_is_dry_at_first_is_found_when_it_fills() {
    let place = Place::new();
    train(&place, &gpu(&place, json!({"period_ms": 20, "dry_below_w": 100})), 50);
    let said = sample_buffer(&place);
    assert!(said.starts_with("dry when the recording began"), "{said}");
    let samples = streams(&place).samples;
    let outcomes = &samples.calls.outcome;
    assert_eq!(outcomes[0], SampleOutcome::Dry);
    assert!(outcomes.contains(&SampleOutcome::Taken), "{outcomes:?}");
    // The ring holds more than is between two looks, so that nothing of the load was missed but what a sample saw of less than 100 W.
    let analysis = analysed(&place, |_| {});
    let gpu = analysis.devices.iter().find(|d| d.device.id.0 == "gpu0").expect("gpu0");
    assert_eq!(gpu.origin, Some(PowerOrigin::Samples));
    let wall: f64 = ["a", "b"]
        .iter()
        .filter_map(|path| analysis.phases.iter().find(|p| p.path == *path))
        .filter_map(|p| p.wall)
        .map(|wall| wall.get())
        .sum();
    assert!(
        samples.t.len() as f64 > 0.9 * wall / 0.02,
        "{} samples in {wall} s",
        samples.t.len()
    );
}

#[test]
fn a_ring_that_fails_costs_nothing_but_its_samples() {
    let place = Place::new();
    let mut config = gpu(&place, json!({"period_ms": 20}));
    config["faults"] = json!([{"calls": ["nvmlDeviceGetSamples"], "from_s": 1.0, "effect": {"return": "UNKNOWN"}}]);
    train(&place, &config, 20);
    let streams = streams(&place);
    assert!(streams.samples.calls.outcome.contains(&SampleOutcome::Failed));
    let report = place.report();
    assert_eq!(report["run"]["complete"], true);
    let device = report["devices"]
        .as_array()
        .expect("devices")
        .iter()
        .find(|d| d["id"] == "gpu0");
    assert_eq!(
        device.expect("gpu0")["power_stream"],
        "polled",
        "most of the run has no samples"
    );
}
