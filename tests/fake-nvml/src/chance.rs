//! Random numbers that can be asked for in any order. Owns the mapping from (seed, stream, index) to a number; leaves
//! to others what it is used for.
//!
//! A reading's noise must not depend on how often or by whom the sensor was read: reading 17 has the same noise in
//! every process that has the same seed. A generator with a state cannot do that, a hash of the index can
//! (the finaliser of SplitMix64, Steele, Lea, Flood 2014, doi 10.1145/2660193.2660195).

/// What a number is for: streams of the same seed are independent of each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    SensorPhase,
    SensorJitter,
    SensorNoise,
    SensorRepeat,
    CounterPhase,
    CounterJitter,
    SamplesNoise,
    StepDuration,
    StepWatts,
    Uuid,
    Latency,
    Fault,
}

/// One stream of random numbers, indexed.
#[derive(Clone, Copy, Debug)]
pub struct Stream {
    key: u64,
}

impl Stream {
    /// `owner` tells apart equal purposes: the GPU's index, or the fault's.
    #[must_use]
    pub fn new(seed: u64, purpose: Purpose, owner: u64) -> Self {
        Self {
            key: mix(mix(mix(seed) ^ purpose as u64) ^ owner),
        }
    }

    /// Number `index`, all 64 bits of it.
    #[must_use]
    pub fn bits(self, index: i64) -> u64 {
        mix(self.key ^ mix(index.cast_unsigned()))
    }

    /// Uniform in [0, 1).
    #[must_use]
    pub fn uniform(self, index: i64) -> f64 {
        unit(self.bits(index))
    }

    /// Standard normal, by Box and Muller.
    #[must_use]
    pub fn normal(self, index: i64) -> f64 {
        let bits = self.bits(index);
        let radius = (-2.0 * (1.0 - unit(bits)).ln()).sqrt(); // 1 - u is never 0
        radius * (std::f64::consts::TAU * unit(mix(bits))).cos()
    }

    /// True with the given probability.
    #[must_use]
    pub fn happens(self, index: i64, probability: f64) -> bool {
        self.uniform(index) < probability
    }
}

fn unit(bits: u64) -> f64 {
    (bits >> 11) as f64 * (1.0 / (1_u64 << 53) as f64)
}

fn mix(value: u64) -> u64 {
    let z = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_depends_on_seed_purpose_owner_and_index() {
        let base = Stream::new(1, Purpose::SensorNoise, 0);
        assert_eq!(base.bits(-7), Stream::new(1, Purpose::SensorNoise, 0).bits(-7));
        for other in [
            Stream::new(2, Purpose::SensorNoise, 0),
            Stream::new(1, Purpose::SensorJitter, 0),
            Stream::new(1, Purpose::SensorNoise, 1),
        ] {
            assert_ne!(base.bits(-7), other.bits(-7));
        }
        assert_ne!(base.bits(-7), base.bits(7));
    }

    #[test]
    fn normal_numbers_have_mean_0_and_variance_1() {
        let stream = Stream::new(3, Purpose::SensorNoise, 0);
        let numbers: Vec<f64> = (0..100_000).map(|k| stream.normal(k)).collect();
        let mean = numbers.iter().sum::<f64>() / 1e5;
        let variance = numbers.iter().map(|x| x * x).sum::<f64>() / 1e5 - mean * mean;
        assert!(mean.abs() < 0.015, "mean {mean}"); // 4.7 standard errors
        assert!((variance - 1.0).abs() < 0.02, "variance {variance}"); // 4.5 standard errors
    }

    #[test]
    fn a_probability_is_met() {
        let stream = Stream::new(3, Purpose::Fault, 0);
        let hits = (0..100_000).filter(|&k| stream.happens(k, 0.03)).count();
        assert!((2_750..3_250).contains(&hits), "{hits} of 100000 at 0.03");
        assert!((0..1000).all(|k| stream.happens(k, 1.0) && !stream.happens(k, 0.0)));
    }
}
