//! SIGKILL at any moment: the file opens, and every row of a flush that returned is there, with its value.

use std::io::{BufRead, BufReader, Write as _};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use powerprof::model::recording::{ChildExit, RunEnd};
use powerprof::recording::{Reader, Writer, recover};

use crate::made;

const FILE: &str = "POWERPROF_TEST_KILL_FILE";
const FINISH_AFTER: &str = "POWERPROF_TEST_KILL_FINISH_AFTER";

/// Not a test by itself: the recorder that the tests below start and kill. Prints the number of sweeps after each flush.
#[test]
#[ignore = "the process that other tests start and kill"]
fn recorder() {
    let Some(path) = std::env::var_os(FILE) else { return };
    let finish_after: u64 = std::env::var(FINISH_AFTER).map_or(u64::MAX, |n| n.parse().unwrap());
    let devices = [made::gpu(0), made::cpu()];
    let mut writer = Writer::create(Path::new(&path), &made::run(), &devices, false).unwrap();
    let mut sweeps = 0;
    let say = |line: String| {
        // Straight to the pipe: a killed process's buffer would be lost, and the harness's capture is off.
        let mut out = std::io::stdout().lock();
        writeln!(out, "{line}").unwrap();
        out.flush().unwrap();
    };
    say("acked 0".into());
    while sweeps < finish_after {
        // Uneven blocks: not a divisor of the block size, so that most flushes leave blocks partly filled.
        let next = sweeps + 1 + made::scramble(sweeps) % 90;
        writer.append(&made::chunk(&devices, sweeps, next)).unwrap();
        sweeps = next;
        writer.flush().unwrap();
        say(format!("acked {sweeps}"));
    }
    say("finishing".into());
    writer.finish(RunEnd { ended: made::time(sweeps), exit: ChildExit::Code(0) }).unwrap();
    say("finished".into());
}

/// A recorder that was started, and what it has said.
struct Recorder {
    child: Child,
    said: mpsc::Receiver<String>,
}

fn start(path: &Path, finish_after: Option<u64>) -> Recorder {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["kill::recorder", "--exact", "--ignored", "--nocapture", "--test-threads=1"]);
    command.env(FILE, path).stdout(Stdio::piped()).stderr(Stdio::null());
    if let Some(sweeps) = finish_after {
        command.env(FINISH_AFTER, sweeps.to_string());
    }
    let mut child = command.spawn().unwrap();
    let out = BufReader::new(child.stdout.take().unwrap());
    let (tell, said) = mpsc::channel();
    std::thread::spawn(move || {
        for line in out.lines().map_while(Result::ok) {
            if tell.send(line).is_err() {
                break;
            }
        }
    });
    Recorder { child, said }
}

impl Recorder {
    /// Wait until it says `what`.
    fn heard(&self, what: &str) -> u64 {
        let mut acked = 0;
        loop {
            let line = self.said.recv_timeout(Duration::from_secs(60)).expect("the recorder says something");
            acked = line.strip_prefix("acked ").map_or(acked, |n| n.parse().unwrap());
            if line.starts_with(what) {
                return acked;
            }
        }
    }

    /// Kill it, and say how many sweeps it had acknowledged, given those heard before. `None`: it had ended by itself.
    fn kill(mut self, before: u64) -> (u64, bool) {
        self.child.kill().unwrap();
        let killed = self.child.wait().unwrap().signal() == Some(9);
        let last = self.said.iter().filter_map(|l| l.strip_prefix("acked ").map(|n| n.parse().unwrap())).last();
        (last.unwrap_or(before), killed)
    }
}

/// Check a file against what was acknowledged; returns the number of sweeps it holds.
fn check(path: &Path, acked: u64) -> u64 {
    let devices = [made::gpu(0), made::cpu()];
    let reader = Reader::open(path).unwrap();
    let recording = reader.recording().unwrap();
    let sweeps = recording.sweeps.due.len() as u64;
    assert!(sweeps >= acked, "{sweeps} sweeps are left of {acked} acknowledged");
    let streams: Vec<_> = recording.devices.iter().map(|d| reader.streams(d).unwrap()).collect();
    // Every table on its own: what is there is the beginning of what was written, and no shorter than what was flushed.
    let (must, must_streams) = made::expected(&devices, acked);
    let (may, may_streams) = made::expected(&devices, acked + 200);
    let begins = |got: String, must: usize, got_rows: usize, may: &dyn Fn(usize) -> String| {
        assert!(got_rows >= must, "{got_rows} rows are left of {must}");
        assert_eq!(got, may(got_rows));
    };
    begins(format!("{:?}", recording.markers), must.markers.len(), recording.markers.len(), &|n| {
        format!("{:?}", &may.markers[..n])
    });
    begins(format!("{:?}", recording.events), must.events.len(), recording.events.len(), &|n| {
        format!("{:?}", &may.events[..n])
    });
    begins(format!("{:?}", recording.warnings), must.warnings.len(), recording.warnings.len(), &|n| {
        format!("{:?}", &may.warnings[..n])
    });
    begins(format!("{:?}", recording.anchors), must.anchors.len(), recording.anchors.len(), &|n| {
        format!("{:?}", &may.anchors[..n])
    });
    begins(format!("{:?}", recording.host.cpu_pct), must.host.times.len(), recording.host.times.len(), &|n| {
        format!("{:?}", &may.host.cpu_pct[..n])
    });
    assert!(recording.marker_faults.bad_lines >= must.marker_faults.bad_lines);
    for ((got, must), may) in streams.iter().zip(&must_streams).zip(&may_streams) {
        let rows = |n: usize| {
            (
                may.power.times.t[..n].to_vec(),
                may.power.times.half_width_ns[..n].to_vec(),
                may.power.watts.get(..n).unwrap_or_default().to_vec(),
                may.power.counter[..n].to_vec(),
            )
        };
        let power = &got.power;
        let four = (power.times.t.clone(), power.times.half_width_ns.clone(), power.watts.clone(), power.counter.clone());
        begins(format!("{four:?}"), must.power.times.len(), power.times.len(), &|n| format!("{:?}", rows(n)));
        begins(
            format!("{:?}", got.state.memory_used_bytes),
            must.state.times.len(),
            got.state.times.len(),
            &|n| format!("{:?}", &may.state.memory_used_bytes[..n]),
        );
    }
    assert!(recording.last_seen >= made::time(acked.saturating_sub(1)));
    sweeps
}

#[test]
fn every_flushed_row_survives_a_kill_at_any_moment() {
    let folder = tempfile::tempdir().unwrap();
    let mut rows = 0;
    for kill in 0..24 {
        let path = folder.path().join(format!("{kill}.h5"));
        let recorder = start(&path, None);
        let before = recorder.heard("acked");
        // From the first flushes to a few hundred of them.
        std::thread::sleep(Duration::from_micros(made::scramble(kill) % 250_000));
        let (acked, killed) = recorder.kill(before);
        assert!(killed, "the recorder ended before it was killed");
        let sweeps = check(&path, acked);
        let recording = Reader::open(&path).unwrap().recording().unwrap();
        assert!(!recording.run.complete && recording.run.ended.is_none() && recording.run.exit.is_none());
        rows += sweeps;

        // And the recovered file holds the same, and needs no special way of opening.
        recover(&path, None, false).unwrap();
        assert_eq!(check(&path, acked), sweeps);
        hdf5::File::open(&path).unwrap();
        assert!(Reader::open(&path).unwrap().recovered().unwrap());
    }
    assert!(rows > 0, "no recorder got to its first flush");
}

#[test]
fn a_kill_while_the_file_is_being_finished_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut outcomes = [0; 2];
    for kill in 0..24 {
        let path = folder.path().join(format!("{kill}.h5"));
        let recorder = start(&path, Some(500));
        let acked = recorder.heard("finishing");
        std::thread::sleep(Duration::from_micros(made::scramble(kill) % 2_000));
        let (_, _) = recorder.kill(acked);
        check(&path, acked);
        let recording = Reader::open(&path).unwrap().recording().unwrap();
        assert_eq!(recording.run.complete, recording.run.exit.is_some());
        outcomes[usize::from(recording.run.complete)] += 1;
    }
    // Not asserted which: it depends on how fast this machine is. Shown, so that a harness that never hits the middle is seen.
    println!("cut off {}, complete {}", outcomes[0], outcomes[1]);
}

#[test]
fn a_growing_recording_can_be_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("live.h5");
    let recorder = start(&path, None);
    let mut acked = 0;
    for _ in 0..5 {
        acked = recorder.heard("acked");
        let reader = Reader::open(&path).unwrap();
        let recording = reader.recording().unwrap();
        assert!(recording.sweeps.due.len() as u64 >= acked);
        assert!(!recording.run.complete);
        reader.streams(&recording.devices[0]).unwrap();
        std::thread::sleep(Duration::from_millis(20));
    }
    let (_, killed) = recorder.kill(acked);
    assert!(killed);
}
