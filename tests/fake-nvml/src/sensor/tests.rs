//! Readings against what can be worked out by hand.

use super::*;
use crate::config::{Profile, Sensor, Shape, Square};

const MS: i64 = 1_000_000;

fn sensor(profile: Profile, settings: Sensor) -> PowerSensor {
    PowerSensor::new(&Traits::of(&profile), &settings, 0, 1, 0)
}

fn at_phase_0() -> Sensor {
    Sensor {
        phase_ms: Some(0.0),
        delay_ms: Some(0.0),
        ..Sensor::default()
    }
}

fn truth(shape: &Shape) -> Truth {
    Truth::new(shape, 0.0, 0, 1, 0).unwrap()
}

fn step() -> Truth {
    truth(&Shape::Breakpoints(vec![[0.0, 100.0], [1.0, 300.0]]))
}

#[test]
fn a_reading_stays_until_the_next_update() {
    let (sensor, truth) = (sensor(Profile::A100, at_phase_0()), step());
    let readings: Vec<u32> = (900..1210).map(|ms| sensor.read_mw(&truth, ms * MS)).collect();
    assert!(
        readings[..200].iter().all(|&mw| mw == 100_000),
        "the update at 1000 ms has seen nothing of the step"
    );
    assert!(
        readings[200..].iter().all(|&mw| mw == 300_000),
        "the update at 1100 ms has seen nothing else"
    );
}

#[test]
fn a_window_takes_its_share_of_a_step() {
    let late = Sensor {
        phase_ms: Some(10.0),
        ..at_phase_0()
    };
    assert_eq!(
        sensor(Profile::A100, late).read_mw(&step(), 1010 * MS),
        180_000,
        "10 of 25 ms at 300 W"
    );
    assert_eq!(
        sensor(Profile::Ga102, late).read_mw(&step(), 1010 * MS),
        120_000,
        "10 of 100 ms"
    );
    assert_eq!(
        sensor(Profile::V100, late).read_mw(&step(), 1010 * MS),
        300_000,
        "10 of 10 ms"
    );
    let average = sensor(Profile::H100, late).with_window(crate::profile::AVERAGE_WINDOW_NS);
    assert_eq!(average.read_mw(&step(), 1510 * MS), 202_000, "510 of 1000 ms");
}

#[test]
fn a_delay_shows_an_older_window() {
    let delayed = Sensor {
        delay_ms: Some(15.0),
        phase_ms: Some(20.0),
        ..Sensor::default()
    };
    assert_eq!(
        sensor(Profile::A100, delayed).read_mw(&step(), 1020 * MS),
        140_000,
        "window ends at 1005 ms: 5 of 25"
    );
}

#[test]
fn gain_offset_and_quantum_are_applied_in_this_order() {
    let settings = Sensor {
        gain: 0.954,
        offset_w: -1.18,
        quantum_mw: 50,
        ..at_phase_0()
    };
    let truth = truth(&Shape::Constant(200.0));
    assert_eq!(
        sensor(Profile::A100, settings).read_mw(&truth, MS),
        189_600,
        "189.62 W in steps of 50 mW"
    );
    let negative = Sensor {
        offset_w: -300.0,
        ..at_phase_0()
    };
    assert_eq!(sensor(Profile::A100, negative).read_mw(&truth, MS), 0);
}

#[test]
fn noise_has_the_spread_that_was_asked_for_and_is_fixed() {
    let noisy = sensor(
        Profile::A100,
        Sensor {
            noise_w: 2.0,
            ..at_phase_0()
        },
    );
    let truth = truth(&Shape::Constant(200.0));
    let readings: Vec<f64> = (0..5000)
        .map(|k| f64::from(noisy.published_mw(&truth, k)) * 1e-3)
        .collect();
    let mean = readings.iter().sum::<f64>() / 5e3;
    let spread = (readings.iter().map(|w| (w - mean).powi(2)).sum::<f64>() / 5e3).sqrt();
    assert!(
        (mean - 200.0).abs() < 0.15 && (spread - 2.0).abs() < 0.1,
        "mean {mean}, spread {spread}"
    );
    assert_eq!(noisy.published_mw(&truth, 17), noisy.published_mw(&truth, 17));
}

#[test]
fn repeated_updates_are_as_many_as_were_asked_for() {
    let settings = Sensor {
        noise_w: 2.0,
        repeat_probability: 0.3,
        ..at_phase_0()
    };
    let (sensor, truth) = (sensor(Profile::A100, settings), truth(&Shape::Constant(200.0)));
    let repeated = (0..5000)
        .filter(|&k| sensor.published_mw(&truth, k) == sensor.published_mw(&truth, k - 1))
        .count();
    assert!((1350..1650).contains(&repeated), "{repeated} of 5000 at 0.3"); // 4.6 standard errors, and rare ties
}

/// The trap of part-time sensors: a load whose period is nearly the sensor's looks like a slow beat.
#[test]
fn a_load_near_the_update_period_beats() {
    let sensor = sensor(Profile::A100, at_phase_0());
    let square = truth(&Shape::Square(Square {
        high_w: 300.0,
        low_w: 100.0,
        period_ms: 103.0,
        duty: 0.5,
    }));
    let readings: Vec<u32> = (0..36).map(|k| sensor.published_mw(&square, k)).collect();
    assert!(
        readings.contains(&300_000) && readings.contains(&100_000),
        "{readings:?}"
    );
    let changes = readings
        .windows(2)
        .filter(|pair| pair[0].abs_diff(pair[1]) > 100_000)
        .count();
    assert!(
        changes <= 4,
        "one slow beat in 34 updates, not a change each time: {readings:?}"
    );
}
