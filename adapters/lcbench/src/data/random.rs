//! SplitMix64 (Steele, Lea and Flood, OOPSLA 2014): the stream behind generated data and the order of batches.
//!
//! Written out because the numbers are part of what a seed means: a generated set, and a run's batch order, must not
//! change when a library changes its generator.

#[derive(Clone, Debug)]
pub(super) struct SplitMix64(u64);

impl SplitMix64 {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A stream for (seed, purpose) that does not overlap another purpose's in any practical length.
    pub(super) fn derived(seed: u64, purpose: u64) -> Self {
        let mut mixer = Self::new(seed ^ Self::new(purpose).next());
        Self::new(mixer.next())
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Uniform in `0..bound`, without modulo bias (Lemire, ACM TOMACS 2019). `bound` must not be 0.
    pub(super) fn below(&mut self, bound: usize) -> usize {
        assert!(bound > 0, "an empty range has no members");
        let bound = bound as u64;
        loop {
            let product = u128::from(self.next()) * u128::from(bound);
            if product as u64 >= bound.wrapping_neg() % bound {
                return (product >> 64) as usize;
            }
        }
    }

    pub(super) fn pick<'a, T>(&mut self, choices: &'a [T]) -> &'a T {
        &choices[self.below(choices.len())]
    }

    /// Fisher-Yates.
    pub(super) fn permutation(&mut self, n: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..n).collect();
        for last in (1..n).rev() {
            order.swap(last, self.below(last + 1));
        }
        order
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// First outputs for seed 1234567, from the authors' published test values for SplitMix64.
    #[test]
    fn stream_is_splitmix64() {
        let mut rng = SplitMix64::new(1_234_567);
        assert_eq!(rng.next(), 6_457_827_717_110_365_317);
        assert_eq!(rng.next(), 3_203_168_211_198_807_973);
        assert_eq!(rng.next(), 9_817_491_932_198_370_423);
    }

    #[test]
    fn below_is_uniform_and_in_range() {
        let mut rng = SplitMix64::new(1);
        let mut seen = [0usize; 7];
        for _ in 0..70_000 {
            seen[rng.below(7)] += 1;
        }
        // Six sigma of a binomial with n = 70,000 and p = 1/7 is 556.
        assert!(seen.iter().all(|&n| n.abs_diff(10_000) < 556), "{seen:?}");
    }

    #[test]
    fn permutation_holds_each_index_once() {
        let mut order = SplitMix64::new(7).permutation(1000);
        assert_ne!(order, (0..1000).collect::<Vec<_>>());
        order.sort_unstable();
        assert_eq!(order, (0..1000).collect::<Vec<_>>());
    }
}
