//! A load that repeats for ever, before its origin as well as after it. Owns one period of it in closed form: a day of
//! a 5 ms square wave costs no memory, and its energy is exact.

use super::curve::{Curve, Knot, Piece};
use super::{Femtojoules, Pieces};
use crate::config::ConfigError;

#[derive(Clone, Debug)]
pub(super) struct Periodic {
    origin_ns: i64,
    period_ns: i64,
    /// Knots of one period, times and energies from its start; the first stands at 0.
    knots: Vec<Knot>,
    period_energy: Femtojoules,
}

impl Periodic {
    /// `steps` are (duration in ns, level in µW).
    pub(super) fn new(steps: &[(i64, i64)], ramp_ns: i64, origin_ns: i64) -> Result<Self, ConfigError> {
        let steps: Vec<_> = steps
            .iter()
            .copied()
            .filter(|&(duration_ns, _)| duration_ns > 0)
            .collect();
        let period_ns: i64 = steps.iter().map(|&(duration_ns, _)| duration_ns).sum();
        let Some(&(_, last_level)) = steps.last() else {
            return Err(ConfigError::invalid(
                "truth",
                "repeats nothing",
                "give at least one step longer than 0 ms",
            ));
        };
        if steps.iter().any(|&(duration_ns, _)| duration_ns < ramp_ns) {
            return Err(ConfigError::invalid(
                "ramp_ms",
                "is longer than a repeated step",
                "shorten it",
            ));
        }
        // The load of one period, entered from the level that the period before it ends on.
        let mut curve = Curve::new(-1, last_level, ramp_ns);
        let mut at_ns = 0;
        for &(duration_ns, level) in &steps {
            curve.step_to(at_ns, level);
            at_ns += duration_ns;
        }
        let zero = curve.energy_at(0);
        let knots = curve.knots()[1..]
            .iter()
            .filter(|knot| knot.start_ns < period_ns) // a ramp may end exactly with the period
            .map(|knot| Knot {
                energy: knot.energy - zero,
                ..*knot
            })
            .collect();
        Ok(Self {
            origin_ns,
            period_ns,
            knots,
            period_energy: curve.energy_at(period_ns) - zero,
        })
    }

    fn piece_at(&self, position: usize, period_start_ns: i64) -> Piece {
        let knot = self.knots[position];
        let end_ns = self
            .knots
            .get(position + 1)
            .map_or(self.period_ns, |next| next.start_ns);
        Piece {
            start_ns: period_start_ns + knot.start_ns,
            end_ns: period_start_ns + end_ns,
            start_uw: knot.start_uw,
            end_uw: knot.end_uw,
        }
    }

    /// (number of the period, its start, position of the knot in it)
    fn locate(&self, at_ns: i64) -> (i64, i64, usize) {
        let since_ns = at_ns - self.origin_ns;
        let (period, within_ns) = (since_ns.div_euclid(self.period_ns), since_ns.rem_euclid(self.period_ns));
        let position = self.knots.partition_point(|knot| knot.start_ns <= within_ns) - 1; // the first stands at 0
        (period, self.origin_ns + period * self.period_ns, position)
    }
}

impl Pieces for Periodic {
    fn index_at(&self, at_ns: i64) -> i64 {
        let (period, _, position) = self.locate(at_ns);
        period * self.knots.len() as i64 + position as i64
    }

    fn piece(&self, index: i64) -> Option<Piece> {
        let count = self.knots.len() as i64;
        let start_ns = self.origin_ns + index.div_euclid(count) * self.period_ns;
        Some(self.piece_at(index.rem_euclid(count) as usize, start_ns))
    }

    fn energy_at(&self, at_ns: i64) -> Femtojoules {
        let (period, start_ns, position) = self.locate(at_ns);
        let whole = Femtojoules(self.period_energy.0 * i128::from(period));
        whole + self.knots[position].energy + self.piece_at(position, start_ns).energy_to(at_ns)
    }

    fn holding(&self, at_ns: i64) -> Piece {
        let (_, start_ns, position) = self.locate(at_ns);
        self.piece_at(position, start_ns)
    }
}
