//! How far readings are off by chance: what those do not have in common whose windows overlap.
//!
//! Where windows are longer than the period, the power integral takes every n-th reading, whose windows tile the time, and the sum of their
//! noise is in every sum over cells. The readings between show it: what the power does beyond the model is in the windows of neighbours
//! nearly alike, and the noise is each reading's own. With r the readings less what the model says they are,
//!
//! ```text
//! noise <= mean of (r[i+3] - 3 r[i+2] + 3 r[i+1] - r[i])^2 / 20
//! ```
//!
//! which noise alone gives in full (1 + 9 + 9 + 1), and what changes slowly not at all. Of a power that scatters from one period to the next
//! by a standard deviation s, 12 s^2 / (20 n^2) remain for windows of n periods, n > 3: the noise is rather found too large. Source: von
//! Neumann, Kent, Bellinson, Hart, *Ann. Math. Stat.* 12 (1941) 153, for differences of any order.
//!
//! *Limits of validity*: boxcars of more than three periods. Units: watts, nanoseconds.

use super::sensor_model::Look;
use super::shares;
use super::timeline::Timeline;

/// Fewer differences do not tell a variance.
const ENOUGH: u32 = 60;

/// Variance of the readings' noise, W^2, where `watts` are what the leaves draw; `None` where windows do not overlap, or are too few.
pub fn variance(timeline: &Timeline, looks: &[Look], watts: &[f64]) -> Option<f64> {
    let mut rests = vec![None; looks.len()];
    shares::walk(
        timeline,
        looks.iter().map(|look| (look.start, look.end)),
        |i, shares| {
            let length = (looks[i].end - looks[i].start) as f64 * 1e-9;
            let seconds: f64 = shares.iter().map(|share| share.1).sum();
            // A window that the run does not hold has seen something else as well.
            if (seconds - length).abs() < 1e-6 {
                let joules: f64 = shares.iter().map(|&(leaf, s)| s * watts[leaf]).sum();
                rests[i] = Some(looks[i].watts - joules / length);
            }
        },
    );
    let mut gaps: Vec<i64> = looks.windows(2).map(|pair| pair[1].end - pair[0].end).collect();
    gaps.sort_unstable();
    let period = *gaps.get(gaps.len() / 2)?;
    let (mut squares, mut count) = (0.0, 0);
    for (looks, rests) in looks.windows(4).zip(rests.windows(4)) {
        let follow = looks[3].end - looks[0].end < 7 * period / 2;
        let overlap = looks[3].start < looks[0].end - period / 2;
        if let (&[Some(a), Some(b), Some(c), Some(d)], true) = (rests, follow && overlap) {
            squares += (d - 3.0 * c + 3.0 * b - a).powi(2);
            count += 1;
        }
    }
    (count >= ENOUGH).then(|| squares / 20.0 / f64::from(count))
}

#[cfg(test)]
mod tests {
    use super::super::laws::chance;
    use super::*;

    const MS: i64 = 1_000_000;
    const STEPS: i64 = 4000;

    /// 300 W in steps of 30 ms whose power is off by up to 60 W, each anew.
    fn energy(ms: i64) -> f64 {
        let of = |step: i64| 300.0 + 60.0 * chance(step);
        let whole: f64 = (0..ms / 30).map(|step| 0.03 * of(step)).sum();
        whole + (ms % 30) as f64 * 1e-3 * of(ms / 30)
    }

    fn timeline() -> Timeline {
        Timeline {
            edges: vec![0, STEPS * 30 * MS],
            states: vec![0],
            table: vec![vec![(0, 1.0)]],
            leaves: 2,
        }
    }

    /// Every tenth of a second the mean over `window_ms`, off by up to `noise` watts.
    fn looks(window_ms: i64, noise: f64) -> Vec<Look> {
        let at: Vec<i64> = (0..STEPS * 30 / 100).map(|i| i * 100 + 7).collect();
        let look = |&end: &i64| Look {
            start: (end - window_ms) * MS,
            end: end * MS,
            watts: (energy(end) - energy((end - window_ms).max(0))) / (window_ms as f64 * 1e-3) + noise * chance(-end),
        };
        at.iter().map(look).collect()
    }

    #[test]
    fn the_noise_of_readings_is_told_from_what_the_power_scatters_by() {
        // From one tenth of a second to the next the power scatters by some 19 W, readings by 6: 12 * 360 / (20 * 100) W^2 remain.
        for noise in [0.0, 3.0, 10.0_f64] {
            let found = variance(&timeline(), &looks(1000, noise), &[300.0, 0.0]).expect("windows overlap");
            let truth = noise.powi(2) / 3.0;
            assert!(
                (0.9 * truth..1.1 * truth + 2.5).contains(&found),
                "{found} W^2 for {truth}"
            );
        }
    }

    #[test]
    fn windows_that_do_not_overlap_tell_nothing_of_it() {
        assert_eq!(variance(&timeline(), &looks(100, 1.0), &[300.0, 0.0]), None);
        assert_eq!(variance(&timeline(), &looks(1000, 1.0)[..60], &[300.0, 0.0]), None);
    }
}
