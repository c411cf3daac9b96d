//! Markers as trainers really write them: by hand, in floods, broken.

use crate::support::{Place, number, paths, phase, stderr};

#[test]
fn a_shell_marks_its_phases_and_counts_its_work() {
    let place = Place::new();
    let output = place.record_script(
        &[],
        r#"m="$POWERPROF_MARKERS"
           echo "begin load" > "$m"; sleep 0.05; echo "end load" > "$m"
           echo "begin train" > "$m"
           for i in 1 2 3; do echo "begin step index=$i" > "$m"; sleep 0.03; echo "end step samples=8 tokens=100" > "$m"; done
           echo "metric loss value=0.5" > "$m"
           echo "end train" > "$m""#,
    );
    assert!(output.status.success(), "{}", stderr(&output));
    let report = place.report();
    assert_eq!(paths(&report), ["load", "train", "train/step"]);
    assert_eq!(phase(&report, "train/step")["count"], 3);
    assert_eq!(phase(&report, "train")["samples"], 24);
    assert_eq!(phase(&report, "train")["tokens"], 300);
    assert_eq!(phase(&report, "load")["samples"], serde_json::Value::Null);
    assert_eq!(report["metrics"][0]["value"], 0.5);
    assert_eq!(report["metrics"][0]["path"], "train");
    let wall = |path: &str| number(&phase(&report, path)["wall_s"]);
    let sum = wall("load") + wall("train") + number(&report["unattributed"]["wall_s"]);
    assert!(
        (sum - number(&report["total"]["wall_s"])).abs() < 1e-9,
        "phases and the rest make up the run"
    );
    // Without stamps of their own lines count from when they are read, which a busy machine does late: a step may seem shorter than its sleep.
    assert!(wall("train") >= wall("train/step") && wall("train/step") > 0.0);
}

#[test]
fn a_flood_of_a_million_lines_is_taken_or_counted() {
    let place = Place::new();
    let output = place.record_script(
        &[],
        r#"echo "begin flood" > "$POWERPROF_MARKERS"
           yes "mark tick samples=1" | head -n 1000000 > "$POWERPROF_MARKERS"
           echo "end flood" > "$POWERPROF_MARKERS""#,
    );
    assert!(output.status.success(), "{}", stderr(&output));
    let report = place.report();
    assert_eq!(paths(&report), ["flood"]);
    // `head` writes blocks, not lines, so some lines are cut where a block ends and another writer's begins; none is lost unseen.
    assert_eq!(phase(&report, "flood")["samples"], 1_000_000);
}

#[test]
fn binary_garbage_ends_normally_and_is_told() {
    let place = Place::new();
    let output = place.record_script(
        &[],
        r#"echo "begin train" > "$POWERPROF_MARKERS"
           head -c 300000 /dev/urandom > "$POWERPROF_MARKERS"
           printf '\nbegin\nend \nbegin bad name\nmetric x value=abc\nbegin train/step\n' > "$POWERPROF_MARKERS"
           echo "end train samples=1" > "$POWERPROF_MARKERS""#,
    );
    assert!(output.status.success(), "{}", stderr(&output));
    let report = place.report();
    assert_eq!(paths(&report), ["train"]);
    assert_eq!(phase(&report, "train")["samples"], 1);
    let warnings = report["warnings"].to_string();
    assert!(warnings.contains("marker"), "the garbage is told: {warnings}");
}

#[test]
fn spans_left_open_or_never_opened_are_told_and_not_guessed_away() {
    let place = Place::new();
    let output = place.record_script(
        &[],
        r#"printf 'end nothing\nbegin outer\nbegin inner\n' > "$POWERPROF_MARKERS"; sleep 0.05
           printf 'end outer samples=2\nbegin open\n' > "$POWERPROF_MARKERS"; sleep 0.05"#,
    );
    assert!(output.status.success(), "{}", stderr(&output));
    let report = place.report();
    assert_eq!(paths(&report), ["outer", "outer/inner", "open"]);
    assert_eq!(phase(&report, "outer")["samples"], 2);
    assert!(number(&phase(&report, "open")["wall_s"]) > 0.04);
    let told = format!("{}{}", report["warnings"], report["checks"]);
    for word in ["nothing", "inner", "open"] {
        assert!(told.contains(word), "{word} is not told: {told}");
    }
}

#[test]
fn ranks_have_stacks_of_their_own() {
    let place = Place::new();
    let output = place.record_script(
        &["--simulate", "a100"],
        r#"m="$POWERPROF_MARKERS"
           printf 'begin train rank=0 devices=0\nbegin train rank=1 devices=0\n' > "$m"; sleep 0.1
           printf 'end train rank=1 samples=3\n' > "$m"; sleep 0.1
           printf 'end train rank=0 samples=4\n' > "$m""#,
    );
    assert!(output.status.success(), "{}", stderr(&output));
    let report = place.report();
    let train = phase(&report, "train");
    assert_eq!((&train["count"], &train["samples"]), (&1.into(), &7.into()));
    assert!(number(&train["wall_s"]) >= 0.19 && number(&train["wall_s"]) < number(&report["total"]["wall_s"]));
}

/// One stamp of the future must not move what comes after it.
const STAMPED_AHEAD: &str = r#"
import os, time
pipe = os.open(os.environ["POWERPROF_MARKERS"], os.O_WRONLY)
mark = lambda line, ahead=0: os.write(pipe, f"{line} t={time.monotonic_ns() + ahead * 10**9}\n".encode())
mark("begin load"); time.sleep(0.1); mark("end load", ahead=1800)
mark("begin train"); time.sleep(0.5); mark("end train samples=10"); time.sleep(0.1)
"#;

#[test]
fn a_stamp_of_the_future_is_replaced_and_told_and_moves_nothing() {
    let place = Place::new();
    let output = place.record(&["--quiet", "--", "python3", "-c", STAMPED_AHEAD]);
    assert!(output.status.success(), "{}", stderr(&output));
    let report = place.report();
    let wall = |path: &str| number(&phase(&report, path)["wall_s"]);
    // Not all of the half second: what is stamped between a marker and its arrival is moved up to that.
    assert!(wall("train") > 0.25, "{}", wall("train"));
    assert!(wall("load") + wall("train") < number(&report["total"]["wall_s"]));
    let warnings = report["warnings"].to_string();
    assert!(
        warnings.contains("`end load t=") && warnings.contains("ahead of"),
        "{warnings}"
    );
}

#[test]
fn a_run_without_markers_is_all_unattributed() {
    let place = Place::new();
    assert!(place.record(&["--", "sleep", "0.2"]).status.success());
    let report = place.report();
    assert!(paths(&report).is_empty());
    assert_eq!(report["unattributed"]["wall_s"], report["total"]["wall_s"]);
}

#[test]
fn why_a_line_is_bad_is_told_beside_many_other_faults() {
    let place = Place::new();
    let output = place.record_script(
        &["--quiet"],
        r#"printf 'begin x y\nbegin a\nbegin b\nbegin c\nend zz\n' > "$POWERPROF_MARKERS"; sleep 0.05"#,
    );
    assert!(output.status.success(), "{}", stderr(&output));
    let warnings = place.report()["warnings"].to_string();
    assert!(warnings.contains("1 line that could not be understood"), "{warnings}");
    assert!(warnings.contains("`begin x y`: "), "the reason: {warnings}");
    assert!(warnings.contains("`end zz` of rank 0"), "the others too: {warnings}");
}
