//! A sensor whose window is as long as several steps, of a board of which nothing is known: its readings hardly move, and a short window
//! over phases of one power would explain that too. The counter knows better.

use super::laws::{self, gpu, recording};
use crate::model::analysis::{Analysis, CheckStatus};
use crate::model::marker::MarkerVerb::{Begin, End};
use crate::model::sample::{PowerStream, Times};
use crate::model::time::Timestamp;

const MS: i64 = 1_000_000;
const WINDOW_MS: f64 = 830.0;
const PHASES: [(&str, f64, f64); 3] = [
    ("data", 61.0, 290.0),
    ("loss", 105.0, 150.0),
    ("optimizer", 37.0, 215.0),
];
const STEPS: usize = 180;

/// Pieces of power (ms, ms, W), of which lengths scatter by some per cent.
fn pieces() -> Vec<(f64, f64, usize)> {
    let (mut t, mut pieces) = (0.0, Vec::new());
    for i in 0..STEPS * PHASES.len() {
        let scatter = 1.0 + 0.18 * ((i * 7919 + i * i * 31) % 101) as f64 / 101.0 - 0.09;
        let end = t + PHASES[i % PHASES.len()].1 * scatter;
        pieces.push((t, end, i % PHASES.len()));
        t = end;
    }
    pieces
}

/// The analysis, with a counter or without; and each phase's energy in truth.
fn analysed(with_counter: bool) -> (Analysis, Vec<f64>) {
    let pieces = pieces();
    let run = pieces.last().expect("pieces").1;
    let knees: Vec<(f64, f64)> = pieces
        .iter()
        .scan(0.0, |joules, &(from, to, phase)| {
            let before = (from, *joules);
            *joules += PHASES[phase].2 * (to - from) * 1e-3;
            Some(before)
        })
        .collect();
    let joules = |t: f64| {
        let at = knees.partition_point(|&(from, _)| from <= t).max(1) - 1;
        knees[at].1 + PHASES[pieces[at].2].2 * (t - knees[at].0) * 1e-3
    };
    let (mut power, mut times) = (PowerStream::default(), Times::default());
    power.counter_unit_joules = 1e-3;
    for ms in 0..run as i64 {
        let published = (ms / 10 * 10) as f64;
        // No offset: that would be the sensor's tolerance, and no error of the split.
        let noise = 0.1 * ((ms / 10 * 7919 % 17) as f64 - 8.0);
        times.push(Timestamp::from_nanos(ms * MS), 10_000);
        power
            .watts
            .push((joules(published) - joules(published - WINDOW_MS)) / (WINDOW_MS * 1e-3) + noise);
        let counted = (1000.0 + joules((ms / 100 * 100) as f64)) * 1e3;
        power.counter.push(with_counter.then_some(counted as u64));
    }
    power.times = times;
    let lines: Vec<_> = pieces
        .iter()
        .flat_map(|&(from, to, phase)| [(from, Begin, PHASES[phase].0, 0), (to, End, PHASES[phase].0, 0)])
        .collect();
    let recording = recording(vec![gpu(0)], run as i64, &lines);
    let analysis = laws::analysed(&recording, power);
    let truth = |phase: usize| {
        let own = pieces.iter().filter(|piece| piece.2 == phase);
        own.map(|piece| PHASES[phase].2 * (piece.1 - piece.0) * 1e-3).sum()
    };
    (analysis, (0..PHASES.len()).map(truth).collect())
}

#[test]
fn what_a_counter_says_is_not_outvoted_by_smooth_readings() {
    let (analysis, truth) = analysed(true);
    for (phase, truth) in analysis.phases.iter().zip(truth) {
        let energy = &phase.energy;
        let (value, u95) = (
            energy.joules.expect("a value").get(),
            energy.u95.expect("an interval").get(),
        );
        // Outvoted ten to one, every phase would be nearly at the mean power, and sure of it.
        let off = (value - truth).abs();
        assert!(off < 0.005 * truth && u95 < 0.1 * truth, "{energy:?}: {truth}");
    }
}

#[test]
fn readings_that_nothing_explains_say_so_or_tell_the_truth() {
    let (analysis, truth) = analysed(false);
    let check = analysis.checks.iter().find(|check| check.name == "sensor:gpu0");
    let found = check.expect("a check of the sensor").status == CheckStatus::Pass;
    for (phase, truth) in analysis.phases.iter().zip(truth) {
        let energy = &phase.energy;
        match (energy.joules, energy.u95) {
            (Some(value), Some(u95)) => assert!((value.get() - truth).abs() <= u95.get(), "{energy:?}: {truth}"),
            _ => assert!(
                !found && energy.upper_bound.expect("a bound").get() >= truth,
                "{energy:?}: {truth}"
            ),
        }
    }
}
