//! The fit on rows made by hand: what is believed of parts, what the evidence says of them, and errors that neighbours share.

use super::*;
use crate::energy::sensor_model::design::{Design, Shape};
use crate::energy::sensor_model::matrix;
use crate::energy::sensor_model::rows::{Row, Seen};
use crate::energy::sensor_model::skew::Column;
use crate::energy::sensor_model::uneven;
use crate::energy::sensor_model::{lags, ramp};
use crate::energy::timeline::Timeline;

/// Two parts of 9 ms and 11 ms of nothing else, 300 times.
fn timeline() -> Timeline {
    let edges = (0..=300).flat_map(|i| [0, 9_000_000, 18_000_000].map(|part| i * 29_000_000 + part));
    Timeline {
        edges: edges.take(901).collect(),
        states: (0..900).map(|i| i % 3).collect(),
        table: (0..3).map(|leaf| vec![(leaf, 1.0)]).collect(),
        leaves: 3,
    }
}

fn setting<'a>(overlap: &'a Overlap<'a>, relative: f64) -> Setting<'a> {
    let parts = Siblings {
        of_active: 0..2,
        sd: relative * 200.0,
    };
    Setting {
        overlap,
        active: vec![0, 1, 2],
        leaves: 3,
        run_s: 8.7,
        drift: 0,
        mean_watts: 200.0,
        watts: 200.0,
        watts_sd: 150.0,
        siblings: vec![parts],
        skewed_ms: None,
        threads: 2,
    }
}

const THETA: Theta = Theta {
    window: 8.0,
    shape: Shape::Boxcar,
    delay: 0.0,
    blur: 0.0,
    follow: 0.0,
    response: 0.0,
};

/// Means over 8 ms every 10.3 ms of leaves that draw `watts`, beside errors of 2 W, of each of which `memory` is left in the next.
fn rows(overlap: &Overlap, watts: [f64; 3], memory: f64) -> Rows {
    let mut design = Design::new(overlap, THETA, 100);
    let (mut error, mut state) = (0.0, 1_u64);
    let row = |i: u32| {
        let at = |watts: f64| Row {
            end: Seen {
                predicted: 0.0103 * f64::from(i + 1),
                shift: 0.0,
            },
            start: None,
            length: 0.0,
            watts,
        };
        design.row(&at(0.0), None);
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let fresh = (state >> 11) as f64 / (1_u64 << 52) as f64 - 1.0;
        error = memory * error + 2.0 * 3.0_f64.sqrt() * (1.0 - memory * memory).sqrt() * fresh;
        at(dot(&design.columns, &watts) + error)
    };
    Rows {
        rows: (0..830).map(row).collect(),
        period: 0.0103,
        period_sd: 0.0,
        scatter: 0.0,
        half: 0.0005,
        unseen: 0.0,
        earliest_ms: -10.0,
        least_ms: None,
    }
}

fn stream(rows: &Rows) -> Stream<'_> {
    Stream {
        rows,
        prior: Prior {
            theta: THETA,
            window_sd: 0.01,
            delay_sd: 0.01,
            follow_sd: 0.01,
        },
        theta: THETA,
        ramp: 0.0,
        own: 0.0,
        noise: 2.0,
        is_counter: false,
        memory: 0.0,
    }
}

#[test]
fn parts_are_believed_to_draw_what_their_phase_does_give_or_take_a_share() {
    let timeline = timeline();
    let overlap = Overlap::new(&timeline);
    let setting = setting(&overlap, 0.1);
    let covariance = priors(&setting, &[]).0.inverse();
    let (phase, part) = (150.0_f64.powi(2), 20.0_f64.powi(2));
    for (i, j, expected) in [(0, 0, phase + part), (0, 1, phase), (2, 2, phase), (0, 2, 0.0)] {
        assert!(
            (covariance.at(i, j) - expected).abs() < 1e-6 * phase,
            "{i} {j}: {}",
            covariance.at(i, j)
        );
    }
}

#[test]
fn the_evidence_asks_for_shapes_where_there_are_some_and_only_there() {
    let timeline = timeline();
    let overlap = Overlap::new(&timeline);
    let favours = |watts: [f64; 3]| {
        let rows = rows(&overlap, watts, 0.0);
        let streams = [stream(&rows)];
        let evidence = |relative: f64| {
            let setting = setting(&overlap, relative);
            let sums = gather(&setting, &streams, Some(&[200.0, 200.0, 90.0]));
            log_evidence(&setting, &streams, &sums, &[2.0])
        };
        evidence(0.1) - evidence(0.003)
    };
    assert!(
        favours([180.0, 220.0, 90.0]) > 20.0,
        "{}",
        favours([180.0, 220.0, 90.0])
    );
    assert!(
        favours([200.0, 200.0, 90.0]) < -1.0,
        "{}",
        favours([200.0, 200.0, 90.0])
    );
}

#[test]
fn rows_that_are_kept_are_those_that_are_looked_up_again() {
    let timeline = timeline();
    let overlap = Overlap::new(&timeline);
    let setting = setting(&overlap, 0.1);
    let rows = rows(&overlap, [180.0, 220.0, 90.0], 0.5);
    let powers = [181.0, 219.0, 91.0];
    for memory in [0.0, 0.5] {
        let stream = Stream {
            memory,
            ..stream(&rows)
        };
        let again = &gather(&setting, &[Stream { ..stream }], Some(&powers))[0];
        let kept = Sums::of(&stream, &Linear::of(&setting, &stream, Some(&powers)));
        assert!(again.rows == kept.rows && kept.rows > 100 && !kept.rows.is_multiple_of(matrix::TOGETHER));
        assert!(again.normal == kept.normal && again.right == kept.right && again.squares == kept.squares);
        // And nothing but the sum of products, in the order of rows.
        let mut plain = Symmetric::zero(setting.unknowns());
        visit(&setting, &stream, Some(&powers), |_, columns, _| {
            plain.add_outer(1.0, columns, columns)
        });
        assert_eq!(plain, kept.normal);
    }
}

#[test]
fn what_neighbours_errors_have_in_common_is_found_and_counted_once() {
    let timeline = timeline();
    let overlap = Overlap::new(&timeline);
    let setting = setting(&overlap, 0.003);
    let spread = |memory: f64| {
        let rows = rows(&overlap, [200.0, 200.0, 90.0], memory);
        let mut streams = [stream(&rows)];
        let solution = converge(&setting, &mut streams, None, STEPS);
        (streams[0].memory, streams[0].noise, solution)
    };
    let (none, noise, _) = spread(0.0);
    assert!(none == 0.0 && (noise - 2.0).abs() < 0.2, "{none} {noise}");
    let (found, fresh, solution) = spread(0.9);
    assert!(
        (found - 0.9).abs() < 0.06 && (fresh - 2.0 * (1.0_f64 - 0.81).sqrt()).abs() < 0.15,
        "{found} {fresh}"
    );
    assert!((solution.values[2] - 90.0).abs() < 2.0, "{:?}", &solution.values[..3]);
}

#[test]
fn no_power_lags_by_more_than_the_delay_that_was_found_with_it() {
    let timeline = timeline();
    let overlap = Overlap::new(&timeline);
    let setting = setting(&overlap, 0.1);
    // No delay at all was found, give or take 0.3 ms between polls.
    let longest = |least_ms: Option<f64>, is_causal: bool| {
        let rows = Rows {
            least_ms,
            ..rows(&overlap, [200.0, 200.0, 150.0], 0.0)
        };
        let mut streams = [Stream {
            prior: Prior {
                delay_sd: 3.0,
                ..stream(&rows).prior
            },
            ..stream(&rows)
        }];
        let powers = [200.0, 200.0, 150.0];
        // As if so many neighbours had their errors in common: roundness is then hard to see.
        let assumed = ramp::assume(&setting, &mut streams, &powers, (30.0, is_causal));
        lags::longest(&assumed, None)
    };
    let by_roundness = longest(None, true);
    assert!(by_roundness > 1.2, "{by_roundness}");
    let by_delay = longest(Some(0.0), true);
    assert!((0.3..0.9).contains(&by_delay), "{by_delay}");
    assert_eq!(longest(Some(0.0), false), by_roundness, "markers that came late");
    assert_eq!(longest(Some(3.0), true), by_roundness, "too early without a lag");
}

#[test]
fn windows_that_all_look_at_one_phase_are_uneven_and_those_that_look_at_all_are_not() {
    let timeline = timeline();
    let overlap = Overlap::new(&timeline);
    let setting = setting(&overlap, 0.1);
    let watts = [300.0, 100.0, 200.0];
    let share = |every_s: f64| {
        let at = |i: u32| Row {
            end: Seen {
                predicted: 0.0085 + every_s * f64::from(i),
                shift: 0.0,
            },
            start: None,
            length: 0.0,
            watts: 0.0,
        };
        let mut looks = rows(&overlap, watts, 0.0);
        looks.rows = (0..280).map(at).collect();
        uneven::share(&setting, &stream(&looks), &watts)
    };
    // 9 ms of 300 W, 9 of 100 and 11 of 200 are 200 W; every 29 ms the first is seen.
    assert!((share(0.029) - 0.5).abs() < 0.01, "{}", share(0.029));
    assert!(share(0.0103) < 0.01, "{}", share(0.0103));
}

#[test]
fn a_power_that_follows_exponentially_is_told_by_its_own_time_constant() {
    let timeline = timeline();
    let overlap = Overlap::new(&timeline);
    let setting = setting(&overlap, 0.1);
    let watts = [300.0, 100.0, 200.0];
    let mut slow = rows(&overlap, [0.0; 3], 0.0);
    let theta = Theta { response: 3.0, ..THETA };
    let mut design = Design::new(&overlap, theta, slow.rows.len());
    for row in &mut slow.rows {
        design.row(row, None);
        row.watts += dot(&design.columns, &watts);
    }
    let left = |own: f64| {
        let stream = Stream { own, ..stream(&slow) };
        solve(&setting, &[stream], None).residuals[0].0
    };
    assert!((3.0..5.0).contains(&left(3.0)), "noise of 4 W^2: {}", left(3.0));
    assert!(left(0.0) > 3.0 * left(3.0), "{} and {}", left(0.0), left(3.0));
}

#[test]
fn rises_that_are_slower_than_falls_are_found_beside_the_powers_and_no_delay_is_taken_for_them() {
    const WATTS: [f64; 3] = [150.0, 300.0, 90.0];
    let timeline = timeline();
    let overlap = Overlap::new(&timeline);
    let column = Column::new(&timeline, &WATTS, 1.0);
    let found = |u: f64, late_ms: f64| {
        let mut rows = rows(&overlap, WATTS, 0.0);
        let mut skew = column.of_windows();
        for row in &mut rows.rows {
            let (start, end) = Design::window(row, &THETA);
            row.watts += u * skew(start, end);
            row.end.predicted += 1e-3 * late_ms;
        }
        let mut stream = stream(&rows);
        stream.prior.delay_sd = 3.0;
        let setting = Setting {
            skewed_ms: Some(1.0),
            siblings: Vec::new(),
            ..setting(&overlap, 0.1)
        };
        let solution = solve(&setting, &[stream], Some(&WATTS));
        let at = setting.skew_at();
        (solution.values[at], solution.inverse.at(at, at).sqrt())
    };
    for (u, late_ms) in [(0.0, 0.0), (0.8, 0.0), (-0.8, 0.0), (0.0, 0.3)] {
        let (share, sd) = found(u, late_ms);
        assert!(sd < 0.15, "the readings tell: {sd}");
        assert!(
            (share - u).abs() < 3.0 * sd,
            "{u}, {late_ms} ms late: {share} give or take {sd}"
        );
    }
}
