//! The moments at which a figure is published: a lattice with jitter. Owns which update is the latest at a moment;
//! leaves to `sensor` and `counter` what the update says. Both ways from the origin it has no end.

use crate::chance::{Purpose, Stream};

#[derive(Clone, Copy, Debug)]
pub struct Lattice {
    origin_ns: i64,
    period_ns: i64,
    jitter_ns: f64,
    deviates: Stream,
}

/// A jitter beyond this share of the period would let updates overtake each other.
const FARTHEST: f64 = 0.45;

impl Lattice {
    /// Updates at `origin + k · period + jitter`.
    #[must_use]
    pub fn new(origin_ns: i64, period_ns: i64, jitter_ns: i64, seed: u64, purpose: Purpose, gpu: u32) -> Self {
        let deviates = Stream::new(seed, purpose, u64::from(gpu));
        Self {
            origin_ns,
            period_ns,
            jitter_ns: jitter_ns as f64,
            deviates,
        }
    }

    #[must_use]
    pub fn period_ns(&self) -> i64 {
        self.period_ns
    }

    /// When update `k` is published.
    #[must_use]
    pub fn tick_ns(&self, k: i64) -> i64 {
        let even_ns = self.origin_ns + k * self.period_ns;
        if self.jitter_ns == 0.0 {
            return even_ns;
        }
        let limit = FARTHEST * self.period_ns as f64;
        even_ns + (self.jitter_ns * self.deviates.normal(k)).clamp(-limit, limit).round() as i64
    }

    /// The latest update that is published at `now_ns`.
    #[must_use]
    pub fn latest(&self, now_ns: i64) -> i64 {
        let even = (now_ns - self.origin_ns).div_euclid(self.period_ns);
        // Jitter is less than half a period: the next one may be early, this one late.
        if self.jitter_ns == 0.0 {
            even
        } else if self.tick_ns(even + 1) <= now_ns {
            even + 1
        } else if self.tick_ns(even) <= now_ns {
            even
        } else {
            even - 1
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_update_is_the_last_one_not_after_now() {
        for jitter_ns in [0, 2_000_000, 80_000_000] {
            let lattice = Lattice::new(17, 100_000_000, jitter_ns, 5, Purpose::SensorJitter, 0);
            for step in -5_000..5_000 {
                let now_ns = step * 1_234_567;
                let k = lattice.latest(now_ns);
                assert!(
                    lattice.tick_ns(k) <= now_ns && now_ns < lattice.tick_ns(k + 1),
                    "jitter {jitter_ns} at {now_ns}"
                );
            }
        }
    }

    #[test]
    fn jitter_has_the_spread_that_was_asked_for() {
        let lattice = Lattice::new(0, 100_000_000, 2_000_000, 5, Purpose::SensorJitter, 0);
        let square_sum: f64 = (0..10_000)
            .map(|k| ((lattice.tick_ns(k) - k * 100_000_000) as f64).powi(2))
            .sum();
        let spread_ns = (square_sum / 1e4).sqrt();
        assert!((1.93e6..2.07e6).contains(&spread_ns), "{spread_ns} ns"); // 2 ms ± 5 standard errors
    }
}
