//! A name that is asked for with `--force`: what has it keeps it until the new recording has something to show.

use std::fs;
use std::path::Path;

use powerprof::recording::{Reader, Writer};

use crate::made;

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    entries
        .map(|e| e.unwrap().file_name().to_string_lossy().into_owned())
        .collect()
}

#[test]
fn what_stands_there_stays_until_the_claim_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.h5");
    fs::write(&path, "old").unwrap();
    for keep in [false, true] {
        let (mut writer, claim) = Writer::begin(&path, &made::run(), &[], true).unwrap();
        writer.append(&made::chunk(&[], 0, 50)).unwrap();
        writer.flush().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"old");
        if keep {
            claim.keep().unwrap();
            assert_eq!(Reader::open(&path).unwrap().recording().unwrap().sweeps.due.len(), 50);
        } else {
            drop(claim);
            assert_eq!(fs::read(&path).unwrap(), b"old");
        }
        drop(writer);
        assert_eq!(names(folder.path()), ["run.h5"]);
    }
}

#[test]
fn where_nothing_stood_it_has_its_name_at_once_and_leaves_it_again() {
    for force in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run.h5");
        let (_writer, claim) = Writer::begin(&path, &made::run(), &[], force).unwrap();
        Reader::open(&path).unwrap();
        drop(claim);
        assert!(names(folder.path()).is_empty());
    }
}

#[test]
fn a_name_that_cannot_be_had_any_more_loses_no_rows() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.h5");
    fs::write(&path, "old").unwrap();
    let (mut writer, claim) = Writer::begin(&path, &made::run(), &[], true).unwrap();
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    let error = claim.keep().unwrap_err();
    writer.append(&made::chunk(&[], 0, 50)).unwrap();
    writer.flush().unwrap();
    let kept = Reader::open(&error.kept_in).unwrap().recording().unwrap();
    assert_eq!(kept.sweeps.due.len(), 50);
    let told = error.to_string().replace(&*folder.path().to_string_lossy(), "FOLDER");
    let name = error.kept_in.file_name().unwrap().to_string_lossy().into_owned();
    insta::assert_snapshot!(told.replace(&name, "KEPT"), @r"
    cannot name the recording FOLDER/run.h5: a folder stands there
    hint: it is in FOLDER/KEPT
    ");
}
