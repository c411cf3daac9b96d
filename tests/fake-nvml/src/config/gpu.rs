//! How one GPU is written down. Owns names and defaults that do not depend on the architecture; those that do are in
//! `crate::profile`.

use serde::{Deserialize, Serialize};

use super::Shape;

/// One GPU, or `count` alike.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Gpu {
    pub count: u32,
    pub profile: Profile,
    /// Absent: the profile's.
    pub name: Option<String>,
    /// Absent: made from seed and index.
    pub uuid: Option<String>,
    pub truth: Shape,
    /// Each step of the truth takes this long, linearly.
    pub ramp_ms: f64,
    pub sensor: Sensor,
    pub counter: Counter,
    pub samples: Samples,
    pub power_limit_w: f64,
    pub power_limit_min_w: f64,
    pub power_limit_max_w: f64,
    pub memory_total_bytes: u64,
    pub memory_reserved_bytes: u64,
    pub memory_used_bytes: Signal,
    pub utilization_pct: Signal,
    pub memory_utilization_pct: Signal,
    pub temperature_c: Signal,
    pub sm_clock_mhz: Signal,
    pub memory_clock_mhz: Signal,
    pub sm_clock_max_mhz: u32,
    pub memory_clock_max_mhz: u32,
    /// Bits of `nvmlClocksEventReason*`.
    pub throttle_reasons: Signal,
    pub performance_state: u32,
    pub persistence_mode: bool,
    /// What the module scope (1) reads above the GPU scope; absent: as the profile has it.
    pub module_extra_w: Option<f64>,
    /// Share of the GPU's power that the memory scope (2) reads, average only; absent: not supported.
    pub memory_power_share: Option<f64>,
}

impl Default for Gpu {
    fn default() -> Self {
        Self {
            count: 1,
            profile: Profile::A100,
            name: None,
            uuid: None,
            truth: Shape::Constant(200.0),
            ramp_ms: 0.0,
            sensor: Sensor::default(),
            counter: Counter::default(),
            samples: Samples::default(),
            power_limit_w: 400.0,
            power_limit_min_w: 100.0,
            power_limit_max_w: 400.0,
            memory_total_bytes: 80 << 30,
            memory_reserved_bytes: 512 << 20,
            memory_used_bytes: Signal::Constant((1_u64 << 30) as f64),
            utilization_pct: Signal::Constant(100.0),
            memory_utilization_pct: Signal::Constant(50.0),
            temperature_c: Signal::Constant(45.0),
            sm_clock_mhz: Signal::Constant(1410.0),
            memory_clock_mhz: Signal::Constant(1512.0),
            sm_clock_max_mhz: 1410,
            memory_clock_max_mhz: 1512,
            throttle_reasons: Signal::Constant(0.0),
            performance_state: 0,
            persistence_mode: true,
            module_extra_w: None,
            memory_power_share: None,
        }
    }
}

impl Gpu {
    #[must_use]
    pub fn new(profile: Profile, truth: Shape) -> Self {
        Self {
            profile,
            truth,
            ..Self::default()
        }
    }
}

/// Which sensor the GPU has.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Profile {
    V100,
    A100,
    H100,
    Ga102,
    Ada,
    Gh200,
    /// `{"custom": {"period_ms": 100, "window_ms": 25, "delay_ms": 8, "tau_ms": 0}}`
    Custom {
        period_ms: f64,
        window_ms: f64,
        #[serde(default)]
        delay_ms: f64,
        #[serde(default)]
        tau_ms: f64,
        /// `nvmlDeviceArchitecture_t`: Volta 5, Turing 6, Ampere 7, Ada 8, Hopper 9, Blackwell 10.
        #[serde(default = "hopper")]
        architecture: u32,
        #[serde(default)]
        power_usage: PowerUsage,
    },
}

fn hopper() -> u32 {
    9
}

/// What `nvmlDeviceGetPowerUsage` reads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PowerUsage {
    /// The mean of the last second, which is field 185 too.
    #[default]
    Average,
    /// What field 186 reads; there is no field 185.
    Instant,
}

/// What is wrong with the power sensor. Reading = gain · mean + offset + noise, to the quantum.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Sensor {
    pub gain: f64,
    pub offset_w: f64,
    /// Standard deviation of each reading.
    pub noise_w: f64,
    /// Standard deviation of each update's moment.
    pub jitter_ms: f64,
    /// Of the first update after `t0_ns`; absent: from the seed.
    pub phase_ms: Option<f64>,
    /// Absent: the profile's.
    pub delay_ms: Option<f64>,
    pub quantum_mw: u32,
    /// Probability that an update publishes the reading before it once more.
    pub repeat_probability: f64,
}

impl Default for Sensor {
    fn default() -> Self {
        Self {
            gain: 1.0,
            offset_w: 0.0,
            noise_w: 0.0,
            jitter_ms: 0.0,
            phase_ms: None,
            delay_ms: None,
            quantum_mw: 1,
            repeat_probability: 0.0,
        }
    }
}

/// The energy counter, `nvmlDeviceGetTotalEnergyConsumption`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Counter {
    pub kind: CounterKind,
    /// Absent: the profile's.
    pub period_ms: Option<f64>,
    pub jitter_ms: f64,
    pub phase_ms: Option<f64>,
    pub delay_ms: f64,
    pub quantum_mj: u64,
    /// What it stands at when `t0_ns` comes.
    pub start_mj: u64,
    /// Absent: the power sensor's.
    pub gain: Option<f64>,
    pub offset_w: Option<f64>,
    /// Seconds at which the driver is loaded again and the counter starts at 0.
    pub reset_at_s: Vec<f64>,
    /// [from, until] in seconds: it stands still, and then jumps to where it should be.
    pub stuck_s: Vec<[f64; 2]>,
}

impl Default for Counter {
    fn default() -> Self {
        Self {
            kind: CounterKind::Continuous,
            period_ms: None,
            jitter_ms: 0.0,
            phase_ms: None,
            delay_ms: 0.0,
            quantum_mj: 1,
            start_mj: 1_000_000_000,
            gain: None,
            offset_w: None,
            reset_at_s: Vec::new(),
            stuck_s: Vec::new(),
        }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CounterKind {
    /// Integrates all of the time.
    #[default]
    Continuous,
    /// Adds up the power sensor's windows, each taken for its whole period.
    Sampled,
    /// Not supported (Pascal and older, many virtual GPUs).
    None,
}

/// The driver's own buffer of power readings, `nvmlDeviceGetSamples`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Samples {
    pub supported: bool,
    pub length: u32,
    pub period_ms: f64,
    /// Absent: the profile's.
    pub window_ms: Option<f64>,
    /// Nothing is recorded below this power: the buffer of an idle GPU runs dry.
    pub dry_below_w: f64,
}

impl Default for Samples {
    fn default() -> Self {
        Self {
            supported: true,
            length: 120,
            period_ms: 20.0,
            window_ms: None,
            dry_below_w: 0.0,
        }
    }
}

/// A figure that holds, or that steps: `[[0, 12], [2.5, 80]]` is 80 from 2.5 s after `t0_ns` on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Signal {
    Constant(f64),
    Steps(Vec<[f64; 2]>),
}

impl Signal {
    /// The figure at a time after `t0_ns`; before the first step, the first.
    #[must_use]
    pub fn at(&self, seconds: f64) -> f64 {
        match self {
            Self::Constant(value) => *value,
            Self::Steps(steps) => {
                let passed = steps.partition_point(|&[from_s, _]| from_s <= seconds);
                steps.get(passed.saturating_sub(1)).map_or(0.0, |&[_, value]| value)
            }
        }
    }

    /// Its mean over the `window_s` before that time: what a utilization is.
    #[must_use]
    pub fn mean(&self, seconds: f64, window_s: f64) -> f64 {
        let Self::Steps(steps) = self else {
            return self.at(seconds);
        };
        let start_s = seconds - window_s;
        let inside = steps
            .iter()
            .map(|&[from_s, _]| from_s)
            .filter(|from_s| (start_s..seconds).contains(from_s));
        let (mut sum, mut from_s, mut value) = (0.0, start_s, self.at(start_s));
        for edge_s in inside {
            sum += value * (edge_s - from_s);
            (from_s, value) = (edge_s, self.at(edge_s));
        }
        (sum + value * (seconds - from_s)) / window_s
    }
}
