//! What a first-order low pass shows of who ran when: the share of each leaf in an exponentially weighted mean of the past.
//!
//! With the time constant r and the share 1_p(t) that leaf p has of the time,
//!
//! ```text
//! L_p(t) = integral of 1_p(t - a) exp(-a / r) / r over all ages a        sum over p: 1
//! ```
//!
//! From one edge of the timeline to the next it decays toward the segment's own shares, so what it is at every edge takes one walk along
//! the run. Many look-ups are answered from there; a few, far apart in a long run, each walk back as far as is remembered. Times and time
//! constants are seconds; before and after the run the device is outside every phase.

use std::cell::OnceCell;
use std::sync::Arc;

use crate::energy::timeline::{Share, Timeline};

use super::held::{BUDGET, Held};
use super::overlap::{Cursor, Overlap};

/// What it shows is kept for every so many edges at least: from there to a look-up is a short walk.
const STRIDE: usize = 8;
/// What lies further back than this many time constants is as good as forgotten.
const FORGOTTEN: f64 = 9.0;

pub struct LowPass<'a> {
    overlap: &'a Overlap<'a>,
    tau: f64,
    /// So many look-ups are answered faster from what it shows at edges than by walking back.
    is_asked_often: bool,
    held: OnceCell<Arc<Held>>,
}

impl<'a> LowPass<'a> {
    /// With time constant `tau`, to be looked up about so many times.
    pub fn new(overlap: &'a Overlap<'a>, tau: f64, looks: usize) -> Self {
        let timeline = overlap.timeline();
        let segments = timeline.states.len();
        let run_s = (timeline.edges[segments] - timeline.edges[0]) as f64 * 1e-9;
        let walked_back = (FORGOTTEN * tau / run_s).min(1.0) * segments as f64;
        Self {
            overlap,
            tau,
            is_asked_often: looks as f64 * walked_back > segments as f64,
            held: OnceCell::new(),
        }
    }

    pub fn tau(&self) -> f64 {
        self.tau
    }

    /// Add `weight` times what it shows, on average over `half` seconds on either side of `t`.
    pub fn add(&self, t: f64, half: f64, weight: f64, cursor: &mut Cursor, sums: &mut [f64]) {
        let edges = &self.overlap.timeline().edges;
        let nanos = self.overlap.origin() as f64 + t * 1e9;
        if half <= 0.0 {
            return self.add_at(nanos, weight, cursor, sums);
        }
        let (from, to) = (nanos - half * 1e9, nanos + half * 1e9);
        let box_s = 2.0 * half;
        // How much of the mean lies further back than a time in the box.
        let older = |at: f64| {
            let age = (to - at) * 1e-9;
            1.0 - (age - self.tau * (1.0 - (-age / self.tau).exp())) / box_s
        };
        let mut before = older(from);
        self.add_at(from, weight * before, cursor, sums);
        let (first, last) = (edges[0] as f64, edges[edges.len() - 1] as f64);
        let outside = sums.len() - 1;
        // Each stretch begins where the one before it ended.
        let mut after = |shares: &[Share], end: f64| {
            let reached = older(end);
            for &(leaf, share) in shares {
                sums[leaf] += weight * share * (reached - before);
            }
            before = reached;
        };
        if from < first {
            after(&[(outside, 1.0)], first.min(to));
        }
        for i in cursor.segment()..edges.len() - 1 {
            let (start, end) = ((edges[i] as f64).max(from), (edges[i + 1] as f64).min(to));
            if start >= to {
                break;
            }
            if end > start {
                after(self.overlap.shares(i), end);
            }
        }
        if to > last {
            after(&[(outside, 1.0)], to);
        }
    }

    /// Add `weight` times what it shows at nanosecond `at`.
    fn add_at(&self, at: f64, weight: f64, cursor: &mut Cursor, sums: &mut [f64]) {
        let edges = &self.overlap.timeline().edges;
        let (first, last) = (edges[0] as f64, edges[edges.len() - 1] as f64);
        let outside = sums.len() - 1;
        self.overlap.seek(at as i64, cursor);
        if at <= first || edges.len() == 1 {
            sums[outside] += weight;
            return;
        }
        let mut weight = weight;
        if at > last {
            let left = weight * self.left(at - last);
            sums[outside] += weight - left;
            weight = left;
        }
        let at = at.min(last);
        if self.is_asked_often {
            let make = || Held::new(self, Held::stride(self.overlap));
            let held = self.held.get_or_init(|| self.overlap.low_passes.of(self.tau, make));
            self.add_held(held, at, weight, cursor.segment(), sums);
        } else {
            self.add_back(at, weight, cursor.segment(), sums);
        }
    }

    /// From what is held at the edge before; `at` lies in `segment`.
    fn add_held(&self, held: &Held, at: f64, weight: f64, segment: usize, sums: &mut [f64]) {
        let edges = &self.overlap.timeline().edges;
        let row = segment / held.stride;
        let mut newer = weight;
        // From the newest to the oldest, as in `add_back`: each has what the newer ones leave.
        for i in (row * held.stride..=segment).rev() {
            let end = if i == segment { at } else { edges[i + 1] as f64 };
            newer = self.part(i, end - edges[i] as f64, newer, sums);
        }
        let shares = &held.shares[row * sums.len()..];
        sums.iter_mut()
            .zip(shares)
            .for_each(|(sum, share)| *sum += newer * share);
    }

    /// Back from `at` in `segment`, as far as is remembered.
    fn add_back(&self, at: f64, weight: f64, segment: usize, sums: &mut [f64]) {
        let edges = &self.overlap.timeline().edges;
        let forgotten = weight.abs() * (-FORGOTTEN).exp();
        let mut newer = weight;
        for i in (0..=segment).rev() {
            let end = if i == segment { at } else { edges[i + 1] as f64 };
            newer = self.part(i, end - edges[i] as f64, newer, sums);
            if newer.abs() < forgotten {
                break;
            }
        }
        let outside = sums.len() - 1;
        sums[outside] += newer;
    }

    /// Add what the last `nanos` of a segment have of `newer`; returns what is left for the time before.
    fn part(&self, segment: usize, nanos: f64, newer: f64, sums: &mut [f64]) -> f64 {
        let older = newer * self.left(nanos);
        for &(leaf, share) in self.overlap.shares(segment) {
            sums[leaf] += share * (newer - older);
        }
        older
    }

    fn left(&self, nanos: f64) -> f64 {
        decay(nanos * 1e-9 / self.tau)
    }
}

impl Held {
    fn new(low_pass: &LowPass, stride: usize) -> Self {
        let timeline = low_pass.overlap.timeline();
        let (segments, leaves) = (timeline.states.len(), timeline.leaves);
        let mut shares = vec![0.0; segments.div_ceil(stride) * leaves];
        let Some(first) = shares.get_mut(..leaves) else {
            let tau = low_pass.tau;
            return Self { tau, shares, stride };
        };
        first[leaves - 1] = 1.0;
        let rows = segments.div_ceil(stride);
        for row in 1..rows {
            let (before, own) = shares[(row - 1) * leaves..(row + 1) * leaves].split_at_mut(leaves);
            let mut left = 1.0;
            for i in ((row - 1) * stride..row * stride).rev() {
                let nanos = (timeline.edges[i + 1] - timeline.edges[i]) as f64;
                left = low_pass.part(i, nanos, left, own);
            }
            own.iter_mut()
                .zip(before)
                .for_each(|(own, before)| *own += left * *before);
        }
        Self {
            tau: low_pass.tau,
            shares,
            stride,
        }
    }

    /// Edges between those that are kept.
    fn stride(overlap: &Overlap) -> usize {
        let timeline = overlap.timeline();
        (timeline.states.len() * timeline.leaves).div_ceil(BUDGET).max(STRIDE)
    }
}

/// How many designs may hold what theirs show at once: all together no more than one of the largest. Each has two low passes.
pub fn most_at_once(timeline: &Timeline) -> usize {
    let held = 2 * (timeline.states.len() * timeline.leaves / STRIDE).max(1);
    (BUDGET / held).max(1)
}

/// exp(-x) for x >= 0, to 4e-10: most are asked for the short segments of a timeline, where a few terms of the series do.
fn decay(x: f64) -> f64 {
    if x < 0.25 {
        1.0 - x
            * (1.0 - x / 2.0 * (1.0 - x / 3.0 * (1.0 - x / 4.0 * (1.0 - x / 5.0 * (1.0 - x / 6.0 * (1.0 - x / 7.0))))))
    } else {
        (-x).exp()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::energy::sensor_model::overlap::tests::{BOXES, timeline};

    const FEW: usize = 0;
    const MANY: usize = 1000;

    fn shown(low_pass: &LowPass, t: f64, half: f64, near: usize) -> Vec<f64> {
        let mut sums = vec![0.0; 3];
        low_pass.add(t, half, 1.0, &mut Cursor::at(near), &mut sums);
        sums
    }

    fn off(a: &[f64], b: &[f64]) -> f64 {
        a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
    }

    #[test]
    fn it_forgets_at_its_rate_and_loses_nothing() {
        let timeline = timeline();
        let overlap = Overlap::new(&timeline);
        for looks in [FEW, MANY] {
            let low_pass = LowPass::new(&overlap, 0.7, looks);
            assert_eq!(low_pass.is_asked_often, looks == MANY);
            for t in [-1.0, 0.0, 0.3, 17.99, 40.0, 41.5] {
                for half in [0.0, 0.4, 3.0] {
                    let sums = shown(&low_pass, t, half, 17);
                    assert!((sums.iter().sum::<f64>() - 1.0).abs() < 1e-9, "{t} {half} {sums:?}");
                }
            }
            // Half a second into the segment of leaves 0 and 1, after one of leaf 0.
            let sums = shown(&LowPass::new(&overlap, 0.5, looks), 1.5, 0.0, 30);
            assert!((sums[1] - 0.5 * (1.0 - (-1.0_f64).exp())).abs() < 1e-9, "{sums:?}");
            // Half a second after the run: of its seconds, the last and every third before it were leaf 0's, and half of the one before the
            // last but one and of every third before that.
            let sums = shown(&LowPass::new(&overlap, 0.5, looks), 40.5, 0.0, 30);
            let second = (-2.0_f64).exp();
            let at_end = (1.0 - second) * (1.0 + 0.5 * second.powi(2)) / (1.0 - second.powi(3));
            assert!(
                (sums[0] - (-1.0_f64).exp() * at_end).abs() < (-FORGOTTEN).exp(),
                "{sums:?} {at_end}"
            );
        }
    }

    #[test]
    fn what_is_held_at_edges_is_what_walking_back_finds() {
        let timeline = timeline();
        let overlap = Overlap::new(&timeline);
        let dense = LowPass::new(&overlap, 2.5, MANY);
        let _ = dense.held.set(Arc::new(Held::new(&dense, 1)));
        let walking = LowPass::new(&overlap, 2.5, FEW);
        for low_pass in [&LowPass::new(&overlap, 2.5, MANY), &dense] {
            assert!(low_pass.is_asked_often && !walking.is_asked_often);
            for i in -20_i32..440 {
                let (t, half) = (0.1 * f64::from(i), 0.37 * f64::from(i.rem_euclid(5)));
                let (held, walked) = (shown(low_pass, t, half, 3), shown(&walking, t, half, 30));
                // What is forgotten counts for the time outside all phases.
                assert!(
                    off(&held, &walked) < 1.5 * (-FORGOTTEN).exp(),
                    "{t}: {held:?} {walked:?}"
                );
            }
        }
    }

    #[test]
    fn the_mean_over_a_box_is_that_of_look_ups_all_over_it() {
        let timeline = timeline();
        let overlap = Overlap::new(&timeline);
        let low_pass = LowPass::new(&overlap, 0.4, MANY);
        for (t, half) in BOXES {
            const LOOKS: u32 = 20_000;
            let mut one_by_one = vec![0.0; 3];
            for i in 0..LOOKS {
                let at = t + half * (f64::from(2 * i + 1) / f64::from(LOOKS) - 1.0);
                low_pass.add(at, 0.0, 1.0 / f64::from(LOOKS), &mut Cursor::at(0), &mut one_by_one);
            }
            let all = shown(&low_pass, t, half, 17);
            assert!(off(&all, &one_by_one) < 1e-4, "{t} {half}: {all:?} {one_by_one:?}");
        }
    }

    #[test]
    fn a_decay_is_an_exponential() {
        for i in 0..400 {
            let x = 0.01 * f64::from(i);
            assert!((decay(x) - (-x).exp()).abs() < 4e-10, "{x}");
        }
    }
}
