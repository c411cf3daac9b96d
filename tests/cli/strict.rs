//! `--strict`: a sensor that is missing or lost is a failure, and the command's own failure goes before it.

use std::process::Output;

use serde_json::json;

use crate::fake_gpu::{constant, with_gpus};
use crate::support::{Place, stderr};

/// The command did not run, and there is no recording of nothing.
fn nothing_ran(place: &Place, output: &Output) {
    assert_eq!(output.status.code(), Some(125), "{}", stderr(output));
    assert!(!place.file("ran").exists(), "the command ran");
    assert!(!place.file("run.h5").exists(), "a recording of nothing");
}

#[test]
fn a_gpu_library_that_is_missing_ends_it_before_the_command() {
    let place = Place::new();
    let output = place.record(&["--strict", "--gpus", "0", "--", "touch", "ran"]);
    nothing_ran(&place, &output);
    assert!(stderr(&output).contains("no-such-library.so"), "{}", stderr(&output));
}

#[test]
fn a_gpu_that_is_missing_ends_it_before_the_command() {
    let place = Place::new();
    let arguments = ["--strict", "--gpus", "0,9", "--", "touch", "ran"];
    let output = with_gpus(&place, &constant(200.0), &arguments)
        .output()
        .expect("powerprof runs");
    nothing_ran(&place, &output);
    insta::assert_snapshot!(stderr(&output));
}

#[test]
fn a_gpu_that_is_lost_while_the_idle_machine_is_watched_ends_it_before_the_command() {
    let place = Place::new();
    let mut config = constant(200.0);
    config["faults"] = json!([{"from_s": 0.5, "effect": {"return": "GPU_IS_LOST"}}]);
    let arguments = ["--strict", "--idle-baseline", "2s", "--", "touch", "ran"];
    let output = with_gpus(&place, &config, &arguments).output().expect("powerprof runs");
    nothing_ran(&place, &output);
}

#[test]
fn a_gpu_that_is_lost_in_mid_run_is_a_failure_unless_the_command_has_its_own() {
    for (strict, end, status) in [
        (&["--strict"][..], "true", 125),
        (&["--strict"], "exit 3", 3),
        (&[], "true", 0),
    ] {
        let place = Place::new();
        let mut config = constant(200.0);
        config["faults"] = json!([{"from_s": 1.5, "effect": {"return": "GPU_IS_LOST"}}]);
        let script = format!("sleep 2.5; touch ran; {end}");
        let arguments = [strict, &["--quiet", "--", "sh", "-c", &script]].concat();
        let output = with_gpus(&place, &config, &arguments).output().expect("powerprof runs");
        assert_eq!(output.status.code(), Some(status), "{}", stderr(&output));
        assert!(place.file("ran").exists(), "the command runs to its end");
        assert_eq!(place.report()["run"]["complete"], true);
        let told = stderr(&output).contains("--strict");
        assert_eq!(told, !strict.is_empty(), "{}", stderr(&output));
    }
}
