//! A disk that fills up, with a limit on the size of files in its place: the command goes on, and what is said is true.

use std::os::unix::process::CommandExt;
use std::process::{Command, Output};

use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::{SigHandler, Signal, signal};

use crate::support::{Place, stderr};

/// Writes by `command` and everything below it fail beyond so many bytes of a file (EFBIG), as on a full disk.
fn with_room(command: &mut Command, bytes: u64) -> Output {
    // SAFETY: both are system calls, and the disposition is no handler; it survives exec.
    unsafe {
        command.pre_exec(move || {
            signal(Signal::SIGXFSZ, SigHandler::SigIgn)?;
            setrlimit(Resource::RLIMIT_FSIZE, bytes, bytes)?;
            Ok(())
        });
    }
    command.output().expect("powerprof runs")
}

const FLOOD: &str =
    r#"for i in 1 2 3 4; do yes "mark tick samples=1" | head -n 5000 > "$POWERPROF_MARKERS"; sleep 0.5; done; exit 3"#;

#[test]
fn in_mid_run_it_is_told_once_and_at_the_end_again_and_the_file_can_be_read() {
    for room in [110_000, 150_000, 200_000] {
        let place = Place::new();
        let arguments = [
            "--quiet",
            "-o",
            "run.h5",
            "--simulate",
            "a100",
            "--interval",
            "1ms",
            "--polling",
            "steady",
            "--",
            "sh",
            "-c",
            FLOOD,
        ];
        let output = with_room(&mut place.powerprof(arguments), room);
        let said = stderr(&output);
        assert_eq!(output.status.code(), Some(3), "{room}: {said}");
        assert_eq!(said.matches("cannot write to run.h5").count(), 1, "{room}: {said}");
        assert!(said.contains("the command goes on"), "{room}: {said}");
        assert!(said.contains(" s are not in run.h5: file too large"), "{room}: {said}");
        assert!(!said.contains("damaged"), "{room}: {said}");
        assert_eq!(place.report()["run"]["complete"], false, "{room}");
    }
}

#[test]
fn before_anything_is_written_no_file_is_named_that_is_not_there() {
    let place = Place::new();
    place.write("log.csv", "t_s,watts\n0,100\n1,110\n2,105\n3,100\n");
    let mut said = Vec::new();
    for (arguments, status) in [
        (
            &["--quiet", "--gpus", "none", "-o", "run.h5", "--", "touch", "ran"][..],
            125,
        ),
        (&["import", "--readings", "log.csv", "-o", "run.h5"], 1),
    ] {
        let output = with_room(&mut place.powerprof(arguments), 10_000);
        assert_eq!(output.status.code(), Some(status), "{}", stderr(&output));
        let error = stderr(&output);
        said.push(error[error.find("powerprof: error").unwrap_or(0)..].to_owned());
    }
    assert!(!place.file("ran").exists(), "the command ran");
    let mut left: Vec<_> = std::fs::read_dir(place.path())
        .expect("the folder")
        .flatten()
        .map(|e| e.file_name())
        .collect();
    left.retain(|name| name != "log.csv");
    assert!(left.is_empty(), "{left:?} was left");
    insta::assert_snapshot!(said.join("---\n"));
}
