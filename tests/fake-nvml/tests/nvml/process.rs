//! The library in processes: found by its public name, configured by variables, and what it leaves behind.

use std::ffi::CString;
use std::process::Command;

use fake_nvml::config::{CONFIG_VARIABLE, Config, Gpu, Profile, STATS_VARIABLE, Shape};
use fake_nvml::gpu::field;
use fake_nvml::stats::Counts;
use nvml_wrapper::Nvml;
use nvml_wrapper::error::NvmlError;

use crate::fake::Fake;

#[test]
fn counts_tell_who_asked_what_of_whom() {
    let counts_folder = tempfile::tempdir().unwrap();
    let path = counts_folder.path().join("counts.json");
    let fake = Fake::new(&Config {
        stats: Some(path.clone()),
        ..Config::with(Gpu::default(), 3)
    });
    for _ in 0..5 {
        fake.fields(2, &[(field::POWER_INSTANT, 0), (field::ENERGY, 0)]);
    }
    fake.nvml
        .device_by_index(0)
        .unwrap()
        .temperature(nvml_wrapper::enum_wrappers::device::TemperatureSensor::Gpu)
        .unwrap();
    let origin_ns = fake.machine().origin_ns;
    assert!(!path.exists(), "written before the end");
    drop(fake);
    let counts = Counts::read(&path).unwrap();
    assert_eq!(counts.t0_ns, origin_ns);
    assert_eq!(counts.calls["nvmlDeviceGetFieldValues"].per_gpu, [0, 0, 5]);
    assert_eq!(counts.fields, [(field::POWER_INSTANT, 5), (field::ENERGY, 5)].into());
    assert_eq!((counts.total("nvmlInit_v2"), counts.total("nvmlShutdown")), (1, 1));
    assert_eq!(counts.total("nvmlDeviceGetTemperature"), 1);
    assert_eq!(counts.total("nvmlDeviceGetComputeRunningProcesses_v3"), 0);
}

#[test]
fn counts_are_left_where_the_library_is_unloaded_without_a_shutdown() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("counts.json");
    let config = Config {
        stats: Some(path.clone()),
        ..Config::default()
    };
    let installation = fake_nvml::Installation::create(folder.path(), &config).unwrap();
    let name = CString::new(installation.library().to_str().unwrap()).unwrap();
    // SAFETY: the name is a terminated string; the symbol is nvmlInit_v2 and has its type; nothing of the library is
    // used after it is closed.
    unsafe {
        let library = libc::dlopen(name.as_ptr(), libc::RTLD_NOW | libc::RTLD_LOCAL);
        assert!(!library.is_null(), "the library does not load");
        let symbol = libc::dlsym(library, c"nvmlInit_v2".as_ptr());
        let init: extern "C" fn() -> i32 = std::mem::transmute(symbol);
        assert_eq!(init(), 0);
        assert_eq!(libc::dlclose(library), 0);
    }
    assert_eq!(Counts::read(&path).unwrap().total("nvmlInit_v2"), 1);
}

/// A copy of this executable, as a program that knows nothing of us.
fn child(test: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", test, "--ignored", "--nocapture", "--test-threads=1"]);
    command
}

#[test]
fn a_program_finds_it_by_name_and_by_variables() {
    let folder = tempfile::tempdir().unwrap();
    fake_nvml::Installation::create(folder.path(), &Config::default()).unwrap();
    let counts = folder.path().join("counts.json");
    let config = Config::with(Gpu::new(Profile::H100, Shape::Constant(321.0)), 4)
        .to_json()
        .unwrap();
    let output = child("process::plain_program")
        .env("LD_LIBRARY_PATH", folder.path())
        .env(CONFIG_VARIABLE, config)
        .env(STATS_VARIABLE, &counts)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && text.contains("1 passed"),
        "{text}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert_eq!(
        Counts::read(&counts).unwrap().calls["nvmlDeviceGetPowerUsage"].per_gpu,
        [1, 1, 1, 1]
    );
}

#[test]
#[ignore = "the program that a_program_finds_it_by_name_and_by_variables starts"]
fn plain_program() {
    let nvml = Nvml::init().unwrap();
    let powers: Vec<u32> = (0..nvml.device_count().unwrap())
        .map(|index| nvml.device_by_index(index).unwrap().power_usage().unwrap())
        .collect();
    assert_eq!(powers, [321_000; 4]);
    std::mem::forget(nvml); // ends without a shutdown
}

#[test]
fn a_bad_configuration_fails_the_start_and_says_why() {
    let folder = tempfile::tempdir().unwrap();
    fake_nvml::Installation::create(folder.path(), &Config::default()).unwrap();
    for (config, expected) in [
        (r#"{"gpu": []}"#, "unknown field `gpu`"),
        ("nowhere.json", "cannot read the configuration nowhere.json"),
        (
            r#"{"gpus": [{"truth": {"constant": -5}}]}"#,
            "`truth` has a power of -5 W",
        ),
    ] {
        let output = child("process::refused_program")
            .env("LD_LIBRARY_PATH", folder.path())
            .env(CONFIG_VARIABLE, config)
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(
            text.contains("fake-nvml: ") && text.contains(expected),
            "{config}: {text}"
        );
        assert!(text.contains("\nhint: "), "{config}: {text}");
        assert!(
            output.status.success(),
            "{config}: the program saw something else than a failed start"
        );
    }
}

#[test]
#[ignore = "the program that a_bad_configuration_fails_the_start_and_says_why starts"]
fn refused_program() {
    assert!(matches!(Nvml::init(), Err(NvmlError::Unknown)));
}
