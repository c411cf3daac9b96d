//! What is written is what is read.

use powerprof::model::marker::{MarkerEvent, MarkerVerb};
use powerprof::model::recording::{ChildExit, Chunk, RunEnd};
use powerprof::model::time::Timestamp;
use powerprof::recording::{Reader, Writer};
use proptest::prelude::*;

use crate::made;

/// Write the made-up run in pieces that end at `cuts`, flushing after those marked, and compare.
fn round_trip(gpus: u32, cuts: &[(u64, bool)], exit: ChildExit) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.h5");
    let mut devices: Vec<_> = (0..gpus).map(made::gpu).collect();
    devices.push(made::cpu());
    let mut writer = Writer::create(&path, &made::run(), &devices, false).unwrap();
    let mut sweeps = 0;
    for &(length, flush) in cuts {
        writer.append(&made::chunk(&devices, sweeps, sweeps + length)).unwrap();
        sweeps += length;
        if flush {
            writer.flush().unwrap();
        }
    }
    let end = RunEnd {
        ended: made::time(sweeps + 10),
        exit,
    };
    writer.finish(end).unwrap();

    let reader = Reader::open(&path).unwrap();
    let got = reader.recording().unwrap();
    let (mut expected, streams) = made::expected(&devices, sweeps);
    expected.run.ended = Some(end.ended);
    expected.run.exit = Some(exit);
    expected.run.complete = true;
    expected.last_seen = end.ended;
    assert!(made::same(&got, &expected), "{got:#?}\n is not \n{expected:#?}");
    for (device, expected) in got.devices.iter().zip(&streams) {
        let got = reader.streams(device).unwrap();
        assert!(made::same(&got, expected), "{got:?}\n is not \n{expected:?}");
    }
    for (device, columns) in &devices {
        assert_eq!(reader.columns(device).unwrap(), *columns);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]
    #[test]
    fn any_chunking_reads_back_equal(
        gpus in 0u32..3,
        cuts in prop::collection::vec((0u64..700, any::<bool>()), 0..8),
        code in prop_oneof![(0..256).prop_map(ChildExit::Code), (1..65).prop_map(ChildExit::Signal)],
    ) {
        round_trip(gpus, &cuts, code);
    }

    #[test]
    fn any_run_reads_back_equal(
        command in prop::collection::vec("[^\0]{0,40}", 0..4),
        labels in prop::collection::btree_map("[^\0]{1,20}", "[^\0]{0,20}", 0..4),
        environment in prop::collection::btree_map("[A-Z_]{1,20}", "[^\0]{0,300}", 0..4),
        text in "[^\0]{0,80}",
        number in any::<u64>(),
        started in 0i64..i64::MAX / 2,
        unknown in any::<bool>(),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run.h5");
        let mut run = made::run();
        run.command = command;
        run.labels = labels;
        run.environment = environment;
        run.working_directory.clone_from(&text);
        run.host.hostname.clone_from(&text);
        run.host.memory_bytes = (!unknown).then_some(number);
        run.host.logical_cpus = (!unknown).then_some(number as u32);
        run.git_commit = (!unknown).then(|| text.clone());
        run.simulated = (!unknown).then_some(text);
        run.started_realtime_ns = started;
        run.started = Timestamp::from_nanos(started);
        drop(Writer::create(&path, &run, &[], false).unwrap());
        let got = Reader::open(&path).unwrap().recording().unwrap();
        prop_assert_eq!(got.run, run);
        prop_assert_eq!(got.last_seen, Timestamp::from_nanos(started));
        prop_assert!(got.markers.is_empty() && got.devices.is_empty());
    }
}

#[test]
fn a_long_command_line_is_kept_whole() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.h5");
    let mut run = made::run();
    // Attributes are limited to 64 KiB in themselves; their texts are not.
    run.command = (0..20_000).map(|i| format!("--file={i}")).collect();
    drop(Writer::create(&path, &run, &[], false).unwrap());
    assert_eq!(
        Reader::open(&path).unwrap().recording().unwrap().run.command,
        run.command
    );
}

#[test]
fn examples_of_bad_lines_may_be_replaced_and_emptied() {
    use powerprof::model::marker::MarkerFaults;
    let lists: [&[&str]; 6] = [&["a"], &["a", "b"], &["c"], &[], &["d", "e"], &["d", "e"]];
    for upto in 1..=lists.len() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run.h5");
        let mut writer = Writer::create(&path, &made::run(), &[], false).unwrap();
        let mut last = MarkerFaults::default();
        for (i, list) in lists[..upto].iter().enumerate() {
            let examples = list.iter().map(|s| (*s).to_owned()).collect();
            last = MarkerFaults {
                bad_lines: i as u64,
                examples,
                dropped: 3,
            };
            writer
                .append(&Chunk {
                    marker_faults: Some(last.clone()),
                    ..Chunk::default()
                })
                .unwrap();
        }
        writer.flush().unwrap();
        assert_eq!(Reader::open(&path).unwrap().recording().unwrap().marker_faults, last);
    }
}

#[test]
fn an_abandoned_recording_is_cut_off_and_not_complete() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.h5");
    let devices = [made::gpu(0)];
    let mut writer = Writer::create(&path, &made::run(), &devices, false).unwrap();
    writer.append(&made::chunk(&devices, 0, 300)).unwrap();
    writer.flush().unwrap();
    writer.append(&made::chunk(&devices, 300, 310)).unwrap();
    drop(writer);
    let recording = Reader::open(&path).unwrap().recording().unwrap();
    assert!(!recording.run.complete);
    assert_eq!(recording.sweeps.due.len(), 300);
    assert_eq!(recording.last_seen, made::time(299));
}

#[test]
fn a_metric_may_be_no_number() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.h5");
    let mut writer = Writer::create(&path, &made::run(), &[], false).unwrap();
    let values = [2.5, f64::NAN, f64::INFINITY, f64::NEG_INFINITY];
    let mut markers: Vec<MarkerEvent> = (3..4 * 5).step_by(4).map(made::marker).collect();
    assert!(markers.iter().all(|m| m.verb == MarkerVerb::Metric));
    markers
        .iter_mut()
        .zip(values)
        .for_each(|(marker, value)| marker.value = Some(value));
    // What is no metric has no value.
    markers[4] = made::marker(2);
    let chunk = Chunk {
        markers: markers.clone(),
        ..Chunk::default()
    };
    writer.append(&chunk).unwrap();
    writer.flush().unwrap();
    let got = Reader::open(&path).unwrap().recording().unwrap().markers;
    let bits = |markers: &[MarkerEvent]| markers.iter().map(|m| m.value.map(f64::to_bits)).collect::<Vec<_>>();
    assert_eq!(bits(&got), bits(&markers));
}
