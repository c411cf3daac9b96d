//! What goes wrong on a GPU, and what the sensor makes of it.

use std::time::{Duration, Instant};

use fake_nvml::config::{Config, Effect, Fault};
use fake_nvml::status::Status as NvmlStatus;

use super::{Machine, h100, returning};
use crate::sensors::interface::ReadError;
use crate::sensors::nvml::enumerate::GpuSelection;

#[test]
fn a_gpu_that_answers_nothing_is_a_warning_and_not_a_sensor() {
    let calls = [
        "nvmlDeviceGetFieldValues",
        "nvmlDeviceGetPowerUsage",
        "nvmlDeviceGetTotalEnergyConsumption",
    ];
    let machine = Machine::faulty(vec![returning(NvmlStatus::NotSupported, &calls)]);
    assert!(machine.found.sensors.is_empty());
    assert!(machine.warnings()[0].detail.contains("neither power nor energy"));
    assert!(machine.warnings()[0].hint.is_some());
}

#[test]
fn a_lost_gpu_is_gone_and_the_others_go_on() {
    let lost = Fault {
        gpu: Some(1),
        from_s: Some(0.5),
        ..returning(NvmlStatus::GpuIsLost, &[])
    };
    let config = Config {
        faults: vec![lost],
        ..Config::with(h100(), 2)
    };
    let mut machine = Machine::with(&config, &GpuSelection::All);
    assert!(machine.found.sensors[1].read_power().is_ok());
    machine.wait_until(0.6);
    let error = machine.found.sensors[1].read_power().expect_err("it is lost");
    assert!(
        matches!(&error, ReadError::Gone(why) if why.contains("fell off the bus")),
        "{error:?}"
    );
    assert!(matches!(machine.found.sensors[1].read_state(), Err(ReadError::Gone(_))));
    assert!(machine.found.sensors[0].read_power().is_ok());
}

#[test]
fn a_gpu_lost_before_the_start_is_a_warning_about_that_gpu() {
    let lost = Fault {
        gpu: Some(0),
        ..returning(NvmlStatus::GpuIsLost, &[])
    };
    let config = Config {
        faults: vec![lost],
        ..Config::with(h100(), 2)
    };
    let machine = Machine::with(&config, &GpuSelection::All);
    assert_eq!(machine.ids(), ["gpu1"]);
    assert!(machine.warnings()[0].detail.starts_with("GPU 0 cannot be read"));
}

#[test]
fn spurious_refusals_and_zeros_are_holes_in_their_own_column() {
    let spurious = |effect| Fault {
        calls: vec!["field:186".into()],
        from_s: Some(0.5),
        probability: 0.3,
        ..Fault::new(effect)
    };
    let refusal = spurious(Effect::Return(NvmlStatus::NotSupported));
    let mut machine = Machine::faulty(vec![refusal, spurious(Effect::Zero)]);
    machine.wait_until(0.5);
    let readings: Vec<_> = (0..300)
        .map(|_| machine.gpu().read_power().expect("the counter answers"))
        .collect();
    let holes = readings.iter().filter(|r| r.watts.is_none()).count();
    assert!((60..240).contains(&holes), "{holes} of 300 at about one half");
    assert!(
        readings
            .iter()
            .all(|r| r.counter.is_some() && r.watts.is_none_or(|w| w == 350.0))
    );
}

#[test]
fn nothing_at_all_is_a_gap_at_first_and_the_end_after_a_while() {
    let silence = Fault {
        from_s: Some(0.5),
        ..returning(NvmlStatus::NotSupported, &["nvmlDeviceGetFieldValues"])
    };
    let mut machine = Machine::faulty(vec![silence]);
    machine.wait_until(0.5);
    let start = Instant::now();
    let mut retries = 0;
    loop {
        match machine.gpu().read_power() {
            Err(ReadError::Retry(_)) => retries += 1,
            Err(ReadError::Fatal(why)) => {
                assert!(why.contains("times in a row"), "{why}");
                break;
            }
            other => panic!("{other:?}"),
        }
        assert!(start.elapsed() < Duration::from_secs(30), "never given up");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(
        retries >= 19 && start.elapsed() >= Duration::from_secs(2),
        "{retries} in {:?}",
        start.elapsed()
    );
}

#[test]
fn a_call_refused_at_the_start_by_chance_is_asked_a_second_time() {
    // A driver that wants 50 ms between calls: the limit is read first, so the first look at the power comes too soon.
    let touchy = Fault {
        faster_than_ms: Some(50.0),
        ..returning(
            NvmlStatus::NotSupported,
            &[
                "nvmlDeviceGetEnforcedPowerLimit",
                "field:186",
                "nvmlDeviceGetPowerUsage",
            ],
        )
    };
    let mut machine = Machine::faulty(vec![touchy]);
    assert_eq!(
        machine.gpu().device().properties["power_call"],
        "field 186 (POWER_INSTANT)"
    );
}
