//! CPU packages and memory through RAPL, by the kernel's powercap tree.
//!
//! Each zone is a counter of microjoules that the kernel extends and that starts again at `max_energy_range_uj`
//! (Documentation/power/powercap/powercap.rst). The file is kept open and read with `pread`: one system call a reading. The counter's
//! wrap is left to the analysis, which sees the raw values and the wrap beside them.
//!
//! [`tree`] finds the zones and says why it cannot; this file reads one.
//!
//! *Limits of validity.* The hardware publishes about every millisecond and does not say when; each reading costs a read of a model
//! register on the package. On Intel with SGX enabled the values are filtered on purpose against side channels (PLATYPUS,
//! INTEL-SA-00389), which blurs intervals below some tens of milliseconds. AMD has no memory domain. Nothing here covers fans,
//! power supplies or the mainboard.

pub mod tree;
pub mod zones;

use std::time::Duration;

use crate::model::device::Device;
use crate::model::sample::{Columns, CounterUnit, PowerReading};
use crate::sensors::interface::{ReadError, Sensor};
use crate::sensors::number_file::NumberFile;

/// Time between readings. Edges of phases are interpolated between them; reading more often costs the trainer's own cores time
/// (each read interrupts one core of the package).
const PERIOD: Duration = Duration::from_millis(20);

/// One zone.
pub struct RaplZone {
    device: Device,
    energy: NumberFile,
    wraps_at: Option<u64>,
}

impl RaplZone {
    /// A sensor on an open `energy_uj`. Without a known range a wrap cannot be told from a reset, and the analysis drops that step.
    pub fn new(device: Device, energy: NumberFile, wraps_at: Option<u64>) -> Self {
        Self {
            device,
            energy,
            wraps_at,
        }
    }
}

impl Sensor for RaplZone {
    fn device(&self) -> &Device {
        &self.device
    }

    fn columns(&self) -> Columns {
        Columns {
            counter: Some(CounterUnit {
                joules: 1e-6,
                wraps_at: self.wraps_at,
            }),
            ..Columns::default()
        }
    }

    fn power_period(&self) -> Duration {
        PERIOD
    }

    fn read_power(&mut self) -> Result<PowerReading, ReadError> {
        // ENODATA and EIO come while a package is off-line and go when it is back.
        let counter = self
            .energy
            .read()
            .map_err(|e| ReadError::Retry(format!("energy_uj: {e}")))?;
        Ok(PowerReading {
            counter: Some(counter),
            ..PowerReading::default()
        })
    }
}
