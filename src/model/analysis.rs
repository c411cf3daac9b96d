//! What a recording says: energy, time and work per phase, with its method and its doubt.
//!
//! Laws that hold by construction (and are tested): a phase includes the phases inside it; phases at the top and
//! `unattributed` add up to `total`, for energy per device and in all, and for time where no ranks are in different ones at once.

use std::collections::BTreeMap;

use super::device::{Device, SensorTiming};
use super::span::Metric;
use super::study::Study;
use super::time::Timestamp;
use super::units::{Joules, Seconds, Watts};

/// How an energy was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Method {
    /// Differences of the device's energy counter.
    Counter,
    /// Integral of the power readings.
    Integral,
    /// Joint regression of all readings on the overlap of sensor window and phases.
    Regression,
    /// No sensor: utilization times an assumed power.
    Estimate,
    /// Nothing to compute from.
    None,
}

impl Method {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Integral => "integral",
            Self::Regression => "regression",
            Self::Estimate => "estimate",
            Self::None => "none",
        }
    }
}

/// How far a figure can be trusted (half-width of its 95 % interval against its value).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Grade {
    /// Under 2 %.
    A,
    /// Under 10 %.
    B,
    /// Under 30 %.
    C,
    /// The sensor cannot tell: an upper bound stands in its place.
    Unresolved,
}

impl Grade {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::A => "A",
            Self::B => "B",
            Self::C => "C",
            Self::Unresolved => "unresolved",
        }
    }
}

/// An energy with its doubt.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct EnergyEstimate {
    /// `None` where it is unknown or unresolved.
    pub joules: Option<Joules>,
    /// Half-width of the 95 % interval from noise, timing and edges.
    pub u95: Option<Joules>,
    /// Half-width of the 95 % interval of the sensor's own tolerance, common to all phases of a device.
    pub u95_scale: Option<Joules>,
    /// Of `u95_scale`, what contradicting sensors of a device differ by: phases and runs do not have that in common.
    pub contradiction: Option<Joules>,
    pub method: Method,
    pub grade: Grade,
    /// Where unresolved: no more than this, at 95 %.
    pub upper_bound: Option<Joules>,
}

impl EnergyEstimate {
    /// Nothing is known.
    pub const UNKNOWN: Self = Self {
        joules: None,
        u95: None,
        u95_scale: None,
        contradiction: None,
        method: Method::None,
        grade: Grade::Unresolved,
        upper_bound: None,
    };
}

/// The run as a whole.
#[derive(Debug, Clone, PartialEq)]
pub struct RunSummary {
    pub command: Vec<String>,
    /// Nanoseconds since 1970.
    pub started_realtime_ns: i64,
    /// The origin of all `t_s`.
    pub started: Timestamp,
    pub wall: Seconds,
    pub exit_code: Option<i32>,
    pub complete: bool,
    pub hosts: Vec<String>,
    /// The simulated profile, if nothing here was measured.
    pub simulated: Option<String>,
    /// Set by `--label`; where nodes have a key with different values, all of them.
    pub labels: BTreeMap<String, String>,
}

/// A property of a sensor, as the readings have it, with the half-width of its 95 % interval. Milliseconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FoundMs {
    pub value: f64,
    pub u95: f64,
}

/// Which readings of a device's power were used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PowerOrigin {
    /// What was read at each poll.
    Polled,
    /// What the driver kept in a buffer of its own.
    Samples,
}

impl PowerOrigin {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Polled => "polled",
            Self::Samples => "samples",
        }
    }
}

/// What was found about one stream of readings.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FoundStream {
    /// Updates that the estimate rests on.
    pub updates: usize,
    pub period: FoundMs,
    /// A power reading's window, and its shape (`boxcar` or `low-pass`, of which twice the time constant is given).
    pub window: Option<(FoundMs, &'static str)>,
    /// From the end of a window, or a tick, until it is seen.
    /// `None` for power readings that do not tell of their windows.
    pub delay: Option<FoundMs>,
    /// Standard deviation of the sensor's updates about its clock, milliseconds.
    pub jitter_ms: f64,
}

/// What was found about a sensor from the run's own readings.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FoundSensor {
    pub power: Option<FoundStream>,
    pub counter: Option<FoundStream>,
    /// `continuous` (the counter adds up all time), `sampled` (only what the power readings see), or `unknown`.
    pub counter_kind: &'static str,
    /// How far the power follows behind the markers.
    pub lag: FoundMs,
    /// Whether phases were fitted in parts, for their power has a shape.
    pub in_parts: bool,
    /// Whose updates those of `power` are.
    pub origin: Option<PowerOrigin>,
}

/// One device over the whole run.
#[derive(Debug, Clone, PartialEq)]
pub struct DeviceAnalysis {
    pub device: Device,
    /// As found in the data, or the belief where the data do not tell.
    pub timing: SensorTiming,
    pub energy: EnergyEstimate,
    pub mean_power: Option<Watts>,
    pub max_power: Option<Watts>,
    pub mean_utilization_pct: Option<f64>,
    pub mean_memory_bytes: Option<f64>,
    pub max_memory_bytes: Option<u64>,
    /// What the readings themselves say of the sensor.
    pub found: Option<FoundSensor>,
    /// Share of the run spent inside this sensor's calls; `None` where there were none.
    pub call_share: Option<f64>,
    /// Where its power is from; `None`: it gave none.
    pub origin: Option<PowerOrigin>,
    /// Whether it is part of the sums (false where another recorded device contains it).
    pub in_total: bool,
}

/// One device's share of a phase.
#[derive(Debug, Clone, PartialEq)]
pub struct DeviceEnergy {
    pub id: String,
    pub energy: EnergyEstimate,
}

/// One phase, everything inside it included.
#[derive(Debug, Clone, PartialEq)]
pub struct PhaseAnalysis {
    pub path: String,
    pub name: String,
    pub depth: usize,
    /// Executions per rank (the most of any rank).
    pub count: u64,
    /// Union over ranks; `None` where nothing is left of any execution's time.
    pub wall: Option<Seconds>,
    pub energy: EnergyEstimate,
    pub mean_power: Option<Watts>,
    /// Whether `wall` is the time of all of its work, and `energy` the energy: else nothing is divided by them.
    pub whole_time: bool,
    pub whole_energy: bool,
    pub samples: Option<u64>,
    pub tokens: Option<u64>,
    pub samples_per_s: Option<f64>,
    /// Samples per joule.
    pub samples_per_s_per_w: Option<f64>,
    pub mean_utilization_pct: Option<f64>,
    pub mean_memory_bytes: Option<f64>,
    pub devices: Vec<DeviceEnergy>,
}

/// Time and energy outside every phase.
#[derive(Debug, Clone, PartialEq)]
pub struct Unattributed {
    /// When no rank was in any phase.
    pub wall: Seconds,
    /// What each device drew while its own ranks were in no phase.
    pub energy: EnergyEstimate,
    /// `None` where these are not the same times for all devices.
    pub mean_power: Option<Watts>,
    pub devices: Vec<DeviceEnergy>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CheckStatus {
    Pass,
    Warn,
    Fail,
}

impl CheckStatus {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Warn => "warn",
            Self::Fail => "fail",
        }
    }
}

/// A test the recording was put to.
#[derive(Debug, Clone, PartialEq)]
pub struct Check {
    pub name: String,
    pub status: CheckStatus,
    /// A sentence a user understands.
    pub detail: String,
}

/// The energies of a run by one estimator.
#[derive(Debug, Clone, PartialEq)]
pub struct Alternative {
    pub estimator: &'static str,
    pub total: EnergyEstimate,
    pub unattributed: EnergyEstimate,
    /// In the order of the analysis's phases.
    pub phases: Vec<EnergyEstimate>,
}

/// One device before the command ran, and its energy without that.
#[derive(Debug, Clone, PartialEq)]
pub struct IdleDevice {
    pub id: String,
    /// Mean over the baseline.
    pub power: Option<Watts>,
    /// Half-width of its 95 % interval.
    pub u95: Option<Watts>,
    pub net: EnergyEstimate,
}

/// What the machine drew before the command ran, and every energy without it.
#[derive(Debug, Clone, PartialEq)]
pub struct IdleBaseline {
    /// How long it was watched.
    pub wall: Seconds,
    /// How long before the command that ended.
    pub before_start: Seconds,
    /// Finest time between two polls, as in the run itself, and how they were spread where that is known.
    pub interval: Seconds,
    pub polling: Option<String>,
    pub devices: Vec<IdleDevice>,
    pub total: EnergyEstimate,
    /// In the order of [`Analysis::phases`].
    pub phases: Vec<EnergyEstimate>,
    pub unattributed: EnergyEstimate,
}

/// Everything a report shows.
#[derive(Debug, Clone, PartialEq)]
pub struct Analysis {
    pub run: RunSummary,
    pub total: EnergyEstimate,
    pub devices: Vec<DeviceAnalysis>,
    /// Preorder of the phase tree.
    pub phases: Vec<PhaseAnalysis>,
    pub unattributed: Unattributed,
    pub metrics: Vec<Metric>,
    pub checks: Vec<Check>,
    pub warnings: Vec<String>,
    /// Energies net of idle, where a baseline was taken.
    pub idle: Option<IdleBaseline>,
    /// The run in the study's figures, where they were asked for.
    pub study: Option<Study>,
    /// The same by other estimators, where they were asked for.
    pub alternatives: Vec<Alternative>,
}
