//! True power over time, and its exact integral.
//!
//! Piecewise constant with a slow breath on top, `p(t) = P_i * (1 + A sin(w t))`, so that a long phase is not a ruler line and the
//! integral is still closed. Times before the oldest kept step are treated as that step's.
//!
//! ```text
//!   P1 |      ____            energy to b  =  energy at the step before b
//!   P0 |_____|    |_____                      + P_i * [b - t_i + A/w (cos w t_i - cos w b)]
//!      t0    t1   t2   b
//! ```

use std::collections::VecDeque;
use std::f64::consts::TAU;

use crate::model::time::Timestamp;
use crate::model::units::{Joules, Watts};

/// Depth of the breath.
const BREATH: f64 = 0.012;
/// Its period, seconds: no multiple of any sensor's.
const BREATH_PERIOD_S: f64 = 7.3;

/// A GPU's power since the simulation began.
#[derive(Debug, Clone)]
pub struct Curve {
    origin: Timestamp,
    steps: VecDeque<Step>,
    /// Up to here it has been shown, and cannot be changed any more.
    sealed: Timestamp,
}

#[derive(Debug, Clone, Copy)]
struct Step {
    from: Timestamp,
    power: Watts,
    /// Energy from the origin to `from`.
    before: Joules,
}

impl Curve {
    /// This power from `origin` on.
    pub fn new(origin: Timestamp, power: Watts) -> Self {
        Self {
            origin,
            steps: VecDeque::from([Step {
                from: origin,
                power,
                before: Joules(0.0),
            }]),
            sealed: origin,
        }
    }

    /// Power changes at `t`, or where the curve has been shown up to, if that is later.
    pub fn change(&mut self, t: Timestamp, power: Watts) {
        let last = self.last();
        let from = t.max(self.sealed).max(last.from);
        let before = self.energy(from);
        self.steps.push_back(Step { from, power, before });
    }

    /// Nothing before `t` changes any more. Steps that end before `keep_from` are forgotten.
    pub fn seal(&mut self, t: Timestamp, keep_from: Timestamp) {
        self.sealed = self.sealed.max(t);
        while self.steps.len() > 1 && self.steps[1].from <= keep_from {
            self.steps.pop_front();
        }
    }

    /// Energy from the origin to `t`.
    pub fn energy(&self, t: Timestamp) -> Joules {
        let at = self.steps.partition_point(|step| step.from <= t).saturating_sub(1);
        let step = self.steps[at];
        let (a, b) = (step.from.seconds_since(self.origin), t.seconds_since(self.origin));
        let w = TAU / BREATH_PERIOD_S;
        let breath = BREATH / w * ((w * a).cos() - (w * b).cos());
        step.before + Joules(step.power.0 * (b - a + breath))
    }

    /// Mean power from `a` to `b`, which lies after it.
    pub fn mean(&self, a: Timestamp, b: Timestamp) -> Watts {
        Watts((self.energy(b) - self.energy(a)).0 / b.seconds_since(a))
    }

    /// Power of the last step, without the breath.
    pub fn latest(&self) -> Watts {
        self.last().power
    }

    fn last(&self) -> Step {
        // Never empty: made with one step, and `seal` keeps one.
        self.steps[self.steps.len() - 1]
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ms(t: i64) -> Timestamp {
        Timestamp::from_nanos(t * 1_000_000)
    }

    proptest! {
        #[test]
        fn energy_is_additive_and_grows(steps in proptest::collection::vec((0_i64..200, 1.0..700.0), 0..20), mut cuts in proptest::array::uniform3(0_i64..5000)) {
            cuts.sort_unstable();
            let mut curve = Curve::new(ms(0), Watts(100.0));
            let mut t = 0;
            for (later, power) in steps {
                t += later;
                curve.change(ms(t), Watts(power));
            }
            let between = |a, b| (curve.energy(ms(b)) - curve.energy(ms(a))).0;
            let whole = between(cuts[0], cuts[2]);
            prop_assert!((whole - between(cuts[0], cuts[1]) - between(cuts[1], cuts[2])).abs() < 1e-9 * (1.0 + whole));
            prop_assert!(between(cuts[0], cuts[1]) >= 0.0);
        }

        #[test]
        fn what_was_shown_stays_however_late_the_news(shown in 1_i64..1000, late in 0_i64..1000, power in 1.0..700.0) {
            let mut curve = Curve::new(ms(0), Watts(200.0));
            let before = curve.energy(ms(shown));
            curve.seal(ms(shown), ms(0));
            curve.change(ms(late), Watts(power));
            prop_assert_eq!(curve.energy(ms(shown)), before);
        }
    }

    #[test]
    fn forgetting_old_steps_changes_nothing_later() {
        let mut curve = Curve::new(ms(0), Watts(100.0));
        for i in 1..100 {
            curve.change(ms(i * 10), Watts(100.0 + i as f64));
        }
        let (a, b) = (curve.energy(ms(700)), curve.energy(ms(2000)));
        curve.seal(ms(500), ms(600));
        assert_eq!((curve.energy(ms(700)), curve.energy(ms(2000))), (a, b));
        assert!(curve.steps.len() < 45);
    }

    #[test]
    fn a_constant_load_breathes_by_about_a_percent() {
        let curve = Curve::new(ms(0), Watts(200.0));
        let whole_breaths = curve.mean(ms(0), ms(7300)).0;
        assert!((whole_breaths - 200.0).abs() < 1e-6, "{whole_breaths}");
        let second = curve.mean(ms(1000), ms(2000)).0;
        assert!((second - 200.0).abs() > 0.5 && (second - 200.0).abs() < 2.5, "{second}");
    }
}
