//! The status powerprof leaves with is the child's, or one of its own that says what happened.

use std::os::unix::fs::PermissionsExt;

use crate::support::{Place, stderr};

fn status_of(script: &str) -> (Option<i32>, Option<i64>) {
    let place = Place::new();
    let output = place.record_script(&[], script);
    (output.status.code(), place.report()["run"]["exit_code"].as_i64())
}

#[test]
fn a_childs_status_is_ours_and_is_recorded() {
    for code in [0, 1, 3, 125, 255] {
        assert_eq!(
            status_of(&format!("exit {code}")),
            (Some(code), Some(i64::from(code))),
            "exit {code}"
        );
    }
}

#[test]
fn a_signal_becomes_128_and_its_number() {
    for (name, status) in [("KILL", 137), ("TERM", 143), ("SEGV", 139)] {
        assert_eq!(
            status_of(&format!("kill -{name} $$")),
            (Some(status), Some(i64::from(status))),
            "{name}"
        );
    }
}

#[test]
fn a_command_that_cannot_run_has_its_status_one_clear_line_and_no_recording() {
    let place = Place::new();
    let plain = place.write("plain.txt", "not a program\n");
    std::fs::set_permissions(&plain, std::fs::Permissions::from_mode(0o644)).expect("permissions");
    let odd = place.write("odd", "\u{7f}ELF but not really");
    std::fs::set_permissions(&odd, std::fs::Permissions::from_mode(0o755)).expect("permissions");
    let mut said = Vec::new();
    for (command, status) in [
        ("nosuchcmd", 127),
        ("./missing/x", 127),
        ("./plain.txt", 126),
        ("/", 126),
    ] {
        let output = place.record(&["--quiet", "--", command]);
        assert_eq!(output.status.code(), Some(status), "{command}: {}", stderr(&output));
        assert!(!place.file("run.h5").exists(), "{command} left a recording of nothing");
        said.push(
            stderr(&output)
                .lines()
                .filter(|line| !line.contains("warning") && !line.contains("POWERPROF_NVML_LIB"))
                .collect::<Vec<_>>()
                .join("\n"),
        );
    }
    insta::assert_snapshot!(said.join("\n---\n"));
}

#[test]
fn wrong_usage_is_2_and_names_the_flag_and_the_fix() {
    let place = Place::new();
    let cases: [&[&str]; 6] = [
        &["--interval", "0ms", "--", "true"],
        &["--interval", "10", "--", "true"],
        &["--cpu-tdp", "-3", "--", "true"],
        &["--label", "nonsense", "--", "true"],
        &["-o", "no/such/folder/run.h5", "--", "true"],
        &["--no-such-flag", "--", "true"],
    ];
    let mut said = Vec::new();
    for arguments in cases {
        let output = place.powerprof(arguments).output().expect("powerprof runs");
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {}", stderr(&output));
        said.push(stderr(&output));
    }
    insta::assert_snapshot!(said.join("---\n"));
}

#[test]
fn a_recording_is_never_overwritten_unasked() {
    let place = Place::new();
    place.write("run.h5", "precious");
    let refused = place.record(&["--", "true"]);
    assert_eq!(refused.status.code(), Some(2), "{}", stderr(&refused));
    assert_eq!(
        std::fs::read_to_string(place.file("run.h5")).expect("still there"),
        "precious"
    );
    let forced = place.record(&["--force", "--", "true"]);
    assert_eq!(forced.status.code(), Some(0), "{}", stderr(&forced));
    assert_eq!(place.report()["run"]["complete"], true);
}

#[test]
fn two_runs_without_a_name_are_two_files() {
    let place = Place::new();
    for _ in 0..2 {
        let output = place
            .powerprof(["--quiet", "--", "true"])
            .output()
            .expect("powerprof runs");
        assert!(output.status.success(), "{}", stderr(&output));
    }
    let files = std::fs::read_dir(place.path()).expect("the folder").filter(|e| {
        e.as_ref()
            .is_ok_and(|e| e.file_name().to_string_lossy().starts_with("true-"))
    });
    assert_eq!(files.count(), 2);
}
