//! How much the power varies inside phases, the same way each time: found from the readings, in place of being taken to be nothing.
//!
//! The parts of a phase (`parts`) have powers that scatter about the phase's own by a share of it that all phases have in common. How
//! likely each share is, the evidence says: the likelihood of the readings, integrated over all powers and over the sensor's properties
//! (a hierarchical model; Gelman and Hill 2007, chapter 12). Readings that show no shapes leave a share of a few thousandths and next
//! to no doubt; those that are too few to tell leave the doubt.

use super::Inputs;
use super::energies;
use super::fit::{self, Setting, Solution, Stream};
use super::parts::Parts;

/// Shares of a phase's power that its parts may differ by (standard deviation), each as likely as the others before looking.
const SHARES: [f64; 6] = [0.003, 0.02, 0.05, 0.1, 0.2, 0.4];
/// Logarithm of the odds at which readings are said to show shapes.
const SHOWN: f64 = 3.0;

/// What was found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spread {
    /// Root mean square share.
    pub relative: f64,
    /// Whether the readings ask for shapes.
    pub is_shown: bool,
}

/// How far parts differ from their phases, from `streams` that converged to `solution` with whole phases; `finer` is made to believe it.
pub fn spread(
    (inputs, whole): (&Inputs, &Setting),
    (parts, finer): (&Parts, &mut Setting),
    streams: &[Stream],
    solution: &Solution,
) -> Spread {
    let watts = fit::powers(whole, solution);
    let of_parts: Vec<f64> = parts.spread_out(&watts);
    let sums = fit::gather(finer, streams, Some(&of_parts));
    let inflation = energies::inflation_of(inputs, whole, streams, solution).max(1.0).sqrt();
    let noise: Vec<f64> = streams.iter().map(|stream| stream.noise * inflation).collect();
    let evidence = SHARES.map(|share| {
        finer.siblings = parts.siblings(finer, &watts, share);
        fit::log_evidence(finer, streams, &sums, &noise)
    });
    let best = evidence.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let odds = evidence.map(|one| (one - best).exp());
    let mean_square: f64 = SHARES
        .iter()
        .zip(odds)
        .map(|(share, odds)| odds * share * share)
        .sum::<f64>()
        / odds.iter().sum::<f64>();
    let spread = Spread {
        relative: mean_square.sqrt(),
        is_shown: best - evidence[0] > SHOWN,
    };
    finer.siblings = parts.siblings(finer, &watts, spread.relative);
    spread
}
