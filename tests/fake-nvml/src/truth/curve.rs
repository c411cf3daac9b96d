//! An append-only table of linear pieces with the energy at each knot. Owns looking up and appending; leaves to others
//! where the pieces come from.
//!
//! ```text
//! power      ________            each step becomes a ramp of `ramp_ns`, then a level;
//!           /        |           a step that comes before the ramp is over cuts it there
//! _________/         |_____
//!      knot^ ^knot   ^ knots     before the first knot: its level; after the last: its level
//! ```

use super::{Femtojoules, Pieces};

/// One corner of the curve.
#[derive(Clone, Copy, Debug)]
pub(super) struct Knot {
    pub start_ns: i64,
    /// Power just after the knot, and just before the next one.
    pub start_uw: i64,
    pub end_uw: i64,
    /// Energy from the first knot to this one.
    pub energy: Femtojoules,
}

/// One linear piece: `[start_ns, end_ns)`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Piece {
    pub start_ns: i64,
    pub end_ns: i64,
    pub start_uw: i64,
    pub end_uw: i64,
}

impl Piece {
    pub(super) fn slope_uw_per_ns(&self) -> f64 {
        if self.start_uw == self.end_uw {
            return 0.0; // also the endless pieces at both ends, whose length has no meaning
        }
        (self.end_uw - self.start_uw) as f64 / (self.end_ns - self.start_ns) as f64
    }

    pub(super) fn power_uw(&self, at_ns: i64) -> f64 {
        self.start_uw as f64 + self.slope_uw_per_ns() * (at_ns - self.start_ns) as f64
    }

    pub(super) fn microwatts_at(&self, at_ns: i64) -> i64 {
        if self.start_uw == self.end_uw {
            return self.start_uw;
        }
        let length = i128::from(self.end_ns - self.start_ns);
        let rise = i128::from(self.end_uw - self.start_uw) * i128::from(at_ns - self.start_ns) / length;
        self.start_uw + rise as i64
    }

    /// Energy from the piece's start to `at_ns`, rounded to a femtojoule where the piece is a ramp.
    pub(super) fn energy_to(&self, at_ns: i64) -> Femtojoules {
        let elapsed = i128::from(at_ns) - i128::from(self.start_ns);
        let level = i128::from(self.start_uw) * elapsed;
        if self.start_uw == self.end_uw {
            return Femtojoules(level);
        }
        let length = i128::from(self.end_ns - self.start_ns);
        Femtojoules(level + i128::from(self.end_uw - self.start_uw) * elapsed * elapsed / (2 * length))
    }
}

#[derive(Clone, Debug)]
pub(super) struct Curve {
    /// Never empty: `new` puts one in, and a step takes away only what it replaces.
    knots: Vec<Knot>,
    ramp_ns: i64,
    last_step_ns: i64,
}

impl Curve {
    pub(super) fn new(start_ns: i64, level_uw: i64, ramp_ns: i64) -> Self {
        let first = Knot {
            start_ns,
            start_uw: level_uw,
            end_uw: level_uw,
            energy: Femtojoules(0),
        };
        Self {
            knots: vec![first],
            ramp_ns,
            last_step_ns: start_ns,
        }
    }

    pub(super) fn knots(&self) -> &[Knot] {
        &self.knots
    }

    pub(super) fn last_start_ns(&self) -> i64 {
        self.knots[self.knots.len() - 1].start_ns
    }

    /// From `at_ns` on the power goes to `level_uw`. False, and nothing changed, where the last step is not before it.
    pub(super) fn step_to(&mut self, at_ns: i64, level_uw: i64) -> bool {
        if at_ns <= self.last_step_ns {
            return false;
        }
        self.last_step_ns = at_ns;
        let from_uw = self.holding(at_ns).microwatts_at(at_ns);
        if self.last_start_ns() >= at_ns {
            self.knots.pop(); // the level after a ramp that this step cuts short
            let last = self.knots.len() - 1;
            self.knots[last].end_uw = from_uw;
        }
        let last = self.knots.len() - 1;
        let so_far = Piece {
            end_ns: at_ns,
            ..self.piece_of(last)
        };
        let energy = self.knots[last].energy + so_far.energy_to(at_ns);
        if self.ramp_ns > 0 && from_uw != level_uw {
            let ramp = Piece {
                start_ns: at_ns,
                end_ns: at_ns + self.ramp_ns,
                start_uw: from_uw,
                end_uw: level_uw,
            };
            self.knots.push(Knot {
                start_ns: at_ns,
                start_uw: from_uw,
                end_uw: level_uw,
                energy,
            });
            let energy = energy + ramp.energy_to(ramp.end_ns);
            self.knots.push(Knot {
                start_ns: ramp.end_ns,
                start_uw: level_uw,
                end_uw: level_uw,
                energy,
            });
        } else {
            self.knots.push(Knot {
                start_ns: at_ns,
                start_uw: level_uw,
                end_uw: level_uw,
                energy,
            });
        }
        true
    }

    fn piece_of(&self, position: usize) -> Piece {
        let knot = self.knots[position];
        let end_ns = self.knots.get(position + 1).map_or(i64::MAX, |next| next.start_ns);
        Piece {
            start_ns: knot.start_ns,
            end_ns,
            start_uw: knot.start_uw,
            end_uw: knot.end_uw,
        }
    }
}

impl Pieces for Curve {
    fn index_at(&self, at_ns: i64) -> i64 {
        // Readers ask for the present: the last piece, or one near it.
        let after = match self.knots.len().checked_sub(8) {
            Some(tail) if self.knots[tail].start_ns <= at_ns => {
                tail + self.knots[tail..].partition_point(|knot| knot.start_ns <= at_ns)
            }
            _ => self.knots.partition_point(|knot| knot.start_ns <= at_ns),
        };
        after as i64 - 1
    }

    fn piece(&self, index: i64) -> Option<Piece> {
        match usize::try_from(index) {
            Ok(position) => Some(self.piece_of(position)),
            Err(_) if index == -1 => {
                let first = self.knots[0];
                let (end_ns, level) = (first.start_ns, first.start_uw);
                Some(Piece {
                    start_ns: i64::MIN / 2,
                    end_ns,
                    start_uw: level,
                    end_uw: level,
                })
            }
            Err(_) => None,
        }
    }

    fn energy_at(&self, at_ns: i64) -> Femtojoules {
        match usize::try_from(self.index_at(at_ns)) {
            Ok(position) => self.knots[position].energy + self.piece_of(position).energy_to(at_ns),
            Err(_) => {
                let first = self.knots[0];
                Femtojoules(i128::from(first.start_uw) * (i128::from(at_ns) - i128::from(first.start_ns)))
            }
        }
    }

    fn holding(&self, at_ns: i64) -> Piece {
        let index = self.index_at(at_ns);
        self.piece(index).unwrap_or_else(|| self.piece_of(0))
    }
}
