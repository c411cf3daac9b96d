//! The client against a real FIFO: what arrives, what is lost when nobody reads, and that nothing ever blocks or fails.

use std::ffi::c_int;
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use powerprof_markers::wire::parse;
use powerprof_markers::{Client, Line, Verb};

/// A FIFO with its reader, in a folder that goes away with it.
struct Channel {
    reader: File,
    path: PathBuf,
    _folder: tempfile::TempDir,
}

impl Channel {
    fn new() -> Self {
        const O_NONBLOCK: c_int = 0o4000; // as on x86 and ARM, where these tests run
        let folder = tempfile::tempdir().expect("temporary folder");
        let path = make_fifo(folder.path());
        let reader = OpenOptions::new()
            .read(true)
            .custom_flags(O_NONBLOCK)
            .open(&path)
            .expect("opens");
        Self {
            reader,
            path,
            _folder: folder,
        }
    }

    fn client(&self) -> Client {
        let client = Client::open(&self.path);
        assert!(client.is_active(), "a FIFO with a reader can be opened");
        client
    }

    /// The lines in the pipe now.
    fn drain(&mut self) -> Vec<String> {
        let mut text = Vec::new();
        match self.reader.read_to_end(&mut text) {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => panic!("cannot read the FIFO: {error}"),
        }
        assert!(text.is_empty() || text.ends_with(b"\n"), "only whole lines arrive");
        String::from_utf8(text)
            .expect("UTF-8")
            .lines()
            .map(str::to_owned)
            .collect()
    }
}

fn make_fifo(folder: &Path) -> PathBuf {
    let path = folder.join("markers");
    assert!(
        Command::new("mkfifo")
            .arg(&path)
            .status()
            .expect("mkfifo of coreutils")
            .success()
    );
    path
}

fn line(text: &str) -> Line<'_> {
    parse(text.as_bytes()).unwrap_or_else(|error| panic!("{text:?}: {error}"))
}

/// Verb, name and the rest without its stamp.
fn without_stamp(text: &str) -> String {
    assert!(line(text).t.is_some(), "{text:?} carries its time");
    text.split(' ')
        .filter(|word| !word.starts_with("t="))
        .collect::<Vec<_>>()
        .join(" ")
}

fn dropped(lines: &[String]) -> u64 {
    lines.iter().filter_map(|text| line(text).dropped).sum()
}

#[test]
fn spans_marks_and_metrics_arrive_in_order() {
    let mut channel = Channel::new();
    let client = channel.client().with_rank(2);
    {
        let _train = client.span("train");
        let step = client.span_at("step", 7);
        drop(client.span("forward"));
        step.finish(8, 4096);
        client.mark("checkpoint");
        client.mark_work("tokens", None, 12);
        client.metric("loss", 0.25);
        client.begin("epoch 2", 2);
        client.end("epoch 2", Some(3), None);
    }
    let lines = channel.drain();
    let stamps: Vec<_> = lines.iter().map(|text| line(text).t.expect("stamped")).collect();
    assert!(stamps.is_sorted(), "{stamps:?}");
    assert_eq!(
        lines.iter().map(|text| without_stamp(text)).collect::<Vec<_>>(),
        [
            "begin train rank=2",
            "begin step rank=2 index=7",
            "begin forward rank=2",
            "end forward rank=2",
            "end step rank=2 samples=8 tokens=4096",
            "mark checkpoint rank=2",
            "mark tokens rank=2 tokens=12",
            "metric loss rank=2 value=0.25",
            "begin epoch_2 rank=2 index=2",
            "end epoch_2 rank=2 samples=3",
            "end train rank=2",
        ]
    );
}

#[test]
fn a_panic_closes_its_spans() {
    let mut channel = Channel::new();
    let client = channel.client();
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let _train = client.span("train");
        let _step = client.span("step");
        std::panic::resume_unwind(Box::new("training failed")); // as panic!, without its message on stderr
    }));
    assert!(outcome.is_err());
    let lines: Vec<_> = channel.drain().iter().map(|text| without_stamp(text)).collect();
    assert_eq!(lines, ["begin train", "begin step", "end step", "end train"]);
}

#[test]
fn devices_are_said_once_with_the_first_begin_that_goes_through() {
    let mut channel = Channel::new();
    let client = channel.client().with_devices("0,1").expect("a valid list");
    for _ in 0..10_000 {
        client.mark("filler"); // until the pipe is full
    }
    client.begin("lost", None);
    channel.drain();
    client.mark("now-there-is-room");
    drop(client.span("train"));
    drop(client.span("validate"));
    let lines: Vec<_> = channel
        .drain()
        .iter()
        .map(|text| line(text).devices().map(|d| d.as_str().to_owned()))
        .collect();
    assert_eq!(lines, [None, Some("0,1".to_owned()), None, None, None]);
    assert!(channel.client().with_devices("0, 1").is_err());
}

#[test]
fn a_full_pipe_loses_lines_counts_them_and_says_so_once() {
    let mut channel = Channel::new();
    let client = channel.client();
    const SENT: u64 = 20_000;
    for _ in 0..SENT {
        client.mark("flood"); // a client that blocked here would hang the test: nobody reads
    }
    let before = channel.drain();
    client.mark("first-after");
    client.mark("second-after");
    let after = channel.drain();
    assert!(
        before.len() > 100 && (before.len() as u64) < SENT,
        "64 KiB hold {} lines",
        before.len()
    );
    assert_eq!(dropped(&before), 0);
    assert_eq!(line(&after[0]).dropped, Some(SENT - before.len() as u64));
    assert_eq!(line(&after[1]).dropped, None);
}

#[test]
fn a_reader_that_leaves_silences_the_client() {
    let channel = Channel::new();
    let client = channel.client();
    let span = client.span("train");
    drop(channel);
    span.finish(1, None);
    client.metric("loss", 1.0);
    assert!(!client.is_active());
}

#[test]
fn without_a_reader_or_a_pipe_there_is_silence_at_once() {
    let folder = tempfile::tempdir().expect("temporary folder");
    for path in [
        make_fifo(folder.path()),
        folder.path().join("missing"),
        folder.path().to_path_buf(),
    ] {
        let client = Client::open(&path);
        assert!(!client.is_active(), "{}", path.display());
        client.span("train").finish(1, 2);
    }
    assert!(!folder.path().join("missing").exists(), "nothing is created");
}

#[test]
fn a_plain_file_can_stand_in_while_debugging() {
    let file = tempfile::NamedTempFile::new().expect("temporary file");
    std::fs::write(file.path(), "mark already-here\n").expect("writes");
    Client::open(file.path()).mark("added");
    let text = std::fs::read_to_string(file.path()).expect("reads");
    assert_eq!(
        text.lines().map(|text| line(text).name.as_str()).collect::<Vec<_>>(),
        ["already-here", "added"]
    );
}

#[test]
fn threads_share_a_client_and_no_line_is_mixed_or_lost_uncounted() {
    const THREADS: usize = 8;
    const EACH: usize = 3000;
    let mut channel = Channel::new();
    let client = channel.client();
    let mut lines = Vec::new();
    std::thread::scope(|scope| {
        let writers: Vec<_> = (0..THREADS)
            .map(|thread| {
                let client = &client;
                scope.spawn(move || {
                    for i in 0..EACH {
                        client.metric(&format!("thread-{thread}"), i as f64);
                    }
                })
            })
            .collect();
        while writers.iter().any(|writer| !writer.is_finished()) {
            lines.extend(channel.drain());
        }
    });
    lines.extend(channel.drain()); // room for the line that says what was lost and not said yet
    client.mark("last");
    lines.extend(channel.drain());
    assert_eq!(lines.len() as u64 + dropped(&lines), (THREADS * EACH + 1) as u64);
    for thread in 0..THREADS {
        let name = format!("thread-{thread}");
        let values: Vec<_> = lines
            .iter()
            .map(|text| line(text))
            .filter(|l| l.name.as_str() == name)
            .filter_map(|l| l.value())
            .collect();
        assert!(values.is_sorted(), "lines of one writer keep their order");
    }
}

/// Runs this in a forked child and waits for it. It may only do what takes no lock and allocates nothing.
fn in_forked_child(work: impl FnOnce()) {
    unsafe extern "C" {
        fn fork() -> c_int;
        fn waitpid(pid: c_int, status: *mut c_int, options: c_int) -> c_int;
        fn _exit(status: c_int) -> !;
    }
    // SAFETY: the child does only what is promised above, and leaves by `_exit`.
    let child = unsafe { fork() };
    if child == 0 {
        work();
        // SAFETY: ends this process.
        unsafe { _exit(0) }
    }
    assert!(child > 0, "fork failed");
    let mut status = -1;
    // SAFETY: `status` is a live int, `child` is our own.
    assert_eq!(unsafe { waitpid(child, &mut status, 0) }, child);
    assert_eq!(status, 0, "the child ended by itself");
}

#[test]
fn a_forked_child_writes_on_and_reports_only_its_own_losses() {
    let mut channel = Channel::new();
    let client = channel.client();
    for _ in 0..5000 {
        client.mark("flood");
    }
    let lost = 5000 - channel.drain().len() as u64;
    assert!(lost > 0);
    in_forked_child(|| client.mark("child"));
    client.mark("parent");
    let lines = channel.drain();
    assert_eq!(
        lines.iter().map(|text| line(text).name.as_str()).collect::<Vec<_>>(),
        ["child", "parent"]
    );
    assert_eq!((line(&lines[0]).dropped, line(&lines[1]).dropped), (None, Some(lost)));
}

#[test]
fn a_span_is_ended_by_the_process_that_began_it() {
    let mut channel = Channel::new();
    let client = channel.client();
    let mut span = Some(client.span("train"));
    in_forked_child(|| {
        drop(span.take());
        drop(client.span("own"));
    });
    drop(span);
    let lines: Vec<_> = channel.drain().iter().map(|text| without_stamp(text)).collect();
    assert_eq!(lines, ["begin train", "begin own", "end own", "end train"]);
}

/// The other half of [`the_environment_names_pipe_and_rank`]: variables can only be set safely for another process.
#[test]
#[ignore = "runs in a child process of another test"]
fn from_env_in_a_child_process() {
    let client = Client::from_env();
    drop(client.span("train"));
    println!("active: {}", client.is_active());
}

#[test]
fn the_environment_names_pipe_and_rank() {
    let mut channel = Channel::new();
    let run = |markers: Option<&Path>| {
        let mut child = Command::new(std::env::current_exe().expect("this program"));
        child.args(["--exact", "from_env_in_a_child_process", "--ignored", "--nocapture"]);
        child.env_remove("POWERPROF_MARKERS").env("RANK", "5");
        if let Some(path) = markers {
            child.env("POWERPROF_MARKERS", path);
        }
        String::from_utf8(child.output().expect("runs").stdout).expect("UTF-8")
    };
    let path = channel.path.clone();
    assert!(run(Some(&path)).contains("active: true"));
    let lines = channel.drain();
    assert_eq!(
        lines.iter().map(|text| without_stamp(text)).collect::<Vec<_>>(),
        ["begin train rank=5", "end train rank=5"]
    );

    for markers in [None, Some(Path::new("")), Some(Path::new("/nonexistent/markers"))] {
        assert!(run(markers).contains("active: false"), "{markers:?}");
    }
    assert!(channel.drain().is_empty());
    assert_eq!(line(&lines[0]).verb(), Verb::Begin);
}
