//! When faults strike.

use super::*;
use crate::config::{Fault as Spec, Gpu};

const MS: i64 = 1_000_000;
const S: i64 = 1_000_000_000;
const POWER: Target = Target::Call(Call::nvmlDeviceGetPowerUsage);

fn faults(list: Vec<Spec>) -> Faults {
    Faults::new(
        &Config {
            faults: list,
            ..Config::with(Gpu::default(), 2)
        },
        0,
        2,
    )
    .unwrap()
}

fn returning(status: Status) -> Spec {
    Spec::new(Effect::Return(status))
}

#[test]
fn a_lost_gpu_is_lost_from_then_on_and_alone() {
    let lost = faults(vec![Spec {
        gpu: Some(1),
        from_s: Some(4.0),
        ..returning(Status::GpuIsLost)
    }]);
    assert_eq!(lost.verdict(POWER, 1, 4 * S - 1), Verdict::Proceed);
    assert_eq!(lost.verdict(POWER, 1, 4 * S), Verdict::Return(Status::GpuIsLost));
    assert_eq!(lost.verdict(POWER, 1, 400 * S), Verdict::Return(Status::GpuIsLost));
    assert_eq!(lost.verdict(POWER, 0, 400 * S), Verdict::Proceed);
    assert_eq!(
        lost.verdict(Target::Field(186), 1, 400 * S),
        Verdict::Proceed,
        "the call has failed before its entries"
    );
}

#[test]
fn only_what_is_named_is_struck() {
    let calls = vec!["nvmlDeviceGetPowerUsage".into(), "field:83".into()];
    let named = faults(vec![Spec {
        calls,
        ..returning(Status::NoPermission)
    }]);
    assert_eq!(named.verdict(POWER, 0, 0), Verdict::Return(Status::NoPermission));
    assert_eq!(
        named.verdict(Target::Field(83), 0, 0),
        Verdict::Return(Status::NoPermission)
    );
    assert_eq!(named.verdict(Target::Field(186), 0, 0), Verdict::Proceed);
    assert_eq!(
        named.verdict(Target::Call(Call::nvmlDeviceGetName), 0, 0),
        Verdict::Proceed
    );
}

#[test]
fn dice_fall_alike_in_every_run() {
    let run = || {
        let rare = faults(vec![Spec {
            probability: 0.1,
            ..Spec::new(Effect::Zero)
        }]);
        (0..2000)
            .map(|k| rare.verdict(POWER, 0, k * MS) == Verdict::Zero)
            .collect::<Vec<_>>()
    };
    let struck = run();
    assert_eq!(struck, run());
    let count = struck.iter().filter(|&&zero| zero).count();
    assert!((140..260).contains(&count), "{count} of 2000 at 0.1");
}

#[test]
fn a_fast_poller_is_punished_and_a_slow_one_is_not() {
    let hasty = || {
        faults(vec![Spec {
            faster_than_ms: Some(50.0),
            ..returning(Status::NotSupported)
        }])
    };
    let strikes = |step_ms: i64| {
        let faults = hasty();
        (0..20)
            .filter(|k| faults.verdict(POWER, 0, k * step_ms * MS) != Verdict::Proceed)
            .count()
    };
    assert_eq!((strikes(49), strikes(50)), (19, 0), "the first call has none before it");
}

#[test]
fn a_hang_ends_and_the_call_then_succeeds() {
    let hang = faults(vec![Spec {
        from_s: Some(5.0),
        until_s: Some(7.0),
        ..Spec::new(Effect::Hang)
    }]);
    assert_eq!(hang.hangs_until(POWER, 0, 5 * S - 1), None);
    assert_eq!(hang.hangs_until(POWER, 0, 6 * S), Some(7 * S));
    assert_eq!(hang.hangs_until(POWER, 0, 7 * S), None);
    assert_eq!(hang.verdict(POWER, 0, 6 * S), Verdict::Proceed);
}

#[test]
fn nonsense_is_refused() {
    let refused = |fault: Spec| {
        Faults::new(
            &Config {
                faults: vec![fault],
                ..Config::default()
            },
            0,
            1,
        )
        .unwrap_err()
        .to_string()
    };
    let unknown = refused(Spec {
        calls: vec!["nvmlDeviceGetPowr".into()],
        ..returning(Status::NotFound)
    });
    assert!(unknown.contains("names nvmlDeviceGetPowr"), "{unknown}");
    assert!(refused(Spec::new(Effect::Hang)).contains("hangs for ever"));
}
