//! `nvmlDeviceGetSamples` and `nvmlDeviceGetProcessUtilization`: the driver's own buffers.
//!
//! Stamps are `CLOCK_BOOTTIME` microseconds, as recent Linux drivers give them
//! (github.com/polarsignals/gpu-metrics-agent, 36 and 37), whatever nvml.h says of "CPU timestamp".

use std::ffi::{c_int, c_uint, c_void};
use std::sync::OnceLock;

use super::entry::{Handle, Moment, device};
use super::layouts::{Sample, UNSIGNED_INT, Value};
use super::pointers::{Out, OutArray};
use crate::call::Call;
use crate::clock;
use crate::status::Status;

/// `nvmlSamplingType_t`
mod sampling {
    pub const TOTAL_POWER: u32 = 0;
    pub const GPU_UTILIZATION: u32 = 1;
    pub const MEMORY_UTILIZATION: u32 = 2;
    pub const PROCESSOR_CLOCK: u32 = 5;
    pub const MEMORY_CLOCK: u32 = 6;
    pub const MODULE_POWER: u32 = 7;
}

/// The buffers other than power's: 75 entries (nvidia-smi's own buffer of utilization), a sixth of a second apart.
const SLOW_LENGTH: i64 = 75;
const SLOW_PERIOD_NS: i64 = 166_666_667;

/// A first call without a buffer learns the size. The buffer of an idle GPU may be dry by the second: `NotFound`.
#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetSamples(
    handle: Handle,
    sampling_type: c_uint,
    last_seen_us: u64,
    value_type: Out<c_uint>,
    count: Out<c_uint>,
    samples: OutArray<Sample>,
) -> c_int {
    device(Call::nvmlDeviceGetSamples, handle, |moment| {
        let length = length(moment, sampling_type)?;
        value_type.set(UNSIGNED_INT)?;
        if samples.is_null() {
            return count.set(length as c_uint);
        }
        let room = count.get()?;
        let entries = entries(moment, sampling_type);
        let unseen = entries.into_iter().map(|(at_ns, value)| (boottime_us(at_ns), value));
        let mut stored = 0;
        for (timestamp_us, value) in unseen.filter(|&(at_us, _)| at_us > last_seen_us).take(room as usize) {
            let value = Value::from_u32(moment.figure(value));
            samples.at(stored).set(Sample { timestamp_us, value })?;
            stored += 1;
        }
        count.set(stored as c_uint)?;
        if stored == 0 { Err(Status::NotFound) } else { Ok(()) }
    })
}

/// Nobody computes on a simulated GPU.
#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetProcessUtilization(handle: Handle, _: *mut c_void, count: Out<c_uint>, _: u64) -> c_int {
    device(Call::nvmlDeviceGetProcessUtilization, handle, |_| {
        count.set(0)?;
        Err(Status::NotFound)
    })
}

fn length(moment: &Moment, sampling_type: c_uint) -> Result<i64, Status> {
    let gpu = moment.gpu;
    let power = gpu
        .samples
        .as_ref()
        .map(|ring| i64::from(ring.length()))
        .ok_or(Status::NotSupported);
    match sampling_type {
        sampling::TOTAL_POWER => power,
        sampling::MODULE_POWER if gpu.module_extra_mw().is_some() => power,
        sampling::GPU_UTILIZATION | sampling::MEMORY_UTILIZATION => Ok(SLOW_LENGTH),
        sampling::PROCESSOR_CLOCK | sampling::MEMORY_CLOCK => Ok(SLOW_LENGTH),
        _ => Err(Status::NotSupported),
    }
}

/// (when, value), the oldest first.
fn entries(moment: &Moment, sampling_type: c_uint) -> Vec<(i64, u32)> {
    let (gpu, now_ns) = (moment.gpu, moment.now_ns);
    let settings = &gpu.settings;
    let slow = |value: &dyn Fn(i64) -> u32| {
        let newest = now_ns.div_euclid(SLOW_PERIOD_NS);
        let ticks = (newest - SLOW_LENGTH + 1..=newest).map(|k| k * SLOW_PERIOD_NS);
        ticks.map(|at_ns| (at_ns, value(at_ns))).collect()
    };
    match sampling_type {
        sampling::GPU_UTILIZATION => slow(&|at_ns| gpu.utilization_pct(at_ns).0),
        sampling::MEMORY_UTILIZATION => slow(&|at_ns| gpu.utilization_pct(at_ns).1),
        sampling::PROCESSOR_CLOCK => slow(&|at_ns| gpu.signal(&settings.sm_clock_mhz, at_ns) as u32),
        sampling::MEMORY_CLOCK => slow(&|at_ns| gpu.signal(&settings.memory_clock_mhz, at_ns) as u32),
        _ => {
            let ring = gpu
                .samples
                .iter()
                .flat_map(|ring| ring.entries(&gpu.truth, now_ns, None));
            let extra_mw = if sampling_type == sampling::MODULE_POWER {
                gpu.module_extra_mw().unwrap_or(0)
            } else {
                0
            };
            ring.map(|entry| (entry.at_ns, entry.milliwatts + extra_mw)).collect()
        }
    }
}

/// The clocks' distance is taken once, so that an entry has the same stamp in every call. It changes when the machine
/// sleeps, which a test does not let it do.
fn boottime_us(at_ns: i64) -> u64 {
    static AHEAD_NS: OnceLock<i64> = OnceLock::new();
    let ahead_ns = *AHEAD_NS.get_or_init(|| clock::boottime_ns() - clock::monotonic_ns());
    u64::try_from((at_ns + ahead_ns) / 1000).unwrap_or(0)
}
