//! Differences between a run and a changed copy of it.

use super::*;
use crate::model::analysis::Check;
use crate::model::device::{Calibration, Source};
use crate::model::units::Watts;
use crate::report::fixture;
use crate::report::text::TextOptions;

/// The training run with every measured energy times `factor` (and its interval).
fn scaled(factor: f64) -> Analysis {
    let mut analysis = fixture::training();
    let scale = |e: &mut EnergyEstimate| {
        for j in [&mut e.joules, &mut e.u95, &mut e.u95_scale, &mut e.upper_bound]
            .into_iter()
            .flatten()
        {
            *j = *j * factor;
        }
    };
    scale(&mut analysis.total);
    for p in &mut analysis.phases {
        scale(&mut p.energy);
        p.mean_power = p.mean_power.map(|w: Watts| w * factor);
    }
    analysis
}

fn judge(condition: &str, comparison: &Comparison) -> Verdict {
    condition.parse::<Condition>().unwrap().judge(comparison).verdict
}

#[test]
fn a_change_has_the_interval_of_both_runs() {
    let comparison = Comparison::new(&fixture::training(), &scaled(1.05));
    let train = comparison
        .pairs
        .iter()
        .find(|p| p.path.as_deref() == Some("train"))
        .unwrap();
    let change = comparison.change(train, Quantity::Joules).unwrap();
    assert!((change.relative - 0.05).abs() < 1e-12);
    // 0.21 % each, in quadrature, times the ratio.
    assert!((change.half_width.unwrap() - 1.05 * 0.0021 * 2f64.sqrt()).abs() < 1e-12);
    let time = comparison.change(train, Quantity::WallSeconds).unwrap();
    assert_eq!((time.relative, time.half_width), (0.0, None));
    let work = comparison.change(train, Quantity::SamplesPerJoule).unwrap();
    assert!((work.relative - (1.0 / 1.05 - 1.0)).abs() < 1e-12);
}

#[test]
fn other_devices_bring_their_tolerance() {
    let mut other = scaled(1.05);
    other.devices[0].device.uuid = Some("GPU-another".to_owned());
    let comparison = Comparison::new(&fixture::training(), &other);
    let train = comparison
        .pairs
        .iter()
        .find(|p| p.path.as_deref() == Some("train"))
        .unwrap();
    let change = comparison.change(train, Quantity::Joules).unwrap();
    assert!(
        !comparison.same_devices && change.half_width.unwrap() > 0.08,
        "{change:?}"
    );
    assert!(change.may_be_none());
}

fn train(comparison: &Comparison) -> Change {
    let train = comparison.pairs.iter().find(|p| p.path.as_deref() == Some("train"));
    comparison.change(train.unwrap(), Quantity::Joules).unwrap()
}

/// A change of the other run alone, after which the devices are no longer read as in the base.
fn no_longer_the_same(change: impl Fn(&mut Analysis)) -> Comparison {
    let mut other = scaled(1.05);
    change(&mut other);
    let comparison = Comparison::new(&fixture::training(), &other);
    assert!(!comparison.same_devices);
    assert!(train(&comparison).half_width.unwrap() > 0.08);
    assert_eq!(judge("train:joules>+3%", &comparison), Verdict::Undecided);
    comparison
}

#[test]
fn a_calibration_of_one_run_alone_does_not_cancel() {
    let calibrate = |gain| {
        move |other: &mut Analysis| {
            other.devices[1].device.calibration = Some(Calibration {
                gain,
                offset: Watts(5.0),
            });
        }
    };
    let comparison = no_longer_the_same(calibrate(1.1));
    assert_eq!(
        comparison.caveats,
        [
            "gpu1 is calibrated differently in the two runs (not at all; gain 1.1, offset 5 W): what that makes of the same load is in \
             the intervals, and so are the sensors' own tolerances"
        ]
    );
    let (mut base, mut other) = (fixture::training(), scaled(1.05));
    calibrate(1.1)(&mut base);
    calibrate(1.1)(&mut other);
    let alike = Comparison::new(&base, &other);
    assert!(
        alike.same_devices && train(&alike).half_width.unwrap() < 0.01,
        "both calibrated alike"
    );
}

#[test]
fn what_a_calibration_alone_changes_is_no_change_of_the_load() {
    // The same readings, of a board that reads 20 % low.
    let mut other = scaled(1.25);
    for device in &mut other.devices[..2] {
        device.device.calibration = Some(Calibration {
            gain: 0.8,
            offset: Watts(0.0),
        });
    }
    let comparison = Comparison::new(&fixture::training(), &other);
    for condition in ["joules>+3%", "train/step:joules>+3%", "samples_per_s_per_w<-3%"] {
        assert_eq!(judge(condition, &comparison), Verdict::Undecided, "{condition}");
    }
}

#[test]
fn estimates_from_different_powers_do_not_cancel_and_a_power_cap_does() {
    let cpu_at = |watts: f64| move |other: &mut Analysis| other.devices[2].device.power_limit = Some(Watts(watts));
    let mut base = fixture::training();
    cpu_at(20.0)(&mut base);
    let mut other = scaled(1.05);
    cpu_at(225.0)(&mut other);
    let comparison = Comparison::new(&base, &other);
    assert_eq!(
        comparison.caveats,
        [
            "cpu0 is estimated from different powers in the two runs (20.0 W at full load; 225 W at full load): what that makes \
             of the same load is in the intervals, and so are the sensors' own tolerances"
        ]
    );
    // Of 105.1 kJ of this phase 5.3 kJ are the CPU's, times 225/20 - 1.
    let shift = 10.25 * 5300.0 / 105_100.0;
    let half_width = train(&comparison).half_width.unwrap();
    assert!(half_width > shift && half_width < shift + 0.1, "{half_width} {shift}");
    let mut capped = scaled(1.05);
    capped.devices[0].device.power_limit = Some(Watts(300.0));
    assert!(Comparison::new(&fixture::training(), &capped).same_devices);
}

#[test]
fn simulated_boards_of_different_kinds_are_different_devices_in_old_recordings_too() {
    let played = |name: &str| {
        let mut analysis = scaled(1.0);
        let device = &mut analysis.devices[0].device;
        device.source = Source::Simulated;
        device.name = format!("SIMULATED {name}");
        device.uuid = Some("GPU-51000000-0000-0000-0000-000000000000".to_owned());
        analysis
    };
    assert!(Comparison::new(&played("A100"), &played("A100")).same_devices);
    assert!(!Comparison::new(&played("A100"), &played("H100")).same_devices);
}

#[test]
fn what_sensors_contradict_each_other_by_does_not_cancel() {
    let mut other = scaled(1.05);
    let contradict = |e: &mut EnergyEstimate| e.contradiction = e.joules.map(|joules| joules * 0.25);
    contradict(&mut other.total);
    other.phases.iter_mut().for_each(|p| contradict(&mut p.energy));
    let comparison = Comparison::new(&fixture::training(), &other);
    assert!(comparison.same_devices);
    let half_width = train(&comparison).half_width.unwrap();
    assert!((half_width / (1.05 * 0.25) - 1.0).abs() < 1e-3, "{half_width}");
    assert_eq!(judge("joules>+3%", &comparison), Verdict::Undecided);
    let text = render(&comparison, &[], &TextOptions::default());
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(
        text.contains("noise and timing, and what contradicting sensors of one device differ by; the rest of"),
        "{text}"
    );
}

#[test]
fn checks_that_a_run_fails_are_told() {
    let mut other = scaled(1.05);
    let failed = |n: usize| Check {
        name: format!("coverage:gpu{n}"),
        status: CheckStatus::Fail,
        detail: format!("gpu{n} gave no readings for 8.10 s of the run"),
    };
    other.checks.extend((0..5).map(failed));
    let comparison = Comparison::new(&fixture::training(), &other);
    let told =
        |n: usize| format!("other fails the check coverage:gpu{n}: gpu{n} gave no readings for 8.10 s of the run");
    assert_eq!(comparison.caveats[..3], [told(0), told(1), told(2)]);
    assert_eq!(
        comparison.caveats[3],
        "other fails 2 more checks; `powerprof report` has them"
    );
    assert_eq!(comparison.caveats.len(), 4);
}

#[test]
fn conditions_are_met_only_beyond_the_whole_interval() {
    let comparison = Comparison::new(&fixture::training(), &scaled(1.05));
    let cases = [
        ("j_per_sample>+3%", Verdict::Met),
        ("train:j_per_sample > 4.6 %", Verdict::Met),
        ("joules>+5.1%", Verdict::Undecided),
        ("joules>+4.9%", Verdict::Undecided),
        ("joules>+6%", Verdict::NotMet),
        ("samples_per_s_per_w<-3%", Verdict::Met),
        ("samples_per_s<-3%", Verdict::NotMet),
        ("wall_s>0%", Verdict::NotMet),
        ("train/step/data:joules>+3%", Verdict::Undecided),
        ("train/step/zero_grad:joules>+3%", Verdict::Unknown),
        ("nowhere:joules>+3%", Verdict::Unknown),
        ("load:j_per_sample>+3%", Verdict::Unknown),
    ];
    for (condition, verdict) in cases {
        assert_eq!(judge(condition, &comparison), verdict, "{condition}");
    }
}

#[test]
fn conditions_that_cannot_be_understood() {
    let errors = [
        "j_per_sample",
        "watts>3%",
        "joules>3",
        "joules>%",
        "joules>NaN%",
        ":>3%",
        "",
    ];
    let messages: Vec<String> = errors
        .iter()
        .map(|e| e.parse::<Condition>().map(|_| ()).unwrap_err().to_string())
        .collect();
    insta::assert_snapshot!(messages.join("\n\n"));
}

#[test]
fn as_text() {
    let mut other = scaled(1.031);
    other.phases.remove(9);
    other.run.exit_code = Some(3);
    let comparison = Comparison::new(&fixture::training(), &other);
    let outcomes: Vec<Outcome> = ["j_per_sample>+3%", "joules>+2%", "infer:joules>+1%", "wall_s>+1%"]
        .iter()
        .map(|c| c.parse::<Condition>().unwrap().judge(&comparison))
        .collect();
    let text = render(&comparison, &outcomes, &TextOptions::default());
    assert!(text.lines().all(|l| textwrap::core::display_width(l) <= 100));
    insta::assert_snapshot!(text);
}

#[test]
fn what_one_run_alone_has_stands_below_its_own_parent() {
    let (mut base, mut other) = (fixture::training(), fixture::training());
    base.phases
        .retain(|p| !["validate", "train/step/optimizer"].contains(&p.path.as_str()));
    other
        .phases
        .retain(|p| !["load", "train/step/forward"].contains(&p.path.as_str()));
    let comparison = Comparison::new(&base, &other);
    let paths: Vec<&str> = comparison.pairs.iter().filter_map(|p| p.path.as_deref()).collect();
    assert_eq!(
        paths,
        [
            "load",
            "train",
            "train/step",
            "train/step/data",
            "train/step/forward",
            "train/step/backward",
            "train/step/zero_grad",
            "train/step/optimizer",
            "infer",
            "validate"
        ]
    );
}

#[test]
fn only_the_run_that_holds_an_estimate_is_marked() {
    let mut other = fixture::training();
    other.devices.retain(|d| d.energy.method != Method::Estimate);
    for p in &mut other.phases {
        p.devices.retain(|d| d.energy.method != Method::Estimate);
    }
    let text = render(
        &Comparison::new(&fixture::training(), &other),
        &[],
        &TextOptions::default(),
    );
    let row = text.lines().find(|line| line.starts_with("train ")).expect("a row");
    assert_eq!(row.matches('~').count(), 1, "{row}");
}

#[test]
fn work_whose_energy_was_not_measured_is_divided_by_nothing() {
    let mut other = scaled(1.05);
    for p in &mut other.phases {
        p.whole_energy = false;
    }
    let comparison = Comparison::new(&fixture::training(), &other);
    for quantity in ["j_per_sample", "j_per_token", "samples_per_s_per_w"] {
        assert_eq!(
            judge(&format!("{quantity}>+3%"), &comparison),
            Verdict::Unknown,
            "{quantity}"
        );
        assert_eq!(
            judge(&format!("train:{quantity}>+3%"), &comparison),
            Verdict::Unknown,
            "{quantity}"
        );
    }
    assert_eq!(judge("samples_per_s<-3%", &comparison), Verdict::NotMet);
}

#[test]
fn empty_runs_compare_to_nothing() {
    let comparison = Comparison::new(&fixture::empty(), &fixture::empty());
    assert!(
        comparison
            .pairs
            .iter()
            .all(|p| Quantity::ALL.iter().all(|&q| comparison.change(p, q).is_none()))
    );
    assert!(render(&comparison, &[], &TextOptions { color: true }).contains("whole run"));
}
