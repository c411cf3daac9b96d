//! The energy counter. Owns its value at a moment: continuous or added up from part-time readings, on its own lattice,
//! with resets and spells of standing still. Millijoules, as NVML gives them.

use std::sync::{Mutex, PoisonError};

use crate::chance::{Purpose, Stream};
use crate::config::{self, CounterKind, nanoseconds};
use crate::lattice::Lattice;
use crate::profile::Traits;
use crate::sensor::PowerSensor;
use crate::truth::{Femtojoules, Truth};

#[derive(Debug)]
pub struct EnergyCounter {
    kind: CounterKind,
    lattice: Lattice,
    origin_ns: i64,
    delay_ns: i64,
    quantum_mj: u64,
    start_mj: u64,
    gain_ppb: i128,
    offset_uw: i128,
    resets_ns: Vec<i64>,
    stuck_ns: Vec<(i64, i64)>,
    /// Of the sampled kind: where adding up stands.
    sum: Mutex<Sum>,
}

/// The sampled kind's total after update `k`, since the origin or the last reset.
#[derive(Clone, Copy, Debug)]
struct Sum {
    k: i64,
    energy: Femtojoules,
}

const FEMTOJOULES_PER_MILLIJOULE: i128 = 1_000_000_000_000;

impl EnergyCounter {
    /// `None` where there is no counter.
    #[must_use]
    pub fn new(
        traits: &Traits,
        settings: &config::Counter,
        sensor: &config::Sensor,
        origin_ns: i64,
        seed: u64,
        gpu: u32,
    ) -> Option<Self> {
        if settings.kind == CounterKind::None {
            return None;
        }
        let period_ns = settings
            .period_ms
            .map_or(traits.counter_period_ns, |ms| nanoseconds(ms, 1e6));
        let phase_ns = settings.phase_ms.map_or_else(
            || (Stream::new(seed, Purpose::CounterPhase, u64::from(gpu)).uniform(0) * period_ns as f64) as i64,
            |ms| nanoseconds(ms, 1e6),
        );
        let jitter_ns = nanoseconds(settings.jitter_ms, 1e6);
        let after = |seconds: f64| origin_ns.saturating_add(nanoseconds(seconds, 1e9));
        let mut resets_ns: Vec<i64> = settings.reset_at_s.iter().map(|&s| after(s)).collect();
        resets_ns.sort_unstable();
        Some(Self {
            kind: settings.kind,
            lattice: Lattice::new(
                origin_ns + phase_ns,
                period_ns,
                jitter_ns,
                seed,
                Purpose::CounterJitter,
                gpu,
            ),
            origin_ns,
            delay_ns: nanoseconds(settings.delay_ms, 1e6),
            quantum_mj: settings.quantum_mj.max(1),
            start_mj: settings.start_mj,
            gain_ppb: (settings.gain.unwrap_or(sensor.gain) * 1e9).round() as i128,
            offset_uw: (settings.offset_w.unwrap_or(sensor.offset_w) * 1e6).round() as i128,
            resets_ns,
            stuck_ns: settings
                .stuck_s
                .iter()
                .map(|&[from, until]| (after(from), after(until)))
                .collect(),
            sum: Mutex::new(Sum {
                k: 0,
                energy: Femtojoules(0),
            }),
        })
    }

    #[must_use]
    pub fn lattice(&self) -> &Lattice {
        &self.lattice
    }

    /// What a read at `now_ns` gets.
    #[must_use]
    pub fn read_mj(&self, truth: &Truth, sensor: &PowerSensor, now_ns: i64) -> u64 {
        let stuck_since = self
            .stuck_ns
            .iter()
            .find(|&&(from, until)| (from..until).contains(&now_ns));
        let k = self.lattice.latest(stuck_since.map_or(now_ns, |&(from, _)| from));
        let tick_ns = self.lattice.tick_ns(k);
        let reset_ns = self.reset_before(tick_ns);
        let start_mj = if reset_ns.is_some() { 0 } else { self.start_mj };
        let since_ns = reset_ns.unwrap_or(self.origin_ns);
        let gained = match self.kind {
            CounterKind::Sampled => self.added_up(truth, sensor, k),
            _ => self.integral(truth, since_ns, tick_ns - self.delay_ns),
        };
        let total = i128::from(start_mj) + gained.0.div_euclid(FEMTOJOULES_PER_MILLIJOULE);
        let quantum = i128::from(self.quantum_mj);
        u64::try_from(total.div_euclid(quantum) * quantum).unwrap_or(0) // before the start of time it stands at 0
    }

    fn reset_before(&self, tick_ns: i64) -> Option<i64> {
        self.resets_ns
            .iter()
            .rev()
            .copied()
            .find(|&reset_ns| reset_ns <= tick_ns)
    }

    /// In whole numbers: a counter must be right to its last digit after months, too.
    fn integral(&self, truth: &Truth, from_ns: i64, to_ns: i64) -> Femtojoules {
        let energy = truth.energy(from_ns, to_ns).0 * self.gain_ppb / 1_000_000_000;
        Femtojoules(energy + self.offset_uw * i128::from(to_ns - from_ns))
    }

    /// Sum over the updates since the origin, or since the last reset, each standing for the whole period before it.
    fn added_up(&self, truth: &Truth, sensor: &PowerSensor, k: i64) -> Femtojoules {
        let mut sum = self.sum.lock().unwrap_or_else(PoisonError::into_inner);
        if k < sum.k {
            *sum = Sum {
                k: 0,
                energy: Femtojoules(0),
            }; // somebody asks for the past: once more from the start
        }
        while sum.k < k {
            let (before_ns, tick_ns) = (self.lattice.tick_ns(sum.k), self.lattice.tick_ns(sum.k + 1));
            if self.reset_before(tick_ns) != self.reset_before(before_ns) {
                sum.energy = Femtojoules(0);
            }
            let seen_uw = (sensor.seen_w(truth, tick_ns) * 1e6).round() as i128;
            sum.energy = sum.energy + Femtojoules(seen_uw * i128::from(self.lattice.period_ns()));
            sum.k += 1;
        }
        sum.energy
    }
}

#[cfg(test)]
mod tests;
