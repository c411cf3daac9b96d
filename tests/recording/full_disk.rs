//! A disk that fills up: the error is told, and what was flushed before is there.
//!
//! A limit on the size of files stands in for the disk (it needs no privilege), in a process of its own, because the limit
//! cannot be raised again and holds for every file.

use std::path::Path;
use std::process::Command;

use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::{SigHandler, Signal, signal};
use powerprof::model::recording::{ChildExit, RunEnd};
use powerprof::recording::{Reader, Writer, recover};

use crate::made;

const FILE: &str = "POWERPROF_TEST_FULL_DISK_FILE";
const FILE_LIMIT: u64 = 400_000;

/// Not a test by itself: writes until it cannot, and prints how many sweeps had been flushed by then.
#[test]
#[ignore = "the process that another test starts"]
fn recorder() {
    let Some(path) = std::env::var_os(FILE) else { return };
    // Writing past the limit then fails (EFBIG), as on a full disk, and does not kill.
    // SAFETY: SIG_IGN is no handler of ours that could do anything unsafe.
    unsafe { signal(Signal::SIGXFSZ, SigHandler::SigIgn) }.unwrap();
    setrlimit(Resource::RLIMIT_FSIZE, FILE_LIMIT, FILE_LIMIT).unwrap();
    let devices = [made::gpu(0), made::cpu()];
    let mut writer = Writer::create(Path::new(&path), &made::run(), &devices, false).unwrap();
    let mut flushed = 0;
    for second in 0..10_000 {
        let appended = writer.append(&made::chunk(&devices, second * 100, (second + 1) * 100));
        if let Err(error) = appended.and_then(|()| writer.flush()) {
            println!("\nflushed {flushed}");
            println!("error {error}");
            // As the recorder does when it ends: it tries to finish whatever happened.
            let finished = writer.finish(RunEnd {
                ended: made::time(flushed),
                exit: ChildExit::Code(0),
            });
            println!("finish failed {}", finished.is_err());
            return;
        }
        flushed = (second + 1) * 100;
    }
    panic!("the limit was never met");
}

#[test]
fn what_was_flushed_before_a_full_disk_can_be_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.h5");
    let output = Command::new(std::env::current_exe().unwrap())
        .args([
            "full_disk::recorder",
            "--exact",
            "--ignored",
            "--nocapture",
            "--test-threads=1",
        ])
        .env(FILE, &path)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{said}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let line = |key: &str| {
        said.lines()
            .find_map(|l| l.strip_prefix(key))
            .unwrap_or_else(|| panic!("no `{key}` in\n{said}"))
    };
    let flushed: u64 = line("flushed ").parse().unwrap();
    assert!(flushed > 0);
    assert!(line("error ").contains("cannot write to"), "{said}");
    assert_eq!(line("finish failed "), "true");

    let check = || {
        let reader = Reader::open(&path).unwrap();
        let recording = reader.recording().unwrap();
        assert!(!recording.run.complete);
        assert!(recording.sweeps.due.len() as u64 >= flushed);
        let (_, expected) = made::expected(&[made::gpu(0), made::cpu()], flushed);
        for (device, expected) in recording.devices.iter().zip(&expected) {
            let power = reader.streams(device).unwrap().power;
            let n = flushed as usize;
            assert_eq!(power.times.t[..n], expected.power.times.t[..]);
            assert_eq!(power.counter[..n], expected.power.counter[..]);
        }
    };
    check();
    recover(&path, None, false).unwrap();
    check();
}

/// Columns are written one after another, and the disk may fill up between two of them: the place of a row is there and its text
/// is not.
#[test]
fn rows_of_which_only_the_time_was_written_are_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.h5");
    let devices = [made::gpu(0)];
    let mut writer = Writer::create(&path, &made::run(), &devices, false).unwrap();
    writer.append(&made::chunk(&devices, 0, 2000)).unwrap();
    let end = RunEnd {
        ended: made::time(2000),
        exit: ChildExit::Code(0),
    };
    writer.finish(end).unwrap();
    let read = || {
        let recording = Reader::open(&path).unwrap().recording().unwrap();
        (recording.markers, recording.events)
    };
    let before = read();
    assert!(!before.0.is_empty() && !before.1.is_empty());

    let file = hdf5::File::open_rw(&path).unwrap();
    for (table, times) in [("markers", &["t", "arrival"][..]), ("events", &["t"])] {
        for column in file.group(table).unwrap().datasets().unwrap() {
            let rows = column.size();
            column.resize((rows + 3,)).unwrap();
            if times.iter().any(|time| column.name() == format!("/{table}/{time}")) {
                column.write_slice(&[made::time(1990).as_nanos(); 3], rows..).unwrap();
            }
        }
    }
    file.close().unwrap();
    assert_eq!(read(), before);
}
