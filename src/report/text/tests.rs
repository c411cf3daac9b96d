//! Snapshots of the text report, and the laws of its layout.

use proptest::prelude::*;
use textwrap::core::display_width;

use super::*;
use crate::model::analysis::{Check, EnergyEstimate, Grade, Method, PhaseAnalysis};
use crate::model::span::Metric;
use crate::model::time::Timestamp;
use crate::model::units::{Joules, Seconds, Watts};
use crate::report::fixture;

fn plain(analysis: &Analysis) -> String {
    render(analysis, &TextOptions::default())
}

#[test]
fn training_run() {
    insta::assert_snapshot!(plain(&fixture::training()));
}

#[test]
fn net_energies_are_marked_as_estimates_where_the_gross_ones_are() {
    let text = plain(&fixture::net_of_idle());
    let row = text.lines().find(|line| line.starts_with("train ")).expect("a row");
    assert_eq!(row.matches('~').count(), 2, "{row}");
}

#[test]
fn a_run_of_which_nothing_is_known() {
    insta::assert_snapshot!(plain(&fixture::empty()));
}

/// Fourteen levels of phases with long names on a device with a long name.
#[test]
fn deep_trees_and_long_names() {
    let mut analysis = fixture::training();
    analysis.devices[0].device.name = "NVIDIA DGX Display ".repeat(8);
    analysis.run.command = vec!["python".to_owned(), "--configuration-override=".repeat(9)];
    analysis.run.complete = false;
    let step = analysis.phases[5].clone();
    analysis.phases.truncate(5);
    for depth in 3..14 {
        analysis.phases.push(PhaseAnalysis {
            name: format!("level_{depth}_of_a_tree_that_never_ends"),
            depth,
            ..step.clone()
        });
    }
    insta::assert_snapshot!(plain(&analysis));
}

#[test]
fn colour_adds_only_escape_sequences() {
    let analysis = fixture::training();
    let coloured = render(&analysis, &TextOptions { color: true });
    assert!(coloured.contains('\x1b'));
    let mut bare = String::new();
    let mut rest = coloured.as_str();
    while let Some(at) = rest.find('\x1b') {
        bare += &rest[..at];
        rest = rest[at..].split_once('m').expect("an SGR sequence ends with m").1;
    }
    bare += rest;
    let trimmed = |s: &str| s.lines().map(|l| l.trim_end().to_owned()).collect::<Vec<_>>();
    assert_eq!(trimmed(&bare), trimmed(&plain(&analysis)));
}

#[test]
fn every_row_with_an_estimate_in_it_is_marked() {
    let analysis = fixture::training();
    let text = plain(&analysis);
    for name in ["load", "train", "├ data", "optimizer", "unattributed", "total", "cpu0"] {
        let row = text.lines().find(|l| {
            l.trim_start_matches(['│', '├', '└', ' '])
                .starts_with(name.trim_start_matches("├ "))
        });
        assert!(row.is_some_and(|r| r.contains('~')), "{name}: {row:?}");
    }
    let row = text.lines().find(|l| l.starts_with("gpu0")).unwrap();
    assert!(!row.contains('~'), "a measured device is marked as an estimate: {row}");
}

#[test]
fn an_unresolved_phase_shows_its_bound_and_no_share() {
    let text = plain(&fixture::training());
    let row = text.lines().find(|l| l.contains("zero_grad")).unwrap();
    assert!(
        row.contains("≤ 71 J") && row.contains('?') && row.contains('—'),
        "{row}"
    );
}

fn number() -> impl Strategy<Value = f64> {
    prop_oneof![
        Just(f64::NAN),
        Just(f64::INFINITY),
        Just(f64::NEG_INFINITY),
        Just(0.0),
        Just(-0.0),
        -1e3..1e6,
        any::<f64>(),
    ]
}

prop_compose! {
    fn estimate()(
        joules in proptest::option::of(number()),
        u95 in proptest::option::of(number()),
        bound in proptest::option::of(number()),
        method in prop_oneof![Just(Method::Counter), Just(Method::Estimate), Just(Method::None)],
        grade in prop_oneof![Just(Grade::A), Just(Grade::C), Just(Grade::Unresolved)],
    ) -> EnergyEstimate {
        EnergyEstimate {
            joules: joules.map(Joules),
            u95: u95.map(Joules),
            u95_scale: u95.map(Joules),
            contradiction: None,
            method,
            grade,
            upper_bound: bound.map(Joules),
        }
    }
}

prop_compose! {
    fn phase()(
        name in "\\PC{0,80}",
        depth in 0usize..40,
        count in any::<u64>(),
        wall in number(),
        energy in estimate(),
        rest in [(); 5].map(|()| proptest::option::of(number())),
        samples in proptest::option::of(any::<u64>()),
    ) -> PhaseAnalysis {
        PhaseAnalysis {
            path: name.clone(),
            name,
            depth,
            count,
            wall: Some(Seconds(wall)),
            energy,
            mean_power: rest[0].map(Watts),
            whole_time: true,
            whole_energy: true,
            samples,
            tokens: samples,
            samples_per_s: rest[1],
            samples_per_s_per_w: rest[2],
            mean_utilization_pct: rest[3],
            mean_memory_bytes: rest[4],
            devices: Vec::new(),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Whatever the figures and names: no panic, no line beyond the width, nothing a terminal would obey.
    #[test]
    fn every_line_fits(
        phases in proptest::collection::vec(phase(), 0..12),
        total in estimate(),
        wall in number(),
        texts in proptest::collection::vec(any::<String>(), 4),
        values in proptest::collection::vec(number(), 3),
        keep_devices in 0usize..4,
        started in any::<i64>(),
    ) {
        let mut analysis = fixture::training();
        analysis.run.command = texts.clone();
        analysis.run.hosts = vec![texts[0].clone()];
        analysis.run.simulated = Some(texts[1].clone());
        analysis.run.wall = Seconds(wall);
        analysis.run.started_realtime_ns = started;
        analysis.phases = phases;
        analysis.total = total;
        analysis.devices.truncate(keep_devices);
        for d in &mut analysis.devices {
            d.device.name = texts[2].repeat(3);
            d.device.id.0 += &texts[3];
            d.energy = total;
            d.max_power = Some(Watts(values[0]));
            d.mean_memory_bytes = Some(values[1]);
        }
        analysis.metrics = vec![Metric {
            name: texts[3].repeat(5),
            value: values[2],
            path: texts[0].repeat(9),
            t: Timestamp::from_nanos(0),
            rank: 0,
        }];
        analysis.checks.push(Check { name: texts[1].clone(), status: CheckStatus::Fail, detail: texts[2].repeat(9) });
        analysis.warnings = texts;
        for line in plain(&analysis).lines() {
            prop_assert!(display_width(line) <= WIDTH, "{} columns: {line}", display_width(line));
            prop_assert!(!line.chars().any(char::is_control), "{line:?}");
        }
    }
}

#[test]
fn a_warning_that_a_check_says_is_said_once() {
    let mut analysis = fixture::training();
    analysis.checks = vec![Check {
        name: "coverage:gpu0".into(),
        status: CheckStatus::Warn,
        detail: "a hole".into(),
    }];
    analysis.warnings = vec!["a hole".into(), "something else".into()];
    let text = plain(&analysis);
    assert_eq!(text.matches("a hole").count(), 1, "{text}");
    assert!(text.contains("  - something else"), "{text}");
}

#[test]
fn of_many_warnings_of_a_kind_a_few_are_shown_and_of_failures_all() {
    let mut analysis = fixture::training();
    let check = |status: CheckStatus, kind: &str, i: usize| Check {
        name: format!("{kind}:gpu{i}"),
        status,
        detail: format!("{kind} number {i}"),
    };
    let of = |status: CheckStatus, kind: &'static str, count: usize| (0..count).map(move |i| check(status, kind, i));
    analysis.checks = of(CheckStatus::Warn, "separation", 8)
        .chain(of(CheckStatus::Fail, "coverage", 5))
        .chain(of(CheckStatus::Warn, "glitches", 3))
        .collect();
    let text = plain(&analysis);
    let shown = |kind: &str| text.matches(&format!("{kind} number")).count();
    assert_eq!(
        (shown("separation"), shown("coverage"), shown("glitches")),
        (3, 5, 3),
        "{text}"
    );
    assert!(
        text.contains("  more warnings: 5 of separation; --format html or json has all\n"),
        "{text}"
    );
}

#[test]
fn devices_are_named_as_a_range_only_where_they_follow_on_each_other() {
    let mut analysis = fixture::training();
    let gpu = analysis.devices[0].clone();
    let numbered = |index: u32| {
        let mut one = gpu.clone();
        one.device.id.0 = format!("gpu{index}");
        one.device.index = Some(index);
        one
    };
    analysis.devices = [0, 1, 2, 3, 5, 7].map(numbered).to_vec();
    let text = plain(&analysis);
    assert!(text.contains("sensor of gpu0…gpu3, gpu5, gpu7"), "{text}");
}

#[test]
fn the_hint_of_a_warning_has_a_line_of_its_own() {
    let mut analysis = fixture::training();
    analysis.warnings = vec!["CPU estimate: cannot read /proc/stat\nhint: is /proc mounted?".to_owned()];
    let text = plain(&analysis);
    assert!(
        text.contains("  - CPU estimate: cannot read /proc/stat\n    hint: is /proc mounted?\n"),
        "{text}"
    );
}

#[test]
fn labels_stand_in_the_heading() {
    let mut analysis = fixture::training();
    for (key, value) in [("model", "led\u{1b}[2J"), ("seed", "1")] {
        analysis.run.labels.insert(key.to_owned(), value.to_owned());
    }
    let head: Vec<String> = render(&analysis, &TextOptions::default())
        .lines()
        .take(2)
        .map(str::to_owned)
        .collect();
    assert!(head[1].contains(" · exit 0 · model=led"), "{head:?}");
    assert!(head[1].ends_with(", seed=1") && !head[1].contains('\u{1b}'), "{head:?}");
}

#[test]
fn the_notes_do_not_promise_what_does_not_hold() {
    let said = |analysis: &Analysis| {
        let text = render(analysis, &TextOptions::default());
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    let mut analysis = fixture::training();
    let before = said(&analysis);
    assert!(
        !before.contains("but for what the sensors") && !before.contains("so times do not"),
        "{before}"
    );
    analysis.phases[0].wall = Some(crate::model::units::Seconds(60.0));
    analysis.devices[1].energy.contradiction = Some(Joules(1000.0));
    let after = said(&analysis);
    for words in [
        "unattributed add up to the total in energy; ranks were in different ones at once, so times do not",
        "of one device are compared, but for what the sensors of gpu1 contradict each other by",
    ] {
        assert!(after.contains(words), "{after}");
    }
}
