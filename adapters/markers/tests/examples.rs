//! Runs the examples with a pipe of its own and reads what they write: every line is wire format 1, spans balance, and
//! the phases that each example promises are there. So the Python client and the shell are held to the same parser.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use powerprof_markers::Event;
use powerprof_markers::wire::parse;

/// A program of its own elsewhere; here it is run by [`rust_trainer_in_a_child_process`].
#[path = "../../../examples/rust_trainer.rs"]
mod rust_trainer;

/// What one run wrote.
#[derive(Default)]
struct Heard {
    /// Count of finished spans by path.
    spans: BTreeMap<String, u64>,
    /// Samples of all spans and marks.
    samples: u64,
    metrics: Vec<String>,
    /// Devices by rank.
    devices: BTreeMap<u32, String>,
}

fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples")
}

/// Runs it, reading the pipe all the while, and matches begins with ends.
fn run(program: &mut Command) -> (Output, Heard) {
    let folder = tempfile::tempdir().expect("temporary folder");
    let fifo = folder.path().join("markers");
    assert!(
        Command::new("mkfifo")
            .arg(&fifo)
            .status()
            .expect("mkfifo of coreutils")
            .success()
    );
    let mut pipe = OpenOptions::new().read(true).write(true).open(&fifo).expect("opens");
    let reader = std::thread::spawn(move || {
        let mut text = Vec::new();
        let mut buffer = vec![0; 1 << 16];
        while !text.ends_with(b"mark all-read\n") {
            let read = pipe.read(&mut buffer).expect("reads");
            text.extend_from_slice(&buffer[..read]);
        }
        text
    });
    for variable in ["RANK", "OMPI_COMM_WORLD_RANK", "PMI_RANK", "SLURM_PROCID"] {
        program.env_remove(variable);
    }
    let output = program.env("POWERPROF_MARKERS", &fifo).output().expect("starts");
    std::fs::write(&fifo, "mark all-read\n").expect("the reader still reads");
    let text = reader.join().expect("the reader ends");

    let mut heard = Heard::default();
    let mut open: BTreeMap<u32, Vec<String>> = BTreeMap::new();
    for bytes in text.split_inclusive(|&byte| byte == b'\n') {
        let line = parse(bytes).unwrap_or_else(|error| panic!("{:?}: {error}", String::from_utf8_lossy(bytes)));
        assert_eq!(line.dropped, None, "nothing is lost with a reader that keeps up");
        let stack = open.entry(line.rank).or_default();
        heard.samples += line.samples().unwrap_or(0);
        match line.event {
            Event::Begin { devices, .. } => {
                stack.push(line.name.as_str().to_owned());
                heard
                    .devices
                    .extend(devices.map(|list| (line.rank, list.as_str().to_owned())));
            }
            Event::End { .. } => {
                assert_eq!(stack.last().map(String::as_str), Some(line.name.as_str()), "spans nest");
                *heard.spans.entry(stack.join("/")).or_default() += 1;
                stack.pop();
            }
            Event::Mark { .. } => {}
            Event::Metric { .. } => heard.metrics.push(line.name.as_str().to_owned()),
        }
    }
    assert!(open.values().all(Vec::is_empty), "every span ended: {open:?}");
    (output, heard)
}

fn succeeded(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).expect("UTF-8")
}

#[test]
fn shell() {
    let script = examples().join("shell.sh");
    let (output, heard) = run(Command::new(&script).arg("40000"));
    assert!(succeeded(&output).contains("y = 2.9"));
    let expected = [("load", 1), ("train", 1), ("train/step", 12), ("validate", 1)];
    assert_eq!(heard.spans, expected.map(|(path, n)| (path.to_owned(), n)).into());
    assert_eq!(heard.samples, 50_000 + 12 * 40_000 + 10_000);
    assert_eq!(heard.metrics.len(), 13);

    let outside = Command::new(&script)
        .arg("40000")
        .env_remove("POWERPROF_MARKERS")
        .output()
        .expect("starts");
    assert_eq!(outside.stdout, output.stdout);
    assert!(
        outside.stderr.is_empty(),
        "{}",
        String::from_utf8_lossy(&outside.stderr)
    );
}

#[test]
fn shell_survives_a_recorder_that_ends() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let fifo = folder.path().join("markers");
    assert!(
        Command::new("mkfifo")
            .arg(&fifo)
            .status()
            .expect("mkfifo of coreutils")
            .success()
    );
    let mut reader = OpenOptions::new().read(true).write(true).open(&fifo).expect("opens");
    let child = Command::new(examples().join("shell.sh"))
        .arg("40000")
        .env("POWERPROF_MARKERS", &fifo)
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn();
    let mut first = [0; 6];
    reader.read_exact(&mut first).expect("its first line");
    assert_eq!(&first, b"begin ");
    drop(reader);
    let output = child.expect("starts").wait_with_output().expect("ends");
    assert!(succeeded(&output).contains("y = 2.9"));
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn plain_python() {
    let (output, heard) = run(Command::new("python3").arg(examples().join("plain_python.py")));
    assert!(succeeded(&output).contains("recorded: True"));
    let step = ["", "/data", "/forward", "/backward", "/optimizer"].map(|inner| (format!("train/step{inner}"), 60));
    let single = ["load", "train", "validate"].map(|path| (path.to_owned(), 1));
    assert_eq!(heard.spans, step.into_iter().chain(single).collect());
    assert_eq!(heard.samples, 60 * 256 + 4096);
    assert_eq!(heard.metrics.len(), 61);
}

#[test]
fn ranks() {
    let (output, heard) = run(Command::new("python3").arg(examples().join("ranks.py")).arg("3"));
    assert!(succeeded(&output).contains("3 ranks"));
    assert_eq!(heard.spans["train/step/all-reduce"], 3 * 40);
    assert_eq!(heard.samples, 3 * 40 * 400);
    let devices = [0, 1, 2].map(|rank| (rank, rank.to_string()));
    assert_eq!(heard.devices, devices.into());
}

#[test]
fn pytorch_loop() {
    let (output, heard) = run(Command::new("python3").arg(examples().join("pytorch_loop.py")));
    if output.status.code() == Some(77) {
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains("hint: pip install torch"), "{said}");
        assert!(heard.spans.is_empty());
        eprintln!("only its message without torch was tested: {said}");
        return;
    }
    assert!(succeeded(&output).contains("recorded: True"));
    assert_eq!(heard.spans["train/step/backward"], 150);
    assert_eq!(heard.samples, 150 * 512 + 4096);
}

#[test]
#[ignore = "runs in a child process of another test"]
fn rust_trainer_in_a_child_process() {
    rust_trainer::main();
}

#[test]
fn rust_trainer_example() {
    let mut program = Command::new(std::env::current_exe().expect("this program"));
    let (output, heard) = run(program.args(["--exact", "rust_trainer_in_a_child_process", "--ignored", "--nocapture"]));
    assert!(succeeded(&output).contains("recorded: true"));
    let step = ["", "/data", "/backward", "/optimizer"].map(|inner| (format!("train/step{inner}"), 1200));
    let single = ["load", "train", "validate"].map(|path| (path.to_owned(), 1));
    assert_eq!(heard.spans, step.into_iter().chain(single).collect());
    assert_eq!(heard.samples, 1200 * 512 + 20_000);
    assert_eq!(heard.metrics.len(), 12 + 1);
}
