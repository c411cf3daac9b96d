//! The truth against closed forms and against plain quadrature of its own definition.

use std::io::Write;

use super::*;
use crate::config::{Square, Steps, TraceFile};

const MS: i64 = 1_000_000;
const S: i64 = 1_000_000_000;
const T0: i64 = 123_456_789_012;

fn truth(shape: &Shape) -> Truth {
    ramped(shape, 0.0)
}

fn ramped(shape: &Shape, ramp_ms: f64) -> Truth {
    Truth::new(shape, ramp_ms, T0, 1, 0).unwrap()
}

fn square(period_ms: f64, duty: f64) -> Shape {
    Shape::Square(Square {
        high_w: 300.0,
        low_w: 90.0,
        period_ms,
        duty,
    })
}

fn steps(scatter: f64) -> Shape {
    let list = vec![[3.0, 90.0], [0.8, 250.0], [9.0, 380.0], [17.0, 300.0]];
    Shape::Steps(Steps {
        list,
        duration_scatter: scatter,
        watts_scatter: scatter,
        seed: None,
    })
}

fn every_shape() -> Vec<Truth> {
    vec![
        truth(&Shape::Constant(200.0)),
        ramped(
            &Shape::Breakpoints(vec![[0.0, 90.0], [0.01, 310.5], [0.0115, 20.0], [0.05, 400.0]]),
            2.0,
        ),
        truth(&square(7.3, 0.31)),
        ramped(&square(7.3, 0.31), 2.0),
        truth(&steps(0.0)),
        ramped(&steps(0.08), 2.0),
    ]
}

/// Midpoint rule on a grid of 1 µs.
fn quadrature_j(truth: &Truth, from_ns: i64, to_ns: i64) -> f64 {
    let step_ns = 1000;
    (from_ns..to_ns)
        .step_by(step_ns as usize)
        .map(|t| truth.power_w(t + step_ns / 2) * step_ns as f64 * 1e-9)
        .sum()
}

#[test]
fn energy_is_the_integral_of_power() {
    for (number, truth) in every_shape().iter().enumerate() {
        for from_ns in [T0 - 30 * MS, T0, T0 + 12_345_000] {
            let to_ns = from_ns + 83 * MS;
            let (exact, sum) = (truth.energy_j(from_ns, to_ns), quadrature_j(truth, from_ns, to_ns));
            // Each jump falls anywhere in its cell of the grid: at most half a microsecond of 400 W, 30 jumps.
            assert!(
                (exact - sum).abs() < 30.0 * 0.5e-6 * 400.0,
                "shape {number}: {exact} J, quadrature {sum} J"
            );
        }
    }
}

#[test]
fn energy_adds_up_to_the_last_digit_after_a_month() {
    for (number, truth) in every_shape().iter().enumerate() {
        // Scattered steps are drawn one by one; a minute of them is enough here.
        let far_ns = T0 + if number == 5 { 60 * S } else { 30 * 86_400 * S };
        let cuts = [far_ns - 77_777_777, far_ns - 3, far_ns, far_ns + 1, far_ns + 5 * MS + 1];
        let parts: i128 = cuts.windows(2).map(|cut| truth.energy(cut[0], cut[1]).0).sum();
        assert_eq!(parts, truth.energy(cuts[0], cuts[4]).0, "shape {number}");
        assert_eq!(truth.energy(cuts[4], cuts[0]).0, -parts, "shape {number}, backwards");
        assert!(parts > 0, "shape {number} uses energy");
    }
}

#[test]
fn a_square_wave_has_its_closed_form() {
    let truth = truth(&square(104.2, 0.5));
    let (high_j, low_j) = (300.0 * 0.0521, 90.0 * 0.0521);
    let hours = 10 * 3600 * S;
    let periods = hours / 104_200_000;
    let start_ns = T0 + periods * 104_200_000;
    assert_eq!(
        truth.energy(T0, start_ns),
        Femtojoules(i128::from(periods) * 20_319_000_000_000_000)
    );
    assert!((truth.energy_j(start_ns, start_ns + 52_100_000) - high_j).abs() < 1e-12);
    assert!((truth.energy_j(start_ns + 52_100_000, start_ns + 104_200_000) - low_j).abs() < 1e-12);
    assert_eq!((truth.power_w(start_ns), truth.power_w(start_ns - 1)), (300.0, 90.0));
}

#[test]
fn a_ramp_costs_what_its_triangle_does() {
    let points = Shape::Breakpoints(vec![[0.0, 100.0], [1.0, 300.0], [2.0, 100.0], [2.001, 500.0]]);
    let truth = ramped(&points, 2.0);
    assert_eq!(truth.power_w(T0 + S + MS), 200.0);
    assert!((truth.energy_j(T0 + S, T0 + S + 2 * MS) - 0.4).abs() < 1e-12); // mean 200 W for 2 ms
    // The fall at 2 s is cut short at 200 W, half way, and goes up from there.
    assert_eq!(
        (truth.power_w(T0 + 2 * S + MS), truth.power_w(T0 + 2 * S + 2 * MS)),
        (200.0, 350.0)
    );
    assert_eq!(truth.power_w(T0 + 2 * S + 3 * MS), 500.0);
    let expected = 1.0 * 100.0 + (300.0 - 0.2) + 0.25 + 0.7 + 500.0 * 0.997;
    assert!((truth.energy_j(T0, T0 + 3 * S) - expected).abs() < 1e-9);
}

#[test]
fn a_step_through_a_low_pass_is_an_exponential() {
    let truth = truth(&Shape::Breakpoints(vec![[0.0, 100.0], [1.0, 300.0]]));
    let tau_ns = 15 * MS;
    for after_ms in [0, 1, 10, 40, 200] {
        let expected = 300.0 - 200.0 * (-(after_ms as f64) / 15.0).exp();
        let got = truth.filtered_mean_w(T0 + S + after_ms * MS, 0, tau_ns);
        assert!(
            (got - expected).abs() < 1e-9,
            "{after_ms} ms: {got} W, expected {expected} W"
        );
    }
}

#[test]
fn a_window_of_low_passed_power_is_its_quadrature() {
    for (number, truth) in every_shape().iter().enumerate() {
        for tau_ns in [0, 2 * MS, 30 * MS] {
            let to_ns = T0 + 61_234_567;
            let window_ns = 25 * MS;
            let points = 25_000;
            let step_ns = window_ns / points;
            let momentary = |k: i64| truth.filtered_mean_w(to_ns - k * step_ns - step_ns / 2, 0, tau_ns);
            let sum = (0..points).map(momentary).sum::<f64>() / points as f64;
            let got = truth.filtered_mean_w(to_ns, window_ns, tau_ns);
            assert!(
                (got - sum).abs() < 0.1,
                "shape {number}, tau {tau_ns}: {got} W, quadrature {sum} W"
            );
        }
    }
}

/// The low-pass itself by its definition, a sum of e^(−s/τ)/τ · P(t − s).
#[test]
fn a_low_pass_is_its_convolution() {
    for (number, truth) in every_shape().iter().enumerate() {
        let (at_ns, tau) = (T0 + 61_234_567, 5e6);
        let grid = |k: i64| (k * 1000 + 500) as f64;
        let weighted = |k: i64| (-grid(k) / tau).exp() / tau * 1000.0 * truth.power_w(at_ns - k * 1000 - 500);
        let sum: f64 = (0..150_000).map(weighted).sum();
        let got = truth.filtered_mean_w(at_ns, 0, 5 * MS);
        assert!((got - sum).abs() < 0.1, "shape {number}: {got} W, convolution {sum} W");
    }
}

#[test]
fn scattered_steps_do_not_depend_on_who_asks_when() {
    let (one, other) = (truth(&steps(0.08)), truth(&steps(0.08)));
    for jump in 1..50 {
        let _ = one.power_w(T0 + jump * 123 * MS); // step by step; the other goes there at once
    }
    let until_ns = T0 + 6 * S;
    assert_eq!(one.energy(T0, until_ns), other.energy(T0, until_ns));
    assert_eq!(one.scattered_steps(until_ns), other.scattered_steps(until_ns));
    let another = Truth::new(&steps(0.08), 0.0, T0, 2, 0).unwrap();
    assert_ne!(one.energy(T0, until_ns), another.energy(T0, until_ns), "another seed");
    let beside = Truth::new(&steps(0.08), 0.0, T0, 1, 1).unwrap();
    assert_ne!(one.energy(T0, until_ns), beside.energy(T0, until_ns), "another GPU");
}

#[test]
fn steps_scatter_as_much_as_they_should() {
    let truth = truth(&steps(0.08));
    let steps = truth.scattered_steps(T0 + 60 * S);
    let lengths: Vec<f64> = steps
        .windows(2)
        .filter(|pair| pair[0].1 == 2)
        .map(|pair| (pair[1].0 - pair[0].0) as f64 * 1e-6 / 9.0)
        .collect();
    let count = lengths.len() as f64;
    assert!(count > 1900.0, "about 2013 steps of 29.8 ms in a minute: {count}");
    let mean = lengths.iter().sum::<f64>() / count;
    let spread = (lengths.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / count).sqrt();
    assert!(
        (mean - 1.0).abs() < 0.01 && (spread - 0.08).abs() < 0.007,
        "mean {mean}, spread {spread}"
    );
    let energy: f64 = steps.windows(2).map(|pair| truth.energy_j(pair[0].0, pair[1].0)).sum();
    assert!(
        (energy - truth.energy_j(T0, steps[steps.len() - 1].0)).abs() < 1e-6,
        "steps are all of it"
    );
}

#[test]
fn a_trace_is_followed_while_it_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("load.txt");
    let shape = Shape::Trace(TraceFile {
        path: path.to_str().unwrap().into(),
        initial_w: 50.0,
    });
    let truth = Truth::new(&shape, 0.0, 0, 1, 3).unwrap();
    assert_eq!(truth.power_w(7 * S), 50.0, "no file yet");
    let mut file = std::fs::File::create(&path).unwrap();
    let mut write = |text: &str| {
        file.write_all(text.as_bytes()).unwrap();
        std::thread::sleep(std::time::Duration::from_millis(3)); // it is looked at once a millisecond
    };
    write("# t_ns watts gpu\n1000000000 200\n2000000000 300 3\n2500000000 999 4\n3000000000 4");
    assert_eq!(
        [1, 2, 3].map(|s| truth.power_w(s * S)),
        [200.0, 300.0, 300.0],
        "half a line is not a line"
    );
    write("00\n3000000000 7\nnonsense\n4000000000 100\n");
    assert_eq!([3, 4].map(|s| truth.power_w(s * S)), [400.0, 100.0]);
    assert_eq!(truth.energy_j(S, 5 * S), 200.0 + 300.0 + 400.0 + 100.0);
}

#[test]
fn what_cannot_be_is_refused_with_a_hint() {
    let message = |shape: Shape| Truth::new(&shape, 0.0, T0, 1, 0).unwrap_err().to_string();
    let backwards = message(Shape::Breakpoints(vec![[0.0, 1.0], [2.0, 1.0], [1.0, 1.0]]));
    assert_eq!(
        backwards,
        "`truth.breakpoints` goes back in time at 1 s\nhint: sort the points by time"
    );
    assert!(message(Shape::Breakpoints(Vec::new())).contains("is empty"));
    assert!(message(Shape::Constant(-1.0)).contains("-1 W"));
    assert!(message(Shape::Constant(f64::NAN)).contains("NaN W"));
    assert!(message(Shape::Steps(Steps::default())).contains("repeats nothing"));
    let hasty = Truth::new(&square(7.0, 0.1), 2.0, T0, 1, 0).unwrap_err().to_string();
    assert!(hasty.contains("ramp_ms"), "{hasty}");
}
