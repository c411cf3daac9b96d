//! Power, energy, limits, and the batched call that has them all.

use std::ffi::{c_int, c_uint};

use super::entry::{Handle, Moment, device};
use super::layouts::{FieldValue, UNSIGNED_INT, UNSIGNED_LONG_LONG, Value};
use super::pointers::{Out, OutArray};
use super::process;
use crate::call::Call;
use crate::clock;
use crate::gpu;
use crate::machine::faults::{Target, Verdict};
use crate::status::Status;

#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetPowerUsage(handle: Handle, milliwatts: Out<c_uint>) -> c_int {
    device(Call::nvmlDeviceGetPowerUsage, handle, |moment| {
        milliwatts.set(moment.figure(moment.gpu.power_usage_mw(moment.now_ns)))
    })
}

#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetTotalEnergyConsumption(handle: Handle, millijoules: Out<u64>) -> c_int {
    device(Call::nvmlDeviceGetTotalEnergyConsumption, handle, |moment| {
        let energy_mj = moment.gpu.energy_mj(moment.now_ns).ok_or(Status::NotSupported)?;
        millijoules.set(moment.figure(energy_mj))
    })
}

/// All entries are of one moment, as far as one driver call can be.
#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetFieldValues(handle: Handle, count: c_int, values: OutArray<FieldValue>) -> c_int {
    device(Call::nvmlDeviceGetFieldValues, handle, |moment| {
        let count = usize::try_from(count).map_err(|_| Status::InvalidArgument)?;
        let timestamp_us = clock::realtime_ns() / 1000;
        for position in 0..count {
            let entry = values.at(position);
            let asked = entry.get()?;
            process::stats().count_field(asked.field_id);
            entry.set(answer(
                moment,
                FieldValue {
                    timestamp_us,
                    latency_us: 0,
                    ..asked
                },
            ))?;
        }
        Ok(())
    })
}

/// One entry. An entry that fails keeps its value, and says so in its own status.
fn answer(moment: &Moment, entry: FieldValue) -> FieldValue {
    let (gpu, now_ns) = (moment.gpu, moment.now_ns);
    let verdict = moment
        .machine
        .faults
        .verdict(Target::Field(entry.field_id), gpu.index, now_ns);
    let read = match verdict {
        Verdict::Return(status) => Err(status),
        _ => gpu.field(entry.field_id, entry.scope_id, now_ns),
    };
    let keep = |value: u64| {
        if verdict == Verdict::Zero {
            0
        } else {
            moment.figure(value)
        }
    };
    match read {
        Ok(gpu::FieldValue::U32(value)) => {
            let value = Value::from_u32(keep(u64::from(value)) as u32);
            FieldValue {
                value_type: UNSIGNED_INT,
                status: Status::Success as c_int,
                value,
                ..entry
            }
        }
        Ok(gpu::FieldValue::U64(value)) => {
            let value = Value::from_u64(keep(value));
            FieldValue {
                value_type: UNSIGNED_LONG_LONG,
                status: Status::Success as c_int,
                value,
                ..entry
            }
        }
        Err(status) => FieldValue {
            status: status as c_int,
            ..entry
        },
    }
}

#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetPowerManagementMode(handle: Handle, mode: Out<c_uint>) -> c_int {
    device(Call::nvmlDeviceGetPowerManagementMode, handle, |_| mode.set(1))
}

#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetPowerManagementLimit(handle: Handle, limit: Out<c_uint>) -> c_int {
    device(Call::nvmlDeviceGetPowerManagementLimit, handle, |moment| {
        limit.set(milli(moment.gpu.settings.power_limit_w))
    })
}

#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetPowerManagementDefaultLimit(handle: Handle, limit: Out<c_uint>) -> c_int {
    device(Call::nvmlDeviceGetPowerManagementDefaultLimit, handle, |moment| {
        limit.set(milli(moment.gpu.settings.power_limit_max_w))
    })
}

#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetPowerManagementLimitConstraints(
    handle: Handle,
    min: Out<c_uint>,
    max: Out<c_uint>,
) -> c_int {
    device(Call::nvmlDeviceGetPowerManagementLimitConstraints, handle, |moment| {
        min.set(milli(moment.gpu.settings.power_limit_min_w))?;
        max.set(milli(moment.gpu.settings.power_limit_max_w))
    })
}

#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetEnforcedPowerLimit(handle: Handle, limit: Out<c_uint>) -> c_int {
    device(Call::nvmlDeviceGetEnforcedPowerLimit, handle, |moment| {
        limit.set(milli(moment.gpu.settings.power_limit_w))
    })
}

fn milli(watts: f64) -> c_uint {
    (watts * 1e3).round() as c_uint
}
