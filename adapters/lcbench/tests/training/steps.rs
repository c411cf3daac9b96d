//! How batches become steps, and when a training ends.

use std::fs;

use crate::{
    losses,
    program::{Run, succeeds},
    quick,
};

#[test]
fn accumulated_batches_are_one_large_batch() {
    let dir = tempfile::tempdir().unwrap();
    let quick = quick(&dir.path().join("data")).and(["--max-steps", "6", "--lr", "1e-3"]);
    let large = succeeds(&quick.clone().and(["--batch-size", "12"]));
    let small = succeeds(&quick.clone().and(["--batch-size", "3", "--accumulate", "4"]));
    assert_eq!(
        (&small["train"]["work"], &small["accumulate"]),
        (&large["train"]["work"], &4.into())
    );
    let (large, small) = (losses(&large), losses(&small));
    assert!(
        large.iter().zip(&small).all(|(a, b)| (a - b).abs() < 2e-5),
        "{large:?}\n{small:?}"
    );
    assert!(
        large[0] - large[5] > 0.05,
        "nothing was learnt, so nothing was compared: {large:?}"
    );
    // And it is not the same as not accumulating.
    let other = losses(&succeeds(&quick.and(["--batch-size", "3"])));
    assert!(other.iter().zip(&large).any(|(a, b)| (a - b).abs() > 1e-3), "{other:?}");
}

#[test]
fn left_over_batches_are_not_lost_and_epochs_end_it() {
    let dir = tempfile::tempdir().unwrap();
    // Eight batches an epoch, three a step: two steps and two batches left over, which the next epoch's first step takes too.
    let run = quick(&dir.path().join("data")).and(["--batch-size", "3", "--accumulate", "3", "--max-epochs", "2"]);
    let summary = succeeds(&run);
    assert_eq!(summary["train"]["steps"], 4);
    assert_eq!(summary["train"]["work"]["samples"], 3 * (3 + 3 + (2 + 3) + 3));
}

#[test]
fn training_stops_early_and_ends_with_its_best_weights() {
    let dir = tempfile::tempdir().unwrap();
    // A rate at which the validation loss soon rises: the best weights are not the last ones.
    let run = quick(&dir.path().join("data")).and(["--batch-size", "6", "--lr", "2e-2", "--warmup-ratio", "0"]);
    let run = run.and([
        "--max-steps",
        "60",
        "--eval-every",
        "2",
        "--patience",
        "2",
        "--best-by",
        "loss",
    ]);
    for save in [None, Some(dir.path().join("saved"))] {
        let run = match &save {
            Some(to) => run.clone().and(["--save", to.to_str().unwrap()]),
            None => run.clone(),
        };
        let summary = succeeds(&run);
        let train = &summary["train"];
        assert_eq!(
            (&train["stopped_early"], &train["best_reloaded"]),
            (&true.into(), &true.into()),
            "{train}"
        );
        let seen: Vec<f64> = train["validations"]
            .as_array()
            .unwrap()
            .iter()
            .map(|seen| seen["loss"].as_f64().unwrap())
            .collect();
        assert_eq!(train["steps"], 2 * seen.len());
        let best = seen.iter().copied().fold(f64::INFINITY, f64::min);
        assert_eq!(
            seen[seen.len() - 3],
            best,
            "two validations after the best one end it: {seen:?}"
        );
        assert_eq!(train["best"]["step"], 2 * (seen.len() - 2));
        assert_eq!(
            summary["validate"]["loss"], best,
            "the end is validated with the best weights"
        );
        if let Some(to) = save {
            let steps = |link: &str| fs::read_link(to.join(link)).unwrap().display().to_string();
            assert_eq!(steps("best"), format!("checkpoint-{}", train["best"]["step"]));
            assert_eq!(steps("last"), format!("checkpoint-{}", train["steps"]));
            // What was kept is a model of its own.
            let best_folder = to.join("best");
            let again = Run::new([
                "--tokenizer",
                "bytes",
                "--max-steps",
                "0",
                "--weights",
                best_folder.to_str().unwrap(),
            ]);
            let again = again.and([
                "--device",
                "cpu",
                "--threads",
                "1",
                "--seq-len",
                "128",
                "--target-len",
                "8",
            ]);
            let again = again.and([
                "--batch-size",
                "6",
                "--no-cache",
                "--data",
                dir.path().join("data").to_str().unwrap(),
            ]);
            assert_eq!(succeeds(&again)["validate"]["loss"], best);
        }
    }
}
