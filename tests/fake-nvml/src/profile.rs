//! What each architecture's sensor is like. Owns the table; leaves to `config` what a test overrides.
//!
//! Periods and windows: Yang, Adamek, Armour, "Part-time power measurements: nvidia-smi's lack of attention"
//! (arXiv 2312.02741) and its recordings (github.com/JimZeyuYang/GPU_Power_Benchmark, `Overall_Results.xlsx`); the
//! GH200's from its reading in SC24 (10.1109/SC41406.2024.00028). `nvmlDeviceGetPowerUsage` is the mean of a second on
//! "Ampere (except GA100) or newer" (nvml.h). Counter periods: about 100 ms reported, 20 ms on Volta assumed from its
//! sensor.
//!
//! *Limits of validity*: boards of one architecture differ, and so do drivers. These are typical, not true.

use crate::config::{PowerUsage, Profile, nanoseconds};

/// One sensor, in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Traits {
    pub period_ns: i64,
    pub window_ns: i64,
    /// From the end of the window to the reading's publication.
    pub delay_ns: i64,
    /// Time constant of the low-pass before the window.
    pub tau_ns: i64,
    pub counter_period_ns: i64,
    /// `nvmlDeviceArchitecture_t`.
    pub architecture: u32,
    pub compute_capability: (i32, i32),
    pub power_usage: PowerUsage,
    pub name: &'static str,
    /// A Grace module has a scope of its own, and a C2C link.
    pub module: bool,
}

/// Window of field 185 and of an averaging `nvmlDeviceGetPowerUsage`.
pub const AVERAGE_WINDOW_NS: i64 = 1_000_000_000;

const MS: i64 = 1_000_000;

impl Traits {
    #[must_use]
    pub fn of(profile: &Profile) -> Self {
        let hopper = Self {
            period_ns: 100 * MS,
            window_ns: 25 * MS,
            delay_ns: MS,
            tau_ns: 0,
            counter_period_ns: 100 * MS,
            architecture: 9,
            compute_capability: (9, 0),
            power_usage: PowerUsage::Average,
            name: "NVIDIA H100 80GB HBM3",
            module: false,
        };
        match *profile {
            Profile::V100 => Self {
                period_ns: 20 * MS,
                window_ns: 10 * MS,
                counter_period_ns: 20 * MS,
                architecture: 5,
                compute_capability: (7, 0),
                power_usage: PowerUsage::Instant,
                name: "Tesla V100-SXM2-32GB",
                ..hopper
            },
            Profile::A100 => Self {
                architecture: 7,
                compute_capability: (8, 0),
                power_usage: PowerUsage::Instant,
                name: "NVIDIA A100-SXM4-80GB",
                ..hopper
            },
            Profile::H100 => hopper,
            Profile::Ga102 => Self {
                window_ns: 100 * MS,
                delay_ns: 3 * MS,
                architecture: 7,
                compute_capability: (8, 6),
                name: "NVIDIA GeForce RTX 3090",
                ..hopper
            },
            Profile::Ada => Self {
                window_ns: 100 * MS,
                delay_ns: 3 * MS,
                architecture: 8,
                compute_capability: (8, 9),
                name: "NVIDIA GeForce RTX 4090",
                ..hopper
            },
            Profile::Gh200 => Self {
                window_ns: 20 * MS,
                name: "NVIDIA GH200 480GB",
                module: true,
                ..hopper
            },
            Profile::Custom {
                period_ms,
                window_ms,
                delay_ms,
                tau_ms,
                architecture,
                power_usage,
            } => Self {
                period_ns: nanoseconds(period_ms, 1e6),
                window_ns: nanoseconds(window_ms, 1e6),
                delay_ns: nanoseconds(delay_ms, 1e6),
                tau_ns: nanoseconds(tau_ms, 1e6),
                architecture,
                power_usage,
                name: "Simulated GPU",
                ..hopper
            },
        }
    }
}
