//! Readings that share a stamp, for their clock was written more coarsely than they came: each gets a time of its own.
//!
//! ```text
//! stamps   0     0     0 1     1     2     2     2 3      whole seconds, two or three readings in each
//! times    0    .33  .66 1    1.5    2   2.33  2.66 3
//! ```
//!
//! Evenly from the stamp on: whoever writes whole seconds cuts them off, nearly always. A clock that is rounded instead is half a
//! resolution away, which is the doubt that each reading has anyway. The first and the last second of a log may not be whole.

use std::time::Duration;

use crate::model::wording::counted;

/// Fewer than this share of the readings are not worth a warning.
const FEW: usize = 10;

/// Spreads equal times over `resolution_ns` and keeps their order: how many readings shared a time.
pub(super) fn spread(times: &mut [i64], resolution_ns: i64) -> usize {
    let mut runs: Vec<usize> = times.chunk_by(|a, b| a == b).map(<[i64]>::len).collect();
    let (ends, mut at, mut sharing) = (runs.len().saturating_sub(1), 0, 0);
    let lengths = runs.clone();
    runs.sort_unstable();
    let usual = runs.get(runs.len() / 2).copied().unwrap_or(1);
    for (run, length) in lengths.into_iter().enumerate() {
        let slots = if run == 0 || run == ends {
            length.max(usual)
        } else {
            length
        };
        let skipped = if run == 0 && ends > 0 { slots - length } else { 0 };
        let stamp = times[at];
        let next = times.get(at + length).map_or(resolution_ns, |next| next - stamp);
        let width = next.min(resolution_ns);
        for (slot, time) in (skipped..).zip(&mut times[at..at + length]) {
            *time = stamp + (i128::from(width) * slot as i128 / slots as i128) as i64;
        }
        sharing += if length > 1 { length } else { 0 };
        at += length;
    }
    sharing
}

/// What is said of them where they are many.
pub(super) fn warning(sharing: usize, of: usize, resolution_ns: i64) -> Option<String> {
    (sharing * FEW > of).then(|| {
        format!(
            "{} of {of} share a stamp with others, and were spread evenly over the {} that it stands for: where rows are of several devices, log `index` or `uuid` too",
            counted(sharing as u64, "reading", "readings"),
            humantime::format_duration(Duration::from_nanos(resolution_ns.unsigned_abs()))
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spread_ms(seconds: &[i64]) -> Vec<i64> {
        let mut times: Vec<i64> = seconds.iter().map(|s| s * 1_000_000_000).collect();
        spread(&mut times, 1_000_000_000);
        times.iter().map(|t| t / 1_000_000).collect()
    }

    #[test]
    fn readings_of_one_second_lie_evenly_in_it_and_the_first_at_its_end() {
        assert_eq!(spread_ms(&[7, 8, 8, 9, 9, 10]), [7500, 8000, 8500, 9000, 9500, 10_000]);
        assert_eq!(
            spread_ms(&[0, 1, 1, 2]),
            [0, 1000, 1500, 2000],
            "one each is left where it is"
        );
        assert_eq!(spread_ms(&[3, 3, 3, 3]), [3000, 3250, 3500, 3750]);
        assert!(spread_ms(&[]).is_empty());
    }

    #[test]
    fn times_ascend_whatever_comes_next() {
        let mut times = [0, 0, 0, 2, 2, 1000];
        assert_eq!(spread(&mut times, 1000), 5);
        assert!(times.is_sorted(), "{times:?}");
    }
}
