//! How the power follows its phases if rises lag by another time than falls, and what of that the readings see.
//!
//! A lag that rises and falls have in common cannot be told from a delay of the sensor. Where they differ no delay does the same: windows
//! that end between a rise and the next fall read too little for any powers of the phases. To first order in the share u by which rises
//! are slower and falls faster than their mean, a row has beside its other columns
//!
//! ```text
//! c = [G(e) - G(e - W)] / W        G(t): energy that u = 1 adds up to t, joules
//! ```
//!
//! so that u is an unknown like the others, about nothing before looking.

use crate::energy::timeline::Timeline;
use crate::energy::uncertainty::K95;

/// A rise may be so much slower than a fall, or faster (share of the mean, 95 %).
const UNEQUAL: f64 = 0.5;
/// Standard deviation of u; and where falls, or rises, take no time at all.
pub const SHARE_SD: f64 = 1.0 / K95;
pub const MOST: f64 = 1.0 / UNEQUAL;

/// Time constants of rises and falls, ms.
#[derive(Debug, Clone, Copy)]
struct Constants {
    rise: f64,
    fall: f64,
}

impl Constants {
    /// About a mean lag, by so much of what is possible.
    fn about(lag_ms: f64, u: f64) -> Self {
        Self {
            rise: (1.0 + UNEQUAL * u) * lag_ms,
            fall: (1.0 - UNEQUAL * u) * lag_ms,
        }
    }
}

/// Walks a timeline in order of time: how much more energy there has been up to then than the phases' powers say, where the power follows
/// them exponentially.
struct Follower<'a> {
    timeline: &'a Timeline,
    watts: &'a [f64],
    constants: Constants,
    segment: usize,
    /// Up to the segment's beginning, joules; what the power is above its phase's there; its time constant, seconds.
    so_far: f64,
    behind: f64,
    tau: f64,
}

impl<'a> Follower<'a> {
    /// `watts` of each state of the timeline.
    fn new(timeline: &'a Timeline, watts: &'a [f64], constants: Constants) -> Self {
        Self {
            timeline,
            watts,
            constants,
            segment: 0,
            so_far: 0.0,
            behind: 0.0,
            tau: 0.0,
        }
    }

    fn of(&self, segment: usize) -> f64 {
        self.watts[self.timeline.states[segment] as usize]
    }

    /// How much of what the power is behind at the present segment's beginning is left `seconds` later.
    fn left(&self, seconds: f64) -> f64 {
        if self.tau > 0.0 {
            (-seconds / self.tau).exp()
        } else {
            0.0
        }
    }

    /// Go on to the next segment; what the one that is left had.
    fn leave(&mut self) -> f64 {
        let (from, to) = (self.timeline.edges[self.segment], self.timeline.edges[self.segment + 1]);
        let left = self.left((to - from) as f64 * 1e-9);
        let own = self.behind * self.tau * (1.0 - left);
        self.so_far += own;
        let before = self.of(self.segment) + self.behind * left;
        self.segment += 1;
        if self.segment < self.timeline.states.len() {
            self.behind = before - self.of(self.segment);
            let Constants { rise, fall } = self.constants;
            self.tau = 1e-3 * if self.behind < 0.0 { rise } else { fall };
        }
        own
    }

    /// Up to nanosecond `at`, which is not before the last one.
    fn up_to(&mut self, at: f64) -> f64 {
        let edges = &self.timeline.edges;
        while self.segment < self.timeline.states.len() && edges[self.segment + 1] as f64 <= at {
            self.leave();
        }
        if self.segment == self.timeline.states.len() {
            return self.so_far;
        }
        let seconds = (at - edges[self.segment] as f64).max(0.0) * 1e-9;
        self.so_far + self.behind * self.tau * (1.0 - self.left(seconds))
    }
}

/// Energy that each leaf has more than its power says where the power follows its phases exponentially.
fn followed_by(timeline: &Timeline, powers: &[f64], constants: Constants) -> Vec<f64> {
    let watts = timeline.watts(powers);
    let mut follower = Follower::new(timeline, &watts, constants);
    let mut carried = vec![0.0; timeline.leaves];
    for &state in &timeline.states {
        let own = follower.leave();
        for &(leaf, share) in &timeline.table[state as usize] {
            carried[leaf] += share * own;
        }
    }
    carried
}

/// The same with one time constant, ms.
pub fn followed(timeline: &Timeline, powers: &[f64], tau_ms: f64) -> Vec<f64> {
    followed_by(timeline, powers, Constants::about(tau_ms, 0.0))
}

/// What unequal rises and falls about a mean lag (ms) add to that: u = 1.
pub fn unequal(timeline: &Timeline, powers: &[f64], lag_ms: f64) -> Vec<f64> {
    let of = |u: f64| followed_by(timeline, powers, Constants::about(lag_ms, u));
    of(1.0).iter().zip(of(0.0)).map(|(more, equal)| more - equal).collect()
}

/// The column c of rows that come in order of time.
pub struct Column<'a> {
    timeline: &'a Timeline,
    watts: Vec<f64>,
    lag_ms: f64,
}

impl<'a> Column<'a> {
    pub fn new(timeline: &'a Timeline, powers: &[f64], lag_ms: f64) -> Self {
        Self {
            timeline,
            watts: timeline.watts(powers),
            lag_ms,
        }
    }

    /// Takes the windows' (start, end), seconds since the timeline's beginning.
    pub fn of_windows(&self) -> impl FnMut(f64, f64) -> f64 + '_ {
        let follower = |u: f64| Follower::new(self.timeline, &self.watts, Constants::about(self.lag_ms, u));
        let mut starts = [follower(1.0), follower(0.0)];
        let mut ends = [follower(1.0), follower(0.0)];
        let origin = self.timeline.edges[0] as f64;
        move |start, end| {
            let of = |edge: &mut [Follower; 2], t: f64| {
                let at = origin + t * 1e9;
                edge[0].up_to(at) - edge[1].up_to(at)
            };
            (of(&mut ends, end) - of(&mut starts, start)) / (end - start)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn timeline(ms: i64) -> Timeline {
        Timeline {
            edges: (0..=10).map(|i| i * ms * 1_000_000).collect(),
            states: (0..10).map(|i| i % 2).collect(),
            table: vec![vec![(0, 1.0)], vec![(1, 1.0)]],
            leaves: 2,
        }
    }

    const POWERS: [f64; 2] = [100.0, 300.0];

    #[test]
    fn what_an_exponential_moves_is_its_time_constant_for_long_phases_and_less_for_short_ones() {
        let long = followed(&timeline(100), &POWERS, 1.0);
        assert!(
            (long[1] + 5.0 * 0.2).abs() < 1e-6 && (long[0] - 4.0 * 0.2).abs() < 1e-6,
            "{long:?}"
        );
        let short = followed(&timeline(1), &POWERS, 10.0);
        assert!(short[1] < 0.0 && short[1] > -5e-3 * 200.0, "{short:?}");
        // It rises more slowly than it falls: both phases have more than a lag would leave the first and less the second.
        let off = unequal(&timeline(100), &POWERS, 1.0);
        assert!(
            (off[1] + UNEQUAL * 1e-3 * 200.0 * 5.0).abs() < 1e-6
                && (off[0] + UNEQUAL * 1e-3 * 200.0 * 4.0).abs() < 1e-6,
            "{off:?}"
        );
    }

    #[test]
    fn windows_see_the_edges_that_lie_in_them() {
        let timeline = timeline(100);
        let column = Column::new(&timeline, &POWERS, 1.0);
        let mut of = column.of_windows();
        // Within the first phase; over the first rise; over that and the fall behind it; over everything.
        let joules = UNEQUAL * 1e-3 * 200.0;
        let expected = [
            (0.01, 0.09, 0.0),
            (0.05, 0.15, 1.0),
            (0.06, 0.26, 2.0),
            (0.07, 1.2, 9.0),
        ];
        for (start, end, edges) in expected {
            let seen = of(start, end) * (end - start);
            assert!((seen + edges * joules).abs() < 1e-6, "{start} to {end}: {seen}");
        }
    }
}
