//! What layout 1.1 added: the idle baseline, and recordings made of logs.

use powerprof::model::recording::{ChildExit, Chunk, RunEnd};
use powerprof::model::time::Interval;
use powerprof::recording::{Reader, Writer, recover, write_whole};

use crate::made;

#[test]
fn an_idle_baseline_is_kept_and_survives_being_cut_off_and_recovered() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.h5");
    let devices = [made::gpu(0)];
    let baseline = Interval::new(made::time(3), made::time(40));
    let mut writer = Writer::create(&path, &made::run(), &devices, false).unwrap();
    writer.append(&made::chunk(&devices, 0, 50)).unwrap();
    writer.flush().unwrap();
    assert_eq!(Reader::open(&path).unwrap().recording().unwrap().baseline, None);
    let told = Chunk {
        baseline: Some(baseline),
        ..Chunk::default()
    };
    writer.append(&told).unwrap();
    writer.append(&made::chunk(&devices, 50, 90)).unwrap();
    writer.flush().unwrap();
    drop(writer);
    assert_eq!(
        Reader::open(&path).unwrap().recording().unwrap().baseline,
        Some(baseline)
    );
    recover(&path, None, false).unwrap();
    let recording = Reader::open(&path).unwrap().recording().unwrap();
    assert_eq!(recording.baseline, Some(baseline));
    assert!(!recording.run.complete);
}

#[test]
fn a_recording_made_of_a_log_is_complete_has_no_exit_and_never_overwrites_unasked() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.h5");
    let (device, columns) = made::gpu(0);
    let mut common = made::chunk(&[(device.clone(), columns)], 0, 300);
    let streams = common.devices.remove(0);
    let write = |force| {
        let devices = vec![(device.clone(), columns, streams.clone())];
        write_whole(&path, &made::run(), devices, &common, made::time(310), force)
    };
    write(false).unwrap();
    assert!(write(false).is_err());
    write(true).unwrap();
    let reader = Reader::open(&path).unwrap();
    assert!(reader.imported().unwrap());
    let recording = reader.recording().unwrap();
    assert!(recording.run.complete);
    assert_eq!((recording.run.exit, recording.run.ended), (None, Some(made::time(310))));
    assert!(made::same(&reader.streams(&device).unwrap(), &streams));
    assert_eq!(recording.markers, common.markers);
    // One that was recorded says how its command ended.
    let recorded = folder.path().join("recorded.h5");
    let exit = ChildExit::Code(0);
    let end = RunEnd {
        ended: made::time(1),
        exit,
    };
    Writer::create(&recorded, &made::run(), &[], false)
        .unwrap()
        .finish(end)
        .unwrap();
    let reader = Reader::open(&recorded).unwrap();
    assert_eq!(
        (reader.imported().unwrap(), reader.recording().unwrap().run.exit),
        (false, Some(exit))
    );
}
