//! The simulated machine: its GPUs, what goes wrong and what calls cost. Owns building it from a configuration; leaves
//! to `ffi` who asks. One value, made by tests directly or by `nvmlInit` from the environment.

pub mod faults;
pub mod latency;

use crate::config::{Config, ConfigError};
use crate::gpu::SimulatedGpu;
use faults::Faults;
use latency::Latencies;

#[derive(Debug)]
pub struct Machine {
    pub config: Config,
    /// `CLOCK_MONOTONIC` nanoseconds that the configuration's times count from.
    pub origin_ns: i64,
    pub gpus: Vec<SimulatedGpu>,
    pub faults: Faults,
    pub latencies: Latencies,
}

impl Machine {
    /// `origin_ns` is used where the configuration has no `t0_ns` of its own.
    ///
    /// # Errors
    /// When the configuration cannot be simulated; the message names the field.
    pub fn new(config: Config, origin_ns: i64) -> Result<Self, ConfigError> {
        let origin_ns = config.t0_ns.unwrap_or(origin_ns);
        let alike = config
            .gpus
            .iter()
            .flat_map(|gpu| std::iter::repeat_n(gpu, gpu.count as usize));
        let gpus: Vec<_> = alike
            .zip(0..)
            .map(|(gpu, index)| SimulatedGpu::new(&config, gpu, index, origin_ns))
            .collect::<Result<_, _>>()?;
        let faults = Faults::new(&config, origin_ns, gpus.len())?;
        let latencies = Latencies::new(&config)?;
        Ok(Self {
            origin_ns,
            gpus,
            faults,
            latencies,
            config,
        })
    }
}
