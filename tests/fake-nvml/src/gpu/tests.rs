//! The parts of one GPU, put together.

use super::*;
use crate::Machine;
use crate::config::{Gpu, Profile, Shape};

fn machine(gpu: Gpu, count: u32) -> Machine {
    Machine::new(
        Config {
            seed: 7,
            ..Config::with(gpu, count)
        },
        0,
    )
    .unwrap()
}

#[test]
fn gpus_alike_differ_in_name_and_lattice_and_are_the_same_next_time() {
    let (one, other) = (machine(Gpu::default(), 8), machine(Gpu::default(), 8));
    let uuids: std::collections::BTreeSet<_> = one.gpus.iter().map(|gpu| gpu.uuid.clone()).collect();
    let phases: std::collections::BTreeSet<_> = one.gpus.iter().map(|gpu| gpu.instant.lattice().tick_ns(0)).collect();
    assert_eq!((uuids.len(), phases.len()), (8, 8));
    for (left, right) in one.gpus.iter().zip(&other.gpus) {
        assert_eq!(left.uuid, right.uuid);
        assert_eq!(left.instant.lattice().tick_ns(5), right.instant.lattice().tick_ns(5));
    }
    let uuid = &one.gpus[0].uuid;
    let groups: Vec<usize> = uuid.trim_start_matches("GPU-").split('-').map(str::len).collect();
    assert_eq!(groups, [8, 4, 4, 4, 12], "{uuid}");
}

#[test]
fn power_usage_is_average_or_instant_by_architecture() {
    let step = Shape::Breakpoints(vec![[0.0, 100.0], [10.0, 300.0]]);
    let at_ns = 10_500_000_000;
    for (profile, average) in [
        (Profile::V100, false),
        (Profile::A100, false),
        (Profile::H100, true),
        (Profile::Ga102, true),
        (Profile::Ada, true),
    ] {
        let gpu = &machine(Gpu::new(profile, step.clone()), 1).gpus[0];
        let usage = gpu.power_usage_mw(at_ns);
        assert_eq!(
            gpu.field(field::POWER_INSTANT, 0, at_ns),
            Ok(FieldValue::U32(300_000)),
            "{profile:?}"
        );
        assert_eq!(
            usage < 210_000,
            average,
            "{profile:?} reads {usage} mW half a second after the step"
        );
        let field = gpu.field(field::POWER_AVERAGE, 0, at_ns);
        assert_eq!(
            field,
            if average {
                Ok(FieldValue::U32(usage))
            } else {
                Err(Status::NotSupported)
            },
            "{profile:?}"
        );
    }
}

#[test]
fn the_sample_buffer_sees_more_than_the_published_readings() {
    let gpu = &machine(Gpu::new(Profile::H100, Shape::Constant(150.0)), 1).gpus[0];
    let ring = gpu.samples.as_ref().unwrap();
    let now_ns = 60_000_000_000;
    let entries = ring.entries(&gpu.truth, now_ns, None);
    assert_eq!(entries.len(), 120);
    assert!(entries.iter().all(|entry| entry.milliwatts == 150_000));
    assert!(
        entries
            .windows(2)
            .all(|pair| pair[1].at_ns - pair[0].at_ns == 20_000_000)
    );
    let newest_ns = entries[119].at_ns;
    assert!(newest_ns <= now_ns && now_ns < newest_ns + 20_000_000);
    assert_eq!(ring.entries(&gpu.truth, now_ns, Some(newest_ns - 50_000_000)).len(), 3);
}
