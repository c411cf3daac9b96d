//! Differences between a run and a changed copy of it.

use super::*;
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
