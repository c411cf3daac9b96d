//! One simulated GPU: its truth, and what each of its sensors reads at a moment. Owns putting the parts together and
//! the fields of `nvmlDeviceGetFieldValues`; knows nothing of calls, faults and pointers. Pure: the moment is an
//! argument.

use crate::chance::{Purpose, Stream};
use crate::config::{self, Config, ConfigError, PowerUsage, Signal};
use crate::counter::EnergyCounter;
use crate::profile::{AVERAGE_WINDOW_NS, Traits};
use crate::samples::SampleRing;
use crate::sensor::PowerSensor;
use crate::status::Status;
use crate::truth::Truth;

/// Field identifiers of nvml.h (`NVML_FI_DEV_*`).
pub mod field {
    pub const TOTAL_ENERGY_CONSUMPTION: u32 = 83;
    pub const POWER_AVERAGE: u32 = 185;
    pub const POWER_INSTANT: u32 = 186;
    pub const POWER_MIN_LIMIT: u32 = 187;
    pub const POWER_MAX_LIMIT: u32 = 188;
    pub const POWER_DEFAULT_LIMIT: u32 = 189;
    pub const POWER_CURRENT_LIMIT: u32 = 190;
    pub const ENERGY: u32 = 191;
    pub const POWER_REQUESTED_LIMIT: u32 = 192;
}

/// What `scopeId` selects (nvml.h, `NVML_POWER_SCOPE_*`).
const SCOPE_GPU: u32 = 0;
const SCOPE_MODULE: u32 = 1;
const SCOPE_MEMORY: u32 = 2;

/// `nvmlDeviceGetUtilizationRates` is a mean "over the past sample period", 1/6 s to 1 s by product (nvml.h).
const UTILIZATION_WINDOW_S: f64 = 1.0 / 6.0;

/// What the module of a Grace Hopper draws beside its GPU, where the configuration does not say.
const MODULE_EXTRA_W: f64 = 100.0;

/// Value of a field, with the type that NVML gives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldValue {
    /// `NVML_VALUE_TYPE_UNSIGNED_INT`
    U32(u32),
    /// `NVML_VALUE_TYPE_UNSIGNED_LONG_LONG`
    U64(u64),
}

#[derive(Debug)]
pub struct SimulatedGpu {
    pub index: u32,
    pub name: String,
    pub uuid: String,
    pub traits: Traits,
    pub settings: config::Gpu,
    pub truth: Truth,
    pub instant: PowerSensor,
    pub average: PowerSensor,
    pub counter: Option<EnergyCounter>,
    pub samples: Option<SampleRing>,
    origin_ns: i64,
}

impl SimulatedGpu {
    /// # Errors
    /// When the configuration cannot be simulated.
    pub fn new(config: &Config, settings: &config::Gpu, index: u32, origin_ns: i64) -> Result<Self, ConfigError> {
        let seed = config.seed;
        let traits = Traits::of(&settings.profile);
        let (sensor, counter) = (&settings.sensor, &settings.counter);
        check(settings, &traits)?;
        let instant = PowerSensor::new(&traits, sensor, origin_ns, seed, index);
        Ok(Self {
            index,
            name: settings.name.clone().unwrap_or_else(|| traits.name.to_owned()),
            uuid: settings.uuid.clone().unwrap_or_else(|| made_up_uuid(seed, index)),
            truth: Truth::new(&settings.truth, settings.ramp_ms, origin_ns, seed, index)?,
            instant,
            average: instant.with_window(AVERAGE_WINDOW_NS),
            counter: EnergyCounter::new(&traits, counter, sensor, origin_ns, seed, index),
            samples: SampleRing::new(&traits, &settings.samples, sensor, origin_ns, seed, index),
            traits,
            settings: settings.clone(),
            origin_ns,
        })
    }

    /// `nvmlDeviceGetPowerUsage`
    #[must_use]
    pub fn power_usage_mw(&self, now_ns: i64) -> u32 {
        match self.traits.power_usage {
            PowerUsage::Average => self.average.read_mw(&self.truth, now_ns),
            PowerUsage::Instant => self.instant.read_mw(&self.truth, now_ns),
        }
    }

    /// `nvmlDeviceGetTotalEnergyConsumption`; `None` where the board has no counter.
    #[must_use]
    pub fn energy_mj(&self, now_ns: i64) -> Option<u64> {
        self.counter
            .as_ref()
            .map(|counter| counter.read_mj(&self.truth, &self.instant, now_ns))
    }

    /// One entry of `nvmlDeviceGetFieldValues`.
    ///
    /// # Errors
    /// `NotSupported` for fields and scopes that this board does not have.
    pub fn field(&self, id: u32, scope: u32, now_ns: i64) -> Result<FieldValue, Status> {
        let has_average = self.traits.power_usage == PowerUsage::Average;
        let limit = |watts: f64| Ok(FieldValue::U32((watts * 1e3).round() as u32));
        match (id, scope) {
            (field::POWER_INSTANT, SCOPE_GPU) => Ok(FieldValue::U32(self.instant.read_mw(&self.truth, now_ns))),
            (field::POWER_AVERAGE, SCOPE_GPU) if has_average => {
                Ok(FieldValue::U32(self.average.read_mw(&self.truth, now_ns)))
            }
            (field::POWER_INSTANT | field::POWER_AVERAGE, SCOPE_MODULE) => {
                let sensor = if id == field::POWER_INSTANT {
                    &self.instant
                } else {
                    &self.average
                };
                let extra_mw = self.module_extra_mw().ok_or(Status::NotSupported)?;
                Ok(FieldValue::U32(sensor.read_mw(&self.truth, now_ns) + extra_mw))
            }
            (field::POWER_AVERAGE, SCOPE_MEMORY) if has_average => {
                let share = self.settings.memory_power_share.ok_or(Status::NotSupported)?;
                Ok(FieldValue::U32(
                    (f64::from(self.average.read_mw(&self.truth, now_ns)) * share).round() as u32,
                ))
            }
            (field::TOTAL_ENERGY_CONSUMPTION | field::ENERGY, SCOPE_GPU) => {
                self.energy_mj(now_ns).map(FieldValue::U64).ok_or(Status::NotSupported)
            }
            (field::POWER_MIN_LIMIT, SCOPE_GPU) => limit(self.settings.power_limit_min_w),
            (field::POWER_MAX_LIMIT | field::POWER_DEFAULT_LIMIT, SCOPE_GPU) => limit(self.settings.power_limit_max_w),
            (field::POWER_CURRENT_LIMIT | field::POWER_REQUESTED_LIMIT, SCOPE_GPU) => {
                limit(self.settings.power_limit_w)
            }
            _ => Err(Status::NotSupported),
        }
    }

    /// What the module draws beside the GPU; `None` where the GPU stands alone.
    #[must_use]
    pub fn module_extra_mw(&self) -> Option<u32> {
        let default = self.traits.module.then_some(MODULE_EXTRA_W);
        self.settings
            .module_extra_w
            .or(default)
            .map(|watts| (watts * 1e3).round() as u32)
    }

    /// A figure that the configuration sets, at `now_ns`.
    #[must_use]
    pub fn signal(&self, signal: &Signal, now_ns: i64) -> f64 {
        signal.at(self.seconds(now_ns))
    }

    /// (GPU, memory) in whole per cent, over the sample period.
    #[must_use]
    pub fn utilization_pct(&self, now_ns: i64) -> (u32, u32) {
        let mean = |signal: &Signal| signal.mean(self.seconds(now_ns), UTILIZATION_WINDOW_S).round() as u32;
        (
            mean(&self.settings.utilization_pct),
            mean(&self.settings.memory_utilization_pct),
        )
    }

    /// `domain:bus:device.function` in the long form; the short form has four digits of domain.
    #[must_use]
    pub fn pci_bus_id(&self) -> String {
        format!("00000000:{:02X}:00.0", self.pci_bus())
    }

    #[must_use]
    pub fn pci_bus(&self) -> u32 {
        self.index + 1
    }

    /// Number of the board's serial, also made up.
    #[must_use]
    pub fn serial(&self) -> String {
        format!("{:013}", 1_320_000_000_000_u64 + u64::from(self.index))
    }

    fn seconds(&self, now_ns: i64) -> f64 {
        (now_ns - self.origin_ns) as f64 * 1e-9
    }
}

/// What cannot be simulated although the schema allows it.
fn check(settings: &config::Gpu, traits: &Traits) -> Result<(), ConfigError> {
    let positive = |field: &str, ms: f64| {
        let finite = ms.is_finite() && ms > 0.0;
        if finite {
            Ok(())
        } else {
            Err(ConfigError::invalid(
                field,
                &format!("is {ms} ms"),
                "make it longer than 0 ms",
            ))
        }
    };
    positive("profile.period_ms", traits.period_ns as f64 * 1e-6)?;
    positive("samples.period_ms", settings.samples.period_ms)?;
    if let Some(period_ms) = settings.counter.period_ms {
        positive("counter.period_ms", period_ms)?;
    }
    let repeat = settings.sensor.repeat_probability;
    if !(0.0..=0.99).contains(&repeat) {
        let problem = format!("is {repeat}");
        return Err(ConfigError::invalid(
            "sensor.repeat_probability",
            &problem,
            "give 0 to 0.99: something must be new",
        ));
    }
    Ok(())
}

fn made_up_uuid(seed: u64, index: u32) -> String {
    let stream = Stream::new(seed, Purpose::Uuid, u64::from(index));
    let (high, low) = (stream.bits(0), stream.bits(1));
    format!(
        "GPU-{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
        high >> 32,
        (high >> 16) & 0xffff,
        high & 0xffff,
        low >> 48,
        low & 0xffff_ffff_ffff
    )
}

#[cfg(test)]
mod tests;
