//! How far readings are off by chance: what those do not have in common whose windows overlap.
//!
//! Where windows are longer than the period, the power integral takes every n-th reading, whose windows tile the time, and the sum of their
//! noise is in every sum over cells. The readings between show it: what the power does beyond the model is in the windows of neighbours
//! nearly alike, and the noise is each reading's own. With r the readings less what the model says they are,
//!
//! ```text
//! D(h) = mean of (r[i+3h] - 3 r[i+2h] + 3 r[i+h] - r[i])^2        D(1) = 20 noise + 12 q,  D(2) = 20 noise + 24 q
//! ```
//!
//! What changes slowly adds nothing to D. A power that scatters from one period to the next by a standard deviation s adds q = s^2 / n^2 as written
//! for windows of n periods: what D(2) has beyond D(1), less its standard error, is taken off D(1), and half of it at most: of power that
//! keeps its level for some periods D(2) has more than twice as much. Where windows are too short for D(2) nothing is taken off, and the noise
//! is rather found too large. Source: von Neumann, Kent, Bellinson, Hart, *Ann. Math. Stat.* 12 (1941) 153, for differences of any order.
//!
//! *Limits of validity*: boxcars of more than three periods. Units: watts, nanoseconds.

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
    let period = *gaps.get(gaps.len() / 2)?;
    let third = |i: usize, apart: usize| -> Option<f64> {
        let at = [0, 1, 2, 3].map(|k| i + k * apart);
        let (first, last) = (looks.get(at[0])?, looks.get(at[3])?);
        let follow = 2 * (last.end - first.end) < (6 * apart as i64 + 1) * period;
        let overlap = last.start < first.end - period / 2;
        let [a, b, c, d] = at.map(|i| rests[i]);
        (follow && overlap).then_some((d? - 3.0 * c? + 3.0 * b? - a?).powi(2))
    };
    let near: Vec<f64> = (0..looks.len()).filter_map(|i| third(i, 1)).collect();
    let more: Vec<f64> = (0..looks.len())
        .filter_map(|i| Some(third(i, 2)? - third(i, 1)?))
        .collect();
    let (all, _) = mean(&near).filter(|_| near.len() >= ENOUGH)?;
    let (load, error) = mean(&more).filter(|_| more.len() >= ENOUGH).unwrap_or((0.0, 0.0));
    Some((all - (load - error).clamp(0.0, 0.5 * all)) / 20.0)
}

/// Mean of values in the order of time, and its standard error.
fn mean(values: &[f64]) -> Option<(f64, f64)> {
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

    #[test]
    fn the_noise_of_readings_is_told_from_what_the_power_scatters_by() {
        // From one tenth of a second to the next the power scatters by some 19 W: 12 * 360 / (20 * 100) W^2 would remain of nearest differences.
        let found = |noise: f64| variance(&timeline(), &looks(1000, noise), &[300.0, 0.0]).expect("windows overlap");
        for noise in [3.0, 6.0, 10.0_f64] {
            let truth = noise.powi(2) / 3.0;
            assert!(
                (0.9..1.15).contains(&(found(noise) / truth)),
                "{} W^2 for {truth}",
                found(noise)
            );
        }
        assert!(
            (0.5..1.5).contains(&found(0.0)),
            "no less than half: {} W^2",
            found(0.0)
        );
    }

    #[test]
    fn windows_of_four_periods_tell_it_with_the_load_in_it() {
        let found = |noise: f64| variance(&timeline(), &looks(400, noise), &[300.0, 0.0]).expect("windows overlap");
        // 12 * 360 / (20 * 16) W^2.
        let truth = 10.0_f64.powi(2) / 3.0;
        assert!(
            (truth + 5.0..truth + 20.0).contains(&found(10.0)),
            "{} W^2",
            found(10.0)
        );
    }

    #[test]
    fn windows_that_do_not_overlap_tell_nothing_of_it() {
        assert_eq!(variance(&timeline(), &looks(100, 1.0), &[300.0, 0.0]), None);
        assert_eq!(variance(&timeline(), &looks(1000, 1.0)[..60], &[300.0, 0.0]), None);
    }
}
