//! A disk that is full for a while: the recording waits for it, and goes on.
//!
//! A limit on the size of files stands in for the disk, in a process of its own, because it holds for every file.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::mpsc::channel;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use powerprof::model::recording::{ChildExit, Recording, RunEnd};
use powerprof::model::sample::SensorEventKind;
use powerprof::recording::background::BackgroundWriter;
use powerprof::recording::{Reader, Writer};

use crate::made;

const FILE: &str = "POWERPROF_TEST_WAITING_FILE";
const MOST: &str = "POWERPROF_TEST_WAITING_MOST";
const RETURNS: &str = "POWERPROF_TEST_WAITING_RETURNS";
const SWEEPS: u64 = 2000;

/// Not a test by itself: records while there is no room for the pieces after the first, up to the tenth of twenty, or for all that follow.
#[test]
#[ignore = "the process that other tests start"]
fn recorder() {
    let Some(path) = std::env::var_os(FILE) else { return };
    let most = std::env::var(MOST).unwrap().parse().unwrap();
    let devices = [made::gpu(0), made::cpu()];
    let mut writer = Writer::create(Path::new(&path), &made::run(), &devices, false).unwrap();
    writer.append(&made::chunk(&devices, 0, 100)).unwrap();
    writer.flush().unwrap();
    let (tell, told) = channel();
    let background = BackgroundWriter::holding(most, writer, move |trouble| tell.send(trouble.to_string()).unwrap());
    let background = background.unwrap();
    let send = |piece: u64| {
        let chunk = made::chunk(&devices, piece * 100, (piece + 1) * 100);
        background.sink().send(chunk).unwrap();
    };
    let (soft, hard) = getrlimit(Resource::RLIMIT_FSIZE).unwrap();
    setrlimit(Resource::RLIMIT_FSIZE, 1, hard).unwrap();
    send(1);
    println!("\ntold {}", told.recv().unwrap());
    (2..10).for_each(send);
    if std::env::var_os(RETURNS).is_some() {
        setrlimit(Resource::RLIMIT_FSIZE, soft, hard).unwrap();
        println!("told {}", told.recv().unwrap());
    }
    (10..SWEEPS / 100).for_each(send);
    let finished = background.finish(RunEnd {
        ended: made::time(SWEEPS),
        exit: ChildExit::Code(0),
    });
    println!("finished {finished:?}");
    if let Err(error) = finished {
        println!("told error: {error}");
    }
    println!("in time {}", told.try_recv().is_err());
}

/// What was said, and what is in the file.
fn recorded(folder: &Path, most: usize, returns: bool) -> (String, PathBuf) {
    let path = folder.join("run.h5");
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args([
            "waiting::recorder",
            "--exact",
            "--ignored",
            "--nocapture",
            "--test-threads=1",
        ])
        .env(FILE, &path)
        .env(MOST, most.to_string());
    if returns {
        command.env(RETURNS, "1");
    }
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).replace(&format!("{}/", folder.display()), "");
    assert!(
        output.status.success(),
        "{said}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(said.contains("in time true"), "{said}");
    (said, path)
}

/// Lines that a user is told, from each one's beginning to the next.
fn told(said: &str) -> String {
    let from = said.find("told ").unwrap();
    let lines = said[from..].lines().take_while(|line| !line.starts_with("in time"));
    let lines: Vec<&str> = lines.filter(|line| !line.starts_with("finished ")).collect();
    lines.join("\n")
}

fn read(path: &Path) -> (Reader, Recording) {
    let reader = Reader::open(path).unwrap();
    let recording = reader.recording().unwrap();
    (reader, recording)
}

#[test]
fn all_that_waited_is_written_when_there_is_room_again() {
    let folder = tempfile::tempdir().unwrap();
    let (said, path) = recorded(folder.path(), 64 << 20, true);
    assert!(said.contains("finished Ok"), "{said}");
    insta::assert_snapshot!(told(&said));
    let (reader, recording) = read(&path);
    assert!(recording.run.complete);
    let (expected, streams) = made::expected(&[made::gpu(0), made::cpu()], SWEEPS);
    assert_eq!(recording.markers, expected.markers);
    assert_eq!(recording.warnings, expected.warnings);
    for (device, expected) in recording.devices.iter().zip(&streams) {
        assert!(made::same(&reader.streams(device).unwrap(), expected));
    }
}

#[test]
fn readings_that_are_too_many_are_dropped_and_told_and_markers_are_not() {
    let folder = tempfile::tempdir().unwrap();
    let (said, path) = recorded(folder.path(), 60_000, true);
    assert!(said.contains("finished Ok"), "{said}");
    // How many depends on how many were flushed before.
    let (before, after) = told(&said)
        .split_once(" was full, and ")
        .map(|(b, a)| (b.to_owned(), a.to_owned()))
        .unwrap();
    let mut after: Vec<char> = after
        .chars()
        .map(|c| if c.is_ascii_digit() { '#' } else { c })
        .collect();
    after.dedup_by(|a, b| *a == '#' && *b == '#');
    insta::assert_snapshot!(format!("{before} was full, and {}", after.iter().collect::<String>()));
    let (reader, recording) = read(&path);
    assert!(recording.run.complete);
    let (expected, streams) = made::expected(&[made::gpu(0), made::cpu()], SWEEPS);
    assert_eq!(recording.markers, expected.markers);
    assert_eq!(recording.anchors, expected.anchors);
    let rows = reader.streams(&recording.devices[1]).unwrap().power.times.t;
    assert!(rows.len() < SWEEPS as usize && rows.len() > 1100, "{}", rows.len());
    // The hole is one, and where the events say.
    let events = recording.events.iter().filter(|event| event.device == "cpu0");
    let hole: Vec<_> = events.map(|event| (event.kind, event.t)).collect();
    let [(SensorEventKind::Gap, first), (SensorEventKind::Back, last)] = hole[..] else {
        panic!("{hole:?}")
    };
    let kept = streams[1].power.times.t.iter().filter(|t| **t < first || **t > last);
    assert!(kept.eq(&rows));
    assert!(
        recording
            .warnings
            .iter()
            .any(|warning| warning.contains("the disk was full"))
    );
}

#[test]
fn where_there_never_is_room_the_end_says_what_is_lost_and_the_file_is_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let (said, path) = recorded(folder.path(), 64 << 20, false);
    let told = told(&said);
    let (before, after) = told.split_once("the last ").unwrap();
    let after = after.trim_start_matches(|c: char| c.is_ascii_digit());
    insta::assert_snapshot!(format!("{before}the last #{after}"));
    let (reader, recording) = read(&path);
    assert!(!recording.run.complete);
    let rows = reader.streams(&recording.devices[1]).unwrap().power.times.t;
    assert_eq!(rows, made::expected(&[made::cpu()], 100).1[0].power.times.t);
}
