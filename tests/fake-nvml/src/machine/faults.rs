//! When a fault strikes. Owns matching calls against conditions; leaves to `ffi` carrying the verdict out.
//! The state is a count and a time for each fault and GPU: the dice are the same in every run that makes the same
//! calls.

use std::sync::atomic::{AtomicI64, Ordering};

use crate::call::Call;
use crate::chance::{Purpose, Stream};
use crate::config::{self, Config, ConfigError, Effect, nanoseconds};
use crate::status::Status;

/// What a fault names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    Call(Call),
    /// One entry of `nvmlDeviceGetFieldValues`.
    Field(u32),
}

/// What happens to a call, or to one entry of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Proceed,
    Zero,
    Return(Status),
}

#[derive(Debug, Default)]
pub struct Faults {
    list: Vec<Fault>,
}

#[derive(Debug)]
struct Fault {
    gpu: Option<u32>,
    /// Empty: every call, but no single entry.
    targets: Vec<Target>,
    from_ns: i64,
    until_ns: i64,
    probability: f64,
    faster_than_ns: Option<i64>,
    effect: Effect,
    dice: Stream,
    /// Per GPU.
    seen: Vec<Seen>,
}

#[derive(Debug)]
struct Seen {
    count: AtomicI64,
    last_ns: AtomicI64,
}

impl Faults {
    pub(super) fn new(config: &Config, origin_ns: i64, gpus: usize) -> Result<Self, ConfigError> {
        let build = |(fault, number): (&config::Fault, u64)| Fault::new(fault, config.seed, number, origin_ns, gpus);
        Ok(Self {
            list: config.faults.iter().zip(0..).map(build).collect::<Result<_, _>>()?,
        })
    }

    /// Until when a call that begins now hangs.
    #[must_use]
    pub fn hangs_until(&self, target: Target, gpu: u32, now_ns: i64) -> Option<i64> {
        let hangs = self.list.iter().filter(|fault| fault.effect == Effect::Hang);
        hangs
            .filter(|fault| fault.strikes(target, gpu, now_ns))
            .map(|fault| fault.until_ns)
            .max()
    }

    /// What happens to it otherwise: the first fault that strikes.
    #[must_use]
    pub fn verdict(&self, target: Target, gpu: u32, now_ns: i64) -> Verdict {
        let others = self.list.iter().filter(|fault| fault.effect != Effect::Hang);
        // All of them are asked, so that the count of each is of its calls whatever the others did.
        others.fold(Verdict::Proceed, |verdict, fault| {
            match (fault.strikes(target, gpu, now_ns), verdict, fault.effect) {
                (true, Verdict::Proceed, Effect::Return(status)) => Verdict::Return(status),
                (true, Verdict::Proceed, _) => Verdict::Zero,
                _ => verdict,
            }
        })
    }
}

impl Fault {
    fn new(fault: &config::Fault, seed: u64, number: u64, origin_ns: i64, gpus: usize) -> Result<Self, ConfigError> {
        let after = |seconds: f64| origin_ns.saturating_add(nanoseconds(seconds, 1e9));
        if fault.effect == Effect::Hang && fault.until_s.is_none() {
            return Err(ConfigError::invalid("faults", "hangs for ever", "say `until_s`"));
        }
        Ok(Self {
            gpu: fault.gpu,
            targets: fault.calls.iter().map(|name| target(name)).collect::<Result<_, _>>()?,
            from_ns: fault.from_s.map_or(i64::MIN, after),
            until_ns: fault.until_s.map_or(i64::MAX, after),
            probability: fault.probability,
            faster_than_ns: fault.faster_than_ms.map(|ms| nanoseconds(ms, 1e6)),
            effect: fault.effect,
            dice: Stream::new(seed, Purpose::Fault, number),
            seen: (0..gpus)
                .map(|_| Seen {
                    count: AtomicI64::new(0),
                    last_ns: AtomicI64::new(i64::MIN),
                })
                .collect(),
        })
    }

    fn strikes(&self, target: Target, gpu: u32, now_ns: i64) -> bool {
        let named = if self.targets.is_empty() {
            matches!(target, Target::Call(_))
        } else {
            self.targets.contains(&target)
        };
        let Some(seen) = self.seen.get(gpu as usize) else {
            return false;
        };
        if !named || self.gpu.is_some_and(|only| only != gpu) {
            return false;
        }
        let number = seen.count.fetch_add(1, Ordering::Relaxed);
        let last_ns = seen.last_ns.swap(now_ns, Ordering::Relaxed);
        (self.from_ns..self.until_ns).contains(&now_ns)
            && self
                .faster_than_ns
                .is_none_or(|limit_ns| now_ns.saturating_sub(last_ns) < limit_ns)
            && self.dice.happens(number, self.probability)
    }
}

fn target(name: &str) -> Result<Target, ConfigError> {
    let field = name
        .strip_prefix("field:")
        .and_then(|number| number.parse().ok())
        .map(Target::Field);
    field.or_else(|| Call::named(name).map(Target::Call)).ok_or_else(|| {
        let problem = format!("names {name}, which is not a call here");
        ConfigError::invalid(
            "calls",
            &problem,
            "give a name of nvml.h, such as nvmlDeviceGetPowerUsage, or field:186",
        )
    })
}

#[cfg(test)]
mod tests;
