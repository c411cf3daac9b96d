//! A load that another process writes while it runs: lines `t_ns watts [gpu]` in a file, `t_ns` of `CLOCK_MONOTONIC`,
//! appended in order of time. Owns following the file; a line without a GPU is for all of them.
//!
//! *Limits of validity*: a line counts from when it is read. Written ahead of its time it is exact; written late, the
//! readings published in between have not seen it (a later read of the same reading would), unless the sensor's delay
//! is longer than the lateness. The file is looked at once a millisecond at most, and only where a reading is asked
//! for.

use std::fs::File;
use std::io::Read;
use std::path::PathBuf;

use super::curve::Curve;
use crate::clock;

const LOOK_EVERY_NS: i64 = 1_000_000;

#[derive(Debug)]
pub(super) struct Trace {
    path: PathBuf,
    file: Option<File>,
    gpu: u32,
    /// What has been read of a line whose end is not written yet.
    partial: Vec<u8>,
    looked_ns: i64,
    rejected: u64,
    curve: Curve,
}

impl Trace {
    pub(super) fn new(path: PathBuf, gpu: u32, initial_uw: i64, ramp_ns: i64) -> Self {
        let curve = Curve::new(0, initial_uw, ramp_ns); // a line may stand at any time since boot
        Self {
            path,
            file: None,
            gpu,
            partial: Vec::new(),
            looked_ns: i64::MIN,
            rejected: 0,
            curve,
        }
    }

    pub(super) fn curve(&self) -> &Curve {
        &self.curve
    }

    pub(super) fn refresh(&mut self) {
        let now_ns = clock::monotonic_ns();
        if now_ns < self.looked_ns.saturating_add(LOOK_EVERY_NS) {
            return;
        }
        self.looked_ns = now_ns;
        if self.file.is_none() {
            self.file = File::open(&self.path).ok(); // not there yet: the writer has not started
        }
        let Some(file) = &mut self.file else { return };
        if let Err(error) = file.read_to_end(&mut self.partial) {
            eprintln!("fake-nvml: cannot read the trace {}: {error}", self.path.display());
        }
        let Some(end) = self.partial.iter().rposition(|&byte| byte == b'\n') else {
            return;
        };
        let rest = self.partial.split_off(end + 1);
        let lines = std::mem::replace(&mut self.partial, rest);
        for line in String::from_utf8_lossy(&lines).lines() {
            self.take(line);
        }
    }

    fn take(&mut self, line: &str) {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            return;
        }
        let accepted = match parse(line) {
            Some((_, _, Some(gpu))) if gpu != self.gpu => true,
            Some((at_ns, uw, _)) => self.curve.step_to(at_ns, uw),
            None => false,
        };
        if !accepted {
            self.rejected += 1;
            if self.rejected == 1 {
                let path = self.path.display();
                eprintln!("fake-nvml: {path}: not a line `t_ns watts [gpu]` later than the one before: {line}");
            }
        }
    }
}

fn parse(line: &str) -> Option<(i64, i64, Option<u32>)> {
    let mut words = line.split_ascii_whitespace();
    let at_ns = words.next()?.parse().ok()?;
    let watts: f64 = words.next()?.parse().ok()?;
    let gpu = words.next().map(str::parse).transpose().ok()?;
    let valid = (0.0..=1e6).contains(&watts) && words.next().is_none();
    valid.then(|| (at_ns, (watts * 1e6).round() as i64, gpu))
}
