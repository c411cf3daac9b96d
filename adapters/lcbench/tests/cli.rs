//! `lcbench-train` from the outside: a short run that learns, its summary, its markers' file, and its error messages.

mod program;

use std::{
    fs,
    process::{Command, Output},
};

use program::{Run, markers};

fn lcbench(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lcbench-train"));
    // Waiting threads sleep: tests share the machine with one another.
    command
        .args(args)
        .env("OMP_WAIT_POLICY", "PASSIVE")
        .env_remove("POWERPROF_MARKERS")
        .output()
        .unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

const SHORT: [&str; 8] = [
    "--seq-len",
    "300",
    "--batch-size",
    "4",
    "--max-eval",
    "6",
    "--device",
    "cpu",
];

#[test]
fn a_short_run_learns_and_sums_up() {
    let dir = tempfile::tempdir().unwrap();
    let summary = dir.path().join("summary.json");
    let path = summary.to_str().unwrap();
    let output = lcbench(
        &[
            &SHORT[..],
            &["--max-steps", "20", "--log-every", "5", "--summary", path],
        ]
        .concat(),
    );
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(output.stdout.is_empty(), "stdout is data's, and there is none");
    assert!(stderr(&output).contains("RANDOM weights"), "{}", stderr(&output));
    let summary: serde_json::Value = serde_json::from_str(&fs::read_to_string(summary).unwrap()).unwrap();
    let losses = summary["train"]["losses"].as_array().unwrap();
    let loss = |i: usize| losses[i][1].as_f64().unwrap();
    assert!(loss(3) < loss(0) - 0.3, "the loss does not fall: {losses:?}");
    assert_eq!(summary["train"]["work"]["samples"], 80);
    assert_eq!(summary["validate"]["work"]["samples"], 6);
    assert_eq!(summary["infer"]["work"]["samples"], 6);
    assert_eq!(summary["pretrained"], false);
    assert!(summary["peak_memory_bytes"].is_null());
    assert!(summary["peak_host_memory_bytes"].as_u64().unwrap() > 100 << 20); // libtorch alone is larger
}

/// 300 tokens are no multiple of bigbird-tiny's blocks, and long enough for them.
#[test]
fn bigbird_learns_too_and_its_random_blocks_are_optional() {
    let run = |rand: &str, steps: &str| {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("summary.json");
        let more = [
            "--model",
            "bigbird-tiny",
            "--max-steps",
            steps,
            "--log-every",
            "5",
            "--bigbird-rand",
            rand,
            "--summary",
            path.to_str().unwrap(),
        ];
        let output = lcbench(&[&SHORT[..], &more].concat());
        assert!(output.status.success(), "{}", stderr(&output));
        serde_json::from_str::<serde_json::Value>(&fs::read_to_string(path).unwrap()).unwrap()
    };
    let summary = run("fixed", "20");
    let losses = summary["train"]["losses"].as_array().unwrap();
    let loss = |i: usize| losses[i][1].as_f64().unwrap();
    assert!(loss(3) < loss(0) - 0.3, "the loss does not fall: {losses:?}");
    assert_eq!(summary["model"], "bigbird-tiny");
    assert_eq!(summary["validate"]["work"]["samples"], 6);
    let [fixed, train_only] = ["fixed", "train-only"].map(|rand| run(rand, "0")["validate"]["loss"].as_f64().unwrap());
    assert!(
        fixed != train_only && (fixed - train_only).abs() < 0.1 * fixed,
        "{fixed} {train_only}"
    );
}

#[test]
fn the_two_ways_of_scoring_never_share_a_name() {
    let evaluated = |mode: &str| {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("summary.json");
        let more = ["--max-steps", "0", "--score", mode, "--generate-len", "6", "--summary"];
        let output = lcbench(&[&SHORT[..], &more, &[path.to_str().unwrap()]].concat());
        assert!(output.status.success(), "{}", stderr(&output));
        let summary: serde_json::Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
        (summary["infer"].clone(), stderr(&output))
    };
    let (forced, text) = evaluated("teacher-forced");
    assert!(forced["generate"].is_null() && forced["f1"].is_null(), "{forced}");
    assert_eq!(forced["teacher_forced"]["examples"], 6);
    assert!(forced["loss"].is_f64() && text.contains("teacher-forced F1"), "{text}");
    let (generated, text) = evaluated("generate");
    assert!(
        generated["teacher_forced"].is_null() && generated["loss"].is_null(),
        "{generated}"
    );
    assert_eq!(generated["generate"]["examples"], 6);
    assert_eq!(generated["work"]["samples"], 6);
    assert!(text.contains("generated: F1"), "{text}");
}

#[test]
fn the_seed_decides_everything() {
    let losses = |seed: &str| {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("summary.json");
        let more = [
            "--max-steps",
            "4",
            "--log-every",
            "1",
            "--threads",
            "1",
            "--dropout",
            "0.1",
            "--seed",
            seed,
        ];
        let output = lcbench(&[&SHORT[..], &more, &["--summary", path.to_str().unwrap()]].concat());
        assert!(output.status.success(), "{}", stderr(&output));
        let summary: serde_json::Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
        summary["train"]["losses"].to_string()
    };
    assert_eq!(losses("7"), losses("7"));
    assert_ne!(losses("7"), losses("8"));
}

#[test]
fn phases_arrive_on_the_marker_pipe() {
    let text = markers(&Run::new(SHORT).and(["--max-steps", "2", "--log-every", "1"]));
    let events: Vec<(&str, &str)> = text
        .lines()
        .filter_map(|line| Some((line.split(' ').next()?, line.split(' ').nth(1)?)))
        .collect();
    let count = |verb: &str, name: &str| events.iter().filter(|event| **event == (verb, name)).count();
    // The data are loaded, then the model.
    for (name, n) in [
        ("load", 2),
        ("tokenize", 1),
        ("train", 1),
        ("validate", 1),
        ("infer", 1),
    ] {
        assert_eq!((count("begin", name), count("end", name)), (n, n), "{name}: {text}");
    }
    for name in ["data", "forward", "backward", "optimizer"] {
        assert_eq!((count("begin", name), count("end", name)), (2, 2), "{name}: {text}");
    }
    let work = text
        .lines()
        .filter(|line| line.starts_with("end step ") && line.contains("samples=4 tokens="));
    assert_eq!(work.count(), 2 + 1, "{text}"); // two training steps, and the first of two validation batches of 4 + 2
    assert_eq!(count("metric", "loss"), 2, "{text}");
    assert_eq!(count("metric", "validate_teacher_forced_f1"), 1, "{text}");
}

#[test]
fn mistakes_say_which_flag_and_what_to_do() {
    for (args, status, parts) in [
        (&["--model", "gpt"][..], 2, ["--model", "led-tiny"]),
        (&["--batch-size", "0"], 2, ["--batch-size 0", "at least 1"]),
        (&["--seq-len", "20000"], 2, ["--seq-len 20000", "at most 16384"]),
        (&["--generate-len", "2000"], 2, ["--generate-len 2000", "at most 1024"]),
        (
            &["--model", "bigbird-large", "--seq-len", "5000"],
            2,
            ["--seq-len 5000", "at most 4096"],
        ),
        (&["--recipe", "paper"], 2, ["--recipe paper", "--dataset"]),
        (
            &["--recipe", "paper", "--shaped", "qmsum"],
            2,
            ["did not train led-tiny", "--model led-base"],
        ),
        (&["--dataset", "qasper"], 2, ["--dataset qasper", "--shaped qasper"]),
        (&["--shaped", "qasper:7"], 2, ["--shaped", "from 0 to 1"]),
        (&["--batch-size", "some"], 2, ["--batch-size", "`auto`"]),
        (&["--patience", "3"], 2, ["--patience 3", "--eval-every"]),
        (&["--resume", "no/such"], 1, ["no saved training", "--save"]),
        (&["--resume", "a", "--save", "b"], 2, ["--resume", "--save"]),
        (
            &["tokenizer", "--data", "no/such", "-o", "/dev/null/x"],
            1,
            ["no/such", "hint:"],
        ),
        (&["--data", "no/such"], 1, ["no/such", "hint:"]),
        (&["--weights", "no/such"], 1, ["no/such", "hint:"]),
        (&["--device", "tpu"], 2, ["--device tpu", "cuda:N"]),
    ] {
        let output = lcbench(args);
        let text = stderr(&output);
        assert_eq!(output.status.code(), Some(status), "{args:?}: {text}");
        for part in parts {
            assert!(text.contains(part), "{args:?} does not say {part:?}: {text}");
        }
    }
}
