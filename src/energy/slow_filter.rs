//! A sensor that is a low pass several of its periods long, as those of older boards are: a boxcar explains its readings too, and has
//! phases of tens of milliseconds come out tens of per cent wrong, and sure of it.

use super::laws::{self, gpu, recording};
use crate::model::analysis::Analysis;
use crate::model::marker::MarkerVerb::{Begin, End};
use crate::model::sample::{PowerStream, Times};
use crate::model::time::Timestamp;

const MS: i64 = 1_000_000;
const PERIOD_MS: i64 = 20;
const TAU_MS: f64 = 43.0;
const PHASES: [(&str, i64, f64); 3] = [("data", 163, 399.0), ("forward", 41, 422.0), ("backward", 49, 150.0)];
const STEPS: i64 = 60;

/// The analysis, and each phase's energy in truth.
fn analysed() -> (Analysis, Vec<f64>) {
    let (mut watts, mut lines, mut truth) = (Vec::new(), Vec::new(), vec![0.0; PHASES.len()]);
    for step in 0..STEPS {
        for (phase, (name, ms, power)) in PHASES.into_iter().enumerate() {
            let begin = watts.len() as f64;
            let length = ms + (step * 7919 + phase as i64 * 31) % 9 - 4;
            watts.extend((0..length).map(|_| power));
            truth[phase] += power * length as f64 * 1e-3;
            lines.extend([(begin, Begin, name, 0), (watts.len() as f64, End, name, 0)]);
        }
    }
    let (mut power, mut times) = (PowerStream::default(), Times::default());
    let (mut filtered, mut shown) = (PHASES[0].2, 0.0);
    for (ms, watts) in (0_i64..).zip(&watts) {
        if ms % PERIOD_MS == 0 {
            shown = filtered + 0.1 * (ms / PERIOD_MS * 7919 % 17) as f64;
        }
        times.push(Timestamp::from_nanos(ms * MS), 10_000);
        power.watts.push(shown);
        filtered += (watts - filtered) * (1.0 - (-1.0 / TAU_MS).exp());
    }
    power.times = times;
    let recording = recording(vec![gpu(0)], watts.len() as i64, &lines);
    (laws::analysed(&recording, power), truth)
}

#[test]
fn a_low_pass_of_several_periods_is_taken_for_one() {
    let (analysis, truth) = analysed();
    let check = analysis.checks.iter().find(|check| check.name == "sensor:gpu0");
    assert!(
        check.is_some_and(|check| check.detail.contains("low-pass")),
        "{check:?}"
    );
    for (phase, truth) in analysis.phases.iter().zip(truth) {
        let energy = &phase.energy;
        match (energy.joules, energy.u95) {
            (Some(value), Some(u95)) => assert!((value.get() - truth).abs() <= u95.get(), "{energy:?}: {truth}"),
            _ => assert!(
                energy.upper_bound.is_some_and(|bound| bound.get() >= truth),
                "{energy:?}: {truth}"
            ),
        }
    }
    assert!(analysis.phases[0].energy.joules.is_some(), "{:?}", analysis.phases[0]);
}
