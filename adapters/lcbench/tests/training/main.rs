//! Training as a whole, from the outside: the search for a batch size, phases, the cache of ids, recipes; in `steps` how batches become
//! steps and when a training ends, in `resuming` what survives a kill.

#[path = "../program/mod.rs"]
mod program;
mod resuming;
mod steps;

use std::{fs, path::Path};

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
