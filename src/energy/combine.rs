//! Interval and regression, brought together: one energy per leaf, one doubt per phase.
//!
//! The regression's leaf energies are conditioned on what the cumulative curve knows (the total, and phases whose executions are long
//! against the sensor's period), so that the parts still add up. For each phase the estimator with the smaller interval is named.

use crate::model::analysis::{Grade, Method};

use super::Estimator;
use super::interval::{Split, replace_by_sums};
use super::levels::REPEATED;
use super::sensor_model::{Known, Model, Symmetric, condition, dot};
use super::shares::above;
use super::uncertainty::{Figure, K95, exact_joules, grade};

/// A phase that the curve alone knows to better than this pins the sum of its leaves.
const PINNED: f64 = 0.3;
/// Errors this strongly opposed are one doubt about two phases.
const OPPOSED: f64 = -0.7;
/// Leaves this many cells long at a time have nothing to gain from the model.
const VERY_LONG: f64 = 20.0;
/// Wider than anything a leaf can draw, watts.
const NOTHING_KNOWN_W: f64 = 1e4;

/// What is known of the phases and the device beside split and model.
pub struct Facts<'a> {
    pub parents: &'a [Option<usize>],
    /// Segments of each leaf.
    pub segments: &'a [u64],
    /// Usual length of a cell, seconds.
    pub cell_s: f64,
    /// How far the power of unseen time may be from any guess, watts.
    pub unseen_sd_w: f64,
    /// Variance of what readings stand for without having seen it, and of what that was made good by: of each phase, outside, and the run.
    pub unseen_j2: &'a [f64],
    pub estimator: Estimator,
    /// By which share the curve's readings may be off for what they did not look at, as the model has it.
    pub uneven: f64,
}

/// Two leaves that the sensor cannot tell apart, but whose sum it knows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Together {
    pub leaves: (usize, usize),
    pub joules: f64,
    pub u95: f64,
}

/// The split with the model's knowledge in it, and what is only known together. `None` where the model says what cannot
/// be: then it is not this sensor's.
pub fn combine(split: &Split, model: &Model, facts: &Facts) -> Option<(Split, Vec<Together>)> {
    let Facts {
        parents,
        segments,
        cell_s,
        unseen_sd_w,
        unseen_j2,
        estimator,
        uneven,
    } = *facts;
    let leaves = split.leaves.len();
    let members = members(parents, leaves);
    let mut energies = model.energies.clone();
    let mut covariance = model.covariance.clone();
    // Leaves that stand on the interval estimator alone; what is made only of them, the model has nothing to add to.
    let mut modelled = vec![true; leaves];
    for leaf in 0..leaves {
        let each_s = split.seconds[leaf] / segments[leaf].max(1) as f64;
        if segments[leaf] < REPEATED || each_s > VERY_LONG * cell_s {
            modelled[leaf] = false;
            for other in 0..leaves {
                covariance.a[leaf * leaves + other] = 0.0;
                covariance.a[other * leaves + leaf] = 0.0;
            }
            energies[leaf] = split.leaves[leaf];
            // As good as unknown: what the curve knows of it comes in below, once.
            covariance.a[leaf * leaves + leaf] = (NOTHING_KNOWN_W * split.seconds[leaf]).powi(2);
        } else {
            // What the model says of time that no sensor saw is a guess.
            covariance.a[leaf * leaves + leaf] += (unseen_sd_w * split.unseen_s[leaf]).powi(2);
        }
    }
    let has_model = |members: &[f64]| members.iter().zip(&modelled).any(|(&member, &by)| member > 0.0 && by);
    let last = split.figures.len() - 1;
    let off = |figure: &Figure| figure.u95.hypot(K95 * uneven * figure.joules);
    // Curve and model are two views of the same readings: of what these scatter by, and did not see, they are together no surer than the
    // surer of the two.
    let mut noise = model.statistical.clone();
    for leaf in (0..leaves).filter(|&leaf| !modelled[leaf]) {
        (0..leaves).for_each(|other| (noise.a[leaf * leaves + other], noise.a[other * leaves + leaf]) = (0.0, 0.0));
        noise.a[leaf * leaves + leaf] = (split.own_u95[leaf] / K95).powi(2);
    }
    let surer = |(members, &unseen): (&Vec<f64>, &f64)| noise.form(members).max(0.0).min(unseen).sqrt();
    let least: Vec<f64> = members.iter().zip(unseen_j2).map(surer).collect();
    let known = split.figures.iter().enumerate().zip(&members);
    let known = known.filter(|((i, figure), _)| *i == last || figure.u95 < PINNED * figure.joules);
    let sums = known.map(|((_, figure), members)| Known {
        members: members.clone(),
        joules: figure.joules,
        sd: off(figure) / K95,
    });
    let alone = (0..leaves).filter(|&leaf| !modelled[leaf]).map(|leaf| Known {
        members: (0..leaves).map(|other| f64::from(u8::from(other == leaf))).collect(),
        joules: split.leaves[leaf],
        sd: split.own_u95[leaf] / K95,
    });
    let sums = independent(sums.chain(alone).collect());
    condition(&mut energies, &mut covariance, &sums);
    // What bounds alone allow, whatever the phases draw.
    let allowed = split.lowest.iter().zip(&split.figures);
    let impossible = members.iter().zip(allowed).any(|(members, (&lowest, most))| {
        let (joules, slack) = (dot(members, &energies), 3.0 * covariance.form(members).max(0.0).sqrt());
        joules - slack > most.upper || joules + slack < lowest
    });
    if impossible {
        return None;
    }
    let mut figures: Vec<Figure> = Vec::with_capacity(split.figures.len());
    for ((members, interval), least) in members.iter().zip(&split.figures).zip(least) {
        let sd = covariance.form(members).max(0.0).sqrt().max(least);
        let joules = dot(members, &energies);
        let u95 = K95 * sd;
        let common = model.covariance.form(members) - model.statistical.form(members);
        let regression = Figure {
            joules,
            u95,
            scale: 0.0,
            upper: (joules.max(0.0) + K95 * sd).min(interval.upper),
            guess: 0.0,
            common: (K95 * common.max(0.0).sqrt()).min(u95),
            method: Method::Regression,
        };
        // The value shown is the model's in either case, so that the rows add up: it may lie off the middle of what the curve allows.
        let about = Figure {
            u95: off(interval) + (interval.joules - joules).abs(),
            ..*interval
        };
        let by_interval = match estimator {
            Estimator::Auto => about.u95 <= u95 || !has_model(members),
            Estimator::Interval => true,
            Estimator::Regression => false,
        };
        figures.push(if by_interval { about } else { regression });
    }
    let settled: Vec<f64> = energies.iter().map(|&e| exact_joules(e)).collect();
    replace_by_sums(&mut figures, &settled, parents);
    let together = together(&energies, &covariance, &figures);
    let split = Split {
        leaves: settled,
        figures,
        ..split.clone()
    };
    Some((split, together))
}

/// The sums that say something of their own, the surest first. What follows from others is the same split of the same cells: counted
/// again, it would halve a variance for nothing.
fn independent(mut sums: Vec<Known>) -> Vec<Known> {
    sums.sort_by(|a, b| a.sd.total_cmp(&b.sd));
    let mut directions: Vec<Vec<f64>> = Vec::new();
    sums.retain(|sum| {
        let mut rest = sum.members.clone();
        for direction in &directions {
            let along = dot(&rest, direction);
            rest.iter_mut().zip(direction).for_each(|(r, d)| *r -= along * d);
        }
        let length = dot(&rest, &rest).sqrt();
        if length > 1e-6 {
            rest.iter_mut().for_each(|r| *r /= length);
            directions.push(rest);
        }
        length > 1e-6
    });
    sums
}

/// Pairs of unresolved leaves whose doubts are opposed and whose sum is resolved.
fn together(energies: &[f64], covariance: &Symmetric, figures: &[Figure]) -> Vec<Together> {
    let unresolved = |leaf: usize| grade(figures[leaf].joules, figures[leaf].u95) == Grade::Unresolved;
    let mut pairs = Vec::new();
    for a in (0..energies.len()).filter(|&a| unresolved(a)) {
        for b in (a + 1..energies.len()).filter(|&b| unresolved(b)) {
            let scale = (covariance.at(a, a) * covariance.at(b, b)).sqrt();
            let joules = energies[a] + energies[b];
            let variance = covariance.at(a, a) + covariance.at(b, b) + 2.0 * covariance.at(a, b);
            let u95 = K95 * variance.max(0.0).sqrt();
            if covariance.at(a, b) < OPPOSED * scale && grade(joules, u95) != Grade::Unresolved {
                pairs.push(Together {
                    leaves: (a, b),
                    joules,
                    u95,
                });
            }
        }
    }
    pairs
}

/// For each phase, then outside, then the run: 1 for each leaf in it.
fn members(parents: &[Option<usize>], leaves: usize) -> Vec<Vec<f64>> {
    let mut members = vec![vec![0.0; leaves]; leaves + 1];
    members[leaves].fill(1.0);
    for (leaf, phase) in (0..leaves).flat_map(|leaf| above(parents, leaf).map(move |phase| (leaf, phase))) {
        members[phase][leaf] = 1.0;
    }
    members
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::energy::sensor_model::{CounterKind, Ramp};

    /// A phase of 100 J and the rest of the run, 50 J, each known to 10 J by the curve, and a model of both.
    fn combined(energies: [f64; 2], sd: f64, unseen_j2: f64) -> Option<(Split, Vec<Together>)> {
        let figure = |joules: f64| Figure {
            joules,
            u95: 10.0,
            scale: 0.0,
            upper: joules + 10.0,
            guess: 0.0,
            common: 0.0,
            method: Method::Integral,
        };
        let split = Split {
            leaves: vec![100.0, 50.0],
            seconds: vec![1.0, 1.0],
            unseen_s: vec![0.0, 0.0],
            seen_joules: vec![100.0, 50.0],
            own_u95: vec![10.0, 10.0],
            own_at_edges: vec![0.0, 0.0],
            figures: vec![figure(100.0), figure(50.0), figure(150.0)],
            lowest: vec![90.0, 40.0, 140.0],
            at_edges: vec![0.0, 0.0, 0.0],
        };
        let model = Model {
            energies: energies.to_vec(),
            covariance: Symmetric {
                n: 2,
                a: vec![sd * sd, 0.0, 0.0, sd * sd],
            },
            statistical: Symmetric {
                n: 2,
                a: vec![sd * sd, 0.0, 0.0, sd * sd],
            },
            without_lag: Symmetric::zero(2),
            ramp: Ramp {
                lag_ms: 0.0,
                sd_ms: 0.0,
            },
            power: None,
            counter: None,
            kind: CounterKind::Unknown,
            may_have_gaps: false,
            lock: None,
            in_parts: false,
            uneven: 0.0,
            is_told: true,
            origin: None,
            halves: None,
        };
        let facts = Facts {
            parents: &[None],
            segments: &[100, 100],
            cell_s: 0.1,
            unseen_sd_w: 100.0,
            unseen_j2: &[0.0, 0.0, unseen_j2],
            estimator: Estimator::Auto,
            uneven: 0.0,
        };
        combine(&split, &model, &facts)
    }

    #[test]
    fn two_views_of_the_same_readings_are_no_surer_than_one() {
        // 150 J, by the model as by the curve known to 10 at 95 %: as one, if it is the readings that scatter, and else as two.
        let u95 = |unseen: f64| {
            let (split, _) =
                combined([100.0, 50.0], 10.0 / K95 / 2.0_f64.sqrt(), (unseen / K95).powi(2)).expect("they agree");
            split.figures[2].u95
        };
        assert!(
            (u95(10.0) - 10.0).abs() < 1e-9 && u95(0.0) < 9.0,
            "{} {}",
            u95(10.0),
            u95(0.0)
        );
        assert!((u95(9.0) - 9.0).abs() < 1e-9, "{}", u95(9.0));
    }

    #[test]
    fn a_model_that_says_what_the_cells_exclude_is_not_used() {
        let (split, _) = combined([102.0, 49.0], 1.0, 0.0).expect("they agree");
        assert!((split.leaves[0] - 101.9).abs() < 0.3, "{split:?}");
        assert!(combined([130.0, 20.0], 1.0, 0.0).is_none(), "20 J off, and sure of it");
        assert!(combined([130.0, 20.0], 30.0, 0.0).is_some(), "20 J off, and not sure");
    }
}
