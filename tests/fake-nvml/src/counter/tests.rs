//! The counter against arithmetic.

use super::*;
use crate::config::{Counter, Profile, Sensor, Shape, Square};

const MS: i64 = 1_000_000;
const S: i64 = 1_000_000_000;

struct Bench {
    truth: Truth,
    sensor: PowerSensor,
    counter: EnergyCounter,
}

impl Bench {
    fn new(shape: &Shape, settings: &Counter, sensor: Sensor) -> Self {
        let traits = Traits::of(&Profile::A100);
        let sensor = Sensor {
            phase_ms: Some(0.0),
            delay_ms: Some(0.0),
            ..sensor
        };
        Self {
            truth: Truth::new(shape, 0.0, 0, 1, 0).unwrap(),
            sensor: PowerSensor::new(&traits, &sensor, 0, 1, 0),
            counter: EnergyCounter::new(&traits, settings, &sensor, 0, 1, 0).unwrap(),
        }
    }

    fn read_mj(&self, now_ns: i64) -> u64 {
        self.counter.read_mj(&self.truth, &self.sensor, now_ns)
    }
}

fn settings() -> Counter {
    Counter {
        phase_ms: Some(0.0),
        start_mj: 5_000_000,
        ..Counter::default()
    }
}

#[test]
fn it_advances_in_steps_of_its_own_lattice() {
    let bench = Bench::new(&Shape::Constant(200.0), &settings(), Sensor::default());
    assert_eq!(
        [0, 99, 100, 199, 1000].map(|ms| bench.read_mj(ms * MS) - 5_000_000),
        [0, 0, 20_000, 20_000, 200_000]
    );
    let shifted = Counter {
        phase_ms: Some(30.0),
        delay_ms: 8.0,
        ..settings()
    };
    let bench = Bench::new(&Shape::Constant(200.0), &shifted, Sensor::default());
    // The update at 30 ms holds what was used until 22 ms; the one before it, until 78 ms before the start.
    let read = [29, 30, 129, 130].map(|ms| bench.read_mj(ms * MS).cast_signed() - 5_000_000);
    assert_eq!(read, [-15_600, 4_400, 4_400, 24_400]);
}

#[test]
fn ten_hours_lose_nothing() {
    let square = Shape::Square(Square {
        high_w: 300.0,
        low_w: 90.0,
        period_ms: 7.0,
        duty: 0.4,
    });
    let bench = Bench::new(&square, &settings(), Sensor::default());
    let end_ns = 36_000 * S;
    let exact_mj = bench.truth.energy(0, end_ns).0 / 1_000_000_000_000;
    assert_eq!(i128::from(bench.read_mj(end_ns) - 5_000_000), exact_mj);
}

#[test]
fn gain_offset_and_quantum_are_the_sensors_unless_given() {
    let sensor = Sensor {
        gain: 0.9,
        offset_w: -1.0,
        ..Sensor::default()
    };
    let shape = Shape::Constant(200.0);
    assert_eq!(Bench::new(&shape, &settings(), sensor).read_mj(S) - 5_000_000, 179_000);
    let own = Counter {
        gain: Some(1.0),
        offset_w: Some(0.0),
        ..settings()
    };
    assert_eq!(Bench::new(&shape, &own, sensor).read_mj(S) - 5_000_000, 200_000);
    let coarse = Counter {
        quantum_mj: 100,
        ..settings()
    };
    assert_eq!(
        Bench::new(&Shape::Constant(3.33), &coarse, Sensor::default()).read_mj(S),
        5_003_300
    );
}

#[test]
fn the_sampled_kind_counts_only_what_the_sensor_sees() {
    let sampled = Counter {
        kind: CounterKind::Sampled,
        ..settings()
    };
    let steady = Bench::new(&Shape::Constant(200.0), &sampled, Sensor::default());
    assert_eq!(steady.read_mj(10 * S) - 5_000_000, 2_000_000);
    // High for the 25 ms before each update, low for the rest: it believes in high all the time.
    let load = Shape::Steps(crate::config::Steps {
        list: vec![[75.0, 90.0], [25.0, 300.0]],
        ..Default::default()
    });
    let fooled = Bench::new(&load, &sampled, Sensor::default());
    assert_eq!(fooled.read_mj(10 * S) - 5_000_000, 3_000_000);
    assert_eq!(fooled.read_mj(S) - 5_000_000, 300_000, "the past, asked for later");
    let continuous = Bench::new(&load, &settings(), Sensor::default());
    assert_eq!(continuous.read_mj(10 * S) - 5_000_000, 1_425_000);
}

#[test]
fn a_driver_that_is_loaded_again_starts_at_0() {
    for kind in [CounterKind::Continuous, CounterKind::Sampled] {
        let reset = Counter {
            kind,
            reset_at_s: vec![3.0],
            ..settings()
        };
        let bench = Bench::new(&Shape::Constant(200.0), &reset, Sensor::default());
        let after_ms = [2999, 3000, 3100, 5000].map(|ms| bench.read_mj(ms * MS));
        let first = if kind == CounterKind::Continuous {
            0
        } else {
            after_ms[1]
        };
        assert_eq!(
            after_ms,
            [5_580_000, first, first + 20_000, first + 400_000],
            "{kind:?}"
        );
        assert!(
            first <= 20_000,
            "{kind:?} keeps at most the window that ends with the reset"
        );
    }
}

#[test]
fn a_stuck_counter_stands_and_then_jumps() {
    let stuck = Counter {
        stuck_s: vec![[2.0, 4.0]],
        ..settings()
    };
    let bench = Bench::new(&Shape::Constant(200.0), &stuck, Sensor::default());
    let read = [1900, 2000, 3999, 4000].map(|ms| bench.read_mj(ms * MS) - 5_000_000);
    assert_eq!(read, [380_000, 400_000, 400_000, 800_000]);
}

#[test]
fn before_its_start_it_does_not_go_below_0() {
    let low = Counter {
        start_mj: 10,
        ..settings()
    };
    assert_eq!(
        Bench::new(&Shape::Constant(200.0), &low, Sensor::default()).read_mj(-S),
        0
    );
}
