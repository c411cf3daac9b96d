//! Training as a whole, from the outside: accumulation, early stopping, best weights, saves that survive a kill, resuming to the
//! same bits, the search for a batch size, the cache of ids.

mod program;

use std::{
    fs,
    path::Path,
    process::Stdio,
    thread,
    time::{Duration, Instant},
};

use program::{Run, command, fails, markers, succeeds};
use serde_json::Value;

/// Rows whose outputs have as many bytes as one another, so that means over labels weigh every document the same.
fn equal_rows(dir: &Path, train: usize, validation: usize) {
    let words = ["red", "owl", "tin", "fig", "ash", "sea"];
    let write = |name: &str, rows: usize| {
        let row = |i: usize| {
            let (word, filler) = (words[i * 7 % 6], "so it was and so it is ".repeat(3 + i % 5));
            let row = serde_json::json!({"id": i.to_string(), "pid": i.to_string(),
                "input": format!("Which?\n\n{filler}{word} {filler}"), "output": word});
            format!("{row}\n")
        };
        fs::write(dir.join(name), (0..rows).map(row).collect::<String>()).unwrap();
    };
    fs::create_dir_all(dir).unwrap();
    write("train.jsonl", train);
    write("validation.jsonl", validation);
}

/// A training that takes a second: 24 rows of at most 200 bytes.
fn quick(data: &Path) -> Run {
    equal_rows(data, 24, 6);
    let run = Run::new(["--device", "cpu", "--threads", "1", "--no-cache", "--log-every", "1"]);
    run.and([
        "--seq-len",
        "128",
        "--target-len",
        "8",
        "--data",
        data.to_str().unwrap(),
    ])
}

fn losses(summary: &Value) -> Vec<f64> {
    let entries = summary["train"]["losses"].as_array().unwrap();
    entries.iter().map(|entry| entry[1].as_f64().unwrap()).collect()
}

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

#[test]
fn the_largest_batch_that_fits_is_found_and_used() {
    let run = Run::new([
        "--device",
        "cpu",
        "--threads",
        "1",
        "--seq-len",
        "512",
        "--max-steps",
        "2",
        "--max-eval",
        "2",
    ]);
    let auto = run.and(["--batch-size", "auto"]);
    let limited = succeeds(&auto.clone().and(["--memory-limit", "160M"]));
    let found = limited["batch_size"].as_u64().unwrap();
    let tried = limited["search"]["tried"].as_array().unwrap();
    assert_eq!(
        (&limited["search"]["chosen"], &limited["search"]["capped"]),
        (&found.into(), &false.into())
    );
    let tried = |size: u64| {
        tried
            .iter()
            .find(|entry| entry[0] == size)
            .map(|entry| entry[1].clone())
    };
    assert_eq!(
        (tried(found), tried(found + 1)),
        (Some(true.into()), Some(false.into())),
        "{limited}"
    );
    assert_eq!(limited["train"]["work"]["samples"], 2 * found);
    let more = succeeds(&auto.clone().and(["--memory-limit", "240M", "--max-batch-size", "64"]));
    assert!(
        more["batch_size"].as_u64().unwrap() > found,
        "more memory holds more: {more}"
    );
    let capped = succeeds(&auto.clone().and(["--max-batch-size", "2"]));
    assert_eq!(
        (&capped["batch_size"], &capped["search"]["capped"]),
        (&2.into(), &true.into())
    );
    let text = fails(&auto.and(["--memory-limit", "40M"]), 1);
    assert!(
        text.contains("not even one document fits") && text.contains("hint:"),
        "{text}"
    );
}

#[test]
fn validations_saves_and_trials_have_phases_of_their_own() {
    let dir = tempfile::tempdir().unwrap();
    let run =
        quick(&dir.path().join("data")).and(["--batch-size", "auto", "--max-batch-size", "6", "--accumulate", "2"]);
    let run = run.and([
        "--max-steps",
        "4",
        "--eval-every",
        "2",
        "--save",
        dir.path().join("saved").to_str().unwrap(),
    ]);
    let text = markers(&run.and(["--best-by", "loss", "--lr", "1e-3"]));
    let mut open: Vec<&str> = Vec::new();
    let mut paths: std::collections::BTreeMap<String, u32> = std::collections::BTreeMap::new();
    let mut trained = 0;
    for line in text.lines() {
        let mut words = line.split(' ');
        match (words.next(), words.next()) {
            (Some("begin"), Some(name)) => open.push(name),
            (Some("end"), Some(name)) => {
                let path = open.join("/");
                if path == "train/step" {
                    trained += line
                        .split_once("samples=")
                        .unwrap()
                        .1
                        .split(' ')
                        .next()
                        .unwrap()
                        .parse::<u32>()
                        .unwrap();
                }
                *paths.entry(path).or_default() += 1;
                assert_eq!(open.pop(), Some(name), "{text}");
            }
            _ => {}
        }
    }
    assert!(open.is_empty());
    let count = |path: &str| paths.get(path).copied().unwrap_or(0);
    assert_eq!(trained, 4 * 2 * 6);
    // Trials are programs that run a model too, and none of their phases is here.
    assert_eq!(
        (count("search"), count("load"), count("tokenize"), count("train")),
        (1, 2, 1, 1),
        "{paths:?}"
    );
    assert_eq!(
        (
            count("train/step"),
            count("train/step/forward"),
            count("train/step/optimizer")
        ),
        (4, 8, 4)
    );
    assert_eq!(
        (
            count("train/validate"),
            count("train/validate/step"),
            count("train/save")
        ),
        (2, 2, 2),
        "{paths:?}"
    );
    assert_eq!(
        (count("validate"), count("infer"), count("train/step/validate")),
        (1, 1, 0)
    );
}

#[test]
fn ids_are_kept_from_run_to_run() {
    let dir = tempfile::tempdir().unwrap();
    let (data, cache) = (dir.path().join("data"), dir.path().join("cache"));
    equal_rows(&data, 8, 3);
    let run = Run::new([
        "--device",
        "cpu",
        "--seq-len",
        "64",
        "--target-len",
        "8",
        "--max-steps",
        "1",
    ]);
    let run = run.and(["--data", data.to_str().unwrap(), "--batch-size", "4"]);
    let kept = run.clone().and(["--cache", cache.to_str().unwrap()]);
    let (first, second) = (succeeds(&kept), succeeds(&kept));
    assert_eq!(
        (&first["token_cache"], &second["token_cache"]),
        (&"made".into(), &"found".into())
    );
    assert_eq!(losses(&first), losses(&second));
    assert_eq!(fs::read_dir(&cache).unwrap().count(), 2, "train and validation");
    // Another length of the sources is cut from the same file.
    assert_eq!(succeeds(&kept.and(["--seq-len", "32"]))["token_cache"], "found");
    // By default they are kept under the user's cache folder, and --no-cache keeps none.
    let home = dir.path().join("home");
    let by_default = succeeds(&run.clone().env("XDG_CACHE_HOME", &home));
    assert_eq!(
        (&by_default["token_cache"], home.join("lcbench").is_dir()),
        (&"made".into(), true)
    );
    assert!(succeeds(&run.and(["--no-cache"]))["token_cache"].is_null());
}

#[test]
fn a_folder_of_several_sets_is_asked_for_one() {
    let dir = tempfile::tempdir().unwrap();
    equal_rows(&dir.path().join("qasper"), 8, 3);
    equal_rows(&dir.path().join("qmsum"), 6, 2);
    let run = Run::new([
        "--device",
        "cpu",
        "--seq-len",
        "64",
        "--target-len",
        "8",
        "--max-steps",
        "1",
        "--no-cache",
    ]);
    let run = run.and(["--data", dir.path().to_str().unwrap(), "--batch-size", "2"]);
    let of = |set| {
        let summary = succeeds(&run.clone().and(["--dataset", set]));
        (summary["data"].clone(), summary["best_by"].clone())
    };
    let data =
        |name: &str, n: [usize; 2]| serde_json::json!({"name": name, "set": name, "generated": false, "documents": n});
    assert_eq!(of("qasper"), (data("qasper", [8, 3]), "f1".into()));
    assert_eq!(of("qmsum"), (data("qmsum", [6, 2]), "rouge_mean".into()));
    let text = fails(&run, 1);
    assert!(text.contains("several data sets: qasper, qmsum"), "{text}");
}

#[test]
fn generated_sets_are_called_generated() {
    let run = Run::new([
        "--device",
        "cpu",
        "--seq-len",
        "64",
        "--max-steps",
        "1",
        "--batch-size",
        "2",
        "--max-eval",
        "2",
    ]);
    let run = run.and(["--shaped", "qasper:0.002"]);
    let output = command(&run).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && said.contains("GENERATED") && said.contains("scores mean NOTHING"),
        "{said}"
    );
    let data = &succeeds(&run)["data"];
    let wanted = serde_json::json!({"name": "shaped-qasper", "set": "qasper", "generated": true, "documents": [5, 3]});
    assert_eq!(data, &wanted);
}

/// The recipe by the program: a model small enough to run stands in for the weights of its kind.
#[test]
fn the_recipe_sets_what_the_summary_says() {
    let dir = tempfile::tempdir().unwrap();
    let saved = dir.path().join("tiny");
    let quick = quick(&dir.path().join("data"));
    succeeds(&quick.and([
        "--batch-size",
        "4",
        "--max-steps",
        "1",
        "--save",
        saved.to_str().unwrap(),
    ]));
    let weights = saved.join("last");
    let run = Run::new([
        "--recipe",
        "paper",
        "--model",
        "led-base",
        "--tokenizer",
        "bytes",
        "--device",
        "cpu",
    ]);
    let run = run.and([
        "--weights",
        weights.to_str().unwrap(),
        "--shaped",
        "qasper:0.03",
        "--max-eval",
        "4",
    ]);
    let summary = succeeds(&run.and(["--max-steps", "1", "--batch-size", "2"]));
    assert_eq!(
        (&summary["batch_size"], &summary["accumulate"]),
        (&2.into(), &32.into())
    );
    let recipe = &summary["recipe"];
    assert_eq!(
        (&recipe["name"], &recipe["overridden"]["batch_size"]),
        (&"paper".into(), &22.into())
    );
    assert_eq!(
        (&recipe["set"]["adamw"], &recipe["set"]["max_epochs"]),
        (&"hf411".into(), &50.0.into())
    );
    assert_eq!(summary["precision"], "tf32");
    // 77 rows are 39 batches: 32 make the one step.
    assert_eq!(summary["train"]["work"]["samples"], 64);
}

#[test]
fn a_training_can_be_judged_by_what_it_writes() {
    let dir = tempfile::tempdir().unwrap();
    let run = quick(&dir.path().join("data")).and(["--batch-size", "8", "--max-steps", "4", "--eval-every", "2"]);
    let run = run.and(["--score", "generate", "--max-eval", "3"]);
    let train = &succeeds(&run)["train"];
    assert_eq!(
        (&train["scoring"], &train["validations"][1]["step"]),
        (&"generate".into(), &4.into())
    );
    assert!(
        train["validations"][0]["f1"].is_f64() && train["best"]["score"].is_f64(),
        "{train}"
    );
    let text = fails(&run.and(["--best-by", "loss"]), 2);
    assert!(
        text.contains("--best-by loss") && text.contains("teacher-forced"),
        "{text}"
    );
}

#[test]
fn a_vocabulary_can_be_made_and_used() {
    let dir = tempfile::tempdir().unwrap();
    let (data, made) = (dir.path().join("data"), dir.path().join("made"));
    equal_rows(&data, 8, 3);
    let (data, made) = (data.to_str().unwrap(), made.to_str().unwrap());
    let output = command(&Run::new(["tokenizer", "--data", data, "--vocab", "300", "-o", made]))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let run = Run::new([
        "--device",
        "cpu",
        "--seq-len",
        "64",
        "--max-steps",
        "1",
        "--batch-size",
        "2",
        "--no-cache",
    ]);
    let run = run.and([
        "--data",
        data,
        "--tokenizer",
        made,
        "--save",
        dir.path().join("saved").to_str().unwrap(),
    ]);
    succeeds(&run);
    assert!(
        dir.path().join("saved/last/merges.txt").is_file(),
        "the vocabulary goes with the weights"
    );
}
