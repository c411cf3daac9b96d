//! Split half: the readings are dealt into two halves, block by block, and each half is fitted alone. What the halves differ by, nothing
//! but noise should explain: a check on the intervals that assumes no more than the data.

use super::fit::{self, Setting, Solution, Stream};
use super::rows::Rows;

/// Readings in a block: neighbours, whose errors belong together, stay together.
const BLOCK: usize = 8;
/// With fewer readings in all a half is no estimate.
const ENOUGH: usize = 400;

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
