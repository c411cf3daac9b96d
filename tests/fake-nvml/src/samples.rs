//! The driver's buffer of power readings behind `nvmlDeviceGetSamples`. Owns which readings are in it at a moment;
//! leaves to the FFI how they are handed over. Kept by nobody: it is computed when asked for.

use crate::chance::{Purpose, Stream};
use crate::config::{self, nanoseconds};
use crate::profile::Traits;
use crate::sensor::PowerSensor;
use crate::truth::Truth;

#[derive(Clone, Copy, Debug)]
pub struct SampleRing {
    length: u32,
    dry_below_w: f64,
    sensor: PowerSensor,
}

/// One entry: when, and milliwatts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    pub at_ns: i64,
    pub milliwatts: u32,
}

impl SampleRing {
    /// `None` where the buffer is not supported.
    #[must_use]
    pub fn new(
        traits: &Traits,
        settings: &config::Samples,
        sensor: &config::Sensor,
        origin_ns: i64,
        seed: u64,
        gpu: u32,
    ) -> Option<Self> {
        if !settings.supported {
            return None;
        }
        let traits = Traits {
            period_ns: nanoseconds(settings.period_ms, 1e6),
            window_ns: settings.window_ms.map_or(traits.window_ns, |ms| nanoseconds(ms, 1e6)),
            delay_ns: 0, // an entry's stamp is the end of its window
            ..*traits
        };
        // Other dice than the published readings' own: another seed, made from the same one.
        let seed = Stream::new(seed, Purpose::SamplesNoise, u64::from(gpu)).bits(0);
        let sensor = config::Sensor {
            phase_ms: None,
            delay_ms: None,
            ..*sensor
        };
        let sensor = PowerSensor::new(&traits, &sensor, origin_ns, seed, gpu);
        Some(Self {
            length: settings.length,
            dry_below_w: settings.dry_below_w,
            sensor,
        })
    }

    #[must_use]
    pub fn length(&self) -> u32 {
        self.length
    }

    /// Entries in the buffer at `now_ns` and after `after_ns`, the oldest first.
    #[must_use]
    pub fn entries(&self, truth: &Truth, now_ns: i64, after_ns: Option<i64>) -> Vec<Entry> {
        let lattice = self.sensor.lattice();
        let newest = lattice.latest(now_ns);
        (newest - i64::from(self.length) + 1..=newest)
            .map(|k| (k, lattice.tick_ns(k)))
            .filter(|&(_, at_ns)| after_ns.is_none_or(|after_ns| at_ns > after_ns))
            .filter(|&(_, at_ns)| self.dry_below_w <= 0.0 || truth.power_w(at_ns) >= self.dry_below_w)
            .map(|(k, at_ns)| Entry {
                at_ns,
                milliwatts: self.sensor.published_mw(truth, k),
            })
            .collect()
    }
}
