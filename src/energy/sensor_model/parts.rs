//! Phases in parts: where the power inside a phase has a shape that repeats, one mean power for it does not explain the readings.
//!
//! Each execution of a phase is cut into up to four parts of equal length, and the parts are fitted as phases of their own; what is
//! reported is their sum. How far they may differ from their phase, `shapes` finds: more unknowns cost precision.
//!
//! ```text
//! phase   |forward------------|backward----------------|
//! parts   | f1   | f2  | f3   | b1  | b2   | b3  | b4   |
//! ```

use crate::energy::timeline::Timeline;

use super::fit::{Setting, Siblings};
use super::matrix::Symmetric;

/// No part shorter than this, seconds: what is shorter, ramps stand for.
const SHORTEST_S: f64 = 1e-3;
const MOST: usize = 4;
/// A phase that ran less often shows no shape.
const REPEATED: u64 = 12;
/// Rows for each unknown.
const ROWS_PER_PART: usize = 30;
/// With more segments than this the finer timeline would cost more memory than it is worth.
const LONGEST_RUN: usize = 2_000_000;

/// A finer timeline, and which leaf each of its own belongs to.
pub struct Parts {
    pub timeline: Timeline,
    pub seconds: Vec<f64>,
    of: Vec<usize>,
    leaves: usize,
}

/// Cut the leaves, if there is something to cut and `rows` readings can bear it.
pub fn cut(timeline: &Timeline, seconds: &[f64], rows: usize) -> Option<Parts> {
    // Ranks in different phases at once have no common parts.
    let alone = timeline.states.len() <= LONGEST_RUN && timeline.table.iter().all(|shares| shares.len() == 1);
    if !alone {
        return None;
    }
    let segments = timeline.segments();
    let pieces = |most: usize| -> Vec<usize> {
        let of = |leaf: usize| {
            let each = seconds[leaf] / segments[leaf].max(1) as f64;
            let repeated = segments[leaf] >= REPEATED && leaf != timeline.outside();
            if repeated {
                ((each / SHORTEST_S) as usize).clamp(1, most)
            } else {
                1
            }
        };
        (0..timeline.leaves).map(of).collect()
    };
    // As many as the readings can bear.
    let bearable = |pieces: &Vec<usize>| pieces.iter().sum::<usize>() * ROWS_PER_PART <= rows;
    let pieces = (2..=MOST).rev().map(pieces).find(bearable)?;
    let first: Vec<usize> = pieces
        .iter()
        .scan(0, |at, &n| Some(std::mem::replace(at, *at + n)))
        .collect();
    let of: Vec<usize> = (0..timeline.leaves).flat_map(|leaf| vec![leaf; pieces[leaf]]).collect();
    if of.len() == timeline.leaves {
        return None;
    }
    let mut finer = Timeline {
        edges: vec![timeline.edges[0]],
        states: Vec::new(),
        table: (0..of.len()).map(|part| vec![(part, 1.0)]).collect(),
        leaves: of.len(),
    };
    let mut part_s = vec![0.0; of.len()];
    for (i, &state) in timeline.states.iter().enumerate() {
        let leaf = timeline.table[state as usize][0].0;
        let (start, end) = (timeline.edges[i], timeline.edges[i + 1]);
        for k in 0..pieces[leaf] as i64 {
            let to = start + (end - start) * (k + 1) / pieces[leaf] as i64;
            let from = finer.edges[finer.edges.len() - 1];
            if to > from {
                let part = first[leaf] + k as usize;
                part_s[part] += (to - from) as f64 * 1e-9;
                finer.edges.push(to);
                finer.states.push(part as u32);
            }
        }
    }
    Some(Parts {
        timeline: finer,
        seconds: part_s,
        of,
        leaves: timeline.leaves,
    })
}

impl Parts {
    /// Which active leaves of `setting` are parts of one phase, if each differs from it by `relative` of the phase's power (`watts`).
    pub fn siblings(&self, setting: &Setting, watts: &[f64], relative: f64) -> Vec<Siblings> {
        let mut all: Vec<Siblings> = Vec::new();
        let active = &setting.active;
        let mut from = 0;
        for to in 1..=active.len() {
            let leaf = self.of[active[from]];
            if to == active.len() || self.of[active[to]] != leaf {
                if to > from + 1 {
                    all.push(Siblings {
                        of_active: from..to,
                        sd: relative * watts[leaf].abs().max(1.0),
                    });
                }
                from = to;
            }
        }
        all
    }

    /// The leaves' values, for each of their parts.
    pub fn spread_out(&self, leaves: &[f64]) -> Vec<f64> {
        self.of.iter().map(|&leaf| leaves[leaf]).collect()
    }

    /// What each leaf draws by the powers of its parts.
    pub fn means(&self, watts: &[f64]) -> Vec<f64> {
        let joules: Vec<f64> = watts.iter().zip(&self.seconds).map(|(w, s)| w * s).collect();
        let (joules, seconds) = (self.sums(&joules), self.sums(&self.seconds));
        joules
            .iter()
            .zip(seconds)
            .map(|(j, s)| j / s.max(f64::MIN_POSITIVE))
            .collect()
    }

    /// Sums over the parts of each leaf.
    pub fn sums(&self, parts: &[f64]) -> Vec<f64> {
        let mut sums = vec![0.0; self.leaves];
        parts
            .iter()
            .zip(&self.of)
            .for_each(|(value, &leaf)| sums[leaf] += value);
        sums
    }

    /// Covariance of those sums.
    pub fn covariance(&self, parts: &Symmetric) -> Symmetric {
        let mut sums = Symmetric::zero(self.leaves);
        for (i, &leaf) in self.of.iter().enumerate() {
            for (j, &other) in self.of.iter().enumerate() {
                sums.a[leaf * self.leaves + other] += parts.at(i, j);
            }
        }
        sums
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_cover_their_phase_and_short_ones_stay_whole() {
        // 9 ms and 2 ms, a hundred times over, then a little of nothing.
        let mut edges = vec![0];
        let mut states = Vec::new();
        for _ in 0..100 {
            for (state, ms) in [(0, 9), (1, 2)] {
                edges.push(edges[edges.len() - 1] + ms * 1_000_000);
                states.push(state);
            }
        }
        edges.push(edges[edges.len() - 1] + 5_000_000);
        states.push(2);
        let timeline = Timeline {
            edges,
            states,
            table: (0..3).map(|leaf| vec![(leaf, 1.0)]).collect(),
            leaves: 3,
        };
        // As many as the readings can bear: two of the longer phase for 150.
        let fewer = cut(&timeline, &[0.9, 0.2, 0.005], 150).expect("parts");
        assert_eq!(fewer.of, [0, 0, 1, 1, 2]);
        let parts = cut(&timeline, &[0.9, 0.2, 0.005], 1000).expect("parts");
        assert_eq!(parts.timeline.leaves, 7);
        assert_eq!(parts.of, [0, 0, 0, 0, 1, 1, 2]);
        let whole = parts.sums(&parts.seconds);
        assert!((whole[0] - 0.9).abs() < 1e-9 && (whole[1] - 0.2).abs() < 1e-9 && (whole[2] - 0.005).abs() < 1e-9);
        assert!(cut(&timeline, &[0.9, 0.2, 0.005], 120).is_none());
    }
}
