//! What `kill -9` of powerprof leaves behind: a file that opens, and a child that does not notice.

use std::process::Stdio;
use std::time::Duration;

use crate::support::{Place, number, phase, stderr, stdout};

/// Emits a step every 20 ms, and says at its end that it got there.
const TRAINER: &str = r#"
echo "begin train" > "$POWERPROF_MARKERS"; touch ready
i=0; while [ $i -lt 120 ]; do
  echo "begin step index=$i" > "$POWERPROF_MARKERS"; sleep 0.02; echo "end step samples=4" > "$POWERPROF_MARKERS"
  i=$((i+1)); echo $i > progress
done
echo "end train" > "$POWERPROF_MARKERS"; touch finished"#;

#[test]
fn a_killed_recording_opens_with_all_but_the_last_flush_and_the_child_goes_on() {
    // Ten moments spread over the run, none of them round.
    for moment in 0..10u64 {
        let place = Place::new();
        let mut powerprof = place
            .powerprof(["-o", "run.h5", "--simulate", "a100", "--", "sh", "-c", TRAINER])
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .env("TMPDIR", place.path())
            .spawn()
            .expect("powerprof runs");
        while !place.file("ready").exists() {
            std::thread::sleep(Duration::from_millis(5));
        }
        std::thread::sleep(Duration::from_millis(137 + 211 * moment));
        let before = number_in(&place, "progress");
        powerprof.kill().expect("still there");
        powerprof.wait().expect("a child of ours");

        let report = place.report();
        assert_eq!(report["run"]["complete"], false, "moment {moment}");
        // Flushed every half second, handed over every quarter: all but the last second must be there.
        let kept = report["phases"].as_array().map_or(0, Vec::len);
        if before > 60 {
            assert!(kept > 0, "moment {moment}: {before} steps were made, no phase was kept");
            let steps = number(&phase(&report, "train/step")["count"]);
            assert!(
                steps >= f64::from(before) - 60.0,
                "moment {moment}: {steps} of {before} steps"
            );
        }
        let recovered = place
            .powerprof(["recover", "run.h5", "-o", "plain.h5"])
            .output()
            .expect("powerprof runs");
        assert!(recovered.status.success(), "{}", stderr(&recovered));
        let plain = place.report_of("plain.h5");
        assert_eq!(plain["phases"], report["phases"], "moment {moment}");
        assert_eq!(plain["run"]["complete"], false);

        for _ in 0..1500 {
            if place.file("finished").exists() {
                break;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        assert!(
            place.file("finished").exists(),
            "moment {moment}: the child stopped at {}",
            number_in(&place, "progress")
        );
    }
}

fn number_in(place: &Place, file: &str) -> u32 {
    std::fs::read_to_string(place.file(file))
        .ok()
        .and_then(|text| text.trim().parse().ok())
        .unwrap_or(0)
}

#[test]
fn a_recovered_file_is_plain_to_other_programs() {
    let place = Place::new();
    let mut powerprof = place
        .powerprof([
            "-o",
            "run.h5",
            "--simulate",
            "a100",
            "--",
            "sh",
            "-c",
            "touch ready; sleep 3",
        ])
        .stderr(Stdio::null())
        .spawn()
        .expect("powerprof runs");
    while !place.file("ready").exists() {
        std::thread::sleep(Duration::from_millis(5));
    }
    std::thread::sleep(Duration::from_millis(1300));
    powerprof.kill().expect("still there");
    powerprof.wait().expect("a child of ours");
    let recovered = place.powerprof(["recover", "run.h5"]).output().expect("powerprof runs");
    assert!(recovered.status.success(), "{}", stderr(&recovered));
    let script =
        "import h5py,sys; p=h5py.File(sys.argv[1])['gpu/0/power']['watts']; print(len(p) > 50, p.attrs['unit'])";
    let python = std::process::Command::new("python3")
        .args(["-c", script])
        .arg(place.file("run.h5"))
        .output();
    let python = python.expect("python3 runs");
    assert!(
        python.status.success(),
        "{}\nhint: ./test.sh fetches h5py; or set PYTHONPATH to a folder that has it",
        stderr(&python)
    );
    assert_eq!(stdout(&python).trim(), "True W");
}
