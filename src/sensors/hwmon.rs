//! GPUs of AMD and Intel and Grace processors, through the kernel's hwmon interface.
//!
//! [`tree`] lists the chips, [`amd`], [`intel`] and [`grace`] each make devices of theirs, [`found`] puts them together. This file
//! reads one: a power in microwatts (Documentation/hwmon/sysfs-interface.rst), an energy in microjoules, or both.
//!
//! *Limits of validity.* AMD's power figure is filtered heavily on some boards (seconds on an MI210), and covers the package, which on
//! MI250 is two GPUs. Intel's counter is extended by the driver from 32 bits only as often as somebody reads it. Grace's meters
//! average over 50 ms or 1 s, as the firmware was set.

pub mod amd;
pub mod found;
pub mod grace;
pub mod intel;
pub mod tree;

use std::path::Path;
use std::time::Duration;

use crate::model::device::Device;
use crate::model::sample::{Columns, CounterUnit, PowerReading, StateReading};
use crate::sensors::interface::{ReadError, Sensor};
use crate::sensors::number_file::NumberFile;

/// Time between readings: each asks the device's own controller, which takes about 0.1 ms on AMD.
const PERIOD: Duration = Duration::from_millis(20);
const STATE_PERIOD: Duration = Duration::from_millis(200);

/// The files of one device. Those that do not exist, or do not answer, are `None`.
#[derive(Debug, Default)]
pub struct Files {
    /// Microwatts, the shortest average there is.
    pub power: Option<NumberFile>,
    /// Microwatts, a longer average, where there is one beside the other.
    pub average: Option<NumberFile>,
    /// Microjoules.
    pub energy: Option<NumberFile>,
    pub busy_pct: Option<NumberFile>,
    pub memory_busy_pct: Option<NumberFile>,
    pub memory_used: Option<NumberFile>,
    /// Millidegrees Celsius.
    pub temperature: Option<NumberFile>,
    /// Hertz.
    pub core_clock: Option<NumberFile>,
    pub memory_clock: Option<NumberFile>,
    /// Microwatts.
    pub limit: Option<NumberFile>,
}

/// Open a file that may not be there.
fn optional(folder: &Path, name: &str) -> Option<NumberFile> {
    NumberFile::open(&folder.join(name)).ok()
}

/// One device.
pub struct HwmonDevice {
    device: Device,
    files: Files,
}

impl HwmonDevice {
    /// A sensor on these files.
    pub fn new(device: Device, files: Files) -> Self {
        Self { device, files }
    }

    fn has_state(&self) -> bool {
        let f = &self.files;
        [
            &f.busy_pct,
            &f.memory_busy_pct,
            &f.memory_used,
            &f.temperature,
            &f.core_clock,
            &f.memory_clock,
            &f.limit,
        ]
        .iter()
        .any(|file| file.is_some())
    }
}

/// A figure now, in the unit that `scale` turns it into. A file that does not answer this time is a hole.
fn figure(file: &Option<NumberFile>, scale: f64) -> Option<f64> {
    Some(file.as_ref()?.read().ok()? as f64 * scale)
}

impl Sensor for HwmonDevice {
    fn device(&self) -> &Device {
        &self.device
    }

    fn columns(&self) -> Columns {
        let f = &self.files;
        Columns {
            watts: f.power.is_some(),
            average_watts: f.average.is_some(),
            counter: f.energy.is_some().then_some(CounterUnit {
                joules: 1e-6,
                wraps_at: None,
            }),
            utilization: f.busy_pct.is_some(),
            memory_utilization: f.memory_busy_pct.is_some(),
            memory_used: f.memory_used.is_some(),
            temperature: f.temperature.is_some(),
            sm_clock: f.core_clock.is_some(),
            memory_clock: f.memory_clock.is_some(),
            throttle_reasons: false,
            power_limit: f.limit.is_some(),
            samples: false,
        }
    }

    fn power_period(&self) -> Duration {
        PERIOD
    }

    fn state_period(&self) -> Option<Duration> {
        self.has_state().then_some(STATE_PERIOD)
    }

    fn read_power(&mut self) -> Result<PowerReading, ReadError> {
        let f = &self.files;
        let reading = PowerReading {
            watts: figure(&f.power, 1e-6),
            average_watts: figure(&f.average, 1e-6),
            counter: f.energy.as_ref().and_then(|file| file.read().ok()),
        };
        if reading != PowerReading::default() {
            return Ok(reading);
        }
        // Asked again only to say why: a suspended device answers EPERM, one in reset ENODATA or EBUSY.
        let why = [&f.power, &f.energy]
            .into_iter()
            .flatten()
            .find_map(|file| file.read().err());
        Err(ReadError::Retry(
            why.map_or_else(|| "no answer".to_owned(), |e| e.to_string()),
        ))
    }

    fn read_state(&mut self) -> Result<StateReading, ReadError> {
        let f = &self.files;
        Ok(StateReading {
            utilization_pct: figure(&f.busy_pct, 1.0),
            memory_utilization_pct: figure(&f.memory_busy_pct, 1.0),
            memory_used_bytes: f.memory_used.as_ref().and_then(|file| file.read().ok()),
            temperature_c: figure(&f.temperature, 1e-3),
            sm_clock_mhz: figure(&f.core_clock, 1e-6),
            memory_clock_mhz: figure(&f.memory_clock, 1e-6),
            throttle_reasons: None,
            power_limit_watts: figure(&f.limit, 1e-6),
        })
    }
}
