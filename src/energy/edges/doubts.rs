//! The doubts of a phase over all of its cells: what is chance adds in quadrature, what is the same at each edge linearly.
//!
//! Bounds of cells of which no more is known are added linearly too, below and above apart. Units: joules, watts, seconds.

use super::Edge;
use crate::energy::uncertainty::k95;

/// Where in the execution of a phase a split cell is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    Begin,
    End,
    /// A pause that is shorter than a cell, or an execution.
    Within,
}

impl Place {
    /// By whether the phase is in the cell before, and in the cell behind.
    pub fn of(before: bool, behind: bool) -> Self {
        match (before, behind) {
            (false, true) => Self::Begin,
            (true, false) => Self::End,
            _ => Self::Within,
        }
    }
}

/// The doubts of a phase over its cells.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Doubts {
    /// How far below and above its value the truth may lie in cells that are only bounded.
    bounded: [f64; 2],
    variance: f64,
    /// Of what the ends of cells add to it, each of them rectangular, the sum of squares.
    rectangles: f64,
    means: f64,
    lag: f64,
    surprises: [[Surprise; 2]; 3],
    shifted_w: f64,
}

/// What cells say a phase had beyond its shares.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Surprise {
    sum: f64,
    /// Variance of the sum by chance.
    chance: f64,
    /// The sum as far as the device's range allows.
    possible: f64,
}

/// So many standard deviations chance exceeds once in a hundred times. There are six sums of surprises: one is easily beyond two.
const NO_CHANCE: f64 = 2.58;

impl Surprise {
    /// What of it chance does not explain: less is in the variance already.
    fn excess(&self) -> f64 {
        if self.sum == 0.0 {
            return 0.0;
        }
        let chance = NO_CHANCE.powi(2) * self.chance / self.sum.powi(2);
        self.possible.abs() * (1.0 - chance).max(0.0).sqrt()
    }
}

impl Doubts {
    /// A cell whose share has `variance`, and beside that only bounds `below` and `above`.
    pub fn bounded(&mut self, below: f64, above: f64, variance: f64) {
        self.bounded[0] += below;
        self.bounded[1] += above;
        self.variance += variance;
    }

    /// A split cell, whose start and end are `ends_s` unsure, whose share has the variance `unseen` for what no sensor looked at, and can be
    /// wrong by `below` and `above` at most.
    pub fn edge(&mut self, edge: &Edge, place: Place, ends_s: [f64; 2], unseen: f64, (below, above): (f64, f64)) {
        let surprises = [0, 1].map(|side| Surprise {
            sum: edge.surprise[side],
            chance: edge.chance[side],
            possible: edge.surprise[side].clamp(-below, above),
        });
        let [own, rest] = match (place, ends_s) {
            (Place::Begin, [start, end]) => [end, start],
            (Place::End, own_and_rest) => own_and_rest,
            (Place::Within, [start, end]) => [start.max(end); 2],
        };
        let ends = [edge.ends_w2[0] * own * own, edge.ends_w2[1] * rest * rest];
        for rectangle in ends.into_iter().chain(edge.rounded) {
            self.rectangles += rectangle.powi(2);
            self.variance += rectangle;
        }
        self.variance += edge.variance + unseen;
        self.means += edge.means;
        let of_place = &mut self.surprises[place as usize];
        for (sums, one) in of_place.iter_mut().zip(surprises) {
            sums.sum += one.sum;
            sums.chance += one.chance;
            sums.possible += one.possible;
        }
        self.shifted_w += match place {
            Place::Begin => -edge.shifted_w,
            Place::End => edge.shifted_w,
            Place::Within => 0.0,
        };
    }

    /// A lag of the power may move so much, J, over all of its edges.
    pub fn lagging(&mut self, joules: f64) {
        self.lag = joules;
    }

    /// Half-width (95 %) of them all.
    pub fn u95(&self, delay_sd_s: f64) -> f64 {
        let surprise: f64 = self
            .surprises
            .iter()
            .map(|[own, rest]| own.excess().max(rest.excess()))
            .sum();
        let common = (self.means.powi(2) + self.lag.powi(2) + surprise.powi(2)).sqrt();
        let variance = self.variance + (delay_sd_s * self.shifted_w).powi(2);
        (self.bounded[0].max(self.bounded[1]) + common).hypot(k95(variance, self.rectangles) * variance.sqrt())
    }
}
