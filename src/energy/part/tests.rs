//! Figures that a second opinion, or the lack of one, makes less sure.

use super::doubts::{by_drift, by_integral, contradicted, distrust, of_counter};
use super::*;
use crate::energy::cell::Cell;
use crate::energy::curve::{PowerRange, Story};
use crate::energy::laws::gpu;
use crate::energy::lengths::Gaps;
use crate::model::time::Timestamp;

/// Cells of a second each with these mean powers.
fn curve(watts: &[f64], method: Method, duty: f64) -> Curve {
    let cell = |(i, &watts): (usize, &f64)| Cell {
        start: i as i64 * 1_000_000_000,
        end: (i as i64 + 1) * 1_000_000_000,
        joules: watts,
        known: true,
        ends_s: [0.0; 2],
        variance: 0.0,
    };
    Curve {
        cells: watts.iter().enumerate().map(cell).collect(),
        range: PowerRange {
            floor: 30.0,
            ceiling: 400.0,
        },
        method,
        story: Story {
            duty,
            counter_over_integral: Some((0.98, 10.0)),
            ..Story::default()
        },
        delay_sd_s: 0.0,
        reach: (i64::MIN, i64::MAX),
    }
}

fn figure(joules: f64) -> Figure {
    Figure {
        joules,
        u95: 1.0,
        scale: 0.0,
        upper: joules + 1.0,
        guess: 0.0,
        common: 0.0,
        method: Method::Counter,
    }
}

#[test]
fn a_counter_of_unknown_kind_is_as_sure_as_readings_that_see_all_time_let_it_be() {
    for (method, duty, u95) in [
        (Method::Counter, 1.0, 3.0),
        // Part-time readings differ by chance, and an integral is not the counter's.
        (Method::Counter, 0.25, 1.0),
        (Method::Integral, 1.0, 1.0),
    ] {
        let mut figures = [figure(100.0)];
        by_integral(&mut figures, &curve(&[100.0], method, duty));
        assert!((figures[0].u95 - u95).abs() < 1e-9, "{method:?} {duty}: {figures:?}");
    }
}

#[test]
fn a_counter_that_may_be_made_of_readings_is_doubted_by_their_gaps_unless_it_was_calibrated() {
    let told = |calibrated: Option<&str>| {
        let mut curve = curve(&[100.0], Method::Counter, 1.0);
        curve.story.gaps = Some(Gaps {
            each_s2: 4e-6,
            missed: 0.0,
            step_w2: 0.0,
            period_s: 1.0,
            drift: 0.01,
        });
        let mut device = gpu(0);
        let kind = calibrated.map(|kind| ("counter_kind".to_owned(), kind.to_owned()));
        device.properties.extend(kind);
        of_counter(&mut curve, &device, (None, false));
        let mut figures = [figure(100.0)];
        by_drift(&mut figures, &curve);
        (curve.cells[0].variance, figures[0].u95)
    };
    let (variance, u95) = told(None);
    assert!((variance - 370.0 * 370.0 / 12.0 * 4e-6).abs() < 1e-9, "{variance}");
    assert!((u95 - 2.0).abs() < 1e-9, "{u95}");
    assert_eq!(told(Some("continuous")), (0.0, 1.0));
}

#[test]
fn a_counter_that_the_readings_contradict_has_a_tolerance_that_reaches_to_them_and_is_graded_by_it() {
    use crate::model::analysis::Grade;
    for (method, ratio, scale, grade) in [
        (Method::Counter, 0.8, 25.0, Grade::C),
        (Method::Counter, 1.25, 20.0, Grade::C),
        // As in the issue: half as much again and more is no figure.
        (Method::Counter, 187.0 / 327.0, 14_000.0 / 187.0, Grade::Unresolved),
        (Method::Counter, 0.95, 0.0, Grade::A),
        (Method::Integral, 0.8, 0.0, Grade::A),
    ] {
        let mut curve = curve(&[100.0], method, 1.0);
        curve.story.counter_over_integral = Some((ratio, 100.0));
        let mut figures = [figure(100.0)];
        contradicted(&mut figures, &curve);
        assert!(
            (figures[0].scale - scale).abs() < 1e-9,
            "{method:?} {ratio}: {figures:?}"
        );
        assert_eq!(figures[0].present().grade, grade, "{method:?} {ratio}");
        // What the counter may have missed may be in a bound; what it may have counted too much is.
        let upper = if scale > 0.0 {
            101.0 * f64::max(1.0 / ratio, 1.0)
        } else {
            101.0
        };
        assert!(
            (figures[0].upper - upper).abs() < 1e-9,
            "{method:?} {ratio}: {figures:?}"
        );
    }
}

#[test]
fn readings_that_nothing_explains_leave_a_total_between_idle_ends() {
    let none = Spans::default();
    let u95 = |watts: &[f64]| {
        let total: f64 = watts.iter().sum();
        let run = Interval::new(
            Timestamp::from_nanos(0),
            Timestamp::from_nanos(watts.len() as i64 * 1_000_000_000),
        );
        let mut figures = [figure(0.0), figure(total)];
        let seconds = watts.len() as f64;
        distrust(
            &mut figures,
            &none,
            &[seconds, seconds],
            &curve(watts, Method::Integral, 1.0),
            run,
        );
        figures[1].u95
    };
    assert!((u95(&[60.0, 60.0, 60.0, 300.0, 300.0, 60.0, 60.0, 60.0]) - 1.0).abs() < 1e-9);
    // The load ends with the run: what is left of it in the window is not seen.
    assert!((u95(&[60.0, 60.0, 60.0, 300.0, 300.0, 300.0, 120.0]) - 1.1 * 180.0).abs() < 1e-9);
}
