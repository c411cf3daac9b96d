//! One committed recording per version of the layout, made once and never again: what was readable stays readable.

use std::path::{Path, PathBuf};

use powerprof::model::device::Device;
use powerprof::model::recording::{ChildExit, RunEnd};
use powerprof::model::sample::Columns;
use powerprof::recording::{Reader, Writer};

use crate::made;

const SWEEPS: u64 = 600;

fn golden(version: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/data/golden-{version}.h5"))
}

/// A GPU as version 1.0 had them: without samples of the driver's own.
fn devices() -> [(Device, Columns); 2] {
    let (gpu, columns) = made::gpu(0);
    let columns = Columns {
        samples: false,
        ..columns
    };
    [(gpu, columns), made::cpu()]
}

/// Makes the golden file of a new version of the layout; refuses to replace one. Run it by name, once, and commit the file:
/// `cargo test --release --test recording golden::make -- --ignored`
#[test]
#[ignore = "makes the golden file of a new version"]
fn make() {
    let devices = devices();
    let mut writer = Writer::create(&golden("v1"), &made::run(), &devices, false).unwrap();
    writer.append(&made::chunk(&devices, 0, 250)).unwrap();
    writer.flush().unwrap();
    writer.append(&made::chunk(&devices, 250, SWEEPS)).unwrap();
    writer
        .finish(RunEnd {
            ended: made::time(SWEEPS),
            exit: ChildExit::Code(3),
        })
        .unwrap();
}

/// If this fails, a change made old recordings unreadable, or read differently: mend the reader, not the file.
#[test]
fn version_1_still_reads() {
    let reader = Reader::open(&golden("v1")).unwrap();
    let recording = reader.recording().unwrap();
    let (mut expected, streams) = made::expected(&devices(), SWEEPS);
    expected.run.ended = Some(made::time(SWEEPS));
    expected.run.exit = Some(ChildExit::Code(3));
    expected.run.complete = true;
    expected.last_seen = made::time(SWEEPS);
    assert!(made::same(&recording, &expected), "{recording:#?}");
    for (device, expected) in recording.devices.iter().zip(&streams) {
        assert!(made::same(&reader.streams(device).unwrap(), expected));
    }
}
