//! What a test says about the machine that it wants: the JSON of `FAKE_NVML_CONFIG`. Owns the names, the defaults and
//! finding the text; `gpu.rs` owns the part about one GPU, `truth.rs` the load, `faults.rs` what goes wrong.
//! Leaves to others what the settings mean in time.
//!
//! Units stand in the names. A field that does not exist is an error, not a surprise.

mod error;
mod faults;
mod gpu;
mod truth;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

pub use error::ConfigError;
pub use faults::{Effect, Fault, Latency};
pub use gpu::{Counter, CounterKind, Gpu, PowerUsage, Profile, Samples, Sensor, Signal};
pub use truth::{Shape, Square, Steps, TraceFile};

/// Path of a JSON file, or the JSON itself where it starts with `{`.
pub const CONFIG_VARIABLE: &str = "FAKE_NVML_CONFIG";
/// Path of the file that the counts of calls are written to.
pub const STATS_VARIABLE: &str = "FAKE_NVML_STATS";
/// Name of the configuration that a library finds beside itself.
pub const CONFIG_FILE: &str = "fake-nvml.json";

/// The whole simulated machine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Everything random follows from it.
    pub seed: u64,
    /// `CLOCK_MONOTONIC` nanoseconds that all times of the configuration count from; absent: the first `nvmlInit`.
    pub t0_ns: Option<i64>,
    pub driver_version: String,
    pub nvml_version: String,
    /// 1000·major + 10·minor, as `nvmlSystemGetCudaDriverVersion` gives it.
    pub cuda_driver_version: i32,
    /// Calls wait for each other in the whole process, as they do for the driver's lock.
    pub global_lock: bool,
    /// What a call costs: the first rule that names it holds.
    pub latency: Vec<Latency>,
    pub faults: Vec<Fault>,
    /// Where the counts of calls go; the environment variable wins.
    pub stats: Option<PathBuf>,
    pub gpus: Vec<Gpu>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            seed: 0,
            t0_ns: None,
            driver_version: "570.86.15".into(),
            nvml_version: "12.570.86.15".into(),
            cuda_driver_version: 12_080,
            global_lock: false,
            latency: Vec::new(),
            faults: Vec::new(),
            stats: None,
            gpus: vec![Gpu::default()],
        }
    }
}

impl Config {
    /// `count` GPUs alike.
    #[must_use]
    pub fn with(gpu: Gpu, count: u32) -> Self {
        Self {
            gpus: vec![Gpu { count, ..gpu }],
            ..Self::default()
        }
    }

    /// # Errors
    /// When the text is not this JSON; the message names the line and the field.
    pub fn parse(text: &str, origin: &str) -> Result<Self, ConfigError> {
        serde_json::from_str(text).map_err(|source| ConfigError::Syntax {
            origin: origin.to_owned(),
            source,
        })
    }

    /// The text of this configuration, which `parse` reads back.
    ///
    /// # Errors
    /// When a number in it is not finite, which JSON cannot say.
    pub fn to_json(&self) -> Result<String, ConfigError> {
        serde_json::to_string_pretty(self).map_err(|source| ConfigError::Syntax {
            origin: "this configuration".into(),
            source,
        })
    }

    /// The configuration of this process: the environment's, else that of the file beside the library, else the
    /// default.
    ///
    /// # Errors
    /// When there is one and it cannot be read or understood.
    pub fn find(library_folder: Option<&Path>) -> Result<Self, ConfigError> {
        if let Ok(value) = std::env::var(CONFIG_VARIABLE) {
            if value.trim_start().starts_with('{') {
                return Self::parse(&value, CONFIG_VARIABLE);
            }
            return Self::read(Path::new(&value));
        }
        match library_folder.map(|folder| folder.join(CONFIG_FILE)) {
            Some(beside) if beside.exists() => Self::read(&beside),
            _ => Ok(Self::default()),
        }
    }

    fn read(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Unreadable {
            path: path.to_owned(),
            source,
        })?;
        Self::parse(&text, &path.display().to_string())
    }
}

/// A duration of the configuration (`value` in units of `unit_ns` nanoseconds) as whole nanoseconds.
pub(crate) fn nanoseconds(value: f64, unit_ns: f64) -> i64 {
    (value * unit_ns).round() as i64
}

#[cfg(test)]
mod tests;
