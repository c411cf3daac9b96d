//! Running overlap: how many seconds each leaf had up to any time, exactly.
//!
//! A(t) is piecewise linear with its knees at the timeline's edges. Prefix sums are kept at every few edges only, so that memory stays
//! bounded with 10^7 segments; a look-up walks the few segments between. Times are seconds since the run began.

use crate::energy::timeline::{Share, Timeline};

use super::held::{BUDGET, Recent};

pub struct Overlap<'a> {
    timeline: &'a Timeline,
    origin: i64,
    stride: usize,
    /// Row i: seconds of each leaf up to edge `i * stride`.
    prefix: Vec<f64>,
    leaves: usize,
    /// What low passes of its timeline showed.
    pub low_passes: Recent,
}

/// Where the last look-up was: the next is usually near.
#[derive(Debug, Clone, Copy, Default)]
pub struct Cursor(usize);

impl Cursor {
    #[cfg(test)]
    pub fn at(segment: usize) -> Self {
        Self(segment)
    }

    pub fn segment(self) -> usize {
        self.0
    }
}

impl<'a> Overlap<'a> {
    pub fn leaves(&self) -> usize {
        self.leaves
    }

    pub fn new(timeline: &'a Timeline) -> Self {
        let leaves = timeline.leaves;
        let segments = timeline.states.len();
        let stride = (segments * leaves).div_ceil(BUDGET).max(1);
        let mut prefix = Vec::with_capacity((segments / stride + 2) * leaves);
        let mut sums = vec![0.0; leaves];
        for segment in 0..segments {
            if segment % stride == 0 {
                prefix.extend_from_slice(&sums);
            }
            let seconds = (timeline.edges[segment + 1] - timeline.edges[segment]) as f64 * 1e-9;
            for &(leaf, share) in &timeline.table[timeline.states[segment] as usize] {
                sums[leaf] += seconds * share;
            }
        }
        Self {
            origin: timeline.edges[0],
            timeline,
            stride,
            prefix,
            leaves,
            low_passes: Recent::default(),
        }
    }

    pub fn timeline(&self) -> &'a Timeline {
        self.timeline
    }

    /// Add `weight` times A(t) to `sums`. Before and after the run the device is outside every phase.
    pub fn add(&self, t: f64, weight: f64, cursor: &mut Cursor, sums: &mut [f64]) {
        let edges = &self.timeline.edges;
        let Some(last) = self.timeline.states.len().checked_sub(1) else {
            return;
        };
        let outside = self.leaves - 1;
        let nanos = self.origin as f64 + t * 1e9;
        let at = nanos as i64;
        if at <= edges[0] {
            sums[outside] += weight * t;
            cursor.0 = 0;
            return;
        }
        let segment = if at >= edges[last + 1] {
            sums[outside] += weight * (nanos - edges[last + 1] as f64) * 1e-9;
            last
        } else {
            self.find(at, cursor.0.min(last))
        };
        cursor.0 = segment;
        // Nearly always 1, and a division takes as long as the rest.
        let row = if self.stride == 1 {
            segment
        } else {
            segment / self.stride
        };
        for (sum, prefix) in sums.iter_mut().zip(&self.prefix[row * self.leaves..]).take(self.leaves) {
            *sum += weight * prefix;
        }
        for i in row * self.stride..=segment {
            let end = if i == segment {
                nanos.min(edges[i + 1] as f64)
            } else {
                edges[i + 1] as f64
            };
            let seconds = (end - edges[i] as f64) * 1e-9;
            for &(leaf, share) in &self.timeline.table[self.timeline.states[i] as usize] {
                sums[leaf] += weight * share * seconds;
            }
        }
    }

    /// Add `weight` times the mean of A over `half` seconds on either side of `t`: a second of a leaf that lies in that box counts for
    /// the share of the box that comes after it.
    pub fn add_mean(&self, t: f64, half: f64, weight: f64, cursor: &mut Cursor, sums: &mut [f64]) {
        let (from, to) = (t - half, t + half);
        self.add(from, weight, cursor, sums);
        let mut after = |leaf: usize, share: f64, start: f64, end: f64| {
            sums[leaf] += weight * share * (end - start) * (to - 0.5 * (start + end)) / (to - from);
        };
        let since = |edge: i64| (edge - self.origin) as f64 * 1e-9;
        let (outside, edges) = (self.leaves - 1, &self.timeline.edges);
        let (first, last) = (since(edges[0]), since(edges[edges.len() - 1]));
        if from < first {
            after(outside, 1.0, from, first.min(to));
        }
        for i in cursor.0..self.timeline.states.len() {
            let (start, end) = (since(edges[i]).max(from), since(edges[i + 1]).min(to));
            if start >= to {
                break;
            }
            if end <= start {
                continue;
            }
            for &(leaf, share) in &self.timeline.table[self.timeline.states[i] as usize] {
                after(leaf, share, start, end);
            }
        }
        if to > last {
            after(outside, 1.0, last.max(from), to);
        }
    }

    /// Shares of a segment.
    pub fn shares(&self, segment: usize) -> &'a [Share] {
        &self.timeline.table[self.timeline.states[segment] as usize]
    }

    /// Nanosecond of the run's beginning.
    pub fn origin(&self) -> i64 {
        self.origin
    }

    /// Move the cursor to the segment that holds nanosecond `at`, or is nearest to it.
    pub fn seek(&self, at: i64, cursor: &mut Cursor) {
        let edges = &self.timeline.edges;
        let Some(last) = self.timeline.states.len().checked_sub(1) else {
            return;
        };
        let at = at.clamp(edges[0], edges[last + 1] - 1);
        cursor.0 = self.find(at, cursor.0.min(last));
    }

    /// The segment that holds `at`, searched outward from `near`.
    fn find(&self, at: i64, near: usize) -> usize {
        let edges = &self.timeline.edges;
        let (mut low, mut high) = (near, near + 1);
        let mut step = 1;
        while edges[low] > at {
            high = low;
            low = low.saturating_sub(step);
            step *= 2;
        }
        step = 1;
        while high < edges.len() && edges[high] <= at {
            low = high;
            high = (high + step).min(edges.len());
            step *= 2;
        }
        let high = high.min(edges.len() - 1);
        low + edges[low..=high].partition_point(|&e| e <= at).saturating_sub(1)
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// Where a box lies and half its width, seconds: inside a segment, over several, over the run's ends, around it, behind it.
    pub const BOXES: [(f64, f64); 6] = [
        (4.5, 0.2),
        (4.9, 3.3),
        (0.4, 1.0),
        (39.8, 2.5),
        (20.0, 30.0),
        (50.0, 1.0),
    ];

    /// 40 s in segments of a second: leaf 0, half of leaf 0 and half of 1, leaf 2.
    pub fn timeline() -> Timeline {
        Timeline {
            edges: (0..=40).map(|i| i * 1_000_000_000).collect(),
            states: (0..40).map(|i| i % 3).collect(),
            table: vec![vec![(0, 1.0)], vec![(1, 0.5), (0, 0.5)], vec![(2, 1.0)]],
            leaves: 3,
        }
    }

    #[test]
    fn the_mean_over_a_box_is_that_of_look_ups_all_over_it() {
        let timeline = timeline();
        let overlap = Overlap::new(&timeline);
        for (t, half) in BOXES {
            let (mut mean, mut looked_up) = (vec![0.0; 3], vec![0.0; 3]);
            overlap.add_mean(t, half, 2.0, &mut Cursor(17), &mut mean);
            const LOOKS: u32 = 20_000;
            for i in 0..LOOKS {
                let at = t + half * (f64::from(2 * i + 1) / f64::from(LOOKS) - 1.0);
                let weight = 2.0 / f64::from(LOOKS);
                overlap.add(at, weight, &mut Cursor::default(), &mut looked_up);
            }
            let off = mean.iter().zip(&looked_up).map(|(a, b)| (a - b).abs());
            assert!(off.fold(0.0, f64::max) < 2e-4, "{t} {half}: {mean:?} {looked_up:?}");
        }
    }

    #[test]
    fn every_second_belongs_to_a_leaf_wherever_it_is_looked_up() {
        let timeline = timeline();
        let overlap = Overlap::new(&timeline);
        for near in [0, 7, 39] {
            for t in [0.0, 0.25, 1.0, 4.5, 17.99, 39.5, 40.0, 41.5] {
                let mut sums = vec![0.0; 3];
                overlap.add(t, 1.0, &mut Cursor(near), &mut sums);
                assert!((sums.iter().sum::<f64>() - t).abs() < 1e-9, "{t} {sums:?}");
            }
        }
        let mut sums = vec![0.0; 3];
        overlap.add(4.5, 1.0, &mut Cursor::default(), &mut sums);
        assert_eq!(sums, [2.75, 0.75, 1.0]);
    }
}
