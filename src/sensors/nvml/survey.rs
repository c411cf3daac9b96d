//! Which of a GPU's calls answer: asked once at the start, so that the fast loop asks nothing in vain.
//!
//! A figure is kept if it comes with success and is plausible in at least one of two looks: some drivers refuse a good call now and
//! then, and a GPU that cannot do a thing refuses it always.

use nvml_wrapper::error::NvmlError;

use super::fields::{Batch, POWER_AVERAGE, POWER_INSTANT, Scope, TOTAL_ENERGY};
use super::handle::Handle;

/// Most a power reading may exceed the board's limit and be believed: transients go over it, faults go far over it.
const PLAUSIBLE_ABOVE_LIMIT: f64 = 1.3;

/// Where no limit is known: more than any single board or module draws.
const PLAUSIBLE_ANYWHERE_MW: f64 = 5e6;

/// Which calls answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Answers {
    /// Field 186.
    pub instant: bool,
    /// Field 185.
    pub average: bool,
    /// Field 83.
    pub counter_field: bool,
    /// `nvmlDeviceGetPowerUsage`.
    pub usage: bool,
    /// `nvmlDeviceGetTotalEnergyConsumption`.
    pub counter_call: bool,
}

impl Answers {
    /// Whether a second look could add something worth having.
    pub fn is_complete(&self) -> bool {
        self.instant && self.counter_field
    }

    /// Either of two looks.
    pub fn or(self, other: Self) -> Self {
        Self {
            instant: self.instant || other.instant,
            average: self.average || other.average,
            counter_field: self.counter_field || other.counter_field,
            usage: self.usage || other.usage,
            counter_call: self.counter_call || other.counter_call,
        }
    }

    /// Whether there is anything to record.
    pub fn any(&self) -> bool {
        *self != Self::default()
    }
}

/// A figure in milliwatts that a board with this limit can have.
pub fn is_plausible_power(mw: u64, limit_mw: Option<u32>) -> bool {
    let ceiling = limit_mw.map_or(PLAUSIBLE_ANYWHERE_MW, |limit| f64::from(limit) * PLAUSIBLE_ABOVE_LIMIT);
    mw > 0 && (mw as f64) < ceiling
}

/// Look once at the GPU's own scope. `Err` only where the device itself is beyond reach.
pub fn look(handle: &Handle, limit_mw: Option<u32>) -> Result<Answers, NvmlError> {
    let mut answers = Answers::default();
    let mut batch = Batch::new(&[
        (POWER_INSTANT, Scope::Gpu),
        (POWER_AVERAGE, Scope::Gpu),
        (TOTAL_ENERGY, Scope::Gpu),
    ]);
    match batch.read(handle) {
        Ok(()) => {
            let power = |slot| batch.value(slot).is_ok_and(|mw| is_plausible_power(mw, limit_mw));
            answers.instant = power(0);
            answers.average = power(1);
            answers.counter_field = batch.value(2).is_ok();
        }
        Err(e) if super::faults::is_gone(&e) => return Err(e),
        Err(_) => {}
    }
    let device = handle.device();
    if !answers.instant {
        match device.power_usage() {
            Ok(mw) => answers.usage = is_plausible_power(mw.into(), limit_mw),
            Err(e) if super::faults::is_gone(&e) => return Err(e),
            Err(_) => {}
        }
    }
    if !answers.counter_field {
        answers.counter_call = device.total_energy_consumption().is_ok();
    }
    Ok(answers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plausible_is_above_nothing_and_not_far_above_the_limit() {
        assert!(!is_plausible_power(0, Some(700_000)));
        assert!(is_plausible_power(1, Some(700_000)));
        assert!(is_plausible_power(800_000, Some(700_000)));
        assert!(!is_plausible_power(950_000, Some(700_000)));
        assert!(is_plausible_power(950_000, None));
        assert!(!is_plausible_power(u64::MAX, None));
    }

    #[test]
    fn two_looks_are_joined() {
        let first = Answers {
            instant: true,
            ..Answers::default()
        };
        let second = Answers {
            counter_field: true,
            ..Answers::default()
        };
        assert!(!first.is_complete() && !second.is_complete());
        assert!(first.or(second).is_complete());
        assert!(!Answers::default().any());
    }
}
