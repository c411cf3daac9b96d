//! Polling, idle baseline and modules against a GPU library with a known truth.

use std::process::{Command, Output};

use serde_json::{Value, json};

use crate::support::{Place, number, phase, stderr, stdout};

pub fn with_gpus(place: &Place, config: &Value, arguments: &[&str]) -> Command {
    let library = fake_nvml::library_path().unwrap_or_else(|error| panic!("{error}"));
    let config = place.write("gpus.json", &config.to_string());
    let mut command = place.powerprof(arguments);
    command
        .env("POWERPROF_NVML_LIB", library)
        .env("FAKE_NVML_CONFIG", config)
        .env("FAKE_NVML_STATS", place.file("stats.json"));
    command
}

pub fn succeeded(output: Output) -> Output {
    assert!(output.status.success(), "{}{}", stdout(&output), stderr(&output));
    output
}

pub fn device<'a>(report: &'a Value, id: &str) -> &'a Value {
    let devices = report["devices"].as_array().expect("devices");
    devices
        .iter()
        .find(|d| d["id"] == id)
        .unwrap_or_else(|| panic!("no {id}: {devices:?}"))
}

fn field_calls(place: &Place) -> u64 {
    let counts = fake_nvml::stats::Counts::read(&place.file("stats.json")).expect("the library counted");
    counts
        .calls
        .get("nvmlDeviceGetFieldValues")
        .map_or(0, |count| count.per_gpu.iter().sum())
}

/// How often the counter moved, by the readings that were kept, and the share of its moves that are known to `sharp` seconds.
fn moves_of_the_counter(place: &Place, sharp: f64) -> (usize, f64) {
    let csv = stdout(&succeeded(
        place
            .powerprof(["export", "run.h5", "--to", "csv"])
            .output()
            .expect("runs"),
    ));
    let mut lines = csv.lines();
    let header: Vec<&str> = lines.next().expect("a header").split(',').collect();
    let at = |name: &str| {
        header
            .iter()
            .position(|h| *h == name)
            .unwrap_or_else(|| panic!("no {name} in {header:?}"))
    };
    let (t, device, counter) = (at("t_s"), at("device"), at("energy_counter_joules"));
    let mut readings: Vec<(f64, String)> = Vec::new();
    for line in lines {
        let cells: Vec<&str> = line.split(',').collect();
        if cells[device] == "gpu0" && !cells[counter].is_empty() {
            readings.push((cells[t].parse().expect("a time"), cells[counter].to_owned()));
        }
    }
    let moves: Vec<f64> = readings
        .windows(2)
        .filter(|p| p[0].1 != p[1].1)
        .map(|p| p[1].0 - p[0].0)
        .collect();
    let known = moves.iter().filter(|width| **width <= sharp).count();
    (moves.len(), known as f64 / moves.len().max(1) as f64)
}

#[test]
fn adaptive_polling_asks_far_less_and_loses_no_update() {
    let config = json!({"gpus": [{
        "profile": "a100", "truth": {"constant": 200}, "sensor": {"noise_w": 1.0}, "samples": {"supported": false},
    }]});
    let (mut calls, mut sharp) = (Vec::new(), Vec::new());
    for polling in ["steady", "adaptive"] {
        let place = Place::new();
        let arguments = [
            "-o",
            "run.h5",
            "--interval",
            "2ms",
            "--polling",
            polling,
            "--",
            "sleep",
            "6",
        ];
        succeeded(with_gpus(&place, &config, &arguments).output().expect("powerprof runs"));
        let report = place.report();
        let gpu = device(&report, "gpu0");
        let truth = 200.0 * number(&report["total"]["wall_s"]);
        let (joules, u95) = (number(&gpu["energy"]["joules"]), number(&gpu["energy"]["u95_joules"]));
        assert!(
            (joules - truth).abs() <= u95.max(0.005 * truth),
            "{polling}: {joules} ± {u95} against {truth}"
        );
        assert!(
            (number(&gpu["update_period_ms"]) - 100.0).abs() < 1.0,
            "{polling}: {gpu}"
        );
        assert!(number(&gpu["sensor_call_share"]) > 0.0);
        let (moves, known) = moves_of_the_counter(&place, 0.006);
        let seconds = number(&report["total"]["wall_s"]) + 0.5;
        assert!(
            (moves as f64 - seconds * 10.0).abs() <= 3.0,
            "{polling}: {moves} updates in {seconds} s"
        );
        calls.push(field_calls(&place));
        sharp.push(known);
    }
    // A loaded machine delays polls under either; no update is known less well for being expected.
    assert!(sharp[1] > sharp[0] - 0.25, "{sharp:?}");
    assert!(
        calls[1] * 3 < calls[0] * 2,
        "{calls:?}: adaptive polling spares at least a third even of a short run"
    );
}

/// Rests, then works: tells the library beforehand, and marks its phases at exactly the same instants.
const WORKER: &str = r#"
import os, time
pipe = os.open(os.environ["POWERPROF_MARKERS"], os.O_WRONLY)
mark = lambda line, t: os.write(pipe, f"{line} t={t}\n".encode())
start = time.monotonic_ns() + 200_000_000
end = start + 2_000_000_000
with open("load.txt", "a") as load:
    load.write(f"{start} 260\n{end} 60\n")
time.sleep((end - time.monotonic_ns()) / 1e9 + 0.3)
mark("begin work", start); mark("end work", end)
"#;

#[test]
fn an_idle_baseline_gives_net_energies_beside_gross_ones() {
    let place = Place::new();
    let truth = json!({"trace": {"path": place.file("load.txt"), "initial_w": 60.0}});
    let config = json!({"gpus": [{"profile": "a100", "truth": truth, "sensor": {"noise_w": 0.3}}]});
    let arguments = ["-o", "run.h5", "--idle-baseline", "2s", "--", "python3", "-c", WORKER];
    let output = succeeded(with_gpus(&place, &config, &arguments).output().expect("powerprof runs"));
    assert!(
        stderr(&output).contains("watching the idle machine for 2s"),
        "{}",
        stderr(&output)
    );
    assert!(stderr(&output).contains("net of idle"), "{}", stderr(&output));
    let report = place.report();
    let baseline = &report["idle_baseline"];
    assert!((number(&baseline["wall_s"]) - 2.0).abs() < 0.2, "{baseline}");
    assert_eq!(baseline["interval_s"], 0.01, "the run's own polling");
    let idle = &baseline["devices"][0];
    assert!((number(&idle["mean_power_w"]) - 60.0).abs() < 1.0, "{idle}");
    let gpu = device(&report, "gpu0");
    let (gross, net) = (number(&gpu["energy"]["joules"]), number(&gpu["net_energy"]["joules"]));
    let wall = number(&report["total"]["wall_s"]);
    assert!(
        (gross - net - number(&idle["mean_power_w"]) * wall).abs() < 1e-3,
        "{gross} and {net}"
    );
    let u95 = number(&gpu["net_energy"]["u95_joules"]);
    assert!(
        (net - 400.0).abs() <= u95.max(4.0),
        "200 W above idle for 2 s: {net} ± {u95}"
    );
    assert!(
        u95 >= number(&gpu["energy"]["u95_joules"]),
        "the baseline's doubt comes on top"
    );
    // The idle power of everything in the total goes off a phase's energy.
    let work = phase(&report, "work");
    let all: f64 = baseline["devices"]
        .as_array()
        .expect("devices")
        .iter()
        .map(|d| number(&d["mean_power_w"]))
        .sum();
    let off = number(&work["energy"]["joules"]) - number(&work["net_energy"]["joules"]);
    assert!(
        (off - all * number(&work["wall_s"])).abs() < 1e-3,
        "{off} J at {all} W idle"
    );
    let without = Place::new();
    succeeded(without.record(&["--quiet", "--", "true"]));
    let report = without.report();
    assert!(report["idle_baseline"].is_null() && report["total"]["net_energy"].is_null());
}

#[test]
fn a_baseline_of_no_sense_is_refused() {
    let place = Place::new();
    let output = place.record(&["--idle-baseline", "10ms", "--", "true"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("--idle-baseline 10ms"), "{}", stderr(&output));
}

#[test]
fn an_interrupt_while_the_idle_machine_is_watched_runs_nothing_and_leaves_nothing() {
    let place = Place::new();
    let arguments = ["-o", "run.h5", "--idle-baseline", "60s", "--", "touch", "ran"];
    let mut command = place.powerprof(arguments);
    let child = command
        .stderr(std::process::Stdio::piped())
        .spawn()
        .expect("powerprof runs");
    let give_up = std::time::Instant::now() + std::time::Duration::from_secs(30);
    while !place.file("run.h5").exists() && std::time::Instant::now() < give_up {
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    nix::sys::signal::kill(
        nix::unistd::Pid::from_raw(child.id() as i32),
        nix::sys::signal::Signal::SIGINT,
    )
    .expect("it runs");
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(130), "{}", stderr(&output));
    assert!(!place.file("run.h5").exists() && !place.file("ran").exists());
}

#[test]
fn a_module_holds_its_gpu_and_its_cpu_and_they_are_never_added() {
    let place = Place::new();
    let gpu = json!({"profile": "gh200", "truth": {"constant": 300}, "power_limit_w": 700, "module_extra_w": 150,
        "memory_power_share": 0.2, "sensor": {"noise_w": 0.5}});
    let arguments = ["-o", "run.h5", "--", "sleep", "3"];
    succeeded(
        with_gpus(&place, &json!({"gpus": [gpu]}), &arguments)
            .output()
            .expect("powerprof runs"),
    );
    let report = place.report();
    let ids: Vec<(&str, bool)> = report["devices"]
        .as_array()
        .expect("devices")
        .iter()
        .map(|d| (d["id"].as_str().unwrap_or_default(), d["in_total"] == true))
        .collect();
    assert_eq!(
        ids,
        [("gpu0", false), ("module0", true), ("gpu_memory0", false)],
        "no estimate of a CPU that is measured"
    );
    let (total, wall) = (
        number(&report["total"]["energy"]["joules"]),
        number(&report["total"]["wall_s"]),
    );
    assert!(
        (total / (450.0 * wall) - 1.0).abs() < 0.02,
        "{total} J in {wall} s of a module of 450 W"
    );
}
