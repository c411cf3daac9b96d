//! Split half: the readings are dealt into two halves, block by block, and each half is fitted alone. What the halves differ by, nothing
//! but noise should explain: a check on the intervals that assumes no more than the data.

use super::fit::{self, Setting, Solution, Stream};
use super::rows::Rows;

/// Readings in a block: neighbours, whose errors belong together, stay together.
const BLOCK: usize = 8;
/// With fewer readings in all a half is no estimate.
const ENOUGH: usize = 400;
/// The largest difference between halves, in standard deviations: what is no chance any more, and what is usual among some ten leaves.
const DISAGREE: f64 = 3.5;
const USUAL_WORST: f64 = 1.7;
/// Of leaves that ran less often, the edges disagree, and what a device does before a load and after it.
const OFTEN: u64 = 12;

/// Energy of each leaf by the even blocks less that by the odd ones, joules.
pub fn differences(setting: &Setting, streams: &[Stream], powers: &[f64], seconds: &[f64]) -> Option<Vec<f64>> {
    let rows: usize = streams.iter().map(|s| s.rows.rows.len()).sum();
    if rows < ENOUGH {
        return None;
    }
    let [even, odd] = [0, 1].map(|half| {
        let kept: Vec<Rows> = streams.iter().map(|s| s.rows.half(BLOCK, half)).collect();
        let streams: Vec<Stream> = streams
            .iter()
            .zip(&kept)
            .map(|(s, rows)| Stream { rows, ..*s })
            .collect();
        let solution: Solution = fit::solve(setting, &streams, Some(powers));
        fit::powers(setting, &solution)
    });
    Some(
        (0..setting.leaves)
            .map(|leaf| (even[leaf] - odd[leaf]) * seconds[leaf])
            .collect(),
    )
}

/// The differences with their standard deviations by `variance` of each leaf, 0 of leaves of which they say nothing; `segments`: how often
/// each ran.
pub fn doubted(differences: &[f64], variance: impl Fn(usize) -> f64, segments: &[u64]) -> Vec<(f64, f64)> {
    let sd = |leaf: usize| 2.0 * variance(leaf).max(0.0).sqrt();
    let of = |(leaf, (&d, &often)): (usize, (&f64, &u64))| (d, if often >= OFTEN { sd(leaf) } else { 0.0 });
    differences.iter().zip(segments).enumerate().map(of).collect()
}

/// How many times larger the energies' variance is than it seemed: halves that disagree by more than noise explains say how much more there
/// is.
pub fn wider(differences: &[(f64, f64)]) -> f64 {
    let off = |&(d, sd): &(f64, f64)| if sd > 0.0 { d.abs() / sd } else { 0.0 };
    let worst = differences.iter().map(off).fold(0.0, f64::max);
    if worst > DISAGREE {
        (worst / USUAL_WORST).powi(2)
    } else {
        1.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_that_disagree_widen_the_rest_unless_a_leaf_ran_seldom() {
        // Standard deviations of 2, 3 and 0 J.
        let wider = |sds: f64, segments: &[u64]| {
            let differences = [1.0, 3.0 * sds, 9.0];
            super::wider(&doubted(&differences, |leaf| [1.0, 2.25, 0.0][leaf], segments))
        };
        assert_eq!(wider(3.0, &[100, 100, 100]), 1.0);
        assert_eq!(wider(17.0, &[100, 100, 100]), 100.0);
        assert_eq!(wider(17.0, &[100, 11, 100]), 1.0);
        assert_eq!(super::wider(&[]), 1.0);
    }
}
