//! A counter that adds up the power readings, each held until the next: where those look at a quarter of the time it is as wrong as they
//! are, agrees with them to the last joule, and says so of itself nowhere.

use super::laws::{self, gpu, recording};
use super::{Estimator, Options};
use crate::model::analysis::Analysis;
use crate::model::device::{Device, SensorTiming};
use crate::model::marker::MarkerVerb::{Begin, End};
use crate::model::recording::Recording;
use crate::model::sample::{PowerStream, Times};
use crate::model::time::Timestamp;
use crate::model::units::Joules;

const MS: i64 = 1_000_000;
const PERIOD_MS: i64 = 100;
const WINDOW_MS: i64 = 25;
const IDLE_MS: i64 = 1000;
const IDLE_W: f64 = 40.0;
const PHASES: [(i64, f64); 3] = [(45, 185.0), (98, 125.0), (171, 172.0)];
const STEPS: i64 = 60;

/// Joules up to each millisecond, from a second before the run on.
fn energy() -> (Vec<f64>, i64) {
    let idle = |ms: i64| (0..ms).map(|_| IDLE_W);
    let mut watts: Vec<f64> = idle(2 * IDLE_MS).collect();
    for step in 0..STEPS {
        for (phase, (ms, power)) in PHASES.into_iter().enumerate() {
            let scatter = (step * 7919 + phase as i64 * 31) % 23 - 11;
            let own = power * (1.0 + ((step * 131 + phase as i64 * 17) % 13 - 6) as f64 / 40.0);
            watts.extend((0..ms + scatter).map(|_| own));
        }
    }
    let end = watts.len() as i64 - IDLE_MS;
    watts.extend(idle(2 * IDLE_MS));
    let joules = watts.iter().scan(0.0, |sum, watts| {
        let before = *sum;
        *sum += watts * 1e-3;
        Some(before)
    });
    (joules.collect(), end)
}

/// The recording, its readings, and in truth: the run's energy and the load's.
fn recorded(holds_readings: bool) -> (Recording, PowerStream, [f64; 2]) {
    let (joules, load_end) = energy();
    let to = |ms: i64| joules[(ms + IDLE_MS) as usize];
    let run_ms = load_end + IDLE_MS;
    let reading = |published: i64| (to(published) - to(published - WINDOW_MS)) / (WINDOW_MS as f64 * 1e-3);
    let (mut power, mut times) = (PowerStream::default(), Times::default());
    power.counter_unit_joules = 1e-3;
    for ms in (-300..run_ms + 300).step_by(5) {
        let published = ms.div_euclid(PERIOD_MS) * PERIOD_MS;
        times.push(Timestamp::from_nanos(ms * MS), 10_000);
        power.watts.push(reading(published));
        // It moves with the readings, 40 ms after them.
        let last = (ms - 40).div_euclid(PERIOD_MS);
        let held = || {
            (-3..=last)
                .map(|k| reading(k * PERIOD_MS) * PERIOD_MS as f64 * 1e-3)
                .sum()
        };
        let counted: f64 = if holds_readings {
            held()
        } else {
            to(last * PERIOD_MS + 40)
        };
        power.counter.push(Some(((1000.0 + counted) * 1e3) as u64));
    }
    power.times = times;
    let device = Device {
        power_timing: SensorTiming {
            update_period_ms: Some(PERIOD_MS as f64),
            window_ms: Some(WINDOW_MS as f64),
            delay_ms: None,
        },
        ..gpu(0)
    };
    let mut lines = vec![(IDLE_MS as f64, Begin, "load", 0)];
    let mut at = IDLE_MS;
    for step in 0..STEPS {
        for (phase, (ms, _)) in PHASES.into_iter().enumerate() {
            let end = at + ms + (step * 7919 + phase as i64 * 31) % 23 - 11;
            let name = ["data", "forward", "backward"][phase];
            lines.extend([(at as f64, Begin, name, 0), (end as f64, End, name, 0)]);
            at = end;
        }
    }
    lines.push((load_end as f64, End, "load", 0));
    let truth = [to(run_ms) - to(0), to(load_end) - to(IDLE_MS)];
    (recording(vec![device], run_ms, &lines), power, truth)
}

fn analysed(holds_readings: bool) -> (Analysis, [f64; 2]) {
    let (recording, power, truth) = recorded(holds_readings);
    (laws::analysed(&recording, power), truth)
}

/// The total's value and half-width.
fn total(analysis: &Analysis) -> (f64, f64) {
    let known = |joules: Option<Joules>| joules.expect("a value with an interval").get();
    (known(analysis.total.joules), known(analysis.total.u95))
}

/// Whether the sensor's check says so of the counter.
fn says(analysis: &Analysis, words: &str) -> bool {
    let mut checks = analysis.checks.iter();
    checks.any(|check| check.name == "sensor:gpu0" && check.detail.contains(words))
}

#[test]
fn a_counter_that_holds_readings_is_as_sure_as_they_are() {
    let (analysis, truth) = analysed(true);
    assert!(says(&analysis, "adds up the power readings"), "{:?}", analysis.checks);
    for (energy, truth) in [(&analysis.total, truth[0]), (&analysis.phases[0].energy, truth[1])] {
        let (joules, u95) = (energy.joules.expect("a value").get(), energy.u95.expect("known").get());
        assert!(
            (joules - truth).abs() < u95 && u95 > 1e-3 * truth,
            "{joules} ± {u95} J for {truth}"
        );
    }
}

#[test]
fn a_counter_of_all_time_is_not_taken_for_one() {
    let (analysis, truth) = analysed(false);
    assert!(!says(&analysis, "adds up the power readings"), "{:?}", analysis.checks);
    let (joules, u95) = total(&analysis);
    assert!(
        (joules - truth[0]).abs() < u95 && u95 < 1e-3 * truth[0],
        "{joules} ± {u95} J for {}",
        truth[0]
    );
}

/// A trainer that nobody could edit writes no markers, and then no model of the sensor tells what its counter is.
#[test]
fn of_a_run_without_markers_too() {
    for (holds_readings, surest) in [(true, 1e-3), (false, 0.0)] {
        let (mut recording, power, truth) = recorded(holds_readings);
        recording.markers.clear();
        let (joules, u95) = total(&laws::analysed(&recording, power));
        assert!(
            (joules - truth[0]).abs() < u95 && (surest..0.03).contains(&(u95 / truth[0])),
            "holds readings: {holds_readings}, {joules} ± {u95} J for {}",
            truth[0]
        );
    }
}

#[test]
fn of_the_interval_estimator_too() {
    let (recording, power, truth) = recorded(true);
    let options = Options {
        estimator: Estimator::Interval,
    };
    let (joules, u95) = total(&laws::analysed_with(&recording, power, &options));
    assert!(
        (joules - truth[0]).abs() < u95 && u95 > 1e-3 * truth[0],
        "{joules} ± {u95} J for {}",
        truth[0]
    );
}

/// One phase around everything: when the counter's ticks are seen nothing tells, and so nothing of what it adds up.
#[test]
fn a_counter_beside_one_long_phase_is_not_taken_for_one() {
    let (mut recording, power, truth) = recorded(false);
    recording.markers.retain(|marker| marker.name == "load");
    let analysis = laws::analysed(&recording, power);
    assert!(!says(&analysis, "adds up the power readings"), "{:?}", analysis.checks);
    let (joules, u95) = total(&analysis);
    assert!(
        (joules - truth[0]).abs() < u95 && u95 < 0.03 * truth[0],
        "{joules} ± {u95} J for {}",
        truth[0]
    );
}
