//! The slow figures of a GPU: memory at each look, utilization at every second, clocks, temperature, throttle reasons and power
//! limit at every tenth.
//!
//! Each costs a driver call, so they take turns; a figure not asked this time is `None`, never the last one repeated. A figure that
//! the GPU does not have (utilization under MIG, temperature of some guests) is found out at the start and never asked again.

use std::time::Duration;

use nvml_wrapper::enum_wrappers::device::{Clock, TemperatureSensor};
use nvml_wrapper::error::NvmlError;

use crate::model::sample::{Columns, StateReading};
use crate::sensors::interface::ReadError;

use super::faults::is_gone;
use super::handle::Handle;

/// Time between two looks.
pub const PERIOD: Duration = Duration::from_millis(100);
/// Utilization is itself an average over 1/6 to 1 s (nvml.h, `nvmlUtilization_t`): 5 Hz loses nothing.
const UTILIZATION_EVERY: u64 = 2;
/// 1 Hz.
const SLOW_EVERY: u64 = 10;

/// Reads the slow figures in turn.
pub struct StateReader {
    has: Columns,
    looks: u64,
}

impl StateReader {
    /// Find out, by asking each once, which figures this GPU has.
    pub fn survey(handle: &Handle) -> Self {
        let device = handle.device();
        let utilization = device.utilization_rates().is_ok();
        Self {
            has: Columns {
                utilization,
                memory_utilization: utilization,
                memory_used: handle.memory().is_ok(),
                temperature: device.temperature(TemperatureSensor::Gpu).is_ok(),
                sm_clock: device.clock_info(Clock::SM).is_ok(),
                memory_clock: device.clock_info(Clock::Memory).is_ok(),
                throttle_reasons: handle.clocks_event_reasons().is_ok(),
                power_limit: power_limit(handle).is_ok(),
                ..Columns::default()
            },
            looks: 0,
        }
    }

    /// The columns that this reader fills.
    pub fn columns(&self) -> Columns {
        self.has
    }

    /// One look: what is due now.
    pub fn read(&mut self, handle: &Handle) -> Result<StateReading, ReadError> {
        let look = self.looks;
        self.looks += 1;
        let device = handle.device();
        let mut reading = StateReading::default();
        if self.has.memory_used {
            reading.memory_used_bytes = given(handle.memory())?.map(|m| m.used);
        }
        if self.has.utilization
            && look.is_multiple_of(UTILIZATION_EVERY)
            && let Some(rates) = given(device.utilization_rates())?
        {
            reading.utilization_pct = Some(f64::from(rates.gpu));
            reading.memory_utilization_pct = Some(f64::from(rates.memory));
        }
        if look.is_multiple_of(SLOW_EVERY) {
            self.read_slow(handle, &mut reading)?;
        }
        Ok(reading)
    }

    fn read_slow(&self, handle: &Handle, reading: &mut StateReading) -> Result<(), ReadError> {
        let device = handle.device();
        if self.has.temperature {
            reading.temperature_c = given(device.temperature(TemperatureSensor::Gpu))?.map(f64::from);
        }
        if self.has.sm_clock {
            reading.sm_clock_mhz = given(device.clock_info(Clock::SM))?.map(f64::from);
        }
        if self.has.memory_clock {
            reading.memory_clock_mhz = given(device.clock_info(Clock::Memory))?.map(f64::from);
        }
        if self.has.throttle_reasons {
            reading.throttle_reasons = given(handle.clocks_event_reasons())?;
        }
        if self.has.power_limit {
            reading.power_limit_watts = given(power_limit(handle))?.map(|mw| f64::from(mw) * 1e-3);
        }
        Ok(())
    }
}

/// The limit in force, milliwatts: the lowest of all that apply where the driver says, else the one that was set.
pub fn power_limit(handle: &Handle) -> Result<u32, NvmlError> {
    let device = handle.device();
    device
        .enforced_power_limit()
        .or_else(|_| device.power_management_limit())
}

/// A missing figure is a hole; a missing GPU ends the stream.
fn given<T>(result: Result<T, NvmlError>) -> Result<Option<T>, ReadError> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(e) if is_gone(&e) => Err(ReadError::Gone(e.to_string())),
        Err(_) => Ok(None),
    }
}
