//! A training that is killed: it resumes to the same bits, and its last save is whole.

use std::{
    fs,
    process::Stdio,
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::{
    program::{command, fails, succeeds},
    quick,
};

/// Dropout too: it is drawn from (seed, step, batch), not from a generator that an interruption would set back.
#[test]
fn a_killed_training_resumes_to_the_same_bits() {
    let dir = tempfile::tempdir().unwrap();
    let quick = quick(&dir.path().join("data")).and(["--batch-size", "5", "--accumulate", "2", "--dropout", "0.1"]);
    let quick = quick.and([
        "--max-steps",
        "40",
        "--save-every",
        "3",
        "--eval-every",
        "7",
        "--log-every",
        "4",
    ]);
    let path = |name: &str| dir.path().join(name).display().to_string();
    let whole = succeeds(&quick.clone().and(["--save", &path("whole")]));

    let mut child = command(&quick.clone().and(["--save", &path("cut")]))
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let deadline = Instant::now() + Duration::from_secs(120);
    let last = dir.path().join("cut/last");
    while fs::read_link(&last).is_err() && child.try_wait().unwrap().is_none() {
        assert!(Instant::now() < deadline, "nothing was saved");
        thread::sleep(Duration::from_millis(2));
    }
    child.kill().unwrap(); // SIGKILL
    child.wait().unwrap();
    let resumed = succeeds(&quick.clone().and(["--resume", &path("cut")]));

    let at = resumed["train"]["resumed_at"].as_u64().unwrap();
    assert!((1..40).contains(&at), "killed too late to test anything: {at}");
    for field in ["steps", "losses", "validations", "best", "work", "best_reloaded"] {
        assert_eq!(
            resumed["train"][field], whole["train"][field],
            "{field}, resumed at {at}"
        );
    }
    assert_eq!(resumed["validate"]["loss"], whole["validate"]["loss"]);
    for name in ["model.safetensors", "optimizer.safetensors"] {
        let read = |folder: &str| fs::read(dir.path().join(folder).join("last").join(name)).unwrap();
        assert!(read("cut") == read("whole"), "{name}");
    }
    // A training that is over has nothing left to do, and says the same.
    let over = succeeds(&quick.clone().and(["--resume", &path("cut")]));
    assert_eq!(
        (&over["train"]["resumed_at"], &over["train"]["losses"]),
        (&40.into(), &whole["train"]["losses"])
    );

    let other = fails(&quick.clone().and(["--resume", &path("cut"), "--seed", "7"]), 2);
    assert!(other.contains("seed is 7, and was 42"), "{other}");
    let taken = fails(&quick.and(["--save", &path("cut")]), 1);
    assert!(taken.contains("--resume"), "{taken}");
}

/// Saving at every step, killed again and again at different moments of a step: `last` always leads to a whole checkpoint.
#[test]
fn whenever_it_is_killed_the_last_save_is_whole() {
    let dir = tempfile::tempdir().unwrap();
    let quick = quick(&dir.path().join("data")).and(["--batch-size", "4", "--max-steps", "100000"]);
    let quick = quick.and([
        "--save-every",
        "1",
        "--eval-every",
        "5",
        "--max-eval",
        "2",
        "--log-every",
        "1000",
    ]);
    let saved = dir.path().join("saved");
    let folder = saved.to_str().unwrap();
    let last = || fs::read_link(saved.join("last")).ok();
    let mut step = 0;
    for delay in [0, 3, 7, 12, 18, 25, 33, 42] {
        let before = last();
        let flag = if before.is_none() { "--save" } else { "--resume" };
        let mut child = command(&quick.clone().and([flag, folder]))
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let deadline = Instant::now() + Duration::from_secs(120);
        while last() == before && child.try_wait().unwrap().is_none() {
            assert!(Instant::now() < deadline, "nothing was saved");
            thread::sleep(Duration::from_millis(1));
        }
        thread::sleep(Duration::from_millis(delay));
        child.kill().unwrap(); // SIGKILL
        let output = child.wait_with_output().unwrap();
        assert_eq!(
            output.status.code(),
            None,
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        let state: Value =
            serde_json::from_str(&fs::read_to_string(saved.join("last/training.json")).unwrap()).unwrap();
        let now = state["training"]["steps"].as_u64().unwrap();
        assert!(now > step, "went from {step} to {now}");
        step = now;
        if let Some(best) = state["training"]["best"]["step"].as_u64() {
            assert!(
                saved.join(format!("checkpoint-{best}/model.safetensors")).is_file(),
                "best of {state}"
            );
        }
    }
}
