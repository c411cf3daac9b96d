//! A name that is asked for with `--force`: what has it keeps it until the new recording has something to show.

use std::fs;
use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use powerprof::recording::{Reader, Writer, recover};

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

const FOLDER: &str = "POWERPROF_TEST_CLAIM_FOLDER";
const SWEEPS: &str = "POWERPROF_TEST_CLAIM_SWEEPS";

/// Not a test by itself: begins a recording in the place of another, and waits.
#[test]
#[ignore = "the process that other tests start and kill"]
fn recorder() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let path = Path::new(&folder).join("run.h5");
    let sweeps = std::env::var(SWEEPS).unwrap().parse().unwrap();
    let (mut writer, _claim) = Writer::begin(&path, &made::run(), &[], true).unwrap();
    writer.append(&made::chunk(&[], 0, sweeps)).unwrap();
    writer.flush().unwrap();
    fs::write(Path::new(&folder).join("ready"), "").unwrap();
    // Until its parent lets go of it, or kills it.
    std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
}

/// Start it. With sweeps, its command has been released.
fn start(folder: &Path, sweeps: u64) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["claim::recorder", "--exact", "--ignored", "--test-threads=1"])
        .env(FOLDER, folder)
        .env(SWEEPS, sweeps.to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::null());
    let child = command.spawn().unwrap();
    while !folder.join("ready").exists() {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    fs::remove_file(folder.join("ready")).unwrap();
    child
}

fn kill(mut child: Child) {
    child.kill().unwrap();
    child.wait().unwrap();
}

fn drafts(folder: &Path) -> Vec<String> {
    let mut drafts = names(folder);
    drafts.retain(|name| name.ends_with(".partial"));
    drafts.sort();
    drafts
}

#[test]
fn what_a_killed_recorder_leaves_goes_away_with_the_next_one() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let path = folder.join("run.h5");
    fs::write(&path, "old").unwrap();
    kill(start(folder, 0));
    let left = drafts(folder);
    assert_eq!(left.len(), 1);
    let (writer, claim) = Writer::begin(&path, &made::run(), &[], true).unwrap();
    assert_eq!(drafts(folder), left);
    claim.keep().unwrap();
    drop(writer);
    Reader::open(&path).unwrap();
    assert_eq!(names(folder), ["run.h5"]);
}

#[test]
fn what_a_killed_recover_leaves_goes_away_too() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.h5");
    drop(Writer::create(&path, &made::run(), &[], false).unwrap());
    kill(start(folder.path(), 0));
    // As HDF5 marks a file that is written at once.
    let left = folder.path().join(&drafts(folder.path())[0]);
    let mut bytes = fs::read(&left).unwrap();
    bytes[11] = 1;
    for bytes in [bytes, Vec::new()] {
        fs::write(&left, bytes).unwrap();
        recover(&path, None, false).unwrap();
        assert_eq!(names(folder.path()), ["run.h5"]);
    }
}

#[test]
fn a_draft_of_a_process_that_lives_and_one_with_rows_of_a_command_stay() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let path = folder.join("run.h5");
    fs::write(&path, "old").unwrap();
    // The command was released: this may be all there is of it.
    kill(start(folder, 50));
    let with_rows = drafts(folder);
    let alive = start(folder, 0);
    let known = drafts(folder);
    assert_eq!((with_rows.len(), known.len()), (1, 2));
    let (writer, claim) = Writer::begin(&path, &made::run(), &[], true).unwrap();
    assert_eq!(drafts(folder).len(), 3);
    drop((writer, claim));
    assert_eq!(drafts(folder), known);
    Reader::open(&folder.join(&with_rows[0])).unwrap();
    kill(alive);
    drop(Writer::begin(&path, &made::run(), &[], true).unwrap());
    assert_eq!(drafts(folder), with_rows);
}
