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
const FOLDER: &str = "POWERPROF_TEST_KILL_FOLDER";

/// Not a test by itself: the recorder that the tests below start and kill. Prints the number of sweeps after each flush.
#[test]
#[ignore = "the process that other tests start and kill"]
fn recorder() {
    let devices = [made::gpu(0), made::cpu()];
    if let Some(path) = std::env::var_os(FILE) {
        let mut writer = Writer::create(Path::new(&path), &made::run(), &devices, false).unwrap();
        let mut sweeps = 0;
        say("acked 0");
        loop {
            // Uneven blocks: not a divisor of the block size, so that most flushes leave blocks partly filled.
            let next = sweeps + 1 + made::scramble(sweeps) % 90;
            writer.append(&made::chunk(&devices, sweeps, next)).unwrap();
            sweeps = next;
            writer.flush().unwrap();
            say(&format!("acked {sweeps}"));
        }
    }
    if let Some(folder) = std::env::var_os(FOLDER) {
        for number in 0.. {
            let path = Path::new(&folder).join(format!("{number}.h5"));
            let mut writer = Writer::create(&path, &made::run(), &devices, false).unwrap();
            writer.append(&made::chunk(&devices, 0, SHORT)).unwrap();
            writer.flush().unwrap();
            say(&format!("acked {number}"));
            writer
                .finish(RunEnd {
                    ended: made::time(SHORT),
                    exit: ChildExit::Code(0),
                })
                .unwrap();
            say(&format!("finished {number}"));
        }
    }
}

/// Sweeps of each of the short recordings.
const SHORT: u64 = 260;

fn say(line: &str) {
    // Straight to the pipe: a killed process's buffer would be lost.
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}").unwrap();
    out.flush().unwrap();
}

/// A recorder that was started, and what it has said.
struct Recorder {
    child: Child,
    said: mpsc::Receiver<String>,
    /// The last number it acknowledged: of sweeps, or of a short recording.
    acked: Option<u64>,
    /// The last short recording it finished.
    finished: Option<u64>,
}

fn start(variable: &str, path: &Path) -> Recorder {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args([
        "kill::recorder",
        "--exact",
        "--ignored",
        "--nocapture",
        "--test-threads=1",
    ]);
    let mut child = command
        .env(variable, path)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let out = BufReader::new(child.stdout.take().unwrap());
    let (tell, said) = mpsc::channel();
    std::thread::spawn(move || {
        for line in out.lines().map_while(Result::ok) {
            if tell.send(line).is_err() {
                break;
            }
        }
    });
    Recorder {
        child,
        said,
        acked: None,
        finished: None,
    }
}

impl Recorder {
    fn take(&mut self, line: &str) {
        // The harness writes the test's name in front of its first line.
        if let Some((_, number)) = line.split_once("acked ") {
            self.acked = Some(number.parse().unwrap());
        } else if let Some((_, number)) = line.split_once("finished ") {
            self.finished = Some(number.parse().unwrap());
        }
    }

    /// Wait for the next flush.
    fn wait(&mut self) {
        let before = self.acked;
        while self.acked == before {
            let line = self
                .said
                .recv_timeout(Duration::from_secs(60))
                .expect("the recorder says something");
            self.take(&line);
        }
    }

    /// Kill it, and hear what it had said until then.
    fn kill(&mut self) {
        self.child.kill().unwrap();
        assert_eq!(
            self.child.wait().unwrap().signal(),
            Some(9),
            "it ended before it was killed"
        );
        let rest: Vec<String> = self.said.iter().collect();
        rest.iter().for_each(|line| self.take(line));
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
    let (may, may_streams) = made::expected(&devices, acked + 400);
    let begins = |got: String, must: usize, got_rows: usize, may: &dyn Fn(usize) -> String| {
        assert!(got_rows >= must, "{got_rows} rows are left of {must}");
        assert_eq!(got, may(got_rows));
    };
    begins(
        format!("{:?}", recording.markers),
        must.markers.len(),
        recording.markers.len(),
        &|n| format!("{:?}", &may.markers[..n]),
    );
    begins(
        format!("{:?}", recording.events),
        must.events.len(),
        recording.events.len(),
        &|n| format!("{:?}", &may.events[..n]),
    );
    begins(
        format!("{:?}", recording.warnings),
        must.warnings.len(),
        recording.warnings.len(),
        &|n| format!("{:?}", &may.warnings[..n]),
    );
    begins(
        format!("{:?}", recording.anchors),
        must.anchors.len(),
        recording.anchors.len(),
        &|n| format!("{:?}", &may.anchors[..n]),
    );
    begins(
        format!("{:?}", recording.host.cpu_pct),
        must.host.times.len(),
        recording.host.times.len(),
        &|n| format!("{:?}", &may.host.cpu_pct[..n]),
    );
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
        let four = (
            power.times.t.clone(),
            power.times.half_width_ns.clone(),
            power.watts.clone(),
            power.counter.clone(),
        );
        begins(format!("{four:?}"), must.power.times.len(), power.times.len(), &|n| {
            format!("{:?}", rows(n))
        });
        begins(
            format!("{:?}", got.state.memory_used_bytes),
            must.state.times.len(),
            got.state.times.len(),
            &|n| format!("{:?}", &may.state.memory_used_bytes[..n]),
        );
        begins(
            format!("{:?}", (&got.samples.t, &got.samples.watts)),
            must.samples.t.len(),
            got.samples.t.len(),
            &|n| format!("{:?}", (&may.samples.t[..n], &may.samples.watts[..n])),
        );
        begins(
            format!("{:?}", got.samples.calls.outcome),
            must.samples.calls.times.len(),
            got.samples.calls.times.len(),
            &|n| format!("{:?}", &may.samples.calls.outcome[..n]),
        );
    }
    assert!(acked == 0 || recording.last_seen >= made::time(acked - 1));
    sweeps
}

#[test]
fn every_flushed_row_survives_a_kill_at_any_moment() {
    let folder = tempfile::tempdir().unwrap();
    let mut rows = 0;
    for kill in 0..24 {
        let path = folder.path().join(format!("{kill}.h5"));
        let mut recorder = start(FILE, &path);
        recorder.wait();
        // From the first flushes to a few hundred of them.
        std::thread::sleep(Duration::from_micros(made::scramble(kill) % 250_000));
        recorder.kill();
        let acked = recorder.acked.unwrap();
        let sweeps = check(&path, acked);
        let run = Reader::open(&path).unwrap().recording().unwrap().run;
        assert!(!run.complete && run.ended.is_none() && run.exit.is_none());
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
fn a_kill_while_a_file_is_begun_or_finished_loses_nothing() {
    // Until enough kills hit a file between its last flush and its end: the harness must not pass because it never aims well.
    const ENOUGH: u32 = 4;
    let (mut while_finishing, mut then_complete, mut while_beginning) = (0, 0, 0);
    for kill in 0..400 {
        let folder = tempfile::tempdir().unwrap();
        let mut recorder = start(FOLDER, folder.path());
        recorder.wait();
        std::thread::sleep(Duration::from_micros(made::scramble(kill) % 60_000));
        recorder.kill();
        let (acked, finished) = (recorder.acked.unwrap(), recorder.finished);
        for number in 0..=acked {
            let path = folder.path().join(format!("{number}.h5"));
            assert_eq!(check(&path, SHORT), SHORT);
            let complete = Reader::open(&path).unwrap().recording().unwrap().run.complete;
            if finished >= Some(number) {
                assert!(complete);
            } else {
                while_finishing += 1;
                then_complete += u32::from(complete);
            }
        }
        // The one it had begun, if its name had appeared: it opens, though nothing was promised of its rows.
        let next = folder.path().join(format!("{}.h5", acked + 1));
        if next.exists() {
            while_beginning += 1;
            check(&next, 0);
        }
        if while_finishing >= ENOUGH {
            println!(
                "{} kills: {while_finishing} while finishing ({then_complete} complete), {while_beginning} while beginning",
                kill + 1
            );
            return;
        }
    }
    panic!("only {while_finishing} of 400 kills came while a file was being finished");
}

#[test]
fn a_growing_recording_can_be_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("live.h5");
    let mut recorder = start(FILE, &path);
    for _ in 0..5 {
        recorder.wait();
        let acked = recorder.acked.unwrap();
        let reader = Reader::open(&path).unwrap();
        let recording = reader.recording().unwrap();
        assert!(recording.sweeps.due.len() as u64 >= acked);
        assert!(!recording.run.complete);
        reader.streams(&recording.devices[0]).unwrap();
        std::thread::sleep(Duration::from_millis(20));
    }
    recorder.kill();
}

#[test]
fn the_recorded_command_does_not_inherit_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.h5");
    let _writer = Writer::create(&path, &made::run(), &[], false).unwrap();
    let listed = Command::new("ls").args(["-l", "/proc/self/fd"]).output().unwrap();
    let listed = String::from_utf8_lossy(&listed.stdout);
    assert!(listed.contains("/proc/"), "{listed}");
    assert!(!listed.contains(&*folder.path().to_string_lossy()), "{listed}");
}
