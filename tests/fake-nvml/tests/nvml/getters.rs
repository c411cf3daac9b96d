//! Every getter that powerprof uses, and what it answers.

use crate::fake::{Fake, square};
use fake_nvml::config::{Config, Gpu, Profile, Shape, Signal};
use fake_nvml::gpu::field;
use nvml_wrapper::enum_wrappers::device::{Clock, Sampling, TemperatureSensor};
use nvml_wrapper::enums::device::SampleValue;
use nvml_wrapper::error::NvmlError;
use nvml_wrapper::structs::device::FieldId;

#[test]
fn eight_gpus_are_found_by_index_uuid_and_bus() {
    let fake = Fake::new(&Config::with(Gpu::default(), 8));
    let nvml = &fake.nvml;
    assert_eq!(nvml.device_count().unwrap(), 8);
    for index in 0..8 {
        let device = nvml.device_by_index(index).unwrap();
        assert_eq!(device.index().unwrap(), index);
        let uuid = device.uuid().unwrap();
        assert_eq!(uuid, fake.gpu(index).uuid);
        assert_eq!(nvml.device_by_uuid(uuid.as_str()).unwrap().index().unwrap(), index);
        let bus_id = device.pci_info().unwrap().bus_id;
        assert_eq!(
            nvml.device_by_pci_bus_id(bus_id.as_str()).unwrap().index().unwrap(),
            index
        );
    }
    assert!(matches!(nvml.device_by_index(8), Err(NvmlError::InvalidArg)));
    assert!(matches!(nvml.device_by_uuid("GPU-none"), Err(NvmlError::NotFound)));
    assert_eq!(nvml.sys_driver_version().unwrap(), "570.86.15");
    assert_eq!(nvml.sys_cuda_driver_version().unwrap(), 12_080);
}

#[test]
fn each_getter_answers_what_the_configuration_says() {
    let gpu = Gpu {
        name: Some("Board".into()),
        power_limit_w: 350.0,
        memory_used_bytes: Signal::Constant(5e9),
        utilization_pct: Signal::Constant(73.0),
        memory_utilization_pct: Signal::Constant(41.0),
        temperature_c: Signal::Constant(66.0),
        sm_clock_mhz: Signal::Constant(1200.0),
        throttle_reasons: Signal::Constant(4.0),
        ..Gpu::new(Profile::H100, Shape::Constant(287.5))
    };
    let fake = Fake::new(&Config::with(gpu, 1));
    let device = fake.nvml.device_by_index(0).unwrap();
    assert_eq!(device.name().unwrap(), "Board");
    assert_eq!(
        device.architecture().unwrap(),
        nvml_wrapper::enums::device::DeviceArchitecture::Hopper
    );
    assert_eq!(device.power_usage().unwrap(), 287_500);
    assert_eq!(device.enforced_power_limit().unwrap(), 350_000);
    assert_eq!(device.power_management_limit().unwrap(), 350_000);
    assert_eq!(device.power_management_limit_default().unwrap(), 400_000);
    assert_eq!(device.power_management_limit_constraints().unwrap().min_limit, 100_000);
    let utilization = device.utilization_rates().unwrap();
    assert_eq!((utilization.gpu, utilization.memory), (73, 41));
    let memory = device.memory_info().unwrap();
    assert_eq!((memory.used, memory.total), (5_000_000_000, 80 << 30));
    assert_eq!(memory.used + memory.free + memory.reserved, memory.total);
    assert_eq!(device.temperature(TemperatureSensor::Gpu).unwrap(), 66);
    assert_eq!(device.clock_info(Clock::SM).unwrap(), 1200);
    assert_eq!(device.clock_info(Clock::Memory).unwrap(), 1512);
    assert_eq!(device.max_clock_info(Clock::SM).unwrap(), 1410);
    assert_eq!(device.current_throttle_reasons().unwrap().bits(), 4);
    assert!(device.running_compute_processes().unwrap().is_empty());
    assert!(matches!(
        device.process_utilization_stats(None),
        Err(NvmlError::NotFound)
    ));
    assert!(matches!(device.fan_speed(0), Err(NvmlError::FailedToLoadSymbol(_))));
}

#[test]
fn one_batched_call_has_power_and_energy() {
    let fake = Fake::new(&Config::with(Gpu::new(Profile::H100, Shape::Constant(250.0)), 1));
    let device = fake.nvml.device_by_index(0).unwrap();
    let ids = [field::POWER_INSTANT, field::POWER_AVERAGE, field::ENERGY, 9999].map(FieldId);
    let before = unix_us();
    let values = device.field_values_for(&ids).unwrap();
    let after = unix_us();
    let value = |position: usize| values[position].as_ref().unwrap().value.as_ref();
    assert_eq!(value(0).unwrap(), &SampleValue::U32(250_000));
    assert_eq!(value(1).unwrap(), &SampleValue::U32(250_000));
    assert!(matches!(value(2).unwrap(), SampleValue::U64(_)));
    assert!(matches!(value(3), Err(NvmlError::NotSupported)));
    let stamp = values[0].as_ref().unwrap().timestamp;
    assert!((before..=after).contains(&stamp), "{before} <= {stamp} <= {after}");
}

#[test]
fn scopes_are_told_apart() {
    let gpu = Gpu {
        memory_power_share: Some(0.25),
        ..Gpu::new(Profile::Gh200, Shape::Constant(400.0))
    };
    let fake = Fake::new(&Config::with(gpu, 1));
    let asked = [
        (field::POWER_INSTANT, 0),
        (field::POWER_INSTANT, 1),
        (field::POWER_INSTANT, 2),
        (field::POWER_AVERAGE, 2),
        (field::POWER_CURRENT_LIMIT, 0),
        (field::ENERGY, 1),
    ];
    let read = fake.fields(0, &asked);
    assert_eq!(
        read,
        [Ok(400_000), Ok(500_000), Err(3), Ok(100_000), Ok(400_000), Err(3)]
    );
}

#[test]
fn an_a100_has_no_average_field_and_a_board_without_counter_says_so() {
    let mut gpu = Gpu::new(Profile::A100, Shape::Constant(400.0));
    gpu.counter.kind = fake_nvml::config::CounterKind::None;
    let fake = Fake::new(&Config::with(gpu, 1));
    assert_eq!(
        fake.fields(0, &[(field::POWER_AVERAGE, 0), (field::ENERGY, 0)]),
        [Err(3), Err(3)]
    );
    let device = fake.nvml.device_by_index(0).unwrap();
    assert!(matches!(
        device.total_energy_consumption(),
        Err(NvmlError::NotSupported)
    ));
}

#[test]
fn readings_are_those_of_the_machine_that_the_test_holds() {
    let mut gpu = Gpu::new(Profile::A100, square(300.0, 90.0, 7.0));
    gpu.sensor.noise_w = 2.0;
    gpu.sensor.jitter_ms = 1.0;
    let fake = Fake::new(&Config::with(gpu, 2));
    let mut compared = 0;
    for _ in 0..40 {
        for index in 0..2 {
            let device = fake.nvml.device_by_index(index).unwrap();
            let model = fake.gpu(index);
            let before_ns = fake_nvml::clock::monotonic_ns();
            let (power, energy) = (
                device.power_usage().unwrap(),
                device.total_energy_consumption().unwrap(),
            );
            let after_ns = fake_nvml::clock::monotonic_ns();
            if after_ns - before_ns > 50_000_000 {
                continue; // put aside by a busy machine: more than one update may have come
            }
            compared += 1;
            let expected = |at_ns| (model.power_usage_mw(at_ns), model.energy_mj(at_ns).unwrap());
            let (early, late) = (expected(before_ns), expected(after_ns)); // an update may fall in between
            assert!(
                [early.0, late.0].contains(&power),
                "{power} mW is neither {} nor {}",
                early.0,
                late.0
            );
            assert!(
                [early.1, late.1].contains(&energy),
                "{energy} mJ is neither {} nor {}",
                early.1,
                late.1
            );
        }
        std::thread::sleep(std::time::Duration::from_millis(11));
    }
    assert!(compared > 20, "{compared} of 80 reads were undisturbed");
}

#[test]
fn the_buffer_of_samples_pages_by_its_last_stamp() {
    let fake = Fake::new(&Config::with(Gpu::new(Profile::H100, Shape::Constant(123.0)), 1));
    let device = fake.nvml.device_by_index(0).unwrap();
    let all = device.samples(Sampling::Power, None).unwrap();
    assert_eq!(all.len(), 120);
    assert!(all.iter().all(|sample| sample.value == SampleValue::U32(123_000)));
    assert!(
        all.windows(2)
            .all(|pair| (19_999..=20_001).contains(&(pair[1].timestamp - pair[0].timestamp)))
    );
    let newest = all[119].timestamp;
    let boottime_us = fake_nvml::clock::boottime_ns() as u64 / 1000;
    assert!(
        newest <= boottime_us && boottime_us - newest < 2_000_000,
        "{newest} is not just before {boottime_us}"
    );
    std::thread::sleep(std::time::Duration::from_millis(45));
    let more = device.samples(Sampling::Power, newest).unwrap();
    assert!(
        more.len() >= 2 && more[0].timestamp.abs_diff(newest + 20_000) <= 1,
        "{more:?}"
    );
    let last = more[more.len() - 1].timestamp;
    assert!(matches!(
        device.samples(Sampling::Power, last + 10_000_000),
        Err(NvmlError::NotFound)
    ));
    assert_eq!(device.samples(Sampling::GpuUtilization, None).unwrap().len(), 75);
}

#[test]
fn the_buffer_of_an_idle_gpu_runs_dry() {
    let mut gpu = Gpu::new(Profile::H100, Shape::Constant(60.0));
    gpu.samples.dry_below_w = 100.0;
    let fake = Fake::new(&Config::with(gpu, 1));
    let device = fake.nvml.device_by_index(0).unwrap();
    assert!(matches!(
        device.samples(Sampling::Power, None),
        Err(NvmlError::NotFound)
    ));
}

#[test]
fn after_shutdown_nothing_answers_and_a_new_start_goes_on() {
    let fake = Fake::new(&Config::with(Gpu::default(), 1));
    let lib = fake.nvml.lib();
    let mut count = 0;
    // SAFETY: functions of the loaded library, called as nvml.h says; the count is ours.
    unsafe {
        let shutdown = lib.nvmlShutdown.as_ref().unwrap();
        let get_count = lib.nvmlDeviceGetCount_v2.as_ref().unwrap();
        assert_eq!((shutdown(), get_count(&mut count), shutdown()), (0, 1, 1));
        assert_eq!(
            (lib.nvmlInit_v2.as_ref().unwrap()(), get_count(&mut count), count),
            (0, 0, 1)
        );
    }
}

#[test]
fn layouts_are_those_of_the_bindings() {
    let sizes = fake_nvml::layout_sizes();
    use nvml_wrapper_sys::bindings as nvml;
    let expected = [
        ("nvmlFieldValue_t", size_of::<nvml::nvmlFieldValue_t>()),
        ("nvmlSample_t", size_of::<nvml::nvmlSample_t>()),
        ("nvmlUtilization_t", size_of::<nvml::nvmlUtilization_t>()),
        ("nvmlMemory_t", size_of::<nvml::nvmlMemory_t>()),
        ("nvmlMemory_v2_t", size_of::<nvml::nvmlMemory_v2_t>()),
        ("nvmlPciInfo_t", size_of::<nvml::nvmlPciInfo_t>()),
    ];
    assert_eq!(sizes.as_slice(), expected);
}

fn unix_us() -> i64 {
    fake_nvml::clock::realtime_ns() / 1000
}
