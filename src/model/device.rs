//! What can be measured: devices, where their figures come from, and what is known of them before the first reading.

use std::collections::BTreeMap;

use super::units::Watts;

/// A device's short name, unique in one recording: `gpu0`, `cpu0`, `dram0`, `host`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeviceId(pub String);

impl std::fmt::Display for DeviceId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// What kind of consumer a device is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DeviceKind {
    Gpu,
    /// A GPU's memory alone (NVML scope 2 where it exists): contained in the GPU.
    GpuMemory,
    /// A module that holds GPU and CPU (Grace Hopper): contains the GPU.
    Module,
    Cpu,
    /// The cores of a CPU package alone: contained in the package.
    CpuCores,
    Dram,
    /// The whole platform (RAPL psys): contains packages.
    Platform,
}

impl DeviceKind {
    /// The word in files and reports.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Gpu => "gpu",
            Self::GpuMemory => "gpu_memory",
            Self::Module => "module",
            Self::Cpu => "cpu",
            Self::CpuCores => "cpu_cores",
            Self::Dram => "dram",
            Self::Platform => "platform",
        }
    }

    /// The inverse of [`Self::as_str`].
    pub fn parse(word: &str) -> Option<Self> {
        [
            Self::Gpu,
            Self::GpuMemory,
            Self::Module,
            Self::Cpu,
            Self::CpuCores,
            Self::Dram,
            Self::Platform,
        ]
        .into_iter()
        .find(|k| k.as_str() == word)
    }
}

/// Which interface the readings come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Source {
    Nvml,
    Rapl,
    Hwmon,
    /// No sensor: utilization times an assumed power. Never graded above C.
    Estimate,
    /// A made-up device that follows the markers (`--simulate`).
    Simulated,
    /// Read from a log that someone else recorded (`powerprof import`).
    Imported,
}

impl Source {
    /// The word in files and reports.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Nvml => "nvml",
            Self::Rapl => "rapl",
            Self::Hwmon => "hwmon",
            Self::Estimate => "estimate",
            Self::Simulated => "simulated",
            Self::Imported => "imported",
        }
    }

    /// The inverse of [`Self::as_str`].
    pub fn parse(word: &str) -> Option<Self> {
        [
            Self::Nvml,
            Self::Rapl,
            Self::Hwmon,
            Self::Estimate,
            Self::Simulated,
            Self::Imported,
        ]
        .into_iter()
        .find(|s| s.as_str() == word)
    }
}

/// A sensor's update period and averaging window, milliseconds, as far as they are known.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct SensorTiming {
    /// Time between two publications.
    pub update_period_ms: Option<f64>,
    /// Length of the average that one publication holds.
    pub window_ms: Option<f64>,
    /// End of the window to its first visibility.
    pub delay_ms: Option<f64>,
}

/// A user's calibration of one board: `reading = gain * true + offset` (measurement: steady state against an external meter).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Calibration {
    pub gain: f64,
    pub offset: Watts,
}

impl Calibration {
    /// What the board drew at a reading, watts.
    pub fn true_watts(&self, reading: f64) -> f64 {
        (reading - self.offset.get()) / self.gain
    }
}

/// Everything about a device that does not change during a run.
#[derive(Debug, Clone, PartialEq)]
pub struct Device {
    pub id: DeviceId,
    pub kind: DeviceKind,
    pub source: Source,
    /// As the driver names it, e.g. `NVIDIA H100 80GB HBM3`.
    pub name: String,
    pub uuid: Option<String>,
    /// The index `CUDA_VISIBLE_DEVICES` counts in, or the RAPL package's number; `None` where there is no such order.
    pub index: Option<u32>,
    /// The device whose figures contain this one's, if both are recorded. Such a device is shown, and never added to a total.
    pub contained_in: Option<DeviceId>,
    /// GPU architecture as NVML names it (`Hopper`), the prior for the sensor's timing.
    pub architecture: Option<String>,
    /// The most the device may draw: the enforced power limit, the TDP.
    pub power_limit: Option<Watts>,
    pub memory_total_bytes: Option<u64>,
    /// What is believed about the power reading before looking at the data.
    pub power_timing: SensorTiming,
    /// What is believed about the energy counter before looking at the data.
    pub counter_timing: SensorTiming,
    pub calibration: Option<Calibration>,
    /// Anything else worth keeping: driver, VBIOS, persistence mode, field and scope read, TDP source.
    pub properties: BTreeMap<String, String>,
}

impl Device {
    /// A power reading in watts, with the user's calibration.
    pub fn true_watts(&self, reading: f64) -> f64 {
        self.calibration
            .map_or(reading, |calibration| calibration.true_watts(reading))
    }
}
