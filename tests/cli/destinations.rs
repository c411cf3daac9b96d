//! Where a recording goes: a file's place is taken when it was asked for, that of anything else never.

use std::fs::File;
use std::os::unix::fs::{FileTypeExt, symlink};
use std::process::Output;

use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

use crate::support::{Place, stderr};

/// A folder with a recording, a log, and things that are no files.
fn place() -> Place {
    let place = Place::new();
    let made = place.record(&["--quiet", "--gpus", "none", "--", "true"]);
    assert!(made.status.success(), "{}", stderr(&made));
    place.write("log.csv", "t_s,watts\n0,100\n1,110\n2,105\n3,100\n");
    mkfifo(&place.file("pipe"), Mode::S_IRUSR | Mode::S_IWUSR).expect("a FIFO");
    std::fs::create_dir(place.file("folder")).expect("a folder");
    symlink("pipe", place.file("link")).expect("a link");
    place
}

fn run(place: &Place, arguments: &[&str]) -> Output {
    place.powerprof(arguments).output().expect("powerprof runs")
}

#[test]
fn what_is_no_file_is_refused_with_force_and_without() {
    let place = place();
    let mut said = Vec::new();
    for (name, verbs) in [
        ("pipe", &["record", "import", "recover"][..]),
        ("folder", &["record"]),
        ("link", &["record"]),
    ] {
        for verb in verbs {
            for force in [&[][..], &["--force"]] {
                let (before, after, status): (&[&str], &[&str], _) = match *verb {
                    "record" => (&["--quiet", "--gpus", "none"], &["--", "touch", "ran"], 2),
                    "import" => (&["import", "--readings", "log.csv"], &[], 1),
                    _ => (&["recover", "run.h5"], &[], 1),
                };
                let output = run(&place, &[before, &["-o", name], force, after].concat());
                assert_eq!(
                    output.status.code(),
                    Some(status),
                    "{verb} {force:?} {name}: {}",
                    stderr(&output)
                );
                said.push(stderr(&output));
            }
        }
    }
    let kind = |name: &str| place.file(name).symlink_metadata().expect("still there").file_type();
    assert!(kind("pipe").is_fifo() && kind("folder").is_dir() && kind("link").is_symlink());
    assert!(!place.file("ran").exists(), "the command ran");
    said.dedup();
    insta::assert_snapshot!(said.join("---\n"));
}

/// A pipe would be waited for, since nobody writes into it.
#[test]
fn a_pipe_is_not_recovered_in_its_own_place() {
    let place = place();
    let output = run(&place, &["recover", "pipe"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("pipe is a FIFO"), "{}", stderr(&output));
}

#[test]
fn a_link_to_a_file_is_replaced_and_its_file_stays() {
    let place = place();
    place.write("precious", "precious");
    symlink("precious", place.file("name")).expect("a link");
    let output = run(
        &place,
        &["--quiet", "--gpus", "none", "-o", "name", "--force", "--", "true"],
    );
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(place.file("name").symlink_metadata().expect("there").is_file());
    assert_eq!(
        std::fs::read_to_string(place.file("precious")).expect("there"),
        "precious"
    );
}

/// As `-o /dev/stdout > FILE` is: behind the link is a file, and the link would be gone.
#[test]
fn a_link_to_an_open_stream_stays() {
    let place = place();
    symlink("/proc/self/fd/1", place.file("stdout")).expect("a link");
    let status = place
        .powerprof(["--quiet", "--gpus", "none", "-o", "stdout", "--force", "--", "true"])
        .stdout(File::create(place.file("redirected")).expect("a file"))
        .status();
    assert_eq!(status.expect("powerprof runs").code(), Some(2));
    assert!(place.file("stdout").is_symlink());
}

/// With `--force`, what was recorded before goes only when there is something to put in its place.
#[test]
fn where_nothing_ran_the_old_recording_stays() {
    let place = place();
    let before = std::fs::read(place.file("run.h5")).expect("the old recording");
    let names = || {
        let entries = std::fs::read_dir(place.path()).expect("the folder");
        let mut names: Vec<_> = entries.flatten().map(|e| e.file_name()).collect();
        names.sort();
        names
    };
    let there = names();
    std::fs::write(place.file("data"), "data").expect("a file that is no program");
    let run = |arguments: &[&str]| run(&place, &[&["-o", "run.h5", "--force", "--quiet"], arguments].concat());
    for (arguments, status) in [
        (&["--gpus", "none", "--", "nosuchcommand"][..], 127),
        (&["--gpus", "none", "--", "./data"], 126),
        (&["--strict", "--gpus", "0", "--", "touch", "ran"], 125),
    ] {
        let output = run(arguments);
        assert_eq!(output.status.code(), Some(status), "{}", stderr(&output));
        assert_eq!(std::fs::read(place.file("run.h5")).expect("still there"), before);
    }
    std::fs::remove_file(place.file("data")).expect("it is there");
    assert_eq!(names(), there);

    let output = run(&["--gpus", "none", "--", "true"]);
    assert!(output.status.success(), "{}", stderr(&output));
    assert_ne!(std::fs::read(place.file("run.h5")).expect("the new one"), before);
    assert_eq!(names(), there);
}

/// As the tasks of a job do, in one folder.
#[test]
fn runs_that_begin_together_have_a_name_each() {
    let place = Place::new();
    let running: Vec<_> = (0..4)
        .map(|_| {
            place
                .powerprof([
                    "--quiet",
                    "--gpus",
                    "none",
                    "--force",
                    "--",
                    "sh",
                    "-c",
                    "echo ran >> ran",
                ])
                .spawn()
                .expect("powerprof runs")
        })
        .collect();
    for mut run in running {
        assert!(run.wait().expect("a child of ours").success());
    }
    assert_eq!(
        std::fs::read_to_string(place.file("ran"))
            .expect("it ran")
            .lines()
            .count(),
        4
    );
    let entries = std::fs::read_dir(place.path()).expect("the folder");
    let names = entries.flatten().map(|e| e.file_name().to_string_lossy().into_owned());
    assert_eq!(names.filter(|name| name.ends_with(".h5")).count(), 4);
}

/// Scripts clear their output folder first.
#[test]
fn a_command_that_deletes_or_renames_its_recording_loses_nothing() {
    for (command, name) in [("rm run.h5", "run.h5"), ("mv run.h5 other.h5", "other.h5")] {
        let place = Place::new();
        let output = place.record_script(&["--gpus", "none"], command);
        assert!(output.status.success(), "{}", stderr(&output));
        let said = stderr(&output);
        assert_eq!(
            said.contains("deleted while it was written"),
            name == "run.h5",
            "{said}"
        );
        assert!(said.contains(&format!("{name}\n")), "{said}");
        assert_eq!(place.report_of(name)["run"]["complete"], true, "{command}");
    }
}
