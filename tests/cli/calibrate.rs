//! The doctor and the calibration against a GPU library with a known truth.

use std::process::Command;

use serde_json::{Value, json};

use crate::sensors::{device, succeeded, with_gpus};
use crate::support::{Place, checkout, number, phase, stderr, stdout};

#[test]
fn doctor_measures_rhythm_and_cost_and_says_what_phases_can_expect() {
    let place = Place::new();
    let config = json!({
        "gpus": [{"profile": "a100", "truth": {"constant": 200}, "sensor": {"noise_w": 1.0}}],
        "latency": [{"calls": ["nvmlDeviceGetFieldValues"], "median_us": 300}]
    });
    let output = with_gpus(&place, &config, &["doctor", "--format", "json"])
        .output()
        .expect("powerprof runs");
    let report: Value = serde_json::from_slice(&succeeded(output).stdout).expect("JSON");
    assert_eq!(report["schema"], "powerprof.doctor/1");
    let gpu = device(&report, "gpu0");
    for stream in ["power", "counter"] {
        let seen = number(&gpu[stream]["seen_update_period_ms"]);
        assert!((seen - 100.0).abs() < 5.0, "{stream}: {seen}");
    }
    assert_eq!(gpu["power"]["believed_window_ms"], 25.0);
    assert!(number(&gpu["calls"]["median_us"]) >= 300.0, "{}", gpu["calls"]);
    assert!(number(&gpu["calls"]["p99_us"]) >= number(&gpu["calls"]["median_us"]));
    assert!(
        (number(&gpu["sample_buffer"]["spacing_ms"]) - 20.0).abs() < 1.0,
        "{}",
        gpu["sample_buffer"]
    );
    let precision = gpu["precision"].as_array().expect("precision");
    assert_eq!(precision.len(), 3);
    assert_eq!(
        precision[0]["once"]["grade"], "unresolved",
        "10 ms once, on a sensor of 100 ms"
    );
    assert!(number(&precision[2]["repeated"]["relative_u95"]) < 0.1, "{precision:?}");
    let text = stdout(
        &with_gpus(&place, &config, &["doctor"])
            .output()
            .expect("powerprof runs"),
    );
    for part in [
        "(seen)",
        "(expected)",
        "median",
        "precision",
        "a phase of 10ms",
        "the driver keeps",
    ] {
        assert!(text.contains(part), "no {part} in {text}");
    }
    // The buffer is finer than the readings, and recorded: nothing says otherwise.
    assert!(text.contains(", recorded") && !text.contains("not recorded"), "{text}");
    // Without --strict an empty machine is no failure; with it, what is blocked or missing is.
    let quick = ["doctor", "--watch", "0s", "--gpus", "7"];
    assert_eq!(
        with_gpus(&place, &config, &quick).output().expect("runs").status.code(),
        Some(0)
    );
    let strict = [&quick[..], &["--strict"]].concat();
    assert_eq!(
        with_gpus(&place, &config, &strict)
            .output()
            .expect("runs")
            .status
            .code(),
        Some(1)
    );
}

/// A load that obeys at once and says when; the library plays what it writes.
const LOAD: &str = r#"
import sys, time
with open("load.txt", "a", buffering=1) as load:
    for line in sys.stdin:
        now = time.monotonic_ns()
        on = line.strip() == "on"
        load.write(f"{now} {300 if on else 90}\n")
        print("on" if on else "off", now, flush=True)
"#;

#[test]
fn calibrate_finds_the_sensors_properties_and_later_runs_believe_them() {
    let place = Place::new();
    let truth = json!({"trace": {"path": place.file("load.txt"), "initial_w": 90.0}});
    let uuid = "GPU-00000000-1111-2222-3333-444444444444";
    let profile = json!({"custom": {"period_ms": 20, "window_ms": 8, "delay_ms": 9, "architecture": 10}});
    let config = json!({"gpus": [{
        "profile": profile, "uuid": uuid, "truth": truth, "sensor": {"noise_w": 0.5}, "counter": {"period_ms": 20, "delay_ms": 9}
    }]});
    let script = place.write("load.py", LOAD).display().to_string();
    let arguments = [
        "calibrate",
        "--each",
        "3s",
        "--write=powerprof.toml",
        "--format",
        "json",
        "-o",
        "raw.h5",
        "--",
        "python3",
        &script,
    ];
    let output = succeeded(with_gpus(&place, &config, &arguments).output().expect("powerprof runs"));
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    println!("{report:#}");
    assert_eq!(report["load_answered"], true);
    let gpu = device(&report, "gpu0");
    let near = |name: &str, truth: f64, slack: f64| {
        let (value, u95) = (number(&gpu[name]["value"]), number(&gpu[name]["u95"]));
        assert!(
            (value - truth).abs() <= u95.max(slack),
            "{name}: {value} ± {u95} against {truth}"
        );
        assert!(u95 < 2.0, "{name}: an interval that says nothing: {u95}");
    };
    near("power_update_period_ms", 20.0, 0.002);
    near("power_window_ms", 8.0, 0.5);
    near("power_delay_ms", 9.0, 1.0);
    near("counter_update_period_ms", 20.0, 0.002);
    assert_eq!(gpu["counter_kind"], "continuous");
    assert!(
        (number(&gpu["low_w"]) - 90.0).abs() < 5.0 && (number(&gpu["high_w"]) - 300.0).abs() < 5.0,
        "{gpu}"
    );
    // The raw recording is one, and the next run starts from what was found.
    assert!(
        phase(&place.report_of("raw.h5"), "wave/on")["count"]
            .as_u64()
            .is_some_and(|n| n > 500)
    );
    let doctor = with_gpus(&place, &config, &["doctor", "--watch", "0s", "--format", "json"])
        .output()
        .expect("runs");
    let doctor: Value = serde_json::from_slice(&succeeded(doctor).stdout).expect("JSON");
    let believed = &device(&doctor, "gpu0")["power"];
    assert!(
        (number(&believed["believed_window_ms"]) - number(&gpu["power_window_ms"]["value"])).abs() < 1e-3,
        "{believed}"
    );
    assert!(
        device(&doctor, "gpu0")["properties"]["timing_source"]
            .as_str()
            .is_some_and(|s| s.starts_with("calibrated 2"))
    );
}

#[test]
fn calibrate_says_what_it_lacks() {
    let place = Place::new();
    let nothing = place
        .powerprof(["calibrate", "--", "true"])
        .output()
        .expect("powerprof runs");
    assert_eq!(nothing.status.code(), Some(1));
    assert!(stderr(&nothing).contains("hint:"), "{}", stderr(&nothing));
    let config = json!({"gpus": [{"profile": "v100", "truth": {"constant": 200}}]});
    let gone = with_gpus(&place, &config, &["calibrate", "--", "true"])
        .output()
        .expect("powerprof runs");
    assert_eq!(gone.status.code(), Some(1));
    assert!(stderr(&gone).contains("reads `on` and `off`"), "{}", stderr(&gone));
}

#[test]
fn the_square_wave_example_says_so_where_it_cannot_run() {
    let script = checkout("examples/square_wave.py");
    let torch = Command::new("python3")
        .args(["-c", "import torch; assert torch.cuda.is_available()"])
        .output();
    if torch.is_ok_and(|o| o.status.success()) {
        eprintln!(
            "skipped: this machine has torch with CUDA; run `powerprof calibrate -- python3 {}`",
            script.display()
        );
        return;
    }
    let output = Command::new("python3").arg(&script).output().expect("python3 runs");
    assert_eq!(output.status.code(), Some(77), "{}", stderr(&output));
    assert!(stderr(&output).contains("skipped"), "{}", stderr(&output));
}
