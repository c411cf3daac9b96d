//! NVML sensors against a library whose truth is known (`tests/fake-nvml`), through the real wrapper and the real dynamic linker.
//!
//! Each test loads a library of its own, so that they may run at once.

use std::path::PathBuf;
use std::time::Duration;

use fake_nvml::Installation;
use fake_nvml::config::{Config, Counter, CounterKind, Effect, Fault, Gpu, Profile, Samples, Shape, Signal};
use fake_nvml::stats::Counts;
use fake_nvml::status::Status as NvmlStatus;

use crate::model::device::{DeviceId, DeviceKind, Source};
use crate::model::sample::{SampleBatch, SampleOutcome};
use crate::sensors::finding::Finding;
use crate::sensors::interface::Sensor;

use super::enumerate::{Enumeration, GpuSelection, enumerate};
use super::library::Library;
use super::state;

mod faults;
mod selection;

/// A machine and what was found on it. The folder outlives the library in it.
struct Machine {
    found: Enumeration,
    installation: Installation,
    _folder: tempfile::TempDir,
}

impl Machine {
    fn with(config: &Config, selection: &GpuSelection) -> Self {
        let folder = tempfile::tempdir().expect("a scratch folder");
        let installation = Installation::create(folder.path(), config).unwrap_or_else(|e| panic!("{e}"));
        let library = Library::open(Some(&installation.library())).expect("it loads");
        Self {
            found: enumerate(&library, selection),
            installation,
            _folder: folder,
        }
    }

    fn of(gpu: Gpu) -> Self {
        Self::with(&Config::with(gpu, 1), &GpuSelection::All)
    }

    fn faulty(faults: Vec<Fault>) -> Self {
        let config = Config {
            faults,
            ..Config::with(h100(), 1)
        };
        Self::with(&config, &GpuSelection::All)
    }

    fn gpu(&mut self) -> &mut dyn Sensor {
        self.found.sensors[0].as_mut()
    }

    fn ids(&self) -> Vec<&str> {
        self.found.sensors.iter().map(|s| s.device().id.0.as_str()).collect()
    }

    fn warnings(&self) -> Vec<&Finding> {
        self.found.findings.iter().filter(|f| f.is_warning()).collect()
    }

    /// Seconds on the library's own clock.
    fn wait_until(&self, second: f64) {
        let until = self.installation.machine().origin_ns + (second * 1e9) as i64;
        while fake_nvml::clock::monotonic_ns() < until {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

fn h100() -> Gpu {
    Gpu {
        power_limit_w: 700.0,
        ..Gpu::new(Profile::H100, Shape::Constant(350.0))
    }
}

fn returning(status: NvmlStatus, calls: &[&str]) -> Fault {
    Fault {
        calls: calls.iter().map(|&call| call.into()).collect(),
        ..Fault::new(Effect::Return(status))
    }
}

#[test]
fn an_h100_gives_everything_in_si_units() {
    let mut machine = Machine::of(h100());
    let gpu = machine.gpu();
    let device = gpu.device();
    assert_eq!(
        (device.id.0.as_str(), device.kind, device.source),
        ("gpu0", DeviceKind::Gpu, Source::Nvml)
    );
    assert_eq!(device.architecture.as_deref(), Some("Hopper"));
    assert_eq!(device.power_limit.map(|w| w.0), Some(700.0));
    assert_eq!(device.power_timing.window_ms, Some(25.0));
    assert_eq!(device.properties["power_call"], "field 186 (POWER_INSTANT)");
    assert!(device.uuid.as_deref().is_some_and(|uuid| uuid.starts_with("GPU-")));
    let columns = gpu.columns();
    assert!(columns.watts && columns.average_watts && columns.utilization && columns.throttle_reasons);
    let first = gpu.read_power().expect("reads");
    assert_eq!((first.watts, first.average_watts), (Some(350.0), Some(350.0)));
    std::thread::sleep(Duration::from_millis(300));
    let counted = gpu.read_power().expect("reads").counter.expect("counts") - first.counter.expect("counts");
    let joules = counted as f64 * columns.counter.expect("a counter").joules;
    // Between two and five updates of 100 ms at 350 W, however late this thread woke.
    assert!((70.0..3500.0).contains(&joules), "{joules} J");
}

#[test]
fn slow_figures_take_turns_and_are_never_repeated() {
    let mut machine = Machine::of(h100());
    let gpu = machine.gpu();
    assert_eq!(gpu.state_period(), Some(state::PERIOD));
    let looks: Vec<_> = (0..11).map(|_| gpu.read_state().expect("reads")).collect();
    let given = |figure: fn(&crate::model::sample::StateReading) -> bool| -> Vec<usize> {
        (0..looks.len()).filter(|&i| figure(&looks[i])).collect()
    };
    assert_eq!(given(|s| s.memory_used_bytes.is_some()).len(), 11);
    assert_eq!(given(|s| s.utilization_pct.is_some()), [0, 2, 4, 6, 8, 10]);
    for slow in [
        (|s| s.temperature_c.is_some()) as fn(&crate::model::sample::StateReading) -> bool,
        |s| s.sm_clock_mhz.is_some(),
        |s| s.memory_clock_mhz.is_some(),
        |s| s.throttle_reasons.is_some(),
        |s| s.power_limit_watts.is_some(),
    ] {
        assert_eq!(given(slow), [0, 10]);
    }
    assert_eq!(looks[0].utilization_pct, Some(100.0));
    assert_eq!(looks[0].temperature_c, Some(45.0));
    assert_eq!(looks[0].power_limit_watts, Some(700.0));
}

#[test]
fn unknown_throttle_bits_are_kept() {
    let gpu = Gpu {
        throttle_reasons: Signal::Constant((1_u64 << 40) as f64),
        ..h100()
    };
    let reading = Machine::of(gpu).gpu().read_state().expect("reads");
    assert_eq!(reading.throttle_reasons, Some(1 << 40));
}

#[test]
fn a_poll_is_one_call_and_process_lists_are_never_asked() {
    let stats = tempfile::tempdir().expect("a scratch folder");
    let path: PathBuf = stats.path().join("counts.json");
    let config = Config {
        stats: Some(path.clone()),
        ..Config::with(h100(), 8)
    };
    let polls = |n: u32| -> Counts {
        let mut machine = Machine::with(&config, &GpuSelection::All);
        assert_eq!(machine.found.sensors.len(), 8);
        for _ in 0..n {
            for gpu in &mut machine.found.sensors {
                gpu.read_power().expect("reads");
            }
        }
        drop(machine);
        Counts::read(&path).expect("written at shutdown")
    };
    let (none, hundred) = (polls(0), polls(100));
    let calls: u64 = hundred.calls.values().map(|c| c.total).sum();
    let at_start: u64 = none.calls.values().map(|c| c.total).sum();
    assert_eq!(calls - at_start, 800, "one call a poll and a GPU, whatever it asks");
    for never in [
        "nvmlDeviceGetComputeRunningProcesses_v3",
        "nvmlDeviceGetGraphicsRunningProcesses_v3",
        "nvmlDeviceGetProcessUtilization",
        "nvmlDeviceGetFanSpeed",
        "nvmlDeviceGetPcieThroughput",
    ] {
        assert_eq!(hundred.total(never), 0, "{never}");
    }
}

#[test]
fn without_the_fields_the_older_calls_serve_and_say_so() {
    let mut machine = Machine::faulty(vec![returning(NvmlStatus::NotSupported, &["nvmlDeviceGetFieldValues"])]);
    let gpu = machine.gpu();
    assert_eq!(gpu.device().properties["power_call"], "nvmlDeviceGetPowerUsage");
    assert_eq!(
        gpu.device().properties["energy_call"],
        "nvmlDeviceGetTotalEnergyConsumption"
    );
    assert_eq!(
        gpu.device().power_timing.window_ms,
        Some(1000.0),
        "the long average, on Hopper"
    );
    assert!(!gpu.columns().average_watts);
    let reading = gpu.read_power().expect("reads");
    assert_eq!(reading.watts, Some(350.0));
    assert!(reading.counter.is_some() && reading.average_watts.is_none());
}

#[test]
fn one_field_that_is_refused_is_asked_by_its_own_call_and_the_others_stay_batched() {
    let mut machine = Machine::faulty(vec![returning(NvmlStatus::NotSupported, &["field:83"])]);
    let gpu = machine.gpu();
    assert_eq!(gpu.device().properties["power_call"], "field 186 (POWER_INSTANT)");
    assert_eq!(
        gpu.device().properties["energy_call"],
        "nvmlDeviceGetTotalEnergyConsumption"
    );
    assert!(gpu.read_power().expect("reads").counter.is_some());
}

#[test]
fn a_board_without_a_counter_has_no_such_column() {
    let gpu = Gpu {
        counter: Counter {
            kind: CounterKind::None,
            ..Counter::default()
        },
        ..Gpu::new(Profile::V100, Shape::Constant(150.0))
    };
    let mut machine = Machine::of(gpu);
    assert_eq!(machine.gpu().columns().counter, None);
    assert_eq!(machine.gpu().device().power_timing.window_ms, Some(10.0));
    assert_eq!(machine.gpu().read_power().expect("reads").watts, Some(150.0));
}

#[test]
fn a_grace_hopper_module_contains_its_gpu_which_contains_its_memory() {
    let gpu = Gpu {
        memory_power_share: Some(0.2),
        power_limit_w: 900.0,
        ..Gpu::new(Profile::Gh200, Shape::Constant(500.0))
    };
    let mut machine = Machine::of(gpu);
    assert_eq!(machine.ids(), ["gpu0", "module0", "gpu_memory0"]);
    let contained: Vec<_> = machine
        .found
        .sensors
        .iter()
        .map(|s| s.device().contained_in.clone())
        .collect();
    let id = |id: &str| Some(DeviceId(id.into()));
    assert_eq!(contained, [id("module0"), None, id("gpu0")]);
    let watts: Vec<_> = machine
        .found
        .sensors
        .iter_mut()
        .map(|s| s.read_power().expect("reads").watts)
        .collect();
    assert!(watts[1] > watts[0] && watts[2] < watts[0], "{watts:?}");
}

#[test]
fn an_ordinary_board_has_no_module_and_no_memory_device() {
    assert_eq!(Machine::of(h100()).ids(), ["gpu0"]);
}

/// A ring as the default one, and what is particular about it.
fn ringed(profile: Profile, samples: Samples) -> Machine {
    Machine::of(Gpu {
        samples,
        ..Gpu::new(profile, Shape::Constant(350.0))
    })
}

#[test]
fn a_finer_ring_is_emptied_without_repeating_or_missing_a_sample() {
    let mut machine = ringed(Profile::H100, Samples::default());
    let gpu = machine.gpu();
    assert!(gpu.columns().samples);
    let said = &gpu.device().properties["sample_buffer"];
    assert!(
        said.starts_with("20.0 ms apart, CLOCK_") && said.ends_with(", recorded"),
        "{said}"
    );
    assert_eq!(gpu.sample_period(), Some(Duration::from_millis(800)));
    let mut all = gpu.read_samples().samples;
    assert!(all.len() >= 119, "{}", all.len());
    let mut dropped = 0;
    for _ in 0..5 {
        std::thread::sleep(Duration::from_millis(50));
        let batch = gpu.read_samples();
        all.extend(batch.samples);
        dropped += batch.dropped;
    }
    assert_eq!(dropped, 0);
    assert!(all.iter().all(|sample| sample.1 == 350.0));
    let gaps = all.windows(2).map(|pair| pair[1].0 - pair[0].0);
    assert!(gaps.into_iter().all(|gap| (gap - 20_000_000).abs() < 100_000));
    let age = crate::sensors::clock::now() - all[all.len() - 1].0;
    assert!((0..1_000_000_000).contains(&age), "{age} ns old");
}

#[test]
fn a_ring_as_coarse_as_the_readings_and_none_at_all_are_left() {
    let mut coarse = ringed(Profile::V100, Samples::default());
    assert!(!coarse.gpu().columns().samples);
    assert_eq!(coarse.gpu().sample_period(), None);
    assert_eq!(
        coarse.gpu().device().properties["sample_buffer"],
        "20.0 ms apart, not finer than the power readings: not recorded"
    );
    let none = Samples {
        supported: false,
        ..Samples::default()
    };
    let mut none = ringed(Profile::H100, none);
    assert!(!none.gpu().columns().samples && !none.gpu().device().properties.contains_key("sample_buffer"));
}

#[test]
fn a_dry_ring_is_asked_again() {
    let dry = Samples {
        dry_below_w: 1000.0,
        ..Samples::default()
    };
    let mut machine = ringed(Profile::H100, dry);
    let gpu = machine.gpu();
    assert!(gpu.columns().samples);
    assert!(gpu.device().properties["sample_buffer"].starts_with("dry when the recording began"));
    assert_eq!(gpu.read_samples(), SampleBatch::nothing(SampleOutcome::Dry));
    assert_eq!(gpu.sample_period(), Some(Duration::from_secs(1)));
}
