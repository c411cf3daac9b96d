//! The programs in `docs/markers.md` are run as they stand there: what they write is wire format 1. (The Rust one is a
//! documentation test of this crate.)

use std::path::{Path, PathBuf};
use std::process::Command;

use powerprof_markers::wire::parse;

const PAGE: &str = "../../docs/markers.md";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The code blocks of the page in this language.
fn blocks(language: &str) -> Vec<String> {
    let page = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(PAGE)).expect("the page exists");
    let start = format!("```{language}\n");
    let blocks = page
        .split(&start)
        .skip(1)
        .map(|rest| rest.split("```").next().unwrap_or(rest).to_owned());
    blocks.collect()
}

/// What the program writes into a file that stands in for the pipe, without stamps.
fn heard(program: &mut Command, folder: &Path) -> Vec<String> {
    let file = folder.join("markers.txt");
    std::fs::write(&file, "").expect("writes");
    let status = program.env("POWERPROF_MARKERS", &file).status().expect("starts");
    assert!(status.success());
    let text = std::fs::read_to_string(&file).expect("reads");
    for line in text.lines() {
        parse(line.as_bytes()).unwrap_or_else(|error| panic!("{line:?}: {error}"));
    }
    let without_stamp = |line: &str| {
        line.split(' ')
            .filter(|word| !word.starts_with("t="))
            .collect::<Vec<_>>()
            .join(" ")
    };
    text.lines().map(without_stamp).collect()
}

#[test]
fn the_example_lines_are_valid() {
    let lines = blocks("text").pop().expect("a block of lines");
    assert_eq!(lines.lines().count(), 7);
    for line in lines.lines() {
        parse(line.as_bytes()).unwrap_or_else(|error| panic!("{line:?}: {error}"));
    }
}

#[test]
fn c() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let [source] = blocks("c").try_into().expect("one C program");
    std::fs::write(folder.path().join("marker.c"), source).expect("writes");
    let mut compiler = Command::new("cc");
    compiler
        .args(["-std=gnu11", "-Wall", "-Wextra", "-Werror", "-o", "marker", "marker.c"])
        .current_dir(&folder);
    assert!(compiler.status().expect("a C compiler").success());
    let program = folder.path().join("marker");
    let step = |i| [format!("begin step index={i}"), "end step samples=32".to_owned()];
    let expected = ["begin train".to_owned()]
        .into_iter()
        .chain((0..3).flat_map(step))
        .chain(["metric loss value=0.25".to_owned(), "end train".to_owned()]);
    assert_eq!(
        heard(&mut Command::new(&program), folder.path()),
        expected.collect::<Vec<_>>()
    );
    let outside = Command::new(&program).env_remove("POWERPROF_MARKERS").status();
    assert!(outside.expect("starts").success());
}

#[test]
fn python() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let [with_package, alone] = blocks("python").try_into().expect("two Python programs");
    let mut program = Command::new("python3");
    program
        .args(["-c", &with_package])
        .env("PYTHONPATH", root().join("adapters/python/src"));
    let lines = heard(&mut program, folder.path());
    assert_eq!(lines.len(), 2 + 3 * 2 + 1);
    assert_eq!(lines[1], "begin step index=0");
    let lines = heard(Command::new("python3").args(["-c", &alone]), folder.path());
    assert_eq!(lines, ["begin train", "end train samples=32"]);
}

#[test]
fn shell() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let [markers, _] = blocks("sh").try_into().expect("two shell programs");
    std::fs::write(folder.path().join("train.py"), "").expect("writes");
    // `>` into a plain file truncates, into a FIFO it does not: `>>` is the same for a FIFO.
    let markers = markers.replace("> \"$", ">> \"$");
    let mut program = Command::new("sh");
    program.args(["-euc", &markers]).current_dir(&folder);
    assert_eq!(
        heard(&mut program, folder.path()),
        ["begin train", "end train samples=50000"]
    );
}
