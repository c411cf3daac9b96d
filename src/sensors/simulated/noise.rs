//! Reproducible scatter: the same tick of the same GPU always has the same noise.

/// About normal, mean 0 and standard deviation 1, from two numbers: the sum of twelve uniform ones, less six.
pub fn normal(gpu: u64, tick: u64) -> f64 {
    let mut state = gpu.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ tick;
    let sum: f64 = (0..12).map(|_| uniform(&mut state)).sum();
    sum - 6.0
}

/// Between 0 and 1, one of a kind for each name.
pub fn of_name(name: &str) -> f64 {
    // FNV-1a, 64 bits.
    let mut state = name.bytes().fold(0xCBF2_9CE4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3)
    });
    uniform(&mut state)
}

/// SplitMix64 (Steele, Lea and Flood, OOPSLA 2014), top 53 bits.
fn uniform(state: &mut u64) -> f64 {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scatter_has_its_mean_and_width_and_is_the_same_again() {
        let draws: Vec<f64> = (0..10_000).map(|tick| normal(3, tick)).collect();
        let mean = draws.iter().sum::<f64>() / 1e4;
        let variance = draws.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / 1e4;
        assert!(mean.abs() < 0.05, "{mean}");
        assert!((variance - 1.0).abs() < 0.06, "{variance}");
        assert_eq!(normal(3, 77), draws[77]);
        assert_ne!(normal(4, 77), draws[77]);
    }

    #[test]
    fn names_differ() {
        assert_ne!(of_name("encoder"), of_name("decoder"));
        assert!((0.0..1.0).contains(&of_name("")));
    }
}
