//! A sensor that is polled once a second and updates ten times as often: what a log of `nvidia-smi -l 1` can tell and what not.

use super::integrate;
use super::laws::{self, gpu, recording};
use crate::model::analysis::{Analysis, CheckStatus, Grade};
use crate::model::device::{Device, SensorTiming};
use crate::model::marker::MarkerVerb::{Begin, End};
use crate::model::sample::{PowerStream, Times};
use crate::model::time::Timestamp;

const MS: i64 = 1_000_000;
const RUN_MS: i64 = 240_000;

fn device() -> Device {
    Device {
        power_timing: SensorTiming {
            update_period_ms: Some(100.0),
            window_ms: Some(25.0),
            delay_ms: None,
        },
        ..gpu(0)
    }
}

/// Steps of two phases, `low_ms` at 100 W and `high_ms` at 300 W. Every 100 ms the sensor shows the mean over 25 ms.
fn polled(
    low_ms: i64,
    high_ms: i64,
) -> (
    PowerStream,
    Vec<(f64, crate::model::marker::MarkerVerb, &'static str, u32)>,
) {
    let step = low_ms + high_ms;
    let watts = |ms: i64| if ms.rem_euclid(step) < low_ms { 100.0 } else { 300.0 };
    let (mut power, mut times) = (PowerStream::default(), Times::default());
    for poll in 0..RUN_MS / 1000 {
        // Not in step with the sensor.
        let at = poll * 1000 + poll * 7919 % 397;
        let published = at / 100 * 100;
        let mean = (0..25).map(|ms| watts(published - 25 + ms)).sum::<f64>() / 25.0;
        times.push(Timestamp::from_nanos(at * MS), 10_000);
        power.watts.push(mean + 0.01 * (poll * 31 % 17) as f64);
    }
    power.times = times;
    let mut lines = Vec::new();
    for start in (0..RUN_MS - step).step_by(step as usize) {
        let [begin, middle, end] = [start, start + low_ms, start + step].map(|ms| ms as f64);
        lines.extend([(begin, Begin, "low", 0), (middle, End, "low", 0)]);
        lines.extend([(middle, Begin, "high", 0), (end, End, "high", 0)]);
    }
    (power, lines)
}

fn analysed(low_ms: i64, high_ms: i64) -> Analysis {
    let (power, lines) = polled(low_ms, high_ms);
    let recording = recording(vec![device()], RUN_MS, &lines);
    laws::analysed(&recording, power)
}

#[test]
fn what_a_poll_shows_is_no_older_than_the_sensors_period() {
    let (power, _) = polled(11, 23);
    let (updates, period, _) = integrate::updates(&device(), &power);
    assert!((period.expect("a period") - 1.0).abs() < 0.05);
    for (update, poll) in updates.iter().zip(&power.times.t).skip(1) {
        let age = poll.as_nanos() - update.t;
        assert!(
            (age - 50 * MS).abs() < MS && (update.half_ns - 50 * MS).abs() < MS,
            "{update:?}"
        );
    }
    // Of a board of which no period is known, it may be as old as the poll before.
    let (updates, ..) = integrate::updates(&gpu(0), &power);
    assert!(updates[5].half_ns > 450 * MS);
}

#[test]
fn phases_of_milliseconds_are_bounds_and_the_reason_is_said() {
    let analysis = analysed(11, 23);
    let check = analysis.checks.iter().find(|check| check.name == "sensor:gpu0");
    let check = check.expect("a check of the sensor");
    assert!(
        check.status == CheckStatus::Warn && check.detail.contains("so seldom"),
        "{check:?}"
    );
    for (phase, watts, ms) in [(0, 100.0, 11.0), (1, 300.0, 23.0)] {
        let count = analysis.phases[phase].count as f64;
        let (energy, truth) = (&analysis.phases[phase].energy, watts * count * ms * 1e-3);
        match (energy.joules, energy.u95) {
            (Some(joules), Some(u95)) => assert!((joules.get() - truth).abs() <= u95.get(), "{energy:?}: {truth}"),
            _ => assert!(
                energy.upper_bound.expect("a bound").get() >= truth,
                "{energy:?}: {truth}"
            ),
        }
    }
    assert_eq!(analysis.phases[0].energy.grade, Grade::Unresolved);
}

#[test]
fn phases_of_seconds_are_told_apart() {
    // Not multiples of the sensor's period: its ticks would otherwise all be edges.
    let analysis = analysed(1_310, 2_130);
    for (phase, watts, ms) in [(0, 100.0, 1_310.0), (1, 300.0, 2_130.0)] {
        let count = analysis.phases[phase].count as f64;
        let (energy, truth) = (&analysis.phases[phase].energy, watts * count * ms * 1e-3);
        let (joules, u95) = (
            energy.joules.expect("a value").get(),
            energy.u95.expect("an interval").get(),
        );
        assert!(
            (joules - truth).abs() <= u95 && u95 < 0.1 * truth,
            "{energy:?}: {truth}"
        );
    }
}

/// A sensor of 50 ms where 20 are believed, polled closely only about its updates.
#[test]
fn polls_that_follow_the_sensor_show_that_it_is_slower_than_believed() {
    let (mut stream, mut at) = (PowerStream::default(), 0);
    for update in 0..200_i64 {
        let jitter = update * 7919 % 5 - 2;
        for poll in [50 * update + jitter - 10, 50 * update + jitter + 8] {
            at = poll.max(at + 1);
            let shown = update - i64::from(poll < 50 * update + jitter);
            stream.times.push(Timestamp::from_nanos(at * 1_000_000), 10_000);
            stream.watts.push(200.0 + (shown * 7919 % 31) as f64);
        }
    }
    let device = Device {
        power_timing: SensorTiming {
            update_period_ms: Some(20.0),
            window_ms: Some(10.0),
            delay_ms: None,
        },
        ..gpu(0)
    };
    let (updates, period, _) = integrate::updates(&device, &stream);
    let period = period.expect("updates were seen");
    assert!((period - 0.05).abs() < 0.003, "{period}");
    assert!(updates.len().abs_diff(200) < 5, "{}", updates.len());
}

/// Polled as slowly as it updates, each poll shows a new reading, whether it says the same as the one before or not.
#[test]
fn a_reading_that_says_the_same_is_a_reading() {
    let (mut power, mut times) = (PowerStream::default(), Times::default());
    for s in 0..60_i64 {
        times.push(Timestamp::from_nanos(1000 * s * MS), 10_000);
        power.watts.push(if s % 7 < 4 { 60.0 } else { 300.0 });
    }
    power.times = times;
    let (updates, ..) = integrate::updates(&gpu(0), &power);
    assert_eq!(updates.len(), 60);
    for (second, update) in updates.iter().enumerate().skip(1) {
        let before = second as i64 * 1000 * MS - update.t;
        assert_eq!((before, update.half_ns), (500 * MS, 500 * MS + 10_000), "{update:?}");
    }
}
