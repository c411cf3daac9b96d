//! A GPU library with a known truth, loaded by powerprof as it loads the real one.

use std::process::Command;

use serde_json::{Value, json};

use crate::support::{Place, number, phase, stderr};

/// powerprof with this machine's GPUs.
pub fn with_gpus(place: &Place, config: &Value, arguments: &[&str]) -> Command {
    let library = fake_nvml::library_path().unwrap_or_else(|error| panic!("{error}"));
    let config = place.write("gpus.json", &config.to_string());
    let all = ["-o", "run.h5"].iter().chain(arguments);
    let mut command = place.powerprof(all);
    command
        .env("POWERPROF_NVML_LIB", library)
        .env("FAKE_NVML_CONFIG", config);
    command.env("FAKE_NVML_STATS", place.file("stats.json"));
    command
}

fn record(place: &Place, config: &Value, arguments: &[&str]) -> Value {
    let output = with_gpus(place, config, arguments).output().expect("powerprof runs");
    assert!(output.status.success(), "{}", stderr(&output));
    place.report()
}

pub fn constant(watts: f64) -> Value {
    json!({"gpus": [{"profile": "a100", "truth": {"constant": watts}}]})
}

fn device<'a>(report: &'a Value, id: &str) -> &'a Value {
    let devices = report["devices"].as_array().expect("devices");
    devices
        .iter()
        .find(|d| d["id"] == id)
        .unwrap_or_else(|| panic!("no {id}: {devices:?}"))
}

#[test]
fn ten_seconds_of_a_constant_load_are_right_to_half_a_percent_and_seconds_to_two() {
    let place = Place::new();
    let script = r#"m="$POWERPROF_MARKERS"; i=0
        while [ $i -lt 9 ]; do echo "begin second index=$i" > "$m"; sleep 1; echo "end second samples=1" > "$m"
        i=$((i+1)); done
        echo "begin short" > "$m"; sleep 0.03; echo "end short" > "$m"; sleep 0.9"#;
    let report = record(&place, &constant(200.0), &["--", "sh", "-c", script]);
    let gpu = device(&report, "gpu0");
    let (joules, wall) = (number(&gpu["energy"]["joules"]), number(&report["total"]["wall_s"]));
    assert!(
        (joules / (200.0 * wall) - 1.0).abs() < 0.005,
        "{joules} J in {wall} s at 200 W"
    );
    assert_eq!(gpu["energy"]["method"], "counter");
    let second = phase(&report, "second");
    let energy = &second["devices"][0]["energy"];
    let expected = 200.0 * number(&second["wall_s"]);
    assert!(
        (number(&energy["joules"]) / expected - 1.0).abs() < 0.02,
        "{energy} against {expected}"
    );
    assert!(number(&energy["u95_joules"]) > 0.0);
    // One phase of 30 ms against a counter that moves every 100 ms: a bound, or a doubt as large as the phase.
    let short = phase(&report, "short");
    let energy = &short["devices"][0]["energy"];
    let truth = 200.0 * number(&short["wall_s"]);
    match energy["joules"].as_f64() {
        None => {
            assert_eq!(energy["grade"], "unresolved");
            assert!(
                number(&energy["upper_bound_joules"]) >= truth * 0.999,
                "{energy} against {truth}"
            );
        }
        Some(joules) => assert!(
            number(&energy["u95_joules"]) > 0.1 * joules,
            "falsely precise: {energy}"
        ),
    }
}

/// Announces its load to the library ahead of time, and marks its phases at exactly the same instants.
const STEPPING_TRAINER: &str = r#"
import os, time
pipe = os.open(os.environ["POWERPROF_MARKERS"], os.O_WRONLY)
mark = lambda line, t: os.write(pipe, f"{line} t={t}\n".encode())
start = time.monotonic_ns() + 200_000_000
middle, end = start + 1_500_000_000, start + 3_000_000_000
with open("load.txt", "a") as load:
    load.write(f"{start} 90\n{middle} 310\n{end} 60\n")
time.sleep((end - time.monotonic_ns()) / 1e9 + 0.05)
mark("begin low", start); mark("end low", middle); mark("begin high", middle); mark("end high", end)
"#;

#[test]
fn a_step_in_power_is_found_where_the_markers_say() {
    let place = Place::new();
    let mut config = constant(0.0);
    config["gpus"][0]["truth"] = json!({"trace": {"path": place.file("load.txt"), "initial_w": 60.0}});
    let report = record(&place, &config, &["--", "python3", "-c", STEPPING_TRAINER]);
    for (name, truth) in [("low", 1.5 * 90.0), ("high", 1.5 * 310.0)] {
        let energy = &phase(&report, name)["devices"][0]["energy"];
        let (joules, doubt) = (number(&energy["joules"]), number(&energy["u95_joules"]));
        assert!(
            (joules - truth).abs() <= doubt,
            "{name}: {joules} ± {doubt} against {truth}"
        );
        assert!((joules - truth).abs() < 0.1 * truth, "{name}: {joules} against {truth}");
    }
}

#[test]
fn eight_gpus_are_read_with_one_batched_call_each_and_never_their_processes() {
    let place = Place::new();
    let mut config = constant(150.0);
    config["gpus"][0]["count"] = json!(8);
    let report = record(&place, &config, &["--", "sleep", "1.5"]);
    let gpus = report["devices"]
        .as_array()
        .expect("devices")
        .iter()
        .filter(|d| d["kind"] == "gpu")
        .count();
    assert_eq!(gpus, 8);
    let counts = fake_nvml::stats::Counts::read(&place.file("stats.json")).expect("the library counted");
    let calls = |name: &str| {
        counts
            .calls
            .get(name)
            .map_or(0, |count| count.per_gpu.iter().sum::<u64>())
    };
    let text = format!("{counts:?}");
    assert!(calls("nvmlDeviceGetFieldValues") > 8 * 100, "{text}");
    for never in [
        "nvmlDeviceGetComputeRunningProcesses_v3",
        "nvmlDeviceGetGraphicsRunningProcesses_v3",
        "nvmlDeviceGetFanSpeed",
    ] {
        assert_eq!(calls(never), 0, "{never}");
    }
    // Beside the batched call nothing runs at the fast rate.
    for slow in [
        "nvmlDeviceGetUtilizationRates",
        "nvmlDeviceGetPowerUsage",
        "nvmlDeviceGetTotalEnergyConsumption",
    ] {
        assert!(calls(slow) < calls("nvmlDeviceGetFieldValues") / 4, "{slow}: {text}");
    }
}

#[test]
fn visible_devices_choose_by_index_and_by_uuid() {
    let uuid = "GPU-00000000-1111-2222-3333-444444444444";
    let config = json!({"gpus": [{"count": 2}, {"uuid": uuid}]});
    for (visible, expected) in [
        ("1", vec!["gpu1"]),
        ("2,0", vec!["gpu0", "gpu2"]),
        (&uuid[..12], vec!["gpu2"]),
    ] {
        let place = Place::new();
        let mut command = with_gpus(&place, &config, &["--quiet", "--", "sleep", "0.2"]);
        let output = command
            .env("CUDA_VISIBLE_DEVICES", visible)
            .output()
            .expect("powerprof runs");
        assert!(output.status.success(), "{}", stderr(&output));
        let report = place.report();
        let devices = report["devices"].as_array().expect("devices");
        let mut ids: Vec<&str> = devices
            .iter()
            .filter(|d| d["kind"] == "gpu")
            .filter_map(|d| d["id"].as_str())
            .collect();
        ids.sort_unstable();
        assert_eq!(ids, expected, "{visible}");
    }
}

#[test]
fn a_gpu_that_falls_off_the_bus_is_a_hole_and_a_warning_and_the_run_goes_on() {
    let place = Place::new();
    let mut config = constant(200.0);
    config["faults"] = json!([{"from_s": 1.0, "effect": {"return": "GPU_IS_LOST"}}]);
    let output = with_gpus(&place, &config, &["--", "sh", "-c", "sleep 2.5; exit 3"])
        .output()
        .expect("powerprof runs");
    assert_eq!(output.status.code(), Some(3), "the child's status stays its own");
    let report = place.report();
    assert!(
        report["warnings"].to_string().contains("gpu0"),
        "{}",
        report["warnings"]
    );
    assert_eq!(report["run"]["complete"], true);
}

#[test]
fn single_missing_readings_are_gaps_and_not_zeros() {
    let place = Place::new();
    let mut config = constant(200.0);
    config["faults"] = json!([
        {"calls": ["field:186"], "probability": 0.05, "effect": {"return": "NOT_SUPPORTED"}},
        {"calls": ["field:83"], "probability": 0.05, "effect": {"return": "NOT_SUPPORTED"}}
    ]);
    let report = record(&place, &config, &["--", "sleep", "3"]);
    let gpu = device(&report, "gpu0");
    let (joules, wall) = (number(&gpu["energy"]["joules"]), number(&report["total"]["wall_s"]));
    assert!(
        (joules / (200.0 * wall) - 1.0).abs() < 0.02,
        "{joules} J in {wall} s at 200 W"
    );
}

#[test]
fn a_call_that_hangs_delays_neither_the_child_nor_its_end() {
    let place = Place::new();
    let mut config = constant(200.0);
    config["faults"] =
        json!([{"calls": ["nvmlDeviceGetFieldValues"], "from_s": 1.0, "until_s": 3.0, "effect": "hang"}]);
    let report = record(&place, &config, &["--", "sleep", "5"]);
    let gpu = device(&report, "gpu0");
    let (joules, wall) = (number(&gpu["energy"]["joules"]), number(&report["total"]["wall_s"]));
    assert!(wall < 6.0, "{wall}");
    // A counter bridges the hole: its energy is known, only its course is not.
    assert!(
        (joules / (200.0 * wall) - 1.0).abs() < 0.05,
        "{joules} J in {wall} s at 200 W"
    );
}

#[test]
fn a_gpu_that_is_missing_is_told_once_and_kept() {
    let place = Place::new();
    let output = with_gpus(&place, &constant(200.0), &["--quiet", "--gpus", "0,9", "--", "true"])
        .output()
        .expect("powerprof runs");
    assert!(output.status.success(), "{}", stderr(&output));
    let missing = "no GPU `9` on this machine";
    assert_eq!(stderr(&output).matches(missing).count(), 1, "{}", stderr(&output));
    assert!(place.report()["warnings"].to_string().contains(missing));
}

#[test]
fn doctor_names_what_is_here_and_what_is_missing_with_the_fix() {
    let place = Place::new();
    let without = place.powerprof(["doctor"]).output().expect("powerprof runs");
    let text = crate::support::stdout(&without);
    assert!(
        without.status.success() && text.contains("NVML") && text.contains("RAPL"),
        "{text}{}",
        stderr(&without)
    );
    let config = place.write("gpus.json", &constant(200.0).to_string());
    let library = fake_nvml::library_path().unwrap_or_else(|error| panic!("{error}"));
    let mut command = place.powerprof(["doctor"]);
    let with = command
        .env("POWERPROF_NVML_LIB", library)
        .env("FAKE_NVML_CONFIG", config)
        .output()
        .expect("powerprof runs");
    let text = crate::support::stdout(&with);
    assert!(text.contains("gpu0") && text.contains("A100"), "{text}");
}
