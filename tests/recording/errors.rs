//! Every message a user can meet, with its hint. Paths are shortened to their file name.

use std::fs;
use std::path::{Path, PathBuf};

use powerprof::model::recording::{ChildExit, Chunk, RunEnd};
use powerprof::recording::{Reader, RecordingError, Writer, recover};

use crate::made;

/// The message, without the folder of this test.
fn shown(error: &RecordingError, folder: &Path) -> String {
    error
        .to_string()
        .replace(&format!("{}/", folder.display()), "")
        .replace(&folder.display().to_string(), "FOLDER")
}

fn refused(path: &Path, folder: &Path) -> String {
    shown(&Reader::open(path).unwrap_err(), folder)
}

fn finished(path: &Path) {
    let devices = [made::gpu(0)];
    let mut writer = Writer::create(path, &made::run(), &devices, false).unwrap();
    writer.append(&made::chunk(&devices, 0, 1000)).unwrap();
    writer
        .finish(RunEnd {
            ended: made::time(1000),
            exit: ChildExit::Code(0),
        })
        .unwrap();
}

fn with(folder: &Path, name: &str, content: &[u8]) -> PathBuf {
    let path = folder.join(name);
    fs::write(&path, content).unwrap();
    path
}

#[test]
fn what_cannot_be_read_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    insta::assert_snapshot!("absent", refused(&folder.join("absent.h5"), folder));
    insta::assert_snapshot!("folder", refused(folder, folder));
    insta::assert_snapshot!("empty", refused(&with(folder, "empty.h5", b""), folder));
    insta::assert_snapshot!("text", refused(&with(folder, "log.csv", b"t,watts\n0,1\n"), folder));
    insta::assert_snapshot!(
        "signature_only",
        refused(&with(folder, "torn.h5", b"\x89HDF\r\n\x1a\n"), folder)
    );
}

#[test]
fn another_programs_hdf5_file_is_named_as_such() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.h5");
    let file = hdf5::File::create(&path).unwrap();
    file.new_attr::<u32>()
        .create("format")
        .unwrap()
        .write_scalar(&7)
        .unwrap();
    file.close().unwrap();
    insta::assert_snapshot!(refused(&path, folder.path()));
}

#[test]
fn versions_that_are_not_read_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.h5");
    for (name, major) in [("too_old", 0u32), ("too_new", 2)] {
        let _ = fs::remove_file(&path);
        finished(&path);
        let file = hdf5::File::open_rw(&path).unwrap();
        file.attr("schema_major").unwrap().write_scalar(&major).unwrap();
        file.close().unwrap();
        insta::assert_snapshot!(name, refused(&path, folder.path()));
    }
}

#[test]
fn a_newer_minor_version_is_read_and_said() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.h5");
    finished(&path);
    let file = hdf5::File::open_rw(&path).unwrap();
    file.attr("schema_minor").unwrap().write_scalar(&9u32).unwrap();
    file.close().unwrap();
    let recording = Reader::open(&path).unwrap().recording().unwrap();
    assert!(recording.run.complete);
    insta::assert_snapshot!(recording.warnings.last().unwrap());
}

#[test]
fn a_copy_that_was_interrupted_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.h5");
    finished(&path);
    let whole = fs::read(&path).unwrap();
    let half = with(folder.path(), "half.h5", &whole[..whole.len() / 2]);
    // The lengths are those of this file, and change with the layout.
    let message: String = refused(&half, folder.path())
        .chars()
        .map(|c| if c.is_ascii_digit() { '#' } else { c })
        .collect();
    insta::assert_snapshot!(message.replace("##", "#").replace("##", "#").replace("##", "#"));
}

/// A file of which any stretch was overwritten is read as far as it can be, or is refused, and never panics or hangs.
#[test]
fn a_damaged_file_is_read_or_refused_in_time() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.h5");
    finished(&path);
    let whole = fs::read(&path).unwrap();
    let (mut refused, mut salvaged) = (0, 0);
    for case in 0..60 {
        let mut damaged = whole.clone();
        let at = 12 + made::scramble(case) as usize % (whole.len() - 600);
        for (i, byte) in damaged[at..at + 512].iter_mut().enumerate() {
            *byte = made::scramble(case * 1000 + i as u64) as u8;
        }
        // Every other one as if its recorder had been killed.
        if case % 2 == 0 {
            damaged[11] = 5;
        }
        let path = with(folder.path(), "damaged.h5", &damaged);
        let begun = std::time::Instant::now();
        let read = Reader::open(&path).and_then(|reader| {
            let recording = reader.recording()?;
            let mut told = recording
                .warnings
                .iter()
                .filter(|warning| warning.contains("damaged"))
                .count();
            for device in &recording.devices {
                told += usize::from(reader.streams(device)?.unreadable.is_some());
            }
            Ok(told)
        });
        assert!(begun.elapsed().as_secs() < 20, "case {case} took {:?}", begun.elapsed());
        match read {
            Err(_) => refused += 1,
            Ok(told) => salvaged += usize::from(told > 0),
        }
    }
    assert!(
        refused > 5 && salvaged > 5,
        "{refused} of 60 damaged files were refused and of {salvaged} parts were: the damage misses what matters"
    );
}

#[test]
fn a_file_that_another_program_writes_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.h5");
    finished(&path);
    let mut bytes = fs::read(&path).unwrap();
    bytes[11] = 1;
    fs::write(&path, bytes).unwrap();
    insta::assert_snapshot!(refused(&path, folder.path()));
}

#[test]
fn what_cannot_be_written_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let taken = with(folder, "taken.h5", b"someone's work");
    let create = |path: &Path| shown(&Writer::create(path, &made::run(), &[], false).err().unwrap(), folder);
    insta::assert_snapshot!("taken", create(&taken));
    assert_eq!(fs::read(&taken).unwrap(), b"someone's work");
    insta::assert_snapshot!("no_folder", create(&folder.join("runs/today/run.h5")));
    insta::assert_snapshot!(
        "recover_taken",
        shown(&recover(&taken, Some(&taken), false).unwrap_err(), folder)
    );
}

#[test]
fn force_overwrites_and_leaves_no_draft() {
    let folder = tempfile::tempdir().unwrap();
    let taken = with(folder.path(), "taken.h5", b"someone's work");
    drop(Writer::create(&taken, &made::run(), &[], true).unwrap());
    Reader::open(&taken).unwrap();
    let names: Vec<_> = fs::read_dir(folder.path())
        .unwrap()
        .map(|e| e.unwrap().file_name())
        .collect();
    assert_eq!(names, ["taken.h5"]);
}

#[test]
fn a_failed_start_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let twice = [made::gpu(0), made::gpu(0)];
    let error = Writer::create(&folder.path().join("run.h5"), &made::run(), &twice, false)
        .err()
        .unwrap();
    insta::assert_snapshot!(shown(&error, folder.path()));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn a_chunk_that_does_not_fit_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let devices = [made::gpu(0)];
    let mut writer = Writer::create(&folder.path().join("run.h5"), &made::run(), &devices, false).unwrap();
    let mut chunk = made::chunk(&devices, 0, 10);
    chunk.devices[0].power.watts.pop();
    insta::assert_snapshot!("lengths", shown(&writer.append(&chunk).unwrap_err(), folder.path()));
    let mut chunk = made::chunk(&devices, 0, 10);
    chunk.devices.push(chunk.devices[0].clone());
    insta::assert_snapshot!("devices", shown(&writer.append(&chunk).unwrap_err(), folder.path()));
    writer.append(&Chunk::default()).unwrap();
}
