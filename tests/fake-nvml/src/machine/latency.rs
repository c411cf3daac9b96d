//! What calls cost. Owns drawing it; leaves to `ffi` waiting.

use std::sync::atomic::{AtomicI64, Ordering};

use super::faults::Target;
use crate::call::Call;
use crate::chance::{Purpose, Stream};
use crate::config::{Config, ConfigError};

#[derive(Debug, Default)]
pub struct Latencies {
    rules: Vec<Rule>,
}

#[derive(Debug)]
struct Rule {
    /// Empty: every call.
    calls: Vec<Call>,
    median_ns: f64,
    sigma: f64,
    busy: bool,
    dice: Stream,
    drawn: AtomicI64,
}

/// How long one call takes, and whether it burns processor time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    pub nanoseconds: i64,
    pub busy: bool,
}

impl Latencies {
    pub(super) fn new(config: &Config) -> Result<Self, ConfigError> {
        let mut rules = Vec::new();
        for (latency, number) in config.latency.iter().zip(0..) {
            let calls = latency.calls.iter().map(|name| {
                Call::named(name).ok_or_else(|| {
                    let problem = format!("names {name}, which is not a call here");
                    ConfigError::invalid("latency.calls", &problem, "give a name of nvml.h")
                })
            });
            rules.push(Rule {
                calls: calls.collect::<Result<_, _>>()?,
                median_ns: latency.median_us * 1e3,
                sigma: latency.sigma,
                busy: latency.busy,
                dice: Stream::new(config.seed, Purpose::Latency, number),
                drawn: AtomicI64::new(0),
            });
        }
        Ok(Self { rules })
    }

    /// Of the next call of this name.
    #[must_use]
    pub fn draw(&self, target: Target) -> Cost {
        let Target::Call(call) = target else {
            return Cost::default();
        };
        let Some(rule) = self
            .rules
            .iter()
            .find(|rule| rule.calls.is_empty() || rule.calls.contains(&call))
        else {
            return Cost::default();
        };
        let deviate = rule.dice.normal(rule.drawn.fetch_add(1, Ordering::Relaxed));
        let nanoseconds = rule.median_ns * (rule.sigma * deviate).exp();
        Cost {
            nanoseconds: nanoseconds as i64,
            busy: rule.busy,
        }
    }
}
