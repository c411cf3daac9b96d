//! Faults and latencies as a caller meets them.

use std::time::{Duration, Instant};

use fake_nvml::config::{Config, Effect, Fault, Gpu, Latency};
use fake_nvml::gpu::field;
use fake_nvml::status::Status;
use nvml_wrapper::error::NvmlError;

use crate::fake::Fake;

fn with_faults(faults: Vec<Fault>, gpus: u32) -> Fake {
    Fake::new(&Config {
        faults,
        ..Config::with(Gpu::default(), gpus)
    })
}

fn returning(status: Status) -> Fault {
    Fault::new(Effect::Return(status))
}

#[test]
fn a_gpu_is_lost_and_its_neighbour_is_not() {
    let fake = with_faults(
        vec![Fault {
            gpu: Some(1),
            from_s: Some(0.2),
            ..returning(Status::GpuIsLost)
        }],
        2,
    );
    let (left, right) = (
        fake.nvml.device_by_index(0).unwrap(),
        fake.nvml.device_by_index(1).unwrap(),
    );
    let end_ns = fake.machine().origin_ns + 200_000_000;
    while let Ok(power) = right.power_usage() {
        assert_eq!(power, 200_000);
        assert!(
            fake_nvml::clock::monotonic_ns() < end_ns + 10_000_000_000,
            "it is never lost"
        );
    }
    assert!(fake_nvml::clock::monotonic_ns() >= end_ns, "lost before its time");
    assert!(matches!(right.power_usage(), Err(NvmlError::GpuLost)));
    assert!(matches!(right.name(), Err(NvmlError::GpuLost)));
    assert_eq!(left.power_usage().unwrap(), 200_000);
}

#[test]
fn one_entry_of_a_batch_fails_and_the_others_do_not() {
    let permission = Fault {
        calls: vec!["field:191".into()],
        ..returning(Status::NoPermission)
    };
    let zero = Fault {
        calls: vec!["field:190".into()],
        ..Fault::new(Effect::Zero)
    };
    let fake = with_faults(vec![permission, zero], 1);
    let asked = [
        (field::POWER_INSTANT, 0),
        (field::ENERGY, 0),
        (field::POWER_CURRENT_LIMIT, 0),
    ];
    assert_eq!(fake.fields(0, &asked), [Ok(200_000), Err(4), Ok(0)]);
}

#[test]
fn spurious_refusals_come_as_often_as_they_were_ordered() {
    let fault = Fault {
        calls: vec!["field:186".into()],
        probability: 0.2,
        ..returning(Status::NotSupported)
    };
    let fake = with_faults(vec![fault], 1);
    let refused = (0..1000)
        .filter(|_| fake.fields(0, &[(field::POWER_INSTANT, 0)])[0] == Err(3))
        .count();
    assert!((140..260).contains(&refused), "{refused} of 1000 at 0.2");
}

#[test]
fn a_missing_function_is_told_apart_from_an_unsupported_one() {
    let calls = vec!["nvmlDeviceGetUtilizationRates".into()];
    let fake = with_faults(
        vec![Fault {
            calls,
            ..returning(Status::FunctionNotFound)
        }],
        1,
    );
    let device = fake.nvml.device_by_index(0).unwrap();
    assert!(matches!(device.utilization_rates(), Err(NvmlError::FunctionNotFound)));
    assert_eq!(
        device
            .temperature(nvml_wrapper::enum_wrappers::device::TemperatureSensor::Gpu)
            .unwrap(),
        45
    );
}

#[test]
fn a_hang_holds_the_call_until_it_ends() {
    let hang = Fault {
        from_s: Some(0.0),
        until_s: Some(0.3),
        ..Fault::new(Effect::Hang)
    };
    let fake = with_faults(vec![hang], 1);
    assert_eq!(fake.nvml.device_by_index(0).unwrap().power_usage().unwrap(), 200_000);
    let now_ns = fake_nvml::clock::monotonic_ns();
    assert!(
        now_ns >= fake.machine().origin_ns + 300_000_000,
        "it came back before the hang was over"
    );
}

/// A lower bound only: how much longer a busy machine takes is not the library's.
#[test]
fn calls_cost_what_was_ordered_and_wait_for_each_other() {
    for busy in [false, true] {
        let latency = vec![Latency {
            calls: vec!["nvmlDeviceGetPowerUsage".into()],
            median_us: 3000.0,
            sigma: 0.0,
            busy,
        }];
        let fake = Fake::new(&Config {
            latency,
            global_lock: true,
            ..Config::with(Gpu::default(), 2)
        });
        let start = Instant::now();
        std::thread::scope(|scope| {
            for index in 0..2 {
                let nvml = &fake.nvml;
                scope.spawn(move || {
                    let device = nvml.device_by_index(index).unwrap();
                    (0..10).for_each(|_| assert_eq!(device.power_usage().unwrap(), 200_000));
                });
            }
        });
        assert!(
            start.elapsed() >= Duration::from_millis(60),
            "20 calls of 3 ms, one at a time"
        );
    }
}
