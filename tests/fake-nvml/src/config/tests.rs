//! The schema: what is written is read, what is wrong is named, and what the README shows works.

use super::*;
use crate::Machine;

#[test]
fn a_configuration_survives_its_json() {
    let mut gpu = Gpu::new(Profile::Gh200, Shape::Breakpoints(vec![[0.0, 90.0], [1.5, 310.25]]));
    gpu.counter = Counter {
        kind: CounterKind::Sampled,
        period_ms: Some(20.0),
        stuck_s: vec![[1.0, 2.0]],
        ..gpu.counter
    };
    gpu.utilization_pct = Signal::Steps(vec![[0.0, 3.0], [2.0, 97.0]]);
    let mut config = Config {
        t0_ns: Some(123_456_789_012_345),
        ..Config::with(gpu, 8)
    };
    config.faults = vec![Fault {
        faster_than_ms: Some(50.0),
        ..Fault::new(Effect::Return(crate::status::Status::NotSupported))
    }];
    config.latency = vec![Latency {
        calls: vec!["nvmlDeviceGetName".into()],
        median_us: 50.0,
        sigma: 0.5,
        busy: true,
    }];
    assert_eq!(Config::parse(&config.to_json().unwrap(), "here").unwrap(), config);
}

#[test]
fn nothing_said_is_one_a100_at_200_w() {
    let config = Config::parse("{}", "here").unwrap();
    assert_eq!(config, Config::default());
    let machine = Machine::new(config, 0).unwrap();
    assert_eq!(machine.gpus.len(), 1);
    assert_eq!(machine.gpus[0].power_usage_mw(0), 200_000);
}

#[test]
fn a_field_that_does_not_exist_is_named() {
    let message = Config::parse(r#"{"gpus": [{"sensor": {"gian": 0.9}}]}"#, "FAKE_NVML_CONFIG")
        .unwrap_err()
        .to_string();
    assert!(
        message.starts_with("FAKE_NVML_CONFIG is not a configuration: unknown field `gian`"),
        "{message}"
    );
    assert!(
        message.ends_with("hint: README.md of fake-nvml shows each field"),
        "{message}"
    );
}

#[test]
fn what_cannot_be_simulated_is_named() {
    let refused = |json: &str| {
        Machine::new(Config::parse(json, "here").unwrap(), 0)
            .unwrap_err()
            .to_string()
    };
    let repeat = refused(r#"{"gpus": [{"sensor": {"repeat_probability": 1}}]}"#);
    assert!(repeat.contains("sensor.repeat_probability"), "{repeat}");
    let still = refused(r#"{"gpus": [{"profile": {"custom": {"period_ms": 0, "window_ms": 1}}}]}"#);
    assert!(still.contains("profile.period_ms"), "{still}");
    assert!(refused(r#"{"gpus": [{"counter": {"period_ms": -1}}]}"#).contains("counter.period_ms"));
}

#[test]
fn each_json_of_the_readme_is_a_machine() {
    let readme = include_str!("../../README.md");
    let examples: Vec<&str> = readme
        .split("```json\n")
        .skip(1)
        .filter_map(|rest| rest.split("```").next())
        .collect();
    assert!(examples.len() >= 2, "the README shows configurations");
    for example in examples {
        let config = Config::parse(example, "README.md").unwrap_or_else(|error| panic!("{error}\n{example}"));
        Machine::new(config, 0).unwrap_or_else(|error| panic!("{error}\n{example}"));
    }
}

#[test]
fn signals_step_and_average() {
    let signal = Signal::Steps(vec![[0.0, 10.0], [1.0, 90.0], [3.0, 0.0]]);
    assert_eq!(
        [-5.0, 0.5, 1.0, 2.9, 3.0].map(|s| signal.at(s)),
        [10.0, 10.0, 90.0, 90.0, 0.0]
    );
    assert!((signal.mean(1.25, 0.5) - 50.0).abs() < 1e-12);
    assert!((signal.mean(3.5, 3.0) - (0.5 * 10.0 + 2.0 * 90.0) / 3.0).abs() < 1e-12);
    assert!((Signal::Constant(7.0).mean(1.0, 0.5) - 7.0).abs() < 1e-12);
}
