//! How much the power varies inside phases, the same way each time: found from the readings, in place of being taken to be nothing.
//!
//! The parts of a phase (`parts`) have powers that scatter about the phase's own by a share of it that all phases have in common. How
//! likely each share is, the evidence says: the likelihood of the readings, integrated over all powers and over the sensor's properties
//! (a hierarchical model; Gelman and Hill 2007, chapter 12). Readings that show no shapes leave a share of a few thousandths and next
//! to no doubt; those that are too few to tell leave the doubt.

use super::Inputs;
use super::discover;
use super::energies::{self, Estimate};
use super::fit::{self, Setting, Solution, Stream};
use super::overlap::Overlap;
use super::parts::{self, Parts};
use super::rows::Rows;
use super::search;
use super::ticks;

/// Shares of a phase's power that its parts may differ by (standard deviation), each as likely as the others before looking.
const SHARES: [f64; 6] = [0.003, 0.02, 0.05, 0.1, 0.2, 0.4];
/// Logarithm of the odds at which readings are said to show shapes.
const SHOWN: f64 = 3.0;
/// Phases whose parts differ by less than this share of their power are taken whole.
const NEGLIGIBLE: f64 = 0.004;
/// The share with which the sensor is looked for anew.
const TRIED: f64 = 0.1;

/// The fit in parts of `streams`, which converged to `solution` with whole phases; and whether the readings ask for shapes. `None` where
/// there is nothing to cut, or parts do not differ. `most`: rows of the longest stream; `all`: a stream's rows without thinning.
pub fn fitted<'a>(
    inputs: &Inputs,
    (whole, most): (&Setting, usize),
    streams: &[Stream<'a>],
    solution: &Solution,
    all: impl Fn(&Stream<'a>) -> &'a Rows,
) -> Option<(Estimate, Vec<Stream<'a>>, bool)> {
    let rows = streams.iter().map(|s| s.rows.rows.len()).sum();
    let parts = &parts::cut(inputs.timeline, inputs.seconds, rows)?;
    let overlap = Overlap::new(&parts.timeline);
    let inflation = energies::inflation_of(inputs, whole, streams, solution).max(1.0).sqrt();
    let inputs = Inputs {
        timeline: &parts.timeline,
        seconds: &parts.seconds,
        ..*inputs
    };
    let mut finer = super::setting(&inputs, &overlap, most);
    let watts = fit::powers(whole, solution);
    // What was found of the sensor with whole phases may be off by what shapes of the power feign: look again.
    finer.siblings = parts.siblings(&finer, &watts, TRIED);
    let mut again: Vec<Stream> = streams.iter().map(|s| found_anew(&inputs, &finer, s)).collect();
    let anew = fit::converge(&finer, &mut again, None, fit::STEPS);
    let of_parts = fit::powers(&finer, &anew);
    let watts_anew = parts.means(&of_parts);
    // Both by the same errors: the smaller ones, which readings can have.
    let noise: Vec<f64> = again
        .iter()
        .zip(streams)
        .map(|(new, old)| inflation * new.noise.min(old.noise))
        .collect();
    let as_before = evidence(parts, &mut finer, streams, (&watts, &noise));
    let as_found = evidence(parts, &mut finer, &again, (&watts_anew, &noise));
    let is_new = best(&as_found) > best(&as_before) + SHOWN;
    let (evidence, watts) = if is_new {
        (as_found, watts_anew)
    } else {
        (as_before, watts)
    };
    let share = relative(&evidence);
    if share < NEGLIGIBLE {
        return None;
    }
    finer.siblings = parts.siblings(&finer, &watts, share);
    let mut streams = if is_new {
        again
    } else {
        streams.iter().map(|s| Stream { ..*s }).collect()
    };
    let solution = fit::converge(&finer, &mut streams, None, fit::STEPS);
    let estimate = energies::energies(&inputs, &finer, &mut streams, &solution, all);
    Some((whole_of(parts, estimate), streams, is_shown(&evidence)))
}

fn found_anew<'a>(inputs: &Inputs, finer: &Setting, stream: &Stream<'a>) -> Stream<'a> {
    let search = if stream.is_counter {
        ticks::counter
    } else {
        discover::power
    };
    let found = search(inputs, finer, stream.rows);
    search::stream(stream.rows, found.theta, found.prior, stream.is_counter)
}

/// An estimate of parts as one of their phases.
fn whole_of(parts: &Parts, estimate: Estimate) -> Estimate {
    Estimate {
        energies: parts.sums(&estimate.energies),
        covariance: parts.covariance(&estimate.covariance),
        statistical: parts.covariance(&estimate.statistical),
        halves: estimate.halves.map(|halves| parts.sums(&halves)),
        ..estimate
    }
}

/// How likely each share is (logarithm of the evidence), for a sensor whose properties are `streams`' and phases that draw `watts`.
/// `noise`: of a row of each stream, W.
fn evidence(
    parts: &Parts,
    finer: &mut Setting,
    streams: &[Stream],
    (watts, noise): (&[f64], &[f64]),
) -> [f64; SHARES.len()] {
    let of_parts: Vec<f64> = parts.spread_out(watts);
    let sums = fit::gather(finer, streams, Some(&of_parts));
    SHARES.map(|share| {
        finer.siblings = parts.siblings(finer, watts, share);
        fit::log_evidence(finer, streams, &sums, noise)
    })
}

fn best(evidence: &[f64]) -> f64 {
    evidence.iter().copied().fold(f64::NEG_INFINITY, f64::max)
}

/// Root mean square share.
fn relative(evidence: &[f64; SHARES.len()]) -> f64 {
    let best = best(evidence);
    let odds = evidence.map(|one| (one - best).exp());
    let squares = SHARES.iter().zip(odds).map(|(share, odds)| odds * share * share);
    (squares.sum::<f64>() / odds.iter().sum::<f64>()).sqrt()
}

/// Whether the readings ask for shapes.
fn is_shown(evidence: &[f64; SHARES.len()]) -> bool {
    best(evidence) - evidence[0] > SHOWN
}
