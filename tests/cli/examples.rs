//! Each example runs under powerprof, its phases appear, and it runs without powerprof just as well.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::support::{Place, checkout, number, paths, stderr};

/// Run one example both ways; the report of the recorded run.
fn both_ways(command: &[&str]) -> Value {
    let plain = Command::new(command[0])
        .args(&command[1..])
        .env_remove("POWERPROF_MARKERS")
        .output()
        .expect("the example starts");
    assert!(plain.status.success(), "{command:?} alone: {}", stderr(&plain));
    let place = Place::new();
    let arguments: Vec<&str> = ["--quiet", "--simulate", "a100", "--"]
        .into_iter()
        .chain(command.iter().copied())
        .collect();
    let output = place.record(&arguments);
    assert!(output.status.success(), "{command:?} recorded: {}", stderr(&output));
    place.report()
}

fn example(name: &str) -> String {
    checkout("examples").join(name).display().to_string()
}

/// `train` with work counted in it, and no complaint about the markers.
fn trains(report: &Value) {
    assert!(
        paths(report).iter().any(|path| path.starts_with("train/")),
        "{:?}",
        paths(report)
    );
    let train = report["phases"]
        .as_array()
        .into_iter()
        .flatten()
        .find(|p| p["path"] == "train")
        .expect("a phase `train`");
    assert!(number(&train["samples"]) > 0.0 && number(&train["wall_s"]) > 0.0);
    let warnings = report["warnings"].to_string();
    assert!(!warnings.contains("marker"), "{warnings}");
}

#[test]
fn a_shell_script() {
    trains(&both_ways(&["sh", &example("shell.sh"), "40000"]));
}

#[test]
fn a_python_loop_of_the_standard_library() {
    trains(&both_ways(&["python3", &example("plain_python.py")]));
}

#[test]
fn several_ranks() {
    let report = both_ways(&["python3", &example("ranks.py")]);
    trains(&report);
}

#[test]
fn a_rust_trainer() {
    // Cargo builds examples beside the tests' own folder.
    let binary = Path::new(env!("CARGO_BIN_EXE_powerprof"))
        .with_file_name("examples")
        .join("rust_trainer");
    assert!(binary.exists(), "{} is built with the tests", binary.display());
    trains(&both_ways(&[&binary.display().to_string()]));
}

#[test]
fn a_pytorch_loop() {
    let script = example("pytorch_loop.py");
    let python = std::env::var("POWERPROF_TEST_TORCH_PYTHON").unwrap_or_else(|_| "python3".into());
    let has_torch = Command::new(&python)
        .args(["-c", "import torch"])
        .output()
        .is_ok_and(|o| o.status.success());
    if !has_torch {
        eprintln!("skipped: {python} has no torch (./test.sh --parity has one, or set POWERPROF_TEST_TORCH_PYTHON)");
        let output = Command::new(&python).arg(&script).output().expect("python3 runs");
        assert_eq!(
            output.status.code(),
            Some(77),
            "without torch the example says so: {}",
            stderr(&output)
        );
        assert!(stderr(&output).contains("torch"), "{}", stderr(&output));
        return;
    }
    trains(&both_ways(&[&python, &script]));
}
