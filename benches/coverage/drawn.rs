//! Loads and sensors drawn at random, all properties at once: what nobody thought of beforehand.

use crate::cases::{Case, PhaseSpec};
use crate::simulator::Random;

const NAMES: [&str; 7] = ["data", "h2d", "forward", "loss", "backward", "optimizer", "log"];
/// No longer than this, ms: a simulation takes its time too.
const LONGEST: f64 = 150_000.0;

/// The case of a seed.
pub fn case(name: &str, seed: u64) -> Case {
    let mut random = Random::new(seed ^ 0x00D1_CE00);
    let r = &mut random;
    let counter = r.often(0.6).then(|| r.one_of(&[10.0, 20.0, 50.0, 100.0]));
    let period = r.one_of(&[10.0, 20.0, 33.0, 50.0, 100.0, 106.0]);
    let window = match r.uniform() {
        u if u < 0.4 => period * r.between(0.1, 0.9),
        u if u < 0.8 => period,
        _ => r.between(period, 1000.0),
    };
    let count = 2 + (r.uniform() * 6.0) as usize;
    let phases: Vec<PhaseSpec> = NAMES[..count]
        .iter()
        .map(|name| (*name, r.log_between(0.3, 120.0), r.between(60.0, 390.0)))
        .collect();
    let step: f64 = phases.iter().map(|p| p.1).sum();
    let case = Case::ideal(period, window, counter);
    let delay = r.between(0.0, 15.0);
    let ramps = r.uniform();
    Case {
        name: name.into(),
        steps: (r.log_between(60.0, 4000.0).min(LONGEST / step)) as usize + 20,
        phases,
        slope: if r.often(0.3) { r.between(0.0, 0.3) } else { 0.0 },
        gaps: if r.often(0.3) { r.between(0.5, 6.0) } else { 0.0 },
        long_steps: if r.often(0.2) { r.between(1.1, 2.0) } else { 1.0 },
        validate_every: if r.often(0.3) { 200 } else { usize::MAX },
        duration_scatter: r.between(0.01, 0.12),
        power_scatter: r.between(0.01, 0.08),
        ramp: if ramps < 0.3 { r.between(0.2, 2.5) } else { 0.0 },
        settling: if ramps > 0.85 { r.between(0.2, 1.2) } else { 0.0 },
        believed_window: match r.uniform() {
            u if u < 0.7 => Some(window),
            u if u < 0.85 => Some(r.one_of(&[10.0, 25.0, 100.0])),
            _ => None,
        },
        low_pass: window < period && r.often(0.2),
        counter_step_j: r.one_of(&[1e-3, 1e-3, 0.1]),
        // A counter that adds up readings has them at least as often as it moves.
        counter_sampled: r.often(0.2) && counter.is_some_and(|ms| ms >= window),
        tick_jitter: r.between(0.0, 1.5),
        wander: if r.often(0.1) { r.between(0.0, 3.0) } else { 0.0 },
        delay: (delay, delay + if r.often(0.3) { r.between(0.0, 4.0) } else { 0.0 }),
        noise_w: r.between(0.1, 2.0),
        poll: r.one_of(&[1.0, 1.0, 2.0, 5.0, 10.0]),
        stalls: r.often(0.1),
        ..case
    }
}
