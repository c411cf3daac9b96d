//! What a marker costs the trainer: `cargo bench -p powerprof-markers`. Prints, asserts nothing: machines differ.
//!
//! Median and 99th percentile of single markers, timed one by one into a FIFO that a thread drains as the recorder would, and
//! the same outside powerprof. The two clock readings around each marker are part of the figure; their own cost is printed.

use std::io::Read as _;
use std::process::Command;
use std::time::{Duration, Instant};

use powerprof_markers::Client;

const MARKERS: usize = 200_000;
/// A pause every so often, as between the phases of a step: a loop without any measures how fast the reader drains.
const BURST: usize = 16;
const PAUSE: Duration = Duration::from_micros(50);

fn main() -> std::io::Result<()> {
    let folder = tempfile::tempdir()?;
    let fifo = folder.path().join("markers");
    if !Command::new("mkfifo").arg(&fifo).status()?.success() {
        return Err(std::io::Error::other("mkfifo failed; hint: it is part of coreutils"));
    }
    // A reader that is also a writer sees no end of file between writers: how the recorder holds its FIFO open, too.
    let mut reader = std::fs::OpenOptions::new().read(true).write(true).open(&fifo)?;
    std::thread::spawn(move || {
        let mut buffer = vec![0; 1 << 16];
        while reader.read(&mut buffer).is_ok_and(|bytes| bytes > 0) {}
    });

    let client = Client::open(&fifo).with_rank(3);
    let silent = Client::silent();
    println!("{MARKERS} markers each, in bursts of {BURST}; ns a marker     median      p99");
    show("two clock readings, no marker", || ());
    show("outside powerprof: mark", || silent.mark("forward"));
    show("outside powerprof: span", || drop(silent.span("forward")));
    show("mark", || client.mark("forward"));
    show("begin step with index", || client.begin("step", 123_456));
    show("end step with samples and tokens", || client.end("step", 32, 32_768));
    show("metric", || client.metric("loss", 0.123_456_789_012_345_6));
    show("span (two markers)", || drop(client.span("forward")));
    if !client.is_active() {
        return Err(std::io::Error::other(
            "the client lost its pipe: the figures above are not those of a marker",
        ));
    }
    Ok(())
}

fn show(what: &str, mut marker: impl FnMut()) {
    let mut times_ns = Vec::with_capacity(MARKERS);
    for i in 0..MARKERS {
        let start = Instant::now();
        marker();
        times_ns.push(start.elapsed().as_nanos());
        if i % BURST == 0 {
            std::thread::sleep(PAUSE);
        }
    }
    times_ns.sort_unstable();
    println!(
        "{what:50} {:12} {:8}",
        times_ns[MARKERS / 2],
        times_ns[MARKERS / 100 * 99]
    );
}
