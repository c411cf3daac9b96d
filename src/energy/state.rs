//! Utilization and memory over phases: means weighted by the time each reading stands for.
//!
//! A reading stands for the time halfway to its neighbours. A phase shorter than the distance of readings gets what was read around
//! it; a phase without any reading near it gets `None`.

use crate::model::sample::StateStream;

use super::shares;
use super::timeline::Timeline;

/// Readings further apart than this many usual distances leave a hole between them.
const HOLE: i64 = 5;

/// Weighted sums of one quantity.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Weighted {
    sum: f64,
    seconds: f64,
}

impl Weighted {
    fn add(&mut self, value: f64, seconds: f64) {
        if value.is_finite() {
            self.sum += value * seconds;
            self.seconds += seconds;
        }
    }
    fn mean(self) -> Option<f64> {
        (self.seconds > 0.0).then(|| self.sum / self.seconds)
    }
}

/// Means of one device over one phase.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Means {
    pub utilization_pct: Option<f64>,
    pub memory_bytes: Option<f64>,
}

/// Means over each phase (what is inside it included), then outside, then the whole run; and the most memory seen.
pub fn means(state: &StateStream, timeline: &Timeline, parents: &[Option<usize>]) -> (Vec<Means>, Option<u64>) {
    let whole = timeline.leaves;
    let mut sums = vec![(Weighted::default(), Weighted::default()); whole + 1];
    let cells = cells(state);
    shares::walk(timeline, cells.iter().copied(), |i, shares| {
        let utilization = state.utilization_pct.get(i).copied().unwrap_or(f64::NAN);
        let memory = state
            .memory_used_bytes
            .get(i)
            .copied()
            .flatten()
            .map_or(f64::NAN, |b| b as f64);
        for &(leaf, seconds) in shares {
            let mut at = Some(leaf);
            while let Some(phase) = at {
                sums[phase].0.add(utilization, seconds);
                sums[phase].1.add(memory, seconds);
                at = parents.get(phase).copied().flatten();
            }
            sums[whole].0.add(utilization, seconds);
            sums[whole].1.add(memory, seconds);
        }
    });
    let means = sums.into_iter().map(|(utilization, memory)| Means {
        utilization_pct: utilization.mean(),
        memory_bytes: memory.mean(),
    });
    (means.collect(), state.memory_used_bytes.iter().copied().flatten().max())
}

/// The time each reading stands for. Ascending; an empty cell where two readings bear one time.
fn cells(state: &StateStream) -> Vec<(i64, i64)> {
    let times: Vec<i64> = state.times.t.iter().map(|t| t.as_nanos()).collect();
    let mut gaps: Vec<i64> = times.windows(2).map(|p| p[1] - p[0]).collect();
    gaps.sort_unstable();
    let usual = gaps.get(gaps.len() / 2).copied().unwrap_or(1_000_000_000).max(1);
    let half = |gap: i64| if gap > HOLE * usual { usual / 2 } else { gap / 2 };
    (0..times.len())
        .map(|i| {
            let before = i.checked_sub(1).map_or(usual, |j| times[i] - times[j]);
            let after = times.get(i + 1).map_or(usual, |t| t - times[i]);
            (times[i] - half(before.max(0)), times[i] + half(after.max(0)))
        })
        .collect()
}
