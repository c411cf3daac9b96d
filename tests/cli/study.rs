//! `report --as-paper`: the figures of the study by its own formulas, against a load of which everything is known.

use serde_json::Value;

use crate::fake_gpu::{constant, with_gpus};
use crate::support::{Place, number, phase, stderr, stdout};

/// Training of 40 samples with an evaluation of 8 inside it, then inference of 32.
const SCRIPT: &str = r#"m="$POWERPROF_MARKERS"
    echo "begin train" > "$m"
    for i in 1 2 3 4; do echo "begin step" > "$m"; sleep 0.5; echo "end step samples=10" > "$m"; done
    echo "begin validate" > "$m"; sleep 0.5; echo "end validate samples=8" > "$m"
    echo "end train" > "$m"; echo "begin infer" > "$m"; sleep 1; echo "end infer samples=32" > "$m""#;

fn figure<'a>(report: &'a Value, name: &str) -> &'a Value {
    let figures = report["as_paper"]["figures"].as_array().expect("figures");
    figures
        .iter()
        .find(|f| f["name"] == name)
        .unwrap_or_else(|| panic!("no {name}: {figures:?}"))
}

fn close(value: &Value, truth: f64, tolerance: f64) {
    let value = number(value);
    assert!(
        (value / truth - 1.0).abs() < tolerance,
        "{value} against {truth} within {tolerance}"
    );
}

#[test]
fn the_studys_figures_follow_its_formulas_and_stand_beside_the_exact_ones() {
    let place = Place::new();
    let output = with_gpus(&place, &constant(200.0), &["--", "sh", "-c", SCRIPT])
        .output()
        .expect("powerprof runs");
    assert!(output.status.success(), "{}", stderr(&output));
    let output = place
        .powerprof(["report", "run.h5", "--as-paper", "--format", "json"])
        .output()
        .expect("powerprof runs");
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let (train, step, infer) = (
        phase(&report, "train"),
        phase(&report, "train/step"),
        phase(&report, "infer"),
    );
    let wall = |phase: &Value| number(&phase["wall_s"]);
    // Five seconds: three samples in one row.
    assert_eq!(report["as_paper"]["rows"], 1);
    assert_eq!(report["as_paper"]["device"], "gpu0");
    close(&figure(&report, "mean_power")["paper"], 200.0, 0.02);
    close(&figure(&report, "published_energy_column")["paper"], 0.2, 0.02);
    close(&figure(&report, "training_speed")["paper"], 40.0 / wall(train), 1e-9);
    close(&figure(&report, "training_speed")["exact"], 40.0 / wall(step), 1e-9);
    close(&figure(&report, "inference_speed")["paper"], 32.0 / wall(infer), 1e-9);
    close(&figure(&report, "training_energy")["paper"], 200.0 * wall(train), 0.02);
    close(&figure(&report, "training_energy")["exact"], 200.0 * wall(train), 0.03);
    close(
        &figure(&report, "power_efficiency")["exact"],
        40.0 / wall(step) / 200.0,
        0.05,
    );
    assert_eq!(figure(&report, "published_energy_column")["exact"], Value::Null);

    let text = place
        .powerprof(["report", "run.h5", "--as-paper"])
        .output()
        .expect("powerprof runs");
    let text = stdout(&text);
    assert!(
        text.contains("as in the study") && text.contains("Ang, Dhingra and Wills"),
        "{text}"
    );
    assert!(text.contains(": 1 row of 30 s"), "{text}");
    assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
    let csv = place
        .powerprof(["report", "run.h5", "--as-paper", "--format", "csv"])
        .output()
        .expect("powerprof runs");
    assert_eq!(csv.status.code(), Some(2), "{}", stderr(&csv));
}
