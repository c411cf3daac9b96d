//! Recording never changes the child: its streams, its signals, its process group and its environment are what they would have been.

use std::io::Write;
use std::process::{Command, Stdio};

use crate::support::{Place, default_signals, stderr, stdout};

/// What the kernel says of a process that was started directly, and under powerprof, line by line.
fn both_ways(script: &str) -> (String, String) {
    let place = Place::new();
    let mut direct = Command::new("sh");
    default_signals(&mut direct);
    let direct = direct
        .args(["-c", script])
        .current_dir(place.path())
        .env("NO_COLOR", "1")
        .output();
    let recorded = place.record_script(&["--quiet"], script);
    assert!(recorded.status.success(), "{}", stderr(&recorded));
    (stdout(&direct.expect("sh runs")), stdout(&recorded))
}

#[test]
fn signal_masks_and_dispositions_are_untouched() {
    let (direct, recorded) = both_ways("grep -E '^Sig(Blk|Ign|Cgt)' /proc/self/status");
    assert!(direct.contains("SigBlk"));
    assert_eq!(direct, recorded);
}

#[test]
fn no_descriptor_leaks_into_the_child() {
    let (direct, recorded) = both_ways("ls /proc/self/fd | wc -l");
    assert_eq!(direct, recorded);
}

#[test]
fn the_process_group_and_session_are_powerprofs_own() {
    let place = Place::new();
    // Fields 5 and 6 of /proc/PID/stat are process group and session; the child's parent is powerprof.
    let output = place.record_script(
        &["--quiet"],
        "cut -d' ' -f5,6 /proc/$$/stat; cut -d' ' -f5,6 /proc/$PPID/stat",
    );
    let text = stdout(&output);
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 2, "{text}");
    assert_eq!(lines[0], lines[1]);
}

#[test]
fn one_variable_is_added_to_the_environment() {
    let place = Place::new();
    let output = place.record(&["--quiet", "--", "env"]);
    let names = |text: &str| {
        text.lines()
            .filter_map(|l| l.split_once('='))
            .map(|(n, _)| n.to_owned())
            .collect::<Vec<_>>()
    };
    let mut direct = place.powerprof(["--quiet"]);
    let mut expected: Vec<String> = std::env::vars().map(|(name, _)| name).collect();
    for (name, value) in direct.get_envs() {
        let name = name.to_string_lossy().into_owned();
        expected.retain(|n| *n != name);
        if value.is_some() {
            expected.push(name);
        }
    }
    direct.arg("--version");
    expected.push("POWERPROF_MARKERS".into());
    let (mut found, mut expected) = (names(&stdout(&output)), expected);
    found.sort();
    expected.sort();
    assert_eq!(found, expected);
}

#[test]
fn standard_streams_pass_through_byte_for_byte() {
    let place = Place::new();
    let mut child = place
        .powerprof(["--quiet", "-o", "run.h5", "--", "cat"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("powerprof runs");
    let bytes: Vec<u8> = (0..=255u8).cycle().take(200_000).collect();
    let mut stdin = child.stdin.take().expect("stdin");
    let sent = bytes.clone();
    let writer = std::thread::spawn(move || stdin.write_all(&sent));
    let output = child.wait_with_output().expect("powerprof ends");
    writer.join().expect("no panic").expect("all written");
    assert_eq!(output.stdout, bytes);
}

#[test]
fn the_report_goes_to_standard_error_and_leaves_standard_output_alone() {
    let place = Place::new();
    let output = place.record(&["--", "echo", "hello"]);
    assert_eq!(stdout(&output), "hello\n");
    assert!(stderr(&output).contains("recorded in run.h5"), "{}", stderr(&output));
}

#[test]
fn a_background_grandchild_that_keeps_the_streams_does_not_keep_powerprof() {
    let place = Place::new();
    let started = std::time::Instant::now();
    let output = place
        .powerprof(["--quiet", "--", "sh", "-c", "sleep 30 >/dev/null 2>&1 & exit 4"])
        .output();
    assert_eq!(output.expect("powerprof runs").status.code(), Some(4));
    assert!(started.elapsed().as_secs() < 20, "waited for the grandchild");
}
