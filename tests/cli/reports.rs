//! The same figures at the end of the run, later, and in every format; files that are not recordings; pictures.

use serde_json::Value;

use crate::support::{Place, number, paths, phase, stderr, stdout};

const SCRIPT: &str = r#"m="$POWERPROF_MARKERS"
    echo "begin load" > "$m"; sleep 0.3; echo "end load" > "$m"; echo "begin train" > "$m"
    for i in 1 2 3 4; do echo "begin step index=$i" > "$m"; echo "begin forward" > "$m"; sleep 0.15; echo "end forward" > "$m"
      echo "begin backward" > "$m"; sleep 0.25; echo "end backward" > "$m"; echo "end step samples=16" > "$m"; done
    echo "end train" > "$m"; echo "metric accuracy value=0.75" > "$m""#;

fn simulated() -> (Place, String) {
    let place = Place::new();
    let output = place.record_script(&["--simulate", "a100"], SCRIPT);
    assert!(output.status.success(), "{}", stderr(&output));
    let said = stderr(&output);
    (place, said)
}

#[test]
fn the_report_of_the_file_is_the_report_of_the_run() {
    let (place, said) = simulated();
    let again = place.powerprof(["report", "run.h5"]).output().expect("powerprof runs");
    assert!(again.status.success(), "{}", stderr(&again));
    let text = stdout(&again);
    assert!(text.lines().count() > 10, "{text}");
    assert!(said.contains(&text), "at the end:\n{said}\nlater:\n{text}");
    assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
}

#[test]
fn every_output_of_a_simulation_says_so() {
    let (place, said) = simulated();
    assert!(said.contains("SIMULATED"), "{said}");
    for format in ["text", "json", "csv", "md", "html"] {
        let output = place
            .powerprof(["report", "run.h5", "--format", format])
            .output()
            .expect("powerprof runs");
        assert!(output.status.success(), "{format}: {}", stderr(&output));
        assert!(stdout(&output).contains("SIMULATED"), "{format}: {}", stdout(&output));
    }
    for kind in ["svg", "png"] {
        let file = format!("run.{kind}");
        let output = place
            .powerprof(["plot", "run.h5", "-o", &file])
            .output()
            .expect("powerprof runs");
        assert!(output.status.success(), "{kind}: {}", stderr(&output));
        assert!(std::fs::metadata(place.file(&file)).expect("the picture").len() > 5_000);
    }
    assert!(
        std::fs::read_to_string(place.file("run.svg"))
            .expect("the picture")
            .contains("SIMULATED")
    );
}

#[test]
fn phases_and_the_rest_make_up_the_total_in_time_and_energy() {
    let (place, _) = simulated();
    let report = place.report();
    assert_eq!(
        paths(&report),
        [
            "load",
            "train",
            "train/step",
            "train/step/forward",
            "train/step/backward"
        ]
    );
    let top: Vec<_> = report["phases"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|p| !p["path"].to_string().contains('/'))
        .collect();
    let total_wall: f64 =
        top.iter().map(|p| number(&p["wall_s"])).sum::<f64>() + number(&report["unattributed"]["wall_s"]);
    assert!((total_wall - number(&report["total"]["wall_s"])).abs() < 1e-9);
    if top.iter().all(|p| !p["energy"]["joules"].is_null()) && !report["unattributed"]["energy"]["joules"].is_null() {
        let sum: f64 = top.iter().map(|p| number(&p["energy"]["joules"])).sum();
        let sum = sum + number(&report["unattributed"]["energy"]["joules"]);
        let total = number(&report["total"]["energy"]["joules"]);
        assert!((sum / total - 1.0).abs() < 1e-9, "{sum} against {total}");
    }
}

#[test]
fn files_that_are_no_recordings_are_refused_with_a_hint() {
    let place = Place::new();
    place.write("text.h5", "hello");
    place.write("empty.h5", "");
    let script = "import h5py,sys; h5py.File(sys.argv[1],'w')['x'] = [1, 2, 3]";
    let made = std::process::Command::new("python3")
        .args(["-c", script])
        .arg(place.file("foreign.h5"))
        .output();
    let made = made.expect("python3 runs");
    assert!(made.status.success(), "{}\nhint: ./test.sh fetches h5py", stderr(&made));
    let mut said = Vec::new();
    for file in ["absent.h5", "text.h5", "empty.h5", "foreign.h5"] {
        let output = place.powerprof(["report", file]).output().expect("powerprof runs");
        assert_eq!(output.status.code(), Some(1), "{file}");
        assert!(stdout(&output).is_empty(), "{file}: data on a failure");
        said.push(stderr(&output));
    }
    insta::assert_snapshot!(said.join("---\n"));
}

#[test]
fn a_reader_that_goes_away_is_success() {
    let (place, _) = simulated();
    let script = format!(
        "{} report run.h5 --format json | head -c 10 >/dev/null; exit ${{PIPESTATUS[0]}}",
        crate::support::POWERPROF
    );
    let output = std::process::Command::new("bash")
        .args(["-c", &script])
        .current_dir(place.path())
        .output()
        .expect("bash runs");
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
}

#[test]
fn a_picture_of_an_unknown_kind_is_refused() {
    let (place, _) = simulated();
    let output = place
        .powerprof(["plot", "run.h5", "-o", "run.pdf"])
        .output()
        .expect("powerprof runs");
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains(".svg or .png"), "{}", stderr(&output));
}

#[test]
fn one_recording_given_twice_is_not_two_nodes() {
    let (place, _) = simulated();
    let output = place
        .powerprof(["report", "run.h5", "run.h5"])
        .output()
        .expect("powerprof runs");
    assert_eq!(output.status.code(), Some(1));
    let said = stderr(&output);
    assert!(
        said.contains("in recordings 1 and 2") && said.contains("hint:"),
        "{said}"
    );
}

#[test]
fn estimators_are_shown_side_by_side() {
    let (place, _) = simulated();
    let report = |estimator: &str, format: &str| {
        let arguments = ["report", "run.h5", "--estimator", estimator, "--format", format];
        let output = place.powerprof(arguments).output().expect("powerprof runs");
        assert!(output.status.success(), "{estimator}: {}", stderr(&output));
        stdout(&output)
    };
    let json =
        |estimator: &str| -> serde_json::Value { serde_json::from_str(&report(estimator, "json")).expect("JSON") };
    let (all, interval, regression) = (json("all"), json("interval"), json("regression"));
    assert!(interval["alternatives"].is_null(), "{interval}");
    let others = all["alternatives"].as_array().expect("the alternatives");
    let names: Vec<&str> = others.iter().filter_map(|a| a["estimator"].as_str()).collect();
    assert_eq!(names, ["interval", "regression"]);
    for (other, alone) in others.iter().zip([&interval, &regression]) {
        assert_eq!(other["total"], alone["total"]["energy"]);
        let phases = alone["phases"].as_array().expect("phases");
        assert_eq!(other["phases"].as_array().map(Vec::len), Some(phases.len()));
        for (by_other, phase) in other["phases"].as_array().into_iter().flatten().zip(phases) {
            assert_eq!(
                (&by_other["path"], &by_other["energy"]),
                (&phase["path"], &phase["energy"])
            );
        }
    }
    let text = report("all", "text");
    let is_head = |line: &str| {
        ["phase", "auto", "interval", "regression"]
            .iter()
            .all(|word| line.contains(word))
    };
    assert!(text.lines().any(is_head), "{text}");
    assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
    assert!(!report("auto", "text").lines().any(is_head));
}

#[test]
fn csv_has_no_place_for_other_estimates_or_the_study_and_says_so() {
    let (place, _) = simulated();
    let said = ["--estimator=all", "--as-paper"].map(|flag| {
        let output = place
            .powerprof(["report", "run.h5", flag, "--format", "csv"])
            .output()
            .expect("powerprof runs");
        assert_eq!(output.status.code(), Some(2), "{flag}: {}", stderr(&output));
        stderr(&output)
    });
    insta::assert_snapshot!(said.concat());
}

#[test]
fn a_phase_that_has_no_time_left_is_unknown_in_every_format() {
    let place = Place::new();
    // The marker ahead of `out` is stamped after both of its own.
    let script = r#"echo "begin in" > "$POWERPROF_MARKERS"; sleep 1
        now=$(python3 -c 'import time; print(time.monotonic_ns())')
        echo "end in samples=7 t=$now" > "$POWERPROF_MARKERS"
        echo "begin out t=$((now - 500000000))" > "$POWERPROF_MARKERS"
        echo "end out samples=7 t=$((now - 400000000))" > "$POWERPROF_MARKERS""#;
    let arguments = ["--simulate", "a100", "-o", "run.h5", "--", "sh", "-c", script];
    let output = place.powerprof(arguments).output().expect("powerprof runs");
    assert!(output.status.success(), "{}", stderr(&output));
    let report = place.report();
    let out = phase(&report, "out");
    for key in ["wall_s", "samples_per_s", "samples_per_s_per_w", "mean_power_w"] {
        assert!(out[key].is_null(), "{key}: {out}");
    }
    assert_eq!(
        (&out["energy"]["joules"], &out["energy"]["grade"]),
        (&Value::Null, &"unresolved".into())
    );
    assert!(
        report["warnings"]
            .to_string()
            .contains("out has no time within the run"),
        "{}",
        report["warnings"]
    );
    assert!(number(&phase(&report, "in")["energy"]["joules"]) > 0.0);
    for (format, row) in [
        ("csv", "phase,out,out,0,1,,,,,,none,unresolved,,7,,"),
        ("text", "out "),
        ("md", "| out"),
    ] {
        let output = place
            .powerprof(["report", "run.h5", "--format", format])
            .output()
            .expect("powerprof runs");
        let text = stdout(&output);
        let row = text
            .lines()
            .find(|line| line.starts_with(row))
            .unwrap_or_else(|| panic!("{text}"));
        assert!(!row.contains("0.000") && !row.contains("0 s"), "{row}");
    }
}
