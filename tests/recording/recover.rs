//! `recover`: where the result goes, and what it says of itself. (That nothing is lost is tested with the kills.)

use std::fs;

use powerprof::model::recording::{ChildExit, RunEnd};
use powerprof::recording::{Reader, Writer, recover};

use crate::made;

#[test]
fn everything_comes_through_with_the_times_of_warnings() {
    let folder = tempfile::tempdir().unwrap();
    let (from, to) = (folder.path().join("run.h5"), folder.path().join("recovered.h5"));
    let devices = [made::gpu(0), made::gpu(1), made::cpu()];
    let mut writer = Writer::create(&from, &made::run(), &devices, false).unwrap();
    writer.append(&made::chunk(&devices, 0, 6000)).unwrap();
    writer
        .finish(RunEnd {
            ended: made::time(6000),
            exit: ChildExit::Signal(15),
        })
        .unwrap();
    let before = fs::read(&from).unwrap();

    let recovered = recover(&from, Some(&to), false).unwrap();
    assert!(recovered.complete);
    assert_eq!(recovered.path, to);
    assert_eq!(recovered.readings, 3 * 6000);
    assert_eq!(fs::read(&from).unwrap(), before);

    let (old, new) = (Reader::open(&from).unwrap(), Reader::open(&to).unwrap());
    assert!(!old.recovered().unwrap() && new.recovered().unwrap());
    let recording = old.recording().unwrap();
    assert!(made::same(&recording, &new.recording().unwrap()));
    for device in &recording.devices {
        assert!(made::same(&old.streams(device).unwrap(), &new.streams(device).unwrap()));
        assert_eq!(old.columns(device).unwrap(), new.columns(device).unwrap());
    }
    drop((old, new));
    let times = |path| {
        hdf5::File::open(path)
            .unwrap()
            .dataset("warnings/t")
            .unwrap()
            .read_raw::<i64>()
            .unwrap()
    };
    assert_eq!(times(&from), times(&to));
    assert!(!times(&to).is_empty());
    assert!(fs::metadata(&to).unwrap().len() < fs::metadata(&from).unwrap().len());
}

#[test]
fn an_existing_file_is_replaced_only_by_force() {
    let folder = tempfile::tempdir().unwrap();
    let (from, to) = (folder.path().join("run.h5"), folder.path().join("kept.h5"));
    drop(Writer::create(&from, &made::run(), &[], false).unwrap());
    fs::write(&to, "kept").unwrap();
    recover(&from, Some(&to), false).unwrap_err();
    assert_eq!(fs::read(&to).unwrap(), b"kept");
    recover(&from, Some(&to), true).unwrap();
    Reader::open(&to).unwrap();
}
