//! A real GPU, where there is one and it is asked for (`POWERPROF_TEST_GPU=1`). No test here knows its truth: it knows the board's limits,
//! and that counter and readings are of one power.

use std::process::Command;

use serde_json::Value;

use crate::support::{Place, number, stderr, stdout};

/// powerprof with the machine's own driver.
fn with_driver(place: &Place, arguments: &[&str]) -> Option<Command> {
    if std::env::var("POWERPROF_TEST_GPU").as_deref() != Ok("1") {
        println!("skipped: needs a GPU (POWERPROF_TEST_GPU=1)");
        return None;
    }
    let mut command = place.powerprof(arguments);
    command.env_remove("POWERPROF_NVML_LIB");
    Some(command)
}

fn gpus(report: &Value) -> Vec<&Value> {
    let devices = report["devices"].as_array().expect("devices");
    devices.iter().filter(|device| device["source"] == "nvml").collect()
}

#[test]
fn a_real_gpus_energy_lies_within_what_the_board_can_draw() {
    let place = Place::new();
    let script = "for i in 1 2 3 4; do sleep 5; done";
    let Some(mut command) = with_driver(&place, &["-o", "run.h5", "--", "sh", "-c", script]) else {
        return;
    };
    let output = command.output().expect("powerprof runs");
    assert!(output.status.success(), "{}", stderr(&output));
    let report = place.report();
    let gpus = gpus(&report);
    assert!(!gpus.is_empty(), "no GPU: {report}");
    let wall = number(&report["total"]["wall_s"]);
    for gpu in gpus {
        let watts = number(&gpu["energy"]["joules"]) / wall;
        // No board draws as little as 2 W, and none is built for 2 kW.
        assert!((2.0..2000.0).contains(&watts), "{watts} W: {gpu}");
        let u95 = number(&gpu["energy"]["u95_joules"]);
        assert!(
            u95 > 0.0 && u95 < 0.2 * watts * wall,
            "20 s are long against any sensor: {gpu}"
        );
    }
    let failed = |check: &&Value| check["status"] == "fail";
    let checks = report["checks"].as_array().expect("checks");
    assert_eq!(checks.iter().find(failed), None, "{checks:?}");
}

#[test]
fn doctor_names_a_real_gpu() {
    let place = Place::new();
    let Some(mut command) = with_driver(&place, &["doctor"]) else {
        return;
    };
    let output = command.output().expect("powerprof runs");
    let text = stdout(&output);
    assert!(
        output.status.success() && text.contains("gpu0"),
        "{text}{}",
        stderr(&output)
    );
}
