//! numpy's legacy random numbers, as far as BigBird's random blocks need them: bit for bit `np.random.seed` and
//! `np.random.permutation`.
//!
//! The generator is MT19937 with the 2002 initialisation (Matsumoto & Nishimura 1998, doi:10.1145/272991.272995); the
//! permutation is numpy's frozen `RandomState` stream (NEP 19): Fisher-Yates from the end, bounded by masked rejection.

const N: usize = 624;
const M: usize = 397;

#[derive(Debug, Clone)]
pub struct Mt19937 {
    state: [u32; N],
    next: usize,
}

impl Mt19937 {
    /// `np.random.seed(seed)`.
    pub fn seed(seed: u32) -> Self {
        let mut state = [seed; N];
        for i in 1..N {
            let before = state[i - 1];
            state[i] = (before ^ (before >> 30))
                .wrapping_mul(1_812_433_253)
                .wrapping_add(i as u32);
        }
        Self { state, next: N }
    }

    fn twist(&mut self) {
        for i in 0..N {
            let y = (self.state[i] & 0x8000_0000) | (self.state[(i + 1) % N] & 0x7fff_ffff);
            let odd = if y & 1 == 1 { 0x9908_b0df } else { 0 };
            self.state[i] = self.state[(i + M) % N] ^ (y >> 1) ^ odd;
        }
        self.next = 0;
    }

    pub fn next_u32(&mut self) -> u32 {
        if self.next == N {
            self.twist();
        }
        let mut y = self.state[self.next];
        self.next += 1;
        y ^= y >> 11;
        y ^= (y << 7) & 0x9d2c_5680;
        y ^= (y << 15) & 0xefc6_0000;
        y ^ (y >> 18)
    }

    /// Uniform in 0..=max: numpy's `random_interval`, which draws nothing for 0.
    fn interval(&mut self, max: u32) -> u32 {
        if max == 0 {
            return 0;
        }
        let mask = u32::MAX >> max.leading_zeros();
        loop {
            let value = self.next_u32() & mask;
            if value <= max {
                return value;
            }
        }
    }

    /// `np.random.permutation(items)`.
    pub fn permute(&mut self, items: &mut [i64]) {
        for i in (1..items.len()).rev() {
            let j = self.interval(i as u32) as usize;
            items.swap(i, j);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_the_generator_of_the_paper() {
        // C++ [rand.predef]: the 10000th number of a default-constructed std::mt19937, which is seeded with 5489.
        let mut random = Mt19937::seed(5489);
        let last = (0..10_000).map(|_| random.next_u32()).last();
        assert_eq!(last, Some(4_123_659_995));
    }

    #[test]
    fn permutes_as_numpy_does() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/goldens/bigbird/draws.safetensors");
        let goldens = tch::Tensor::read_safetensors(path).unwrap(); // made by goldens/bigbird.py
        let mut compared = 0;
        for (name, theirs) in &goldens {
            let Some(seed) = name.strip_prefix("permutations.") else {
                continue;
            };
            let mut random = Mt19937::seed(seed.parse().unwrap());
            let ours = [0, 1, 2, 3, 11, 62, 1000].map(|n| {
                let mut list: Vec<i64> = (0..n).collect();
                random.permute(&mut list);
                list
            });
            let theirs: Vec<i64> = theirs.to_kind(tch::Kind::Int64).try_into().unwrap();
            assert_eq!(ours.concat(), theirs, "seed {seed}");
            compared += 1;
        }
        assert_eq!(compared, 5);
    }
}
