//! What is believed of a logged device before its data are looked at: its name, its chip, and with that the sensor's timing.
//!
//! The same table as for live GPUs ([`crate::sensors::nvml::timing`]), by the name instead of NVML's numbers. A power of which the log
//! does not say which call it came from has no prior: the analysis then looks for window and period in the data alone.

use std::collections::BTreeMap;

use super::columns::Quantity;
use super::readings::LoggedDevice;
use crate::model::device::{Calibration, Device, DeviceId, DeviceKind, SensorTiming, Source};
use crate::model::units::Watts;
use crate::sensors::nvml::chip::Chip;
use crate::sensors::nvml::timing::{self, PowerCall};

/// What the user says of the devices.
#[derive(Debug, Clone, Default)]
pub struct Description {
    pub name: Option<String>,
    pub kind: Option<DeviceKind>,
    pub power_limit: Option<Watts>,
    /// Which call the power came from, where the log's header leaves it open.
    pub call: Option<PowerCall>,
    pub calibration: Option<Calibration>,
}

/// The device as the recording keeps it. `number` counts the log's devices from 0.
pub fn describe(logged: &LoggedDevice, number: u32, described: &Description) -> Device {
    let kind = described.kind.unwrap_or(DeviceKind::Gpu);
    let index = logged.index.unwrap_or(number);
    let name = described.name.clone().or_else(|| logged.name.clone());
    let chip = name
        .as_deref()
        .filter(|_| kind == DeviceKind::Gpu)
        .map_or(Chip::Unknown, Chip::from_name);
    let call = match logged.power {
        Some(Quantity::PowerInstant) => Some(PowerCall::Instant),
        Some(Quantity::PowerAverage) => Some(PowerCall::Average),
        Some(Quantity::PowerDraw) => described.call.or(Some(PowerCall::Usage)),
        _ => described.call,
    };
    let mut properties = BTreeMap::new();
    if let Some(call) = call.filter(|_| logged.columns.watts) {
        properties.insert("power_call".to_owned(), call.as_str().to_owned());
    }
    Device {
        id: DeviceId(format!("{}{index}", kind.as_str())),
        kind,
        source: Source::Imported,
        name: name.unwrap_or_else(|| format!("imported {}", kind.as_str())),
        uuid: logged.uuid.clone(),
        index: Some(index),
        contained_in: None,
        architecture: chip.architecture().map(str::to_owned),
        power_limit: described
            .power_limit
            .or(logged.power_limit_watts.filter(|w| *w > 0.0).map(Watts)),
        memory_total_bytes: logged.memory_total_bytes,
        power_timing: call
            .filter(|_| logged.columns.watts)
            .map_or(SensorTiming::default(), |call| timing::power_prior(chip, call, None)),
        counter_timing: match logged.columns.counter {
            Some(_) if kind == DeviceKind::Gpu => timing::counter_prior(chip),
            _ => SensorTiming::default(),
        },
        calibration: described.calibration,
        properties,
    }
}
