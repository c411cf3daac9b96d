//! What changed between two runs, phase by phase, with intervals, and whether a condition on it is met.
//!
//! A relative change is `other / base - 1`. Its interval comes from both runs' noise and timing; the sensors' own tolerance is added
//! only where the runs did not use the same devices in the same way, since then it cancels. What sensors of one device contradict
//! each other by never does, and what another calibration alone would change is added. One run each says nothing about how much
//! runs differ by themselves: times have no interval, and those of energies are a lower bound in that sense.

mod condition;
mod sensors;
mod text;

pub use self::condition::{Condition, ConditionError, Outcome, Verdict};
pub use self::text::render;

use super::format;
use crate::model::analysis::{Analysis, CheckStatus, EnergyEstimate, Method, PhaseAnalysis};
use crate::model::units::{Joules, Seconds};
use crate::model::wording::counted;

/// A figure that two runs can be compared by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quantity {
    Joules,
    JoulesPerSample,
    JoulesPerToken,
    WallSeconds,
    MeanWatts,
    SamplesPerSecond,
    SamplesPerJoule,
}

impl Quantity {
    pub const ALL: [Self; 7] = [
        Self::Joules,
        Self::JoulesPerSample,
        Self::JoulesPerToken,
        Self::WallSeconds,
        Self::MeanWatts,
        Self::SamplesPerSecond,
        Self::SamplesPerJoule,
    ];

    /// The word in a condition; where the JSON report has the figure, its key there.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Joules => "joules",
            Self::JoulesPerSample => "j_per_sample",
            Self::JoulesPerToken => "j_per_token",
            Self::WallSeconds => "wall_s",
            Self::MeanWatts => "mean_power_w",
            Self::SamplesPerSecond => "samples_per_s",
            Self::SamplesPerJoule => "samples_per_s_per_w",
        }
    }

    /// The inverse of [`Self::as_str`].
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|q| q.as_str() == word)
    }
}

/// A relative change and, where it is known, the half-width of its 95 % interval; 0.03 is 3 %.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Change {
    pub relative: f64,
    pub half_width: Option<f64>,
}

impl Change {
    /// Whether no change at all lies within the interval.
    pub fn may_be_none(&self) -> bool {
        self.half_width.is_some_and(|u| self.relative.abs() <= u)
    }
}

/// What one run says about a phase, or about all of the run.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Side {
    wall: Option<Seconds>,
    energy: EnergyEstimate,
    samples: Option<u64>,
    tokens: Option<u64>,
    /// Whether time and energy are those of all of the work.
    whole_time: bool,
    whole_energy: bool,
    holds_estimate: bool,
}

/// A phase in both runs; `None` where a run lacks it.
#[derive(Debug, Clone, PartialEq)]
pub struct Pair {
    /// `None`: the whole run.
    pub path: Option<String>,
    name: String,
    depth: usize,
    base: Option<Side>,
    other: Option<Side>,
    /// By how much its energy would change through calibrations and assumed powers alone.
    shift: f64,
}

/// Two runs side by side.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    /// Phases of the base in its order, those only the other has behind their siblings, then the whole run.
    pub pairs: Vec<Pair>,
    /// Both runs used the same devices in the same way, so that the sensors' tolerance cancels.
    pub same_devices: bool,
    base_run: String,
    other_run: String,
    caveats: Vec<String>,
}

impl Comparison {
    /// Put `other` beside `base`.
    pub fn new(base: &Analysis, other: &Analysis) -> Self {
        let shifts = sensors::shifts(base, other);
        let find = |analysis: &Analysis, path: &str| analysis.phases.iter().find(|p| p.path == path).cloned();
        let mut pairs: Vec<Pair> = base
            .phases
            .iter()
            .map(|p| Pair {
                shift: shift(&shifts, &p.energy, p.devices.iter().map(|d| (d.id.as_str(), &d.energy))),
                ..Pair::of_phases(Some(p), find(other, &p.path).as_ref())
            })
            .collect();
        // In preorder a phase's parent is in its place before it.
        for only in other.phases.iter().filter(|p| find(base, &p.path).is_none()) {
            let at = behind_siblings(&pairs, &only.path);
            pairs.insert(at, Pair::of_phases(None, Some(only)));
        }
        let whole = base.devices.iter().map(|d| (d.device.id.0.as_str(), &d.energy));
        pairs.push(Pair {
            shift: shift(&shifts, &base.total, whole),
            ..Pair::of_runs(base, other)
        });
        let differences = sensors::differences(base, other);
        Self {
            pairs,
            same_devices: differences.is_empty(),
            base_run: super::notes::run_line(base),
            other_run: super::notes::run_line(other),
            caveats: caveats(base, other).into_iter().chain(differences).collect(),
        }
    }

    /// How a figure of this pair changed. `None` where either run does not know it.
    pub fn change(&self, pair: &Pair, quantity: Quantity) -> Option<Change> {
        let (base, other) = (pair.base?, pair.other?);
        let ratio = other.value(quantity)? / base.value(quantity)?;
        if !ratio.is_finite() {
            return None;
        }
        let shift = match quantity {
            Quantity::SamplesPerJoule => pair.shift / (1.0 + pair.shift),
            _ => pair.shift,
        };
        let doubts = match quantity {
            Quantity::WallSeconds | Quantity::SamplesPerSecond => None,
            _ => base.doubt(!self.same_devices).zip(other.doubt(!self.same_devices)),
        };
        Some(Change {
            relative: ratio - 1.0,
            half_width: doubts.map(|(b, o)| ratio.abs() * b.hypot(o) + shift.abs()),
        })
    }
}

impl Pair {
    fn of_phases(base: Option<&PhaseAnalysis>, other: Option<&PhaseAnalysis>) -> Self {
        let estimate = |p: &PhaseAnalysis| {
            p.energy.method == Method::Estimate || p.devices.iter().any(|d| d.energy.method == Method::Estimate)
        };
        let side = |p: &PhaseAnalysis| Side {
            wall: p.wall,
            energy: p.energy,
            samples: p.samples,
            tokens: p.tokens,
            whole_time: p.whole_time,
            whole_energy: p.whole_energy,
            holds_estimate: estimate(p),
        };
        let either = base.or(other);
        Self {
            path: either.map(|p| p.path.clone()),
            name: either.map(|p| p.name.clone()).unwrap_or_default(),
            depth: either.map_or(0, |p| p.depth),
            base: base.map(side),
            other: other.map(side),
            shift: 0.0,
        }
    }

    fn of_runs(base: &Analysis, other: &Analysis) -> Self {
        let sum = |analysis: &Analysis, work: fn(&PhaseAnalysis) -> Option<u64>| {
            tops(analysis).filter_map(work).reduce(u64::saturating_add)
        };
        let estimate = |a: &Analysis| {
            a.devices
                .iter()
                .any(|d| d.in_total && d.energy.method == Method::Estimate)
        };
        let side = |analysis: &Analysis| Side {
            wall: Some(analysis.run.wall),
            energy: analysis.total,
            samples: sum(analysis, |p| p.samples),
            tokens: sum(analysis, |p| p.tokens),
            whole_time: tops(analysis).all(|p| p.whole_time),
            whole_energy: tops(analysis).all(|p| p.whole_energy),
            holds_estimate: estimate(analysis),
        };
        Self {
            path: None,
            name: "whole run".to_owned(),
            depth: 0,
            base: Some(side(base)),
            other: Some(side(other)),
            shift: 0.0,
        }
    }

    /// Whether sensors of one device contradict each other in either.
    fn holds_contradiction(&self) -> bool {
        let sides = [self.base, self.other].into_iter().flatten();
        sides
            .filter_map(|side| side.energy.contradiction)
            .any(|joules| joules.get() > 0.0)
    }

    /// Whether the other, or the base, holds what is no measurement.
    fn holds_estimate(&self) -> bool {
        [self.base, self.other]
            .into_iter()
            .flatten()
            .any(|side| side.holds_estimate)
    }
}

/// What devices' own shifts are of the energy of all of them.
fn shift<'a>(
    shifts: &[(String, f64)],
    all: &EnergyEstimate,
    each: impl Iterator<Item = (&'a str, &'a EnergyEstimate)>,
) -> f64 {
    let Some(Joules(all)) = all.joules else { return 0.0 };
    // What is unresolved may be all of it.
    let share = |energy: &EnergyEstimate| energy.joules.map_or(1.0, |Joules(joules)| joules / all);
    let shifted = each.filter_map(|(id, energy)| {
        let (_, shift) = shifts.iter().find(|(known, _)| known == id)?;
        Some(shift * share(energy))
    });
    let sum: f64 = shifted.sum();
    if sum.is_finite() { sum } else { 0.0 }
}

fn tops(analysis: &Analysis) -> impl Iterator<Item = &PhaseAnalysis> {
    analysis.phases.iter().filter(|p| p.depth == 0)
}

/// Where a phase that the base lacks belongs: behind all that is inside its parent, or behind all phases.
fn behind_siblings(pairs: &[Pair], path: &str) -> usize {
    let Some((parent, _)) = path.rsplit_once('/') else {
        return pairs.len();
    };
    let is_inside = |pair: &Pair| {
        let below = pair.path.as_deref().and_then(|path| path.strip_prefix(parent));
        below.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    pairs.iter().rposition(is_inside).map_or(pairs.len(), |last| last + 1)
}

impl Side {
    fn value(&self, quantity: Quantity) -> Option<f64> {
        let joules = self.energy.joules.map(Joules::get);
        let is_whole = match quantity {
            Quantity::JoulesPerSample | Quantity::JoulesPerToken | Quantity::SamplesPerJoule => self.whole_energy,
            Quantity::SamplesPerSecond => self.whole_time,
            Quantity::Joules | Quantity::WallSeconds | Quantity::MeanWatts => true,
        };
        let positive = |n: Option<u64>| n.filter(|&n| n > 0 && is_whole).map(|n| n as f64);
        let (samples, tokens) = (positive(self.samples), positive(self.tokens));
        let seconds = self.wall.map(Seconds::get).filter(|&s| s > 0.0);
        let value = match quantity {
            Quantity::Joules => joules?,
            Quantity::JoulesPerSample => joules? / samples?,
            Quantity::JoulesPerToken => joules? / tokens?,
            Quantity::WallSeconds => seconds?,
            Quantity::MeanWatts => joules? / seconds?,
            Quantity::SamplesPerSecond => samples? / seconds?,
            Quantity::SamplesPerJoule => samples? / joules?,
        };
        value.is_finite().then_some(value)
    }

    /// Relative half-width of its energy.
    fn doubt(&self, with_scale: bool) -> Option<f64> {
        let joules = self.energy.joules?.get();
        let u95 = self.energy.u95?.get();
        let scale = if with_scale {
            self.energy.u95_scale?.get()
        } else {
            self.energy.contradiction.map_or(0.0, Joules::get)
        };
        let relative = u95.hypot(scale) / joules.abs();
        relative.is_finite().then_some(relative)
    }
}

/// Failed checks of a run that are shown.
const MOST_FAILED: usize = 3;

/// What must be known of both runs before any change is believed.
fn caveats(base: &Analysis, other: &Analysis) -> Vec<String> {
    let mut caveats = Vec::new();
    for (name, analysis) in [("base", base), ("other", other)] {
        caveats.extend(
            super::notes::banners(analysis)
                .into_iter()
                .map(|b| format!("{name} is {b}")),
        );
        if let Some(code) = analysis.run.exit_code.filter(|&code| code != 0) {
            caveats.push(format!("{name} ended with exit status {code}"));
        }
        let failed: Vec<_> = analysis
            .checks
            .iter()
            .filter(|c| c.status == CheckStatus::Fail)
            .collect();
        caveats.extend(failed.iter().take(MOST_FAILED).map(|check| {
            let (check, detail) = (format::printable(&check.name), format::printable(&check.detail));
            format!("{name} fails the check {check}: {detail}")
        }));
        if let Some(more) = failed.len().checked_sub(MOST_FAILED).filter(|&more| more > 0) {
            caveats.push(format!(
                "{name} fails {}; `powerprof report` has them",
                counted(more as u64, "more check", "more checks")
            ));
        }
    }
    caveats
}

#[cfg(test)]
mod tests;
