//! What a recording costs on disk.

use std::fs;

use powerprof::model::recording::{ChildExit, RunEnd};
use powerprof::recording::{Writer, recover};

use crate::made;

/// Bytes of a run of `seconds` that is flushed every second, as the recorder does it; and of the same, packed.
fn bytes(gpus: u32, seconds: u64) -> (u64, u64) {
    let folder = tempfile::tempdir().unwrap();
    let (path, packed) = (folder.path().join("run.h5"), folder.path().join("packed.h5"));
    let devices: Vec<_> = (0..gpus).map(made::gpu).collect();
    let mut writer = Writer::create(&path, &made::run(), &devices, false).unwrap();
    for second in 0..seconds {
        writer
            .append(&made::chunk(&devices, second * 100, (second + 1) * 100))
            .unwrap();
        writer.flush().unwrap();
    }
    writer
        .finish(RunEnd {
            ended: made::time(seconds * 100),
            exit: ChildExit::Code(0),
        })
        .unwrap();
    recover(&path, Some(&packed), false).unwrap();
    (fs::metadata(path).unwrap().len(), fs::metadata(packed).unwrap().len())
}

#[test]
fn a_short_run_gives_a_small_file() {
    let (written, packed) = bytes(1, 10);
    println!("10 s, 1 GPU: {written} bytes, packed {packed}");
    assert!(written < 300_000, "{written} bytes");
}

#[test]
fn a_long_run_costs_little_per_second() {
    let (short, _) = bytes(8, 20);
    let (long, packed) = bytes(8, 120);
    let per_hour = (long - short) * 36;
    println!("8 GPUs: {per_hour} bytes per hour; 120 s: {long} bytes, packed {packed}");
    // 8 GPUs at 100 readings a second for ten hours: under a gigabyte.
    assert!(per_hour < 100_000_000, "{per_hour} bytes per hour");
}
