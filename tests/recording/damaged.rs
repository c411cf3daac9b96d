//! A recording of which some bytes are wrong: what does not depend on them is read, and the rest is named.

use std::fs;
use std::path::{Path, PathBuf};

use hdf5::file::LibraryVersion;
use powerprof::model::marker::MarkerVerb;
use powerprof::model::recording::{ChildExit, DeviceStreams, RunEnd};
use powerprof::recording::{Reader, Writer, recover};

use crate::made;

const SWEEPS: u64 = 1000;

fn recorded(folder: &Path) -> PathBuf {
    let path = folder.join("run.h5");
    let devices = [made::gpu(0), made::cpu()];
    let mut writer = Writer::create(&path, &made::run(), &devices, false).unwrap();
    // As it happens: a block or two a second.
    for second in 0..SWEEPS / 100 {
        let chunk = made::chunk(&devices, second * 100, (second + 1) * 100);
        writer.append(&chunk).unwrap();
        writer.flush().unwrap();
    }
    let end = RunEnd {
        ended: made::time(SWEEPS),
        exit: ChildExit::Code(0),
    };
    writer.finish(end).unwrap();
    path
}

/// Overwrite bytes of the file: those of one block of rows, or with no block those that describe the dataset.
fn damage(path: &Path, dataset: &str, block: Option<usize>) {
    let (at, length) = {
        let file = hdf5::File::open(path).unwrap();
        let dataset = file.dataset(dataset).unwrap();
        match block {
            Some(block) => {
                let block = dataset.chunk_info(block).unwrap();
                (block.addr as usize, block.size as usize)
            }
            None => (address(dataset.loc_info().unwrap().token), 24),
        }
    };
    let mut bytes = fs::read(path).unwrap();
    for (i, byte) in bytes[at..at + length].iter_mut().enumerate() {
        *byte = made::scramble(i as u64) as u8;
    }
    fs::write(path, bytes).unwrap();
}

/// Where the description begins: the token shows it as a number or as its bytes, and lets nobody have it otherwise.
fn address(token: hdf5::LocationToken) -> usize {
    let shown = format!("{token:?}");
    // The name of the type has a number in it too.
    let numbers = shown.rsplit(['[', '(']).next().unwrap();
    let numbers: Vec<usize> = numbers
        .split(|c: char| !c.is_ascii_digit())
        .filter_map(|number| number.parse().ok())
        .collect();
    let bytes = numbers.iter().take(size_of::<usize>()).rev();
    bytes.fold(0, |address, byte| address << 8 | byte)
}

fn streams(path: &Path) -> Vec<DeviceStreams> {
    let reader = Reader::open(path).unwrap();
    let recording = reader.recording().unwrap();
    let streams = recording.devices.iter().map(|device| reader.streams(device).unwrap());
    streams.collect()
}

fn shown(path: &Path, said: &str) -> String {
    said.replace(&format!("{}/", path.parent().unwrap().display()), "")
}

/// What is said of a file with this damage, of the devices and then of all.
fn told(path: &Path) -> Vec<String> {
    let devices = streams(path).into_iter().filter_map(|streams| streams.unreadable);
    let warnings = Reader::open(path).unwrap().recording().unwrap().warnings;
    let own = |warning: &String| warning.contains("is damaged");
    let all = devices.chain(warnings.into_iter().filter(own));
    all.map(|said| shown(path, &said)).collect()
}

#[test]
fn a_block_of_a_column_is_not_given_and_everything_else_is_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let path = recorded(folder.path());
    let before = streams(&path);
    assert!(before.iter().all(|streams| streams.unreadable.is_none()));
    damage(&path, "gpu/0/power/watts", Some(2));
    let mut after = streams(&path);
    let lost = 256..384;
    assert!(after[0].power.watts[lost.clone()].iter().all(|w| w.is_nan()));
    after[0].power.watts[lost.clone()].copy_from_slice(&before[0].power.watts[lost]);
    assert!(after[0].unreadable.take().is_some());
    assert!(made::same(&before, &after));
    insta::assert_snapshot!(told(&path).join("\n---\n"));
}

#[test]
fn a_block_of_times_takes_its_rows_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = recorded(folder.path());
    let before = streams(&path).remove(0).power;
    damage(&path, "gpu/0/power/t", Some(1));
    let after = streams(&path).remove(0).power;
    let left = |rows: usize| (0..rows).filter(|row| !(128..256).contains(row));
    assert_eq!(after.times.t, left(1000).map(|i| before.times.t[i]).collect::<Vec<_>>());
    assert_eq!(after.counter, left(1000).map(|i| before.counter[i]).collect::<Vec<_>>());
    assert_eq!(after.watts.len(), after.times.len());
    assert!(
        told(&path)[0].contains("128 of 1000 rows of gpu/0/power/t ("),
        "{:?}",
        told(&path)
    );
}

#[test]
fn what_does_not_open_is_named_and_the_rest_is_read() {
    for (dataset, what) in [
        ("gpu/0/power/t", "gpu0 has no readings"),
        ("gpu/0/power/average_watts", "one column is not given"),
        ("gpu/0/state/temperature", "one column is not given"),
        ("gpu/0/samples/watts", "no samples"),
        ("cpu/0/energy/counter", "cpu0 has no counts"),
        ("host/cpu", "the machine's figures lack one"),
        ("sampler/late", "punctuality is unknown"),
        ("clock/realtime", "no anchors"),
        ("events/kind", "no events"),
        ("warnings/text", "no warnings"),
        ("marker_faults/dropped", "no faults"),
        ("start/t", "the beginning is when the recorder began"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let path = recorded(folder.path());
        let before = streams(&path);
        damage(&path, dataset, None);
        let after = streams(&path);
        let told = told(&path);
        assert_eq!(told.len(), 1, "{dataset}: {told:?}");
        assert!(
            told[0].contains(&format!("cannot read {dataset} (")) || dataset == "gpu/0/power/t",
            "{told:?}"
        );
        let whole = before
            .iter()
            .zip(&after)
            .filter(|(before, after)| made::same(before, after))
            .count();
        assert_eq!(whole, if dataset.contains("/0/") { 1 } else { 2 }, "{dataset}: {what}");
        let recording = Reader::open(&path).unwrap().recording().unwrap();
        assert!(recording.run.complete, "{dataset}");
        assert_eq!(recording.markers.len(), 143, "{dataset}");
        let rows = |streams: &DeviceStreams| {
            (
                streams.power.times.len(),
                streams.power.counter.iter().flatten().count(),
            )
        };
        match dataset {
            "gpu/0/power/t" => assert_eq!(rows(&after[0]), (0, 0)),
            "cpu/0/energy/counter" => assert_eq!(rows(&after[1]).1, 0),
            _ => assert_eq!(
                (rows(&after[0]), rows(&after[1])),
                (rows(&before[0]), rows(&before[1])),
                "{dataset}"
            ),
        }
    }
}

#[test]
fn an_end_that_cannot_be_read_is_none() {
    let folder = tempfile::tempdir().unwrap();
    let path = recorded(folder.path());
    damage(&path, "end/kind", None);
    let recording = Reader::open(&path).unwrap().recording().unwrap();
    assert!(!recording.run.complete && recording.run.exit.is_none());
    assert!(recording.last_seen >= made::time(SWEEPS - 1));
    assert!(told(&path)[0].contains("end/kind"));
}

#[test]
fn markers_without_their_numbers_are_markers_and_without_names_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let path = recorded(folder.path());
    let before = Reader::open(&path).unwrap().recording().unwrap().markers;
    damage(&path, "markers/value", None);
    damage(&path, "markers/samples", Some(0));
    let after = Reader::open(&path).unwrap().recording().unwrap().markers;
    assert_eq!(before.len(), after.len());
    for (row, (before, after)) in before.iter().zip(&after).enumerate() {
        assert_eq!(
            (before.t, &before.name, before.verb, before.tokens),
            (after.t, &after.name, after.verb, after.tokens)
        );
        assert_eq!(after.value, None);
        assert_eq!(after.samples, before.samples.filter(|_| row >= 64));
    }
    assert!(
        before
            .iter()
            .any(|marker| marker.verb == MarkerVerb::Metric && marker.value.is_some())
    );
    damage(&path, "markers/name", Some(1));
    let error = Reader::open(&path).unwrap().recording().unwrap_err();
    insta::assert_snapshot!(shown(&path, &error.to_string()));
}

#[test]
fn recover_saves_what_can_be_read_elsewhere_and_leaves_the_rest_where_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let (path, saved) = (recorded(folder.path()), folder.path().join("saved.h5"));
    damage(&path, "gpu/0/power/watts", Some(2));
    damage(&path, "host/cpu", None);
    let (bytes, before) = (fs::read(&path).unwrap(), streams(&path));
    let error = recover(&path, None, false).unwrap_err();
    insta::assert_snapshot!(shown(&path, &error.to_string()));
    assert_eq!(fs::read(&path).unwrap(), bytes);
    let recovered = recover(&path, Some(&saved), false).unwrap();
    assert_eq!(recovered.unreadable.len(), 2);
    assert!(recovered.complete);
    let mut after = streams(&saved);
    assert!(after.iter().all(|streams| streams.unreadable.is_none()));
    after[0].unreadable.clone_from(&before[0].unreadable);
    assert!(made::same(&before, &after));
    let warnings = Reader::open(&saved).unwrap().recording().unwrap().warnings;
    assert_eq!(
        warnings.iter().filter(|warning| warning.contains("is damaged")).count(),
        2
    );
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
}

#[test]
fn devices_that_are_not_known_any_more_are_left_out_and_an_error_if_all_are() {
    let folder = tempfile::tempdir().unwrap();
    let path = recorded(folder.path());
    let before = streams(&path);
    let rename = |group: &str| {
        let file = hdf5::File::open_rw(&path).unwrap();
        let group = file.group(group).unwrap();
        group.delete_attr("kind").unwrap();
        file.close().unwrap();
    };
    rename("gpu/0");
    assert!(made::same(&streams(&path)[..].first(), &before[1..].first()));
    insta::assert_snapshot!("device_unknown", told(&path).join("\n"));
    rename("cpu/0");
    let error = Reader::open(&path).unwrap().recording().unwrap_err();
    insta::assert_snapshot!("no_device_known", shown(&path, &error.to_string()));
}

#[test]
fn a_filter_that_is_not_built_in_is_named_by_its_number() {
    let folder = tempfile::tempdir().unwrap();
    let path = recorded(folder.path());
    let file = hdf5::File::open_rw(&path).unwrap();
    file.unlink("gpu/0/power/watts").unwrap();
    file.link_external("other.h5", "watts", "gpu/0/power/watts").unwrap();
    file.close().unwrap();
    // In the oldest layout a filter stands with its name and four numbers before it, and without a checksum.
    let other = folder.path().join("other.h5");
    let mut oldest = hdf5::File::with_options();
    oldest.with_fapl(|p| p.libver_bounds(LibraryVersion::Earliest, LibraryVersion::V110));
    let file = oldest.create(&other).unwrap();
    let column = file.new_dataset_builder().deflate(4).empty::<f64>();
    let column = column.chunk(64).shape(1000..).create("watts").unwrap();
    column.write_slice(&[1.0; 1000], ..).unwrap();
    drop(column);
    file.close().unwrap();
    let mut bytes = fs::read(&other).unwrap();
    let name = bytes.windows(8).position(|bytes| bytes == b"deflate\0").unwrap();
    assert_eq!(bytes[name - 8..name - 6], [1, 0]);
    bytes[name - 8..name - 6].copy_from_slice(&32000u16.to_le_bytes());
    fs::write(&other, bytes).unwrap();
    let watts = streams(&path).remove(0).power.watts;
    assert!(watts.len() == 1000 && watts.iter().all(|w| w.is_nan()));
    insta::assert_snapshot!(told(&path).join("\n"));
}
