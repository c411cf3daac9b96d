//! A repeating load whose steps scatter in length and power, as a trainer's do. Owns drawing them, in order, as far as
//! somebody has asked; step `k` is the same in every process that has the same seed.

use super::curve::Curve;
use crate::chance::{Purpose, Stream};
use crate::config::ConfigError;

/// Relative standard deviations.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scatter {
    pub duration: f64,
    pub watts: f64,
}

/// No step is shorter than this share of its nominal length, whatever the dice say.
const SHORTEST: f64 = 0.05;

#[derive(Debug)]
pub(super) struct Generated {
    /// (nominal duration in ns, nominal level in µW)
    list: Vec<(i64, i64)>,
    scatter: Scatter,
    durations: Stream,
    levels: Stream,
    /// Start of each step drawn so far, and of the next.
    starts_ns: Vec<i64>,
    curve: Curve,
}

impl Generated {
    pub(super) fn new(
        list: Vec<(i64, i64)>,
        scatter: Scatter,
        ramp_ns: i64,
        origin_ns: i64,
        seed: u64,
        gpu: u32,
    ) -> Result<Self, ConfigError> {
        if list.is_empty() || list.iter().any(|&(duration_ns, _)| duration_ns <= 0) {
            return Err(ConfigError::invalid(
                "truth.steps",
                "has a step without length",
                "make each longer than 0 ms",
            ));
        }
        let levels = Stream::new(seed, Purpose::StepWatts, u64::from(gpu));
        let durations = Stream::new(seed, Purpose::StepDuration, u64::from(gpu));
        let first = scattered(list[0].1, scatter.watts, levels.normal(0));
        let curve = Curve::new(origin_ns, first, ramp_ns);
        let mut generated = Self {
            list,
            scatter,
            durations,
            levels,
            starts_ns: vec![origin_ns],
            curve,
        };
        generated.draw_next();
        Ok(generated)
    }

    pub(super) fn curve(&self) -> &Curve {
        &self.curve
    }

    /// Draws steps until the next one starts after `until_ns`.
    pub(super) fn extend_past(&mut self, until_ns: i64) {
        while self.next_start_ns() <= until_ns {
            let step = self.starts_ns.len() as i64 - 1;
            let (_, nominal) = self.list[step as usize % self.list.len()];
            let level = scattered(nominal, self.scatter.watts, self.levels.normal(step));
            self.curve.step_to(self.next_start_ns(), level);
            self.draw_next();
        }
    }

    /// (start, position in the list) of every step that starts before `until_ns`, all of them drawn already.
    pub(super) fn steps(&self, until_ns: i64) -> Vec<(i64, usize)> {
        let known = self.starts_ns.iter().enumerate();
        known
            .take_while(|&(_, &start)| start < until_ns)
            .map(|(k, &start)| (start, k % self.list.len()))
            .collect()
    }

    fn next_start_ns(&self) -> i64 {
        self.starts_ns[self.starts_ns.len() - 1]
    }

    /// Appends the start of the step after the last one known.
    fn draw_next(&mut self) {
        let step = self.starts_ns.len() as i64 - 1;
        let (nominal_ns, _) = self.list[step as usize % self.list.len()];
        let duration = scattered(nominal_ns, self.scatter.duration, self.durations.normal(step));
        self.starts_ns.push(self.next_start_ns() + duration.max(1));
    }
}

fn scattered(nominal: i64, relative: f64, deviate: f64) -> i64 {
    (nominal as f64 * (1.0 + relative * deviate).max(SHORTEST)).round() as i64
}
