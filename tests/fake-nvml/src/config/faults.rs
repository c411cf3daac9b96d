//! How a fault is written down. Owns the JSON form; leaves to `crate::machine::faults` when one strikes.

use serde::{Deserialize, Serialize};

use crate::status::Status;

/// Something that goes wrong. It strikes a call when every condition that is given holds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// Index; absent: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gpu: Option<u32>,
    /// Names such as `nvmlDeviceGetPowerUsage`, or `field:186` for one entry of a batched call; empty: every call on
    /// the device.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub calls: Vec<String>,
    /// Seconds after `t0_ns`; absent: from the start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from_s: Option<f64>,
    /// Seconds after `t0_ns`; absent: to the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until_s: Option<f64>,
    /// Of striking, each time.
    #[serde(default = "certain")]
    pub probability: f64,
    /// Strikes only where the call before it (of those named, on that GPU) is closer than this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub faster_than_ms: Option<f64>,
    pub effect: Effect,
}

fn certain() -> f64 {
    1.0
}

impl Fault {
    /// A fault without conditions.
    #[must_use]
    pub fn new(effect: Effect) -> Self {
        Self {
            gpu: None,
            calls: Vec::new(),
            from_s: None,
            until_s: None,
            probability: 1.0,
            faster_than_ms: None,
            effect,
        }
    }
}

/// What a fault does.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// The call fails with this status, such as `{"return": "NOT_SUPPORTED"}`; `GPU_IS_LOST` with a `from_s` is a GPU
    /// that falls off the bus.
    Return(Status),
    /// The call succeeds with 0.
    Zero,
    /// The call does not come back before `until_s`.
    Hang,
}

/// What calls cost. Half the time passes before the value is taken, half after it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Latency {
    /// Empty: every call.
    #[serde(default)]
    pub calls: Vec<String>,
    /// Median of a log-normal distribution.
    pub median_us: f64,
    /// Its shape: 0 is a fixed time, 0.5 has one call in a hundred three times as slow.
    #[serde(default)]
    pub sigma: f64,
    /// Burn processor time instead of sleeping.
    #[serde(default)]
    pub busy: bool,
}
