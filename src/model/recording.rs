//! A recording: what one node's supervisor saw, before anything is computed from it.
//!
//! The bulky streams of the devices are apart ([`DeviceStreams`]), so that an analysis need not hold all of them.

use std::collections::BTreeMap;

use super::device::Device;
use super::marker::{MarkerEvent, MarkerFaults};
use super::sample::{HostStream, PowerStream, SampleStream, SensorEvent, StateStream, SweepStream};
use super::time::{ClockAnchor, Interval, Timestamp};

/// How the child ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChildExit {
    /// It returned this status.
    Code(i32),
    /// This signal ended it.
    Signal(i32),
}

impl ChildExit {
    /// The status a shell would show: the code, or 128 + signal.
    pub const fn status(self) -> i32 {
        match self {
            Self::Code(code) => code,
            Self::Signal(signal) => 128 + signal,
        }
    }
}

/// The machine of a recording.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct HostInfo {
    pub hostname: String,
    pub os: String,
    pub kernel: String,
    pub cpu_model: String,
    pub logical_cpus: Option<u32>,
    pub memory_bytes: Option<u64>,
}

/// What was run, where, and how.
#[derive(Debug, Clone, PartialEq)]
pub struct RunInfo {
    pub powerprof_version: String,
    pub command: Vec<String>,
    pub working_directory: String,
    pub host: HostInfo,
    /// Wall-clock start, nanoseconds since 1970.
    pub started_realtime_ns: i64,
    /// When the child was released (or, in an imported log, the first reading).
    pub started: Timestamp,
    /// When it ended. `None`: the recording was cut off.
    pub ended: Option<Timestamp>,
    pub exit: Option<ChildExit>,
    /// Whether the recorder finished the file itself.
    pub complete: bool,
    /// The fast sensors' requested period, nanoseconds.
    pub interval_ns: i64,
    /// Variables that change what a run does: CUDA, SLURM, torch, OMP, NCCL.
    pub environment: BTreeMap<String, String>,
    /// Commit of the working directory's repository, `-dirty` behind it if files differ.
    pub git_commit: Option<String>,
    /// The profile of `--simulate`: every output says SIMULATED.
    pub simulated: Option<String>,
    /// Set by `--label key=value`.
    pub labels: BTreeMap<String, String>,
}

/// One node's recording, without the devices' streams.
#[derive(Debug, Clone, PartialEq)]
pub struct Recording {
    pub run: RunInfo,
    pub anchors: Vec<ClockAnchor>,
    pub devices: Vec<Device>,
    pub markers: Vec<MarkerEvent>,
    pub marker_faults: MarkerFaults,
    pub host: HostStream,
    pub sweeps: SweepStream,
    pub events: Vec<SensorEvent>,
    /// What the recorder warned about while recording.
    pub warnings: Vec<String>,
    /// The latest time anything was recorded: the end of a cut-off run.
    pub last_seen: Timestamp,
    /// When the machine was watched before the command ran, with the same polling (`--idle-baseline`).
    pub baseline: Option<Interval>,
}

impl Recording {
    /// The time that `total` covers: release to end of the child, or to the last thing seen where the recording was cut off.
    pub fn interval(&self) -> Interval {
        Interval::new(self.run.started, self.run.ended.unwrap_or(self.last_seen))
    }
}

/// All readings of one device.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct DeviceStreams {
    pub power: PowerStream,
    pub state: StateStream,
    /// What the driver kept by itself; empty where it keeps nothing finer than `power`.
    pub samples: SampleStream,
    /// What of them could not be read, and what to do: as a warning. Such rows are not given, or left out where their time is unknown.
    pub unreadable: Option<String>,
}

/// A piece of a recording on its way to the file: everything that came in since the last piece.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Chunk {
    /// Told once: when the child was released. Becomes [`RunInfo::started`].
    pub released: Option<Timestamp>,
    /// Told once: the idle baseline, if one was taken.
    pub baseline: Option<Interval>,
    /// One entry per recorded device, in the recording's order; or empty.
    pub devices: Vec<DeviceStreams>,
    pub host: HostStream,
    pub sweeps: SweepStream,
    pub anchors: Vec<ClockAnchor>,
    pub markers: Vec<MarkerEvent>,
    /// The counts so far (they replace those of an earlier piece), if they changed.
    pub marker_faults: Option<MarkerFaults>,
    pub events: Vec<SensorEvent>,
    pub warnings: Vec<(Timestamp, String)>,
}

/// How a run ended, known only then.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RunEnd {
    pub ended: Timestamp,
    pub exit: ChildExit,
}
