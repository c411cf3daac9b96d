//! Counts, wall time and work of each phase over all ranks.
//!
//! Wall time is the union over ranks; samples and tokens add up; the count is the most of any rank. All in whole nanoseconds.

use crate::model::span::Spans;
use crate::model::time::Interval;

/// What a phase did.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Work {
    pub count: u64,
    pub wall_ns: i64,
    pub samples: Option<u64>,
    pub tokens: Option<u64>,
}

/// A union of intervals that come sorted by start.
#[derive(Debug, Clone, Copy, Default)]
struct Union {
    reached: Option<i64>,
    nanos: i64,
}

impl Union {
    fn add(&mut self, interval: Interval) {
        let (start, end) = (interval.start.as_nanos(), interval.end.as_nanos());
        let from = self.reached.map_or(start, |reached| reached.max(start));
        self.nanos += (end - from).max(0);
        self.reached = Some(self.reached.map_or(end, |reached| reached.max(end)));
    }
}

fn sum(known: Option<u64>, more: Option<u64>) -> Option<u64> {
    more.map_or(known, |more| Some(known.unwrap_or(0).saturating_add(more)))
}

/// Work of every phase, in the order of `spans.phases`.
pub fn collect(spans: &Spans) -> Vec<Work> {
    let phases = spans.phases.len();
    let mut work = vec![Work::default(); phases];
    let mut unions = vec![Union::default(); phases];
    let mut counts = vec![0_u64; phases * spans.ranks.len()];
    for instance in &spans.instances {
        let phase = instance.phase.0;
        unions[phase].add(instance.interval);
        work[phase].samples = sum(work[phase].samples, instance.samples);
        work[phase].tokens = sum(work[phase].tokens, instance.tokens);
        if let Ok(rank) = spans.ranks.binary_search_by_key(&instance.rank, |r| r.rank) {
            counts[rank * phases + phase] += 1;
        }
    }
    for (phase, work) in work.iter_mut().enumerate() {
        work.wall_ns = unions[phase].nanos;
        work.count = counts.iter().skip(phase).step_by(phases).copied().max().unwrap_or(0);
    }
    work
}

/// Nanoseconds in which different phases at the top ran at once (several ranks).
pub fn overlap_of_tops(spans: &Spans) -> i64 {
    let mut each = vec![Union::default(); spans.phases.len()];
    let mut all = Union::default();
    for instance in spans.instances.iter().filter(|i| spans.phases[i.phase.0].depth == 0) {
        each[instance.phase.0].add(instance.interval);
        all.add(instance.interval);
    }
    each.iter().map(|u| u.nanos).sum::<i64>() - all.nanos
}

/// Nanoseconds in which no rank was in any phase.
pub fn outside_nanos(spans: &Spans, run: Interval) -> i64 {
    let mut all = Union::default();
    for instance in spans.instances.iter().filter(|i| spans.phases[i.phase.0].depth == 0) {
        all.add(instance.interval);
    }
    run.nanos() - all.nanos
}
