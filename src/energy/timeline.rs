//! Who ran when: a run cut into segments, each with the phases it counts for.
//!
//! Owns the merging of ranks. A segment counts for the *innermost* open phase of each rank; what a phase draws apart from the phases
//! inside it is its own leaf, and time outside every phase is one leaf more. So the leaves cover the run without overlap, and every
//! sum over the tree is a sum over leaves.
//!
//! ```text
//! rank 0  |train------|step-----|step-----|train|
//! rank 1      |train-----|step------|step-----------|
//! shared  | 0 |  0,1  | ...  each of the ranks that are in a phase gets an equal share of the time
//! ```
//!
//! Invariants: `edges` ascends strictly, the shares of each state add up to 1.

use std::collections::HashMap;

use crate::model::span::Spans;
use crate::model::time::Interval;

/// A leaf and the share of the time it gets.
pub type Share = (usize, f64);

#[derive(Debug, Clone, PartialEq)]
pub struct Timeline {
    /// Nanoseconds; segment `i` is `edges[i]..edges[i + 1]`.
    pub edges: Vec<i64>,
    /// Which row of `table` each segment is in.
    pub states: Vec<u32>,
    pub table: Vec<Vec<Share>>,
    /// One leaf per phase, and the last for the time outside every phase.
    pub leaves: usize,
}

/// Segments of one rank: from each time on, this leaf.
struct Track {
    starts: Vec<i64>,
    leaves: Vec<u32>,
}

impl Timeline {
    /// The segments of `run` as the given ranks' spans cut it.
    pub fn new(spans: &Spans, run: Interval, ranks: &[u32]) -> Self {
        let outside = spans.phases.len();
        let tracks: Vec<Track> = ranks.iter().map(|&rank| track(spans, run, rank)).collect();
        let mut timeline = Self {
            edges: vec![run.start.as_nanos()],
            states: Vec::new(),
            table: Vec::new(),
            leaves: outside + 1,
        };
        match tracks.as_slice() {
            [one] => timeline.follow(one, run, outside),
            many => timeline.merge(many, run, outside),
        }
        timeline
    }

    /// The leaf of the time outside every phase.
    pub fn outside(&self) -> usize {
        self.leaves - 1
    }

    /// What each state of the table draws if the leaves draw `powers`, watts.
    pub fn watts(&self, powers: &[f64]) -> Vec<f64> {
        let of = |shares: &Vec<(usize, f64)>| shares.iter().map(|&(leaf, share)| share * powers[leaf]).sum();
        self.table.iter().map(of).collect()
    }

    /// In how many separate segments each leaf has a share.
    pub fn segments(&self) -> Vec<u64> {
        let mut counts = vec![0; self.leaves];
        for &state in &self.states {
            self.table[state as usize]
                .iter()
                .for_each(|&(leaf, _)| counts[leaf] += 1);
        }
        counts
    }

    fn follow(&mut self, track: &Track, run: Interval, outside: usize) {
        self.table = (0..=outside).map(|leaf| vec![(leaf, 1.0)]).collect();
        for (i, &leaf) in track.leaves.iter().enumerate() {
            let end = track.starts.get(i + 1).copied().unwrap_or(run.end.as_nanos());
            self.push(end, leaf);
        }
    }

    fn merge(&mut self, tracks: &[Track], run: Interval, outside: usize) {
        let mut known: HashMap<Vec<u32>, u32> = HashMap::new();
        let mut at = vec![0_usize; tracks.len()];
        let mut now = run.start.as_nanos();
        while now < run.end.as_nanos() {
            let mut next = run.end.as_nanos();
            for (track, position) in tracks.iter().zip(&mut at) {
                while track.starts.get(*position + 1).is_some_and(|&start| start <= now) {
                    *position += 1;
                }
                next = next.min(track.starts.get(*position + 1).copied().unwrap_or(next));
            }
            let mut combination: Vec<u32> = tracks.iter().zip(&at).map(|(track, &i)| track.leaves[i]).collect();
            combination.sort_unstable();
            let table = &mut self.table;
            let state = *known.entry(combination).or_insert_with_key(|combination| {
                table.push(shares(combination, outside));
                (table.len() - 1) as u32
            });
            self.push(next, state);
            now = next;
        }
    }

    /// Append a segment, joined to the last where they are alike.
    fn push(&mut self, end: i64, state: u32) {
        let start = self.edges[self.edges.len() - 1];
        if end <= start {
            return;
        }
        if self.states.last() == Some(&state) {
            let last = self.edges.len() - 1;
            self.edges[last] = end;
        } else {
            self.edges.push(end);
            self.states.push(state);
        }
    }
}

/// Equal shares for the ranks that are in a phase; outside only where none is.
fn shares(combination: &[u32], outside: usize) -> Vec<Share> {
    let inside: Vec<usize> = combination
        .iter()
        .map(|&l| l as usize)
        .filter(|&l| l != outside)
        .collect();
    if inside.is_empty() {
        return vec![(outside, 1.0)];
    }
    let mut shares: Vec<Share> = Vec::new();
    for leaf in &inside {
        match shares.iter_mut().find(|(l, _)| l == leaf) {
            Some((_, share)) => *share += 1.0 / inside.len() as f64,
            None => shares.push((*leaf, 1.0 / inside.len() as f64)),
        }
    }
    shares
}

/// The innermost phase of one rank over time.
fn track(spans: &Spans, run: Interval, rank: u32) -> Track {
    let outside = spans.phases.len() as u32;
    let mut track = Track {
        starts: vec![run.start.as_nanos()],
        leaves: vec![outside],
    };
    let mut change = |at: i64, leaf: u32| {
        if track.starts.last() == Some(&at) {
            let last = track.leaves.len() - 1;
            track.leaves[last] = leaf;
        } else {
            track.starts.push(at);
            track.leaves.push(leaf);
        }
    };
    let mut open: Vec<(i64, u32)> = Vec::new();
    for instance in spans
        .instances
        .iter()
        .filter(|i| i.rank == rank && i.interval.nanos() > 0)
    {
        let (start, end) = (instance.interval.start.as_nanos(), instance.interval.end.as_nanos());
        while let Some(&(ended, _)) = open.last().filter(|(ended, _)| *ended <= start) {
            open.pop();
            change(ended, open.last().map_or(outside, |&(_, leaf)| leaf));
        }
        open.push((end, instance.phase.0 as u32));
        change(start, instance.phase.0 as u32);
    }
    while let Some((ended, _)) = open.pop() {
        change(ended, open.last().map_or(outside, |&(_, leaf)| leaf));
    }
    track
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::energy::spans;
    use crate::model::marker::{MarkerEvent, MarkerVerb};
    use crate::model::time::Timestamp;

    fn event(t: i64, verb: MarkerVerb, name: &str, rank: u32) -> MarkerEvent {
        MarkerEvent {
            t: Timestamp::from_nanos(t),
            arrival: Timestamp::from_nanos(t),
            stamped: true,
            verb,
            rank,
            name: name.into(),
            index: None,
            samples: None,
            tokens: None,
            value: None,
            devices: None,
        }
    }

    fn run() -> Interval {
        Interval::new(Timestamp::from_nanos(0), Timestamp::from_nanos(100))
    }

    #[test]
    fn inner_time_belongs_to_the_inner_phase() {
        use MarkerVerb::{Begin, End};
        let events = [
            event(10, Begin, "a", 0),
            event(20, Begin, "b", 0),
            event(30, End, "b", 0),
            event(30, Begin, "b", 0),
            event(40, End, "b", 0),
            event(60, End, "a", 0),
        ];
        let timeline = Timeline::new(&spans(&events, run()), run(), &[0]);
        assert_eq!(timeline.edges, [0, 10, 20, 40, 60, 100]);
        assert_eq!(timeline.states, [2, 0, 1, 0, 2]);
    }

    #[test]
    fn ranks_in_different_phases_share_equally_and_an_idle_rank_takes_nothing() {
        use MarkerVerb::{Begin, End};
        let events = [
            event(0, Begin, "a", 0),
            event(50, End, "a", 0),
            event(25, Begin, "b", 1),
            event(75, End, "b", 1),
        ];
        let timeline = Timeline::new(&spans(&events, run()), run(), &[0, 1]);
        assert_eq!(timeline.edges, [0, 25, 50, 75, 100]);
        let rows: Vec<&Vec<Share>> = timeline.states.iter().map(|&s| &timeline.table[s as usize]).collect();
        assert_eq!(rows[0], &vec![(0, 1.0)]);
        assert_eq!(rows[1], &vec![(0, 0.5), (1, 0.5)]);
        assert_eq!(rows[2], &vec![(1, 1.0)]);
        assert_eq!(rows[3], &vec![(2, 1.0)]);
    }

    #[test]
    fn no_ranks_means_all_outside() {
        let timeline = Timeline::new(&Spans::default(), run(), &[]);
        assert_eq!((timeline.edges, timeline.leaves), (vec![0, 100], 1));
    }
}
