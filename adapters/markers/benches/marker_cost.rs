//! What a marker costs the trainer: `cargo bench -p powerprof-markers`. Prints, asserts nothing: machines differ.
//!
//! Median and 99th percentile of single markers, timed one by one into a FIFO that a thread drains, and the same outside
//! powerprof. The two clock readings around each marker are part of the figure; their own cost is printed.
//!
//! Two readers: one waits for each line, and waking it is part of what the writer pays; one collects for a millisecond.

use std::io::Read as _;
use std::process::Command;
use std::time::{Duration, Instant};

use powerprof_markers::Client;

const MARKERS: usize = 200_000;
/// A pause every so often, as between the phases of a step: a loop without any measures how fast the reader drains.
const BURST: usize = 16;
const PAUSE: Duration = Duration::from_micros(50);

fn main() -> std::io::Result<()> {
    println!(
        "{MARKERS} markers each, in bursts of {BURST}; ns {:>15} {:>8}",
        "median", "p99"
    );
    show("two clock readings, no marker", || ());
    println!("outside powerprof");
    let silent = Client::silent();
    show("mark", || silent.mark("forward"));
    show("span (two markers)", || drop(silent.span("forward")));
    println!("a reader that collects for 1 ms");
    into_fifo(Duration::from_millis(1))?;
    println!("a reader that wakes for each line");
    into_fifo(Duration::ZERO)
}

fn into_fifo(collect: Duration) -> std::io::Result<()> {
    let folder = tempfile::tempdir()?;
    let fifo = folder.path().join("markers");
    if !Command::new("mkfifo").arg(&fifo).status()?.success() {
        return Err(std::io::Error::other("mkfifo failed; hint: it is part of coreutils"));
    }
    // Opened for reading and writing, so that it does not wait for a writer. It is left to read until the program ends.
    let mut reader = std::fs::OpenOptions::new().read(true).write(true).open(&fifo)?;
    std::thread::spawn(move || {
        let mut buffer = vec![0; 1 << 17];
        while reader.read(&mut buffer).is_ok_and(|bytes| bytes > 0) {
            if !collect.is_zero() {
                std::thread::sleep(collect);
            }
        }
    });
    let client = Client::open(&fifo).with_rank(3);
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
        "  {what:48} {:12} {:8}",
        times_ns[MARKERS / 2],
        times_ns[MARKERS / 100 * 99]
    );
}
