//! A power sensor: boxcar means of the low-passed truth, published on a lattice. Owns what a reading says; leaves to
//! `lattice` when it appears.
//!
//! ```text
//!              window          delay
//!        |<-------------->|<----------->|          y = gain · mean(window) + offset + noise
//! -------+----------------+-------------+----->    published at tick k, and read until tick k + 1
//! ```

use crate::chance::{Purpose, Stream};
use crate::config;
use crate::lattice::Lattice;
use crate::profile::Traits;
use crate::truth::Truth;

#[derive(Clone, Copy, Debug)]
pub struct PowerSensor {
    lattice: Lattice,
    window_ns: i64,
    delay_ns: i64,
    tau_ns: i64,
    settings: config::Sensor,
    noise: Stream,
    repeats: Stream,
}

impl PowerSensor {
    #[must_use]
    pub fn new(traits: &Traits, settings: &config::Sensor, origin_ns: i64, seed: u64, gpu: u32) -> Self {
        let phase_ns = settings.phase_ms.map_or_else(
            || {
                let phase = Stream::new(seed, Purpose::SensorPhase, u64::from(gpu)).uniform(0);
                (phase * traits.period_ns as f64) as i64
            },
            |phase_ms| config::nanoseconds(phase_ms, 1e6),
        );
        let jitter_ns = config::nanoseconds(settings.jitter_ms, 1e6);
        let lattice = Lattice::new(
            origin_ns + phase_ns,
            traits.period_ns,
            jitter_ns,
            seed,
            Purpose::SensorJitter,
            gpu,
        );
        Self {
            lattice,
            window_ns: traits.window_ns,
            delay_ns: settings
                .delay_ms
                .map_or(traits.delay_ns, |delay_ms| config::nanoseconds(delay_ms, 1e6)),
            tau_ns: traits.tau_ns,
            settings: *settings,
            noise: Stream::new(seed, Purpose::SensorNoise, u64::from(gpu)),
            repeats: Stream::new(seed, Purpose::SensorRepeat, u64::from(gpu)),
        }
    }

    /// The same updates with another window: field 185 beside field 186.
    #[must_use]
    pub fn with_window(&self, window_ns: i64) -> Self {
        Self { window_ns, ..*self }
    }

    #[must_use]
    pub fn lattice(&self) -> &Lattice {
        &self.lattice
    }

    /// Mean power that the sensor sees in the window of a reading published at `tick_ns`, gain and offset applied.
    #[must_use]
    pub fn seen_w(&self, truth: &Truth, tick_ns: i64) -> f64 {
        let mean_w = truth.filtered_mean_w(tick_ns - self.delay_ns, self.window_ns, self.tau_ns);
        self.settings.gain * mean_w + self.settings.offset_w
    }

    /// What update `k` publishes, in milliwatts.
    #[must_use]
    pub fn published_mw(&self, truth: &Truth, k: i64) -> u32 {
        let mut k = k;
        while self.settings.repeat_probability > 0.0 && self.repeats.happens(k, self.settings.repeat_probability) {
            k -= 1;
        }
        let noise_w = if self.settings.noise_w > 0.0 {
            self.settings.noise_w * self.noise.normal(k)
        } else {
            0.0
        };
        let quantum_mw = f64::from(self.settings.quantum_mw.max(1));
        let reading_mw = (self.seen_w(truth, self.lattice.tick_ns(k)) + noise_w) * 1e3;
        ((reading_mw / quantum_mw).round() * quantum_mw).max(0.0) as u32 // saturates; a reading is never negative
    }

    /// What a read at `now_ns` gets, in milliwatts.
    #[must_use]
    pub fn read_mw(&self, truth: &Truth, now_ns: i64) -> u32 {
        self.published_mw(truth, self.lattice.latest(now_ns))
    }
}

#[cfg(test)]
mod tests;
