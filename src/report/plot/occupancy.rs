//! Which phases fill each column of the picture, and by how much: a million steps in a thousand columns, each with its due.
//!
//! A column that lies inside one phase is full of it; one that holds many short phases shows the share of each, as the stack of an
//! area chart does. Several ranks share a column equally.

use std::collections::BTreeMap;

use crate::model::span::Spans;
use crate::model::time::Timestamp;

/// Parts of one column by phase (position in [`Spans::phases`]); together at most 1, the rest belongs to no phase.
pub type Parts = BTreeMap<usize, f64>;

/// Neighbouring columns that look the same.
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    pub from: usize,
    /// One behind the last column.
    pub to: usize,
    /// Phase and its part in `levels` steps, in the order of the tree.
    pub parts: Vec<(usize, u32)>,
}

/// The columns of one depth of the tree between `from` and `to` seconds after `origin`.
pub fn columns(spans: &Spans, depth: usize, origin: Timestamp, to: f64, columns: usize) -> Vec<Parts> {
    let mut out = vec![Parts::new(); columns];
    let ranks = spans.ranks.len().max(1) as f64;
    let per_second = columns as f64 / to;
    let at_depth = spans
        .instances
        .iter()
        .filter(|i| spans.phases.get(i.phase.0).is_some_and(|p| p.depth == depth));
    for instance in at_depth {
        let edge = |t: Timestamp| (t.seconds_since(origin) * per_second).clamp(0.0, columns as f64);
        let (start, end) = (edge(instance.interval.start), edge(instance.interval.end));
        for (i, parts) in out
            .iter_mut()
            .enumerate()
            .take(end.ceil() as usize)
            .skip(start as usize)
        {
            let covered = end.min(i as f64 + 1.0) - start.max(i as f64);
            if covered > 0.0 {
                *parts.entry(instance.phase.0).or_default() += covered / ranks;
            }
        }
    }
    out
}

/// Columns at the edge of empty ones made full or empty: a phase that begins within a column begins at its nearer side. A phase
/// that is shorter than a column, alone between empty ones, fills its column, so that it can be seen.
pub fn squared(columns: &[Parts]) -> Vec<Parts> {
    let empty = |i: usize| columns.get(i).is_none_or(Parts::is_empty);
    let square = |(i, parts): (usize, &Parts)| {
        let (left, right) = (i == 0 || empty(i - 1), empty(i + 1));
        let sum: f64 = parts.values().sum();
        match (left, right) {
            (false, false) => parts.clone(),
            (true, false) | (false, true) if sum < 0.5 => Parts::new(),
            _ => parts.iter().map(|(&phase, part)| (phase, part / sum)).collect(),
        }
    };
    columns.iter().enumerate().map(square).collect()
}

/// Columns rounded to `levels` steps, equal neighbours put together. Empty ones are left out.
pub fn runs(columns: &[Parts], levels: u32) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    for (i, parts) in columns.iter().enumerate() {
        let parts = rounded(parts, levels);
        match runs.last_mut() {
            Some(run) if run.to == i && run.parts == parts => run.to = i + 1,
            _ if parts.is_empty() => {}
            _ => runs.push(Run {
                from: i,
                to: i + 1,
                parts,
            }),
        }
    }
    runs
}

/// Cumulative rounding: the parts together are as high as their sum rounded.
fn rounded(parts: &Parts, levels: u32) -> Vec<(usize, u32)> {
    let (mut sum, mut used) = (0.0, 0);
    let steps = parts.iter().map(|(&phase, &part)| {
        sum += part;
        let upto = (sum.min(1.0) * f64::from(levels)).round() as u32;
        let step = upto.saturating_sub(used);
        used = upto;
        (phase, step)
    });
    steps.filter(|(_, step)| *step > 0).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::span::{Phase, PhaseIndex, SpanInstance};
    use crate::model::time::Interval;

    fn spans(stretches: &[(usize, f64, f64)]) -> Spans {
        let name = |i: usize| Phase {
            path: format!("p{i}"),
            name: format!("p{i}"),
            parent: None,
            depth: 0,
        };
        let nanos = |s: f64| Timestamp::from_nanos((s * 1e9) as i64);
        Spans {
            phases: (0..3).map(name).collect(),
            instances: stretches
                .iter()
                .map(|&(phase, from, to)| SpanInstance {
                    phase: PhaseIndex(phase),
                    rank: 0,
                    interval: Interval::new(nanos(from), nanos(to)),
                    index: None,
                    samples: None,
                    tokens: None,
                    closed: true,
                    cut: false,
                })
                .collect(),
            ..Spans::default()
        }
    }

    #[test]
    fn short_phases_show_their_share_and_long_ones_fill() {
        let spans = spans(&[
            (0, 0.0, 5.0),
            (1, 5.0, 5.25),
            (2, 5.25, 6.0),
            (1, 6.0, 6.25),
            (2, 6.25, 7.0),
        ]);
        let columns = columns(&spans, 0, Timestamp::from_nanos(0), 10.0, 10);
        let runs = runs(&columns, 16);
        let shown: Vec<_> = runs.iter().map(|r| (r.from, r.to, r.parts.clone())).collect();
        assert_eq!(shown, [(0, 5, vec![(0, 16)]), (5, 7, vec![(1, 4), (2, 12)])]);
    }

    #[test]
    fn edges_are_square_and_the_shortest_phase_is_seen() {
        let columns = columns(
            &spans(&[(0, 1.4, 3.3), (1, 8.01, 8.02)]),
            0,
            Timestamp::from_nanos(0),
            10.0,
            10,
        );
        let runs = runs(&squared(&columns), 16);
        let shown: Vec<_> = runs.iter().map(|r| (r.from, r.to, r.parts.clone())).collect();
        assert_eq!(shown, [(1, 3, vec![(0, 16)]), (8, 9, vec![(1, 16)])]);
    }

    #[test]
    fn spans_outside_the_run_are_cut() {
        let columns = columns(
            &spans(&[(0, -5.0, 0.5), (1, 9.5, 99.0)]),
            0,
            Timestamp::from_nanos(0),
            10.0,
            10,
        );
        assert_eq!(columns[0][&0], 0.5);
        assert_eq!(columns[9][&1], 0.5);
        assert!(columns[1..9].iter().all(Parts::is_empty));
    }
}
