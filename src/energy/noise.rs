//! How far readings are off by chance: what those do not have in common whose windows overlap.
//!
//! Where windows are longer than the period, the power integral takes every n-th reading, whose windows tile the time, and the sum of their
//! noise is in every sum over cells. The readings between show it: what the power does beyond the model is in the windows of neighbours
//! nearly alike, and the noise is each reading's own. With r the readings less what the model says they are,
//!
//! ```text
//! t[i] = r[i+3] - 3 r[i+2] + 3 r[i+1] - r[i]           mean of t[i]^2 = 20 noise + 12 q,   mean of t[i] t[i+n] = -6 q
//! ```
//!
//! What changes slowly adds next to nothing to either. A power that scatters from one period to the next by a standard deviation s adds
//! q = s^2 / n^2 as written, for windows of n periods: what came into the window of one reading leaves that of the n-th after it, and
//! no noise is common to these two. That much, less its standard error, is taken off, and half at most. Source: von
//! Neumann, Kent, Bellinson, Hart, *Ann. Math. Stat.* 12 (1941) 153, for differences of any order.
//!
//! *Limits of validity*: boxcars of more than three periods; where they are no whole number of periods, less is taken off, and the noise is
//! rather found too large. Units: watts, nanoseconds.

use super::sensor_model::Look;
use super::shares;
use super::timeline::Timeline;

/// Fewer differences do not tell a variance.
const ENOUGH: usize = 60;
/// The standard error of a mean of neighbours that are not independent is that of the means of so many blocks.
const BLOCKS: usize = 12;

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
    let period = gaps.get(gaps.len() / 2).copied().filter(|&gap| gap > 0)?;
    let follow = |first: usize, last: usize| {
        let apart = looks[last].end - looks[first].end - (last - first) as i64 * period;
        2 * apart.abs() < period
    };
    let third = |i: usize| -> Option<f64> {
        let [a, b, c, d] = [0, 1, 2, 3].map(|k| rests.get(i + k).copied().flatten());
        let value = d? - 3.0 * c? + 3.0 * b? - a?;
        let overlap = looks[i + 3].start < looks[i].end - period / 2;
        (follow(i, i + 3) && overlap).then_some(value)
    };
    let thirds: Vec<Option<f64>> = (0..looks.len()).map(third).collect();
    let squares: Vec<f64> = thirds.iter().flatten().map(|t| t * t).collect();
    let window = looks.first().map_or(0, |look| look.end - look.start);
    let n = (window as f64 / period as f64).round() as usize;
    let across = |i: usize| {
        let (first, last) = (thirds[i]?, thirds.get(i + n).copied().flatten()?);
        follow(i, i + n).then_some(-2.0 * first * last)
    };
    let across: Vec<f64> = (0..looks.len()).filter_map(across).collect();
    let (all, _) = mean(&squares).filter(|_| squares.len() >= ENOUGH)?;
    let (load, error) = mean(&across).filter(|_| across.len() >= ENOUGH).unwrap_or((0.0, 0.0));
    Some((all - (load - error).clamp(0.0, 0.5 * all)) / 20.0)
}

/// Mean of values in the order of time, and its standard error.
pub fn mean(values: &[f64]) -> Option<(f64, f64)> {
    let of = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let whole = (!values.is_empty()).then(|| of(values))?;
    let blocks: Vec<f64> = values.chunks_exact((values.len() / BLOCKS).max(1)).map(of).collect();
    let squares: f64 = blocks.iter().map(|block| (block - whole).powi(2)).sum();
    let independent = blocks.len() as f64;
    Some((whole, (squares / independent / (independent - 1.0)).sqrt()))
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

    fn found(window_ms: i64, noise: f64) -> f64 {
        variance(&timeline(), &looks(window_ms, noise), &[300.0, 0.0]).expect("windows overlap")
    }

    #[test]
    fn the_noise_of_readings_is_told_from_what_the_power_scatters_by() {
        // From one tenth of a second to the next the power scatters by some 19 W: 12 * 360 / (20 n^2) W^2, 2 or 13, would be taken for noise.
        for (window_ms, noise) in [(1000, 3.0), (1000, 6.0), (1000, 10.0), (400, 10.0_f64)] {
            let truth = noise.powi(2) / 3.0;
            let found = found(window_ms, noise);
            assert!((0.9..1.25).contains(&(found / truth)), "{found} W^2 for {truth}");
        }
        assert!((0.5..1.5).contains(&found(1000, 0.0)), "no less than half");
    }

    #[test]
    fn a_ripple_that_the_model_does_not_know_hides_no_noise() {
        // 1.5 W with a period of 600 ms: of third differences at twice the distance, 27 times as large, it would make load scatter.
        let ripple = |look: Look| {
            let turns = look.end as f64 / (600 * MS) as f64;
            Look {
                watts: look.watts + 1.5 * (std::f64::consts::TAU * turns).sin(),
                ..look
            }
        };
        let looks: Vec<Look> = looks(1000, 3.0).into_iter().map(ripple).collect();
        let found = variance(&timeline(), &looks, &[300.0, 0.0]).expect("windows overlap");
        assert!((0.9..1.25).contains(&(found / 3.0)), "{found} W^2 for 3");
    }

    #[test]
    fn windows_that_do_not_overlap_tell_nothing_of_it() {
        assert_eq!(variance(&timeline(), &looks(100, 1.0), &[300.0, 0.0]), None);
        assert_eq!(variance(&timeline(), &looks(1000, 1.0)[..60], &[300.0, 0.0]), None);
    }
}
