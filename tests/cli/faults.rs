//! Sensors that fail in mid-run: the run goes on, the hole is shown, and figures outside it stay right within their intervals.

use std::process::Command;

use serde_json::{Value, json};

use crate::support::{Place, number, phase, stderr};

const WATTS: f64 = 200.0;
/// Four phases of a second, half a second between them.
const SCRIPT: &str = r#"m="$POWERPROF_MARKERS"
for name in one two three four; do echo "begin $name" > "$m"; sleep 1; echo "end $name" > "$m"; sleep 0.5; done"#;

/// A GPU of 200 W whose readings scatter by a watt, without a ring that would stand in; `change` breaks it.
fn report(change: impl Fn(&mut Value)) -> Value {
    let place = Place::new();
    let library = fake_nvml::library_path().unwrap_or_else(|error| panic!("{error}"));
    let mut config = json!({"gpus": [{
        "profile": "a100",
        "truth": {"constant": WATTS},
        "sensor": {"noise_w": 1.0},
        "samples": {"supported": false},
    }]});
    change(&mut config);
    let config = place.write("gpus.json", &config.to_string());
    let mut command: Command = place.powerprof(["-o", "run.h5", "--", "sh", "-c", SCRIPT]);
    let output = command
        .env("POWERPROF_NVML_LIB", library)
        .env("FAKE_NVML_CONFIG", config)
        .output()
        .expect("powerprof runs");
    assert!(output.status.success(), "{}", stderr(&output));
    let report = place.report();
    assert_eq!(report["run"]["complete"], true);
    report
}

fn gpu(report: &Value) -> &Value {
    let devices = report["devices"].as_array().expect("devices");
    devices.iter().find(|d| d["id"] == "gpu0").expect("gpu0")
}

fn part<'a>(report: &'a Value, path: &str) -> &'a Value {
    let devices = phase(report, path)["devices"].as_array().expect("devices");
    &devices.iter().find(|d| d["id"] == "gpu0").expect("gpu0")["energy"]
}

/// The phase's energy is known, and its interval holds the truth.
fn right(report: &Value, path: &str) {
    let (energy, wall) = (part(report, path), number(&phase(report, path)["wall_s"]));
    let (joules, u95) = (number(&energy["joules"]), number(&energy["u95_joules"]));
    assert!(
        (joules - WATTS * wall).abs() <= u95,
        "{path}: {joules} ± {u95} against {}",
        WATTS * wall
    );
    assert!(u95 < 0.15 * joules, "{path}: an interval that says nothing: {energy}");
}

/// The whole run's interval, wherever it is resolved, holds the truth.
fn total_holds(report: &Value) {
    let (energy, truth) = (&gpu(report)["energy"], WATTS * number(&report["total"]["wall_s"]));
    match energy["joules"].as_f64() {
        Some(joules) => {
            let u95 = number(&energy["u95_joules"]);
            assert!((joules - truth).abs() <= u95, "total: {joules} ± {u95} against {truth}");
        }
        None => assert!(
            number(&energy["upper_bound_joules"]) >= truth,
            "{energy} against {truth}"
        ),
    }
}

fn check<'a>(report: &'a Value, name: &str) -> &'a Value {
    let checks = report["checks"].as_array().expect("checks");
    checks
        .iter()
        .find(|c| c["name"] == name)
        .unwrap_or_else(|| panic!("no check {name}: {checks:?}"))
}

#[test]
fn a_gpu_that_is_lost() {
    let report = report(|config| config["faults"] = json!([{"from_s": 3.9, "effect": {"return": "GPU_IS_LOST"}}]));
    right(&report, "one");
    right(&report, "two");
    total_holds(&report);
    let coverage = check(&report, "coverage:gpu0");
    assert_ne!(coverage["status"], "pass");
    assert!(
        coverage["detail"].as_str().is_some_and(|d| d.contains("hole")),
        "{coverage}"
    );
    // When it was lost and why.
    let warnings = report["warnings"].as_array().expect("warnings");
    let told = |w: &Value| {
        w.as_str()
            .is_some_and(|w| w.contains("; lost after ") && w.contains("fell off the bus"))
    };
    assert!(warnings.iter().any(told), "{warnings:?}");
    // What came after is not known, and its interval says so.
    let after = part(&report, "four");
    let vague = after["joules"].is_null() || number(&after["u95_joules"]) > 0.3 * number(&after["joules"]);
    assert!(vague, "{after}");
}

#[test]
fn a_counter_that_starts_again() {
    let report = report(|config| config["gpus"][0]["counter"] = json!({"reset_at_s": [3.2]}));
    for path in ["one", "two", "three", "four"] {
        right(&report, path);
    }
    total_holds(&report);
    let told = check(&report, "counter:gpu0");
    assert!(
        told["detail"].as_str().is_some_and(|d| d.contains("reset 1 time;")),
        "{told}"
    );
}

#[test]
fn a_counter_that_stands_still() {
    let report = report(|config| config["gpus"][0]["counter"] = json!({"stuck_s": [[2.0, 1e9]]}));
    for path in ["one", "two", "three", "four"] {
        right(&report, path);
    }
    total_holds(&report);
    let told = check(&report, "counter:gpu0");
    assert!(
        told["detail"].as_str().is_some_and(|d| d.contains("stood still for")),
        "{told}"
    );
}

#[test]
fn refusals_and_zeros_now_and_then() {
    let report = report(|config| {
        config["faults"] = json!([
            {"calls": ["field:186"], "probability": 0.05, "effect": {"return": "NOT_SUPPORTED"}},
            {"calls": ["field:186"], "probability": 0.05, "effect": "zero"},
            {"calls": ["field:83"], "probability": 0.05, "effect": {"return": "NOT_SUPPORTED"}},
            {"calls": ["field:83"], "probability": 0.02, "effect": "zero"},
            {"calls": ["nvmlDeviceGetFieldValues"], "probability": 0.02, "effect": {"return": "NOT_SUPPORTED"}}
        ]);
    });
    for path in ["one", "two", "three", "four"] {
        right(&report, path);
    }
    total_holds(&report);
}

/// Ten seconds of samples wait in the ring until the driver answers again.
#[test]
fn a_ring_of_samples_bridges_a_call_that_hangs() {
    let report = report(|config| {
        config["gpus"][0]["counter"] = json!({"kind": "none"});
        config["gpus"][0]["samples"] = json!({"period_ms": 20, "length": 500});
        config["faults"] = json!([{"from_s": 2.2, "until_s": 4.2, "effect": "hang"}]);
    });
    for path in ["one", "two", "three", "four"] {
        right(&report, path);
    }
    total_holds(&report);
    assert_eq!(check(&report, "coverage:gpu0")["status"], "pass");
    assert_eq!(gpu(&report)["power_stream"], "samples");
}

#[test]
fn a_call_that_hangs_for_two_seconds() {
    let report = report(|config| {
        config["gpus"][0]["counter"] = json!({"kind": "none"});
        config["faults"] = json!([{"from_s": 2.2, "until_s": 4.2, "effect": "hang"}]);
    });
    right(&report, "one");
    right(&report, "four");
    total_holds(&report);
    assert_ne!(check(&report, "coverage:gpu0")["status"], "pass");
    let (inside, outside) = (part(&report, "two"), part(&report, "four"));
    let doubt = |e: &Value| {
        e["joules"]
            .as_f64()
            .map_or(f64::INFINITY, |j| number(&e["u95_joules"]) / j)
    };
    assert!(
        doubt(inside) > 2.0 * doubt(outside),
        "the interval grows inside the hole: {inside} and {outside}"
    );
}
