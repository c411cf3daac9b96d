//! Why short phases have no figures of their own, in words.

use crate::energy::sensor_model::Refusal;
use crate::model::analysis::{Check, CheckStatus};
use crate::model::device::Device;

use super::check;

/// Why short phases have no figures of their own.
pub fn of_refusal(device: &Device, refusal: &Refusal) -> Option<Check> {
    let id = &device.id;
    match refusal {
        Refusal::TooLittle => None,
        Refusal::Blurred(half) => Some(check(
            format!("sensor:{id}"),
            CheckStatus::Warn,
            format!(
                "readings of {id} were taken so seldom that each is up to {:.0} ms old: which phases it saw is not known, and phases shorter than that have bounds alone; poll more often than the sensor updates",
                2.0 * half
            ),
        )),
        Refusal::Unexplained => Some(check(
            format!("sensor:{id}"),
            CheckStatus::Warn,
            format!(
                "no window and delay that were looked for explain the power readings of {id}: short phases have bounds alone; `powerprof calibrate` may find them beforehand"
            ),
        )),
        Refusal::Whole { window_ms, step_ms } => Some(check(
            format!("sensor:{id}"),
            CheckStatus::Warn,
            format!(
                "each reading of {id} is the mean over whole steps ({window_ms:.1} ms, and a step takes {step_ms:.1} ms), and sees the same mixture of the phases inside them, which cannot be told apart; another batch size would free it"
            ),
        )),
        Refusal::Locked(lock) => Some(check(
            format!("sensor:{id}"),
            CheckStatus::Warn,
            format!(
                "the sensor of {id} (every {:.1} ms) is locked to the steps ({:.1} ms): each reading sees the same part of a step, so phases inside it cannot be told apart; {}; another batch size would free it",
                lock.period_ms,
                lock.step_ms,
                of_locked_total(device)
            ),
        )),
    }
}

/// What a sensor that is locked to the steps says of the total: if its windows are as long as its period it has seen all.
fn of_locked_total(device: &Device) -> &'static str {
    let timing = device.power_timing;
    match timing.window_ms.zip(timing.update_period_ms) {
        Some((window, period)) if window < 0.95 * period => {
            "the total is what it has not seen as well, and has bounds, unless a counter is known to add up all time (`powerprof calibrate` tells)"
        }
        Some(_) => "the total is right",
        None => {
            "the total is right only if its readings are means over all the time between them (`--gpu-name` says which board it is)"
        }
    }
}
