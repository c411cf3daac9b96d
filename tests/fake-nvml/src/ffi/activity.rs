//! What the device is doing besides drawing power: utilization, memory, clocks, temperature, states.

use std::ffi::{c_int, c_uint, c_void};

use super::entry::{Handle, Moment, device};
use super::layouts::{Memory, MemoryV2, TemperatureV1, Utilization, version_of};
use super::pointers::Out;
use crate::call::Call;
use crate::config::Signal;
use crate::status::Status;

/// `NVML_TEMPERATURE_GPU`, the only sensor here.
const TEMPERATURE_GPU: c_uint = 0;
/// `NVML_CLOCK_MEM`; the others (graphics, SM, video) run at one speed here.
const CLOCK_MEMORY: c_uint = 2;
const CLOCK_TYPES: c_uint = 4;

#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetUtilizationRates(handle: Handle, rates: Out<Utilization>) -> c_int {
    device(Call::nvmlDeviceGetUtilizationRates, handle, |moment| {
        let (gpu, memory) = moment.figure(moment.gpu.utilization_pct(moment.now_ns));
        rates.set(Utilization { gpu, memory })
    })
}

/// The old call counts what the driver reserves as used.
#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetMemoryInfo(handle: Handle, memory: Out<Memory>) -> c_int {
    device(Call::nvmlDeviceGetMemoryInfo, handle, |moment| {
        let MemoryV2 {
            total,
            reserved,
            free,
            used,
            ..
        } = memory_of(moment);
        memory.set(Memory {
            total,
            free,
            used: used + reserved,
        })
    })
}

#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetMemoryInfo_v2(handle: Handle, memory: Out<MemoryV2>) -> c_int {
    device(Call::nvmlDeviceGetMemoryInfo_v2, handle, |moment| {
        let asked = memory.get()?;
        if asked.version != version_of::<MemoryV2>(2) {
            return Err(Status::ArgumentVersionMismatch);
        }
        memory.set(memory_of(moment))
    })
}

#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetTemperature(handle: Handle, sensor: c_uint, celsius: Out<c_uint>) -> c_int {
    device(Call::nvmlDeviceGetTemperature, handle, |moment| {
        if sensor != TEMPERATURE_GPU {
            return Err(Status::InvalidArgument);
        }
        celsius.set(whole(moment, &moment.gpu.settings.temperature_c))
    })
}

#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetTemperatureV(handle: Handle, temperature: Out<TemperatureV1>) -> c_int {
    device(Call::nvmlDeviceGetTemperatureV, handle, |moment| {
        let asked = temperature.get()?;
        if asked.version != version_of::<TemperatureV1>(1) {
            return Err(Status::ArgumentVersionMismatch);
        }
        if asked.sensor != TEMPERATURE_GPU {
            return Err(Status::InvalidArgument);
        }
        let celsius = whole(moment, &moment.gpu.settings.temperature_c);
        temperature.set(TemperatureV1 {
            temperature: celsius.cast_signed(),
            ..asked
        })
    })
}

#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetClockInfo(handle: Handle, clock: c_uint, megahertz: Out<c_uint>) -> c_int {
    device(Call::nvmlDeviceGetClockInfo, handle, |moment| {
        let settings = &moment.gpu.settings;
        let signal = match clock {
            CLOCK_MEMORY => &settings.memory_clock_mhz,
            0..CLOCK_TYPES => &settings.sm_clock_mhz,
            _ => return Err(Status::InvalidArgument),
        };
        megahertz.set(whole(moment, signal))
    })
}

#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetMaxClockInfo(handle: Handle, clock: c_uint, megahertz: Out<c_uint>) -> c_int {
    device(Call::nvmlDeviceGetMaxClockInfo, handle, |moment| match clock {
        CLOCK_MEMORY => megahertz.set(moment.gpu.settings.memory_clock_max_mhz),
        0..CLOCK_TYPES => megahertz.set(moment.gpu.settings.sm_clock_max_mhz),
        _ => Err(Status::InvalidArgument),
    })
}

#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetCurrentClocksThrottleReasons(handle: Handle, reasons: Out<u64>) -> c_int {
    device(Call::nvmlDeviceGetCurrentClocksThrottleReasons, handle, |moment| {
        reasons.set(throttle_reasons(moment))
    })
}

/// The newer name of the same.
#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetCurrentClocksEventReasons(handle: Handle, reasons: Out<u64>) -> c_int {
    device(Call::nvmlDeviceGetCurrentClocksEventReasons, handle, |moment| {
        reasons.set(throttle_reasons(moment))
    })
}

#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetPerformanceState(handle: Handle, state: Out<c_uint>) -> c_int {
    device(Call::nvmlDeviceGetPerformanceState, handle, |moment| {
        state.set(moment.gpu.settings.performance_state)
    })
}

#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetPersistenceMode(handle: Handle, mode: Out<c_uint>) -> c_int {
    device(Call::nvmlDeviceGetPersistenceMode, handle, |moment| {
        mode.set(c_uint::from(moment.gpu.settings.persistence_mode))
    })
}

#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetComputeMode(handle: Handle, mode: Out<c_uint>) -> c_int {
    device(Call::nvmlDeviceGetComputeMode, handle, |_| mode.set(0))
}

#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetComputeRunningProcesses(handle: Handle, count: Out<c_uint>, _: *mut c_void) -> c_int {
    device(Call::nvmlDeviceGetComputeRunningProcesses, handle, |_| count.set(0))
}

#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetComputeRunningProcesses_v2(handle: Handle, count: Out<c_uint>, _: *mut c_void) -> c_int {
    device(Call::nvmlDeviceGetComputeRunningProcesses_v2, handle, |_| count.set(0))
}

#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetComputeRunningProcesses_v3(handle: Handle, count: Out<c_uint>, _: *mut c_void) -> c_int {
    device(Call::nvmlDeviceGetComputeRunningProcesses_v3, handle, |_| count.set(0))
}

#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetGraphicsRunningProcesses(handle: Handle, count: Out<c_uint>, _: *mut c_void) -> c_int {
    device(Call::nvmlDeviceGetGraphicsRunningProcesses, handle, |_| count.set(0))
}

#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetGraphicsRunningProcesses_v2(handle: Handle, count: Out<c_uint>, _: *mut c_void) -> c_int {
    device(Call::nvmlDeviceGetGraphicsRunningProcesses_v2, handle, |_| count.set(0))
}

#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetGraphicsRunningProcesses_v3(handle: Handle, count: Out<c_uint>, _: *mut c_void) -> c_int {
    device(Call::nvmlDeviceGetGraphicsRunningProcesses_v3, handle, |_| count.set(0))
}

fn memory_of(moment: &Moment) -> MemoryV2 {
    let settings = &moment.gpu.settings;
    let (total, reserved) = (settings.memory_total_bytes, settings.memory_reserved_bytes);
    let room = total.saturating_sub(reserved);
    let used = (moment.gpu.signal(&settings.memory_used_bytes, moment.now_ns) as u64).min(room);
    MemoryV2 {
        version: version_of::<MemoryV2>(2),
        total,
        reserved,
        free: room - used,
        used,
    }
}

fn throttle_reasons(moment: &Moment) -> u64 {
    moment.gpu.signal(&moment.gpu.settings.throttle_reasons, moment.now_ns) as u64
}

fn whole(moment: &Moment, signal: &Signal) -> c_uint {
    moment.figure(moment.gpu.signal(signal, moment.now_ns).round() as c_uint)
}
