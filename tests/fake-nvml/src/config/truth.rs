//! How a load is written down. Owns the JSON forms; leaves to `crate::truth` what they are at a moment.

use serde::{Deserialize, Serialize};

/// The true power of a GPU. Times count from the configuration's `t0_ns`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Shape {
    /// Watts, for ever: `{"constant": 200}`
    Constant(f64),
    /// `{"breakpoints": [[0, 90], [2.5, 300]]}`: from each second on, these watts.
    Breakpoints(Vec<[f64; 2]>),
    /// `{"square": {"high_w": 300, "low_w": 90, "period_ms": 104.2, "duty": 0.5}}`: high first.
    Square(Square),
    /// `{"steps": {"list": [[3, 90], [17, 380]]}}`: milliseconds and watts, again and again.
    Steps(Steps),
    /// `{"trace": {"path": "load.txt"}}`: what another process writes into that file while it runs.
    Trace(TraceFile),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Square {
    pub high_w: f64,
    pub low_w: f64,
    pub period_ms: f64,
    #[serde(default = "half")]
    pub duty: f64,
}

fn half() -> f64 {
    0.5
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Steps {
    /// [milliseconds, watts]
    pub list: Vec<[f64; 2]>,
    /// Relative standard deviation of each step's length.
    #[serde(default)]
    pub duration_scatter: f64,
    /// Relative standard deviation of each step's watts.
    #[serde(default)]
    pub watts_scatter: f64,
    /// Of the scatter alone; absent: the configuration's seed.
    #[serde(default)]
    pub seed: Option<u64>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TraceFile {
    pub path: String,
    /// Before the first line.
    #[serde(default)]
    pub initial_w: f64,
}
