//! A load of two short phases whose power rises for half a second when it begins: a window far longer than the sensor's would explain
//! that rise, and then the phases would have had very different powers.

use super::laws::{analysed, gpu, recording};
use crate::model::device::SensorTiming;
use crate::model::marker::MarkerVerb::{Begin, End};
use crate::model::sample::{PowerStream, Times};
use crate::model::time::Timestamp;

const MS: i64 = 1_000_000;
const ON: f64 = 9.72;
const STEP: f64 = 19.84;
const LOAD_MS: f64 = 1_200.0;
const STEPS: usize = 470;

/// Watts at `t` ms.
fn watts(t: f64) -> f64 {
    let since = t - LOAD_MS;
    if since < 0.0 || since > STEPS as f64 * STEP {
        return 69.0;
    }
    let steady = if since % STEP < ON { 165.0 } else { 128.0 };
    69.0 + (steady - 69.0) * (0.5 + 0.5 * (since / 500.0).min(1.0))
}

#[test]
fn the_first_half_second_does_not_decide_what_the_window_is() {
    const FINE: f64 = 0.04;
    let end = LOAD_MS + STEPS as f64 * STEP + 200.0;
    let mut sums = vec![0.0];
    for i in 0..(end / FINE) as usize {
        sums.push(sums[i] + watts(i as f64 * FINE) * FINE);
    }
    let joules_ms = |t: f64| sums[((t / FINE) as usize).min(sums.len() - 1)];
    let (mut power, mut times) = (PowerStream::default(), Times::default());
    for ms in (0..end as i64).step_by(2) {
        let published = (ms / 20 * 20) as f64;
        let noise = 0.3 * (ms / 20 * 7919 % 17) as f64 / 17.0;
        times.push(Timestamp::from_nanos(ms * MS), 10_000);
        let mean = (joules_ms(published) - joules_ms((published - 10.0).max(0.0))) / 10.0;
        power.watts.push(if published < 10.0 { 69.0 } else { mean } + noise);
    }
    power.times = times;
    let mut device = gpu(0);
    device.power_timing = SensorTiming {
        update_period_ms: Some(20.0),
        window_ms: Some(10.0),
        delay_ms: None,
    };
    let lines: Vec<_> = (0..STEPS)
        .flat_map(|i| {
            let start = LOAD_MS + i as f64 * STEP;
            [("on", start, start + ON), ("off", start + ON, start + STEP)]
        })
        .flat_map(|(name, from, to)| [(from, Begin, name, 0), (to, End, name, 0)])
        .collect();
    let analysis = analysed(&recording(vec![device], end as i64, &lines), power);
    let window = analysis.devices[0].timing.window_ms.expect("found");
    assert!((window - 10.0).abs() < 2.0, "{window}");
    let truth = |on: bool| -> f64 {
        let inside = |t: f64| t >= LOAD_MS && t < LOAD_MS + STEPS as f64 * STEP && ((t - LOAD_MS) % STEP < ON) == on;
        let fine = (0..(end / FINE) as usize).map(|i| i as f64 * FINE);
        fine.filter(|t| inside(*t)).map(|t| watts(t) * FINE * 1e-3).sum()
    };
    for (phase, on) in [("on", true), ("off", false)] {
        let energy = &analysis.phases.iter().find(|p| p.path == phase).expect("there").energy;
        let (joules, truth) = (energy.joules.expect("resolved").get(), truth(on));
        // By a window of 50 ms or more they would be off by half and more.
        assert!((joules - truth).abs() < 0.08 * truth, "{phase}: {joules} J for {truth}");
    }
}
