//! From markers to power: what a GPU would draw in the phases it hears of.
//!
//! Shared between the marker reader, which tells it every good line ([`SimulatedTruth::heard`]), and the simulated sensors, which look
//! at the curve. Both hold a short lock; neither waits for I/O under it.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::model::marker::{MarkerEvent, MarkerVerb};
use crate::model::time::Timestamp;
use crate::model::units::Watts;

use super::curve::Curve;
use super::noise;
use super::profile::{Profile, Simulation};

/// Power of a phase as a share of the limit, and how busy the GPU is in it, by the conventional names. A phase inside another counts
/// alone.
const PHASES: &[(&str, f64, f64)] = &[
    ("load", 0.17, 0.02),
    ("data", 0.19, 0.05),
    ("train", 0.30, 0.30),
    ("step", 0.42, 0.60),
    ("forward", 0.80, 0.97),
    ("backward", 0.93, 1.0),
    ("optimizer", 0.48, 0.85),
    ("validate", 0.70, 0.93),
    ("infer", 0.62, 0.88),
];

/// Share of memory taken before, and after, the first work.
const MEMORY: (f64, f64) = (0.006, 0.71);

/// What a GPU does right now.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Activity {
    /// 0 to 1.
    pub load: f64,
    pub power: Watts,
    /// Share of memory in use.
    pub memory: f64,
}

/// The simulated GPUs' true power.
pub struct SimulatedTruth {
    profile: &'static Profile,
    state: Mutex<State>,
}

struct State {
    gpus: Vec<Gpu>,
    /// Per rank, the open phases, outermost first.
    open: BTreeMap<u32, Vec<String>>,
}

struct Gpu {
    curve: Curve,
    load: f64,
    has_worked: bool,
}

impl SimulatedTruth {
    /// All GPUs idle from `start` on.
    pub fn new(simulation: &Simulation, start: Timestamp) -> Self {
        let idle = simulation.profile.idle();
        let gpus = (0..simulation.gpus)
            .map(|_| Gpu {
                curve: Curve::new(start, idle),
                load: 0.0,
                has_worked: false,
            })
            .collect();
        Self {
            profile: simulation.profile,
            state: Mutex::new(State {
                gpus,
                open: BTreeMap::new(),
            }),
        }
    }

    /// A good line of the marker pipe. Cheap; call it for every one.
    pub fn heard(&self, event: &MarkerEvent) {
        let mut state = self.lock();
        let open = state.open.entry(event.rank).or_default();
        match event.verb {
            MarkerVerb::Begin => open.push(event.name.clone()),
            // An end closes the innermost phase of its name, and those left open inside it.
            MarkerVerb::End => match open.iter().rposition(|name| *name == event.name) {
                Some(at) => open.truncate(at),
                None => return,
            },
            MarkerVerb::Mark | MarkerVerb::Metric => return,
        }
        let (share, load) = open.last().map_or((None, 0.0), |name| {
            let (share, load) = work(name);
            (Some(share), load)
        });
        let power = share.map_or(self.profile.idle(), |share| self.profile.limit * share);
        for gpu in state.gpus_of(event.rank) {
            let gpu = &mut state.gpus[gpu];
            gpu.curve.change(event.t, power);
            gpu.load = load;
            gpu.has_worked |= load > 0.5;
        }
    }

    /// Look at one GPU's curve.
    pub fn observe<T>(&self, gpu: usize, look: impl FnOnce(&mut Curve) -> T) -> T {
        look(&mut self.lock().gpus[gpu].curve)
    }

    /// What a GPU does.
    pub fn activity(&self, gpu: usize) -> Activity {
        let state = self.lock();
        let gpu = &state.gpus[gpu];
        Activity {
            load: gpu.load,
            power: gpu.curve.latest(),
            memory: if gpu.has_worked { MEMORY.1 } else { MEMORY.0 },
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A thread that panicked under the lock left numbers behind, none of which can be half written.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// One rank alone drives all GPUs; of several, each drives the one of its number.
    fn gpus_of(&self, rank: u32) -> std::ops::Range<usize> {
        if self.open.len() <= 1 {
            return 0..self.gpus.len();
        }
        let gpu = rank as usize % self.gpus.len().max(1);
        gpu..(gpu + 1).min(self.gpus.len())
    }
}

/// Share of the limit and load. A name nobody agreed on gets its own, always the same.
fn work(name: &str) -> (f64, f64) {
    PHASES.iter().find(|(known, ..)| *known == name).map_or_else(
        || (0.35 + 0.5 * noise::of_name(name), 0.8),
        |&(_, share, load)| (share, load),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(verb: MarkerVerb, name: &str, rank: u32, t_ms: i64) -> MarkerEvent {
        let t = Timestamp::from_nanos(t_ms * 1_000_000);
        MarkerEvent {
            t,
            arrival: t,
            stamped: true,
            verb,
            rank,
            name: name.into(),
            index: None,
            samples: None,
            tokens: None,
            value: None,
            devices: None,
        }
    }

    fn truth(simulation: &str) -> SimulatedTruth {
        SimulatedTruth::new(&simulation.parse().expect("a profile"), Timestamp::from_nanos(0))
    }

    #[test]
    fn the_innermost_phase_sets_the_power_and_its_end_gives_it_back() {
        let truth = truth("h100");
        let idle = truth.activity(0).power;
        truth.heard(&event(MarkerVerb::Begin, "train", 0, 10));
        let train = truth.activity(0).power;
        truth.heard(&event(MarkerVerb::Begin, "forward", 0, 20));
        let forward = truth.activity(0);
        assert!(idle < train && train < forward.power);
        assert!(forward.load > 0.9 && forward.memory > 0.5);
        truth.heard(&event(MarkerVerb::End, "forward", 0, 30));
        assert_eq!(truth.activity(0).power, train);
        truth.heard(&event(MarkerVerb::End, "train", 0, 40));
        assert_eq!(truth.activity(0).power, idle);
        let joules = truth.observe(0, |c| {
            c.mean(Timestamp::from_nanos(20_000_000), Timestamp::from_nanos(30_000_000))
        });
        assert!((joules.0 / forward.power.0 - 1.0).abs() < 0.02);
    }

    #[test]
    fn an_outer_end_closes_what_was_left_open_inside_and_a_stray_end_does_nothing() {
        let truth = truth("a100");
        let idle = truth.activity(0).power;
        truth.heard(&event(MarkerVerb::Begin, "train", 0, 1));
        truth.heard(&event(MarkerVerb::Begin, "step", 0, 2));
        truth.heard(&event(MarkerVerb::End, "other", 0, 3));
        assert!(truth.activity(0).power > idle);
        truth.heard(&event(MarkerVerb::End, "train", 0, 4));
        assert_eq!(truth.activity(0).power, idle);
    }

    #[test]
    fn several_ranks_drive_a_gpu_each() {
        let truth = truth("h100x2");
        truth.heard(&event(MarkerVerb::Begin, "load", 0, 1));
        assert_eq!(truth.activity(0).power, truth.activity(1).power, "one rank: all");
        truth.heard(&event(MarkerVerb::Begin, "backward", 1, 2));
        assert!(truth.activity(1).power > truth.activity(0).power);
    }
}
