//! Sensors that fail in the middle of a run: what lies outside the fault stays right, the interval inside it grows, and a check says so.

use super::laws::{self, gpu, recording};
use crate::model::analysis::{Analysis, CheckStatus};
use crate::model::marker::MarkerVerb::{Begin, End};
use crate::model::sample::{PowerStream, Times};
use crate::model::time::Timestamp;

const MS: i64 = 1_000_000;
/// Three phases, one after another: name, beginning (s), watts from there on. The fault comes in the second.
const PHASES: [(&str, f64, f64); 4] = [
    ("before", 0.0, 300.0),
    ("across", 13.0, 150.0),
    ("after", 27.0, 250.0),
    ("", 40.0, 150.0),
];

fn joules(t: f64) -> f64 {
    let piece = |pair: &[(&str, f64, f64)]| pair[0].2 * (t.min(pair[1].1) - pair[0].1).max(0.0);
    PHASES.windows(2).map(piece).sum::<f64>() + 300.0 * t.min(0.0) + 150.0 * (t - 40.0).max(0.0)
}

/// A poll every 10 ms of power (means over 100 ms) and of a counter, both published every 100 ms; `fault` spoils them, or drops a poll.
fn analysed(fault: impl Fn(i64, &mut f64, &mut Option<u64>) -> bool) -> Analysis {
    let mut power = PowerStream {
        counter_unit_joules: 1e-3,
        ..PowerStream::default()
    };
    let mut times = Times::default();
    for at in (-297..40_300).step_by(10) {
        let published = (at as i64).div_euclid(100) as f64 * 0.1;
        // A little that differs from update to update, as readings do.
        let noise = 0.02 * ((at as i64).div_euclid(100) * 7919 % 13) as f64;
        let mut watts = (joules(published) - joules(published - 0.1)) / 0.1 + noise;
        let mut counter = Some(((1000.0 + joules(published)) * 1e3) as u64);
        if fault(i64::from(at), &mut watts, &mut counter) {
            times.push(Timestamp::from_nanos(i64::from(at) * MS), 10_000);
            power.watts.push(watts);
            power.counter.push(counter);
        }
    }
    power.times = times;
    let lines: Vec<_> = PHASES
        .windows(2)
        .flat_map(|pair| {
            [
                (pair[0].1 * 1e3, Begin, pair[0].0, 0),
                (pair[1].1 * 1e3, End, pair[0].0, 0),
            ]
        })
        .collect();
    let recording = recording(vec![gpu(0)], 40_000, &lines);
    laws::analysed(&recording, power)
}

fn truth(phase: usize) -> f64 {
    joules(PHASES[phase + 1].1) - joules(PHASES[phase].1)
}

/// Half-width of a phase, which holds the truth; wider than anything where it is not resolved.
fn half_width(analysis: &Analysis, phase: usize) -> f64 {
    let energy = &analysis.phases[phase].energy;
    match (energy.joules, energy.u95) {
        (Some(value), Some(u95)) => {
            let off = (value.get() - truth(phase)).abs();
            assert!(off <= u95.get(), "phase {phase} is off by {off}: {energy:?}");
            u95.get()
        }
        _ => {
            assert!(energy.upper_bound.expect("a bound").get() >= truth(phase), "{energy:?}");
            f64::INFINITY
        }
    }
}

fn status(analysis: &Analysis, name: &str) -> Option<CheckStatus> {
    analysis
        .checks
        .iter()
        .find(|c| c.name.starts_with(name))
        .map(|c| c.status)
}

/// Outside the fault nothing changed; inside it the interval is wider by at least `more` joules.
fn assert_local(good: &Analysis, bad: &Analysis, more: f64) {
    for phase in [0, 2] {
        let (usual, now) = (half_width(good, phase), half_width(bad, phase));
        assert!(
            (now - usual).abs() < 0.01 * truth(phase),
            "phase {phase}: {usual} and {now}"
        );
    }
    let (usual, now) = (half_width(good, 1), half_width(bad, 1));
    assert!(now > usual + more, "{usual} and {now}");
}

fn whole() -> Analysis {
    let analysis = analysed(|_, _, _| true);
    assert_eq!(status(&analysis, "coverage"), Some(CheckStatus::Pass));
    analysis
}

#[test]
fn a_call_that_hangs_leaves_a_hole_that_is_shown() {
    let bad = analysed(|ms, _, counter| {
        // The counter starts anew while the call hangs, so that nothing bridges the two seconds.
        if ms >= 17_000 {
            *counter = counter.map(|c| c - 4_000_000);
        }
        !(15_000..17_000).contains(&ms)
    });
    assert_local(&whole(), &bad, 50.0);
    assert_eq!(status(&bad, "coverage"), Some(CheckStatus::Warn));
}

#[test]
fn a_hang_that_the_counter_bridges_costs_nothing() {
    let bad = analysed(|ms, _, _| !(15_000..17_000).contains(&ms));
    let (good, whole) = (whole(), bad.total.joules.expect("a total").get());
    assert!((whole - good.total.joules.expect("a total").get()).abs() < 1.0);
    assert!((0..3).all(|phase| half_width(&bad, phase) < half_width(&good, phase) + 20.0));
}

#[test]
fn a_gpu_that_is_lost_leaves_what_was_before_it() {
    let bad = analysed(|ms, _, _| ms < 20_000);
    let good = whole();
    assert!((half_width(&bad, 0) - half_width(&good, 0)).abs() < 0.01 * truth(0));
    assert!(half_width(&bad, 1) > half_width(&good, 1) + 200.0);
    // Nothing was seen of it: whatever is shown holds the truth, and is as wide as the device.
    assert!(half_width(&bad, 2) > 0.3 * truth(2));
    assert_eq!(status(&bad, "coverage"), Some(CheckStatus::Fail));
}

#[test]
fn a_counter_that_stands_still_is_noticed_and_replaced_by_power() {
    let held = ((1000.0 + joules(15.0)) * 1e3) as u64;
    let lost = ((1000.0 + joules(18.0)) * 1e3) as u64 - held;
    let bad = analysed(|ms, _, counter| {
        *counter = match ms {
            15_000..18_000 => Some(held),
            18_000.. => counter.map(|c| c - lost),
            _ => *counter,
        };
        true
    });
    assert_eq!(status(&bad, "counter"), Some(CheckStatus::Warn));
    for phase in 0..3 {
        let shown = bad.phases[phase].energy.joules.expect("resolved").get();
        assert!(
            (shown / truth(phase) - 1.0).abs() < 0.02,
            "{phase}: {shown} of {}",
            truth(phase)
        );
        half_width(&bad, phase);
    }
}

/// What the check of the counter says.
fn of_counter(analysis: &Analysis) -> &str {
    let check = analysis.checks.iter().find(|c| c.name.starts_with("counter:"));
    check.map_or("", |c| c.detail.as_str())
}

#[test]
fn a_counter_that_stands_still_to_the_end_is_noticed() {
    let held = ((1000.0 + joules(15.0)) * 1e3) as u64;
    let bad = analysed(|ms, _, counter| {
        *counter = counter.map(|c| if ms < 15_000 { c } else { held });
        true
    });
    assert!(of_counter(&bad).contains("stood still for 25"), "{:#?}", bad.checks);
    assert!((0..3).all(|phase| half_width(&bad, phase) < 0.05 * truth(phase)));
}

#[test]
fn a_counter_that_catches_up_loses_nothing_and_phases_meanwhile_are_told_by_power() {
    // It stands over the edge between the first and the second phase.
    let held = ((1000.0 + joules(11.0)) * 1e3) as u64;
    let bad = analysed(|ms, _, counter| {
        *counter = counter.map(|c| if (11_000..15_000).contains(&ms) { held } else { c });
        true
    });
    assert!(of_counter(&bad).contains("and then caught up"), "{:#?}", bad.checks);
    let good = whole();
    assert!((0..3).all(|phase| half_width(&bad, phase) < half_width(&good, phase) + 20.0));
    let total = |analysis: &Analysis| analysis.total.joules.expect("a total").get();
    assert!((total(&bad) - total(&good)).abs() < 1.0);
}

#[test]
fn a_power_reading_that_stands_still_under_load_is_a_hole() {
    let bad = analysed(|ms, watts, counter| {
        *counter = None;
        if (15_000..19_000).contains(&ms) {
            *watts = 150.123;
        }
        true
    });
    let good = analysed(|_, _, counter| {
        *counter = None;
        true
    });
    assert_local(&good, &bad, 100.0);
    assert_eq!(status(&bad, "coverage"), Some(CheckStatus::Warn));
}

#[test]
fn missing_values_and_zeros_here_and_there_change_nothing() {
    let bad = analysed(|ms, watts, counter| {
        match ms / 10 % 29 {
            3 => *watts = f64::NAN,
            7 => *counter = None,
            11 => *watts = 0.0,
            17 => *counter = Some(0),
            _ => {}
        }
        true
    });
    let good = whole();
    for phase in 0..3 {
        let (usual, now) = (half_width(&good, phase), half_width(&bad, phase));
        assert!(
            now < usual + 0.01 * truth(phase),
            "phase {phase}: {usual} J, and now {now} J, of {} J: {:#?}",
            truth(phase),
            bad.checks
        );
        let shown = bad.phases[phase].energy.joules.expect("resolved").get();
        assert!(
            (shown / truth(phase) - 1.0).abs() < 0.005,
            "{phase}: {shown} of {}",
            truth(phase)
        );
    }
    assert_eq!(status(&bad, "glitches"), Some(CheckStatus::Warn));
    assert_eq!(status(&bad, "coverage"), Some(CheckStatus::Pass));
}

#[test]
fn a_counter_that_is_wrong_all_the_time_is_no_surer_than_its_readings_let_it_be() {
    use crate::model::analysis::Grade;
    let bad = analysed(|_, _, counter| {
        *counter = counter.map(|c| c * 4 / 5);
        true
    });
    assert_eq!(status(&bad, "counter_vs_integral"), Some(CheckStatus::Fail));
    for (phase, of) in bad.phases.iter().enumerate() {
        let energy = &of.energy;
        let (value, scale) = energy.joules.zip(energy.u95_scale).expect("a figure");
        assert!(
            (value.get() - truth(phase)).abs() <= scale.get(),
            "phase {phase}: {energy:?}"
        );
        assert_eq!(energy.grade, Grade::C, "phase {phase}: {energy:?}");
    }
}

#[test]
fn a_hole_between_polls_is_no_counter_that_stands_still() {
    let good = whole();
    let bad = analysed(|ms, _, _| !(17_000..19_000).contains(&ms));
    assert_eq!(status(&bad, "counter:gpu0"), None, "{:#?}", bad.checks);
    for phase in 0..3 {
        let (usual, now) = (half_width(&good, phase), half_width(&bad, phase));
        assert!(
            now < usual + 0.001 * truth(phase),
            "phase {phase}: {usual} J, and now {now} J"
        );
    }
}
