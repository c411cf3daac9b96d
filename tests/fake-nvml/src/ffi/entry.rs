//! What every call has in common: counted, delayed, perhaps failed, answered. Owns handles and the order of these
//! things; leaves the answer to the function.
//!
//! ```text
//! count -> (global lock) -> half the latency -> hang -> the moment is now -> fault? -> answer -> other half
//! ```

use std::ffi::{c_int, c_void};

use super::process;
use crate::call::Call;
use crate::clock;
use crate::gpu::SimulatedGpu;
use crate::machine::Machine;
use crate::machine::faults::{Target, Verdict};
use crate::status::Status;

/// `nvmlDevice_t`: no pointer, but a number that looks like none, so that a made-up handle is refused.
#[repr(transparent)]
#[derive(Clone, Copy)]
pub(super) struct Handle(*mut c_void);

/// Above it the GPU's index, so that handles outlive a shutdown and a new start, as NVML's do.
const HANDLE_BASE: usize = 0x6e76_0000_1000;
const HANDLE_STEP: usize = 0x10;

impl Handle {
    pub(super) fn of(gpu: &SimulatedGpu) -> Self {
        Self(std::ptr::without_provenance_mut(
            HANDLE_BASE + gpu.index as usize * HANDLE_STEP,
        ))
    }

    fn gpu(self, machine: &Machine) -> Result<&SimulatedGpu, Status> {
        let above = self.0.addr().checked_sub(HANDLE_BASE).ok_or(Status::InvalidArgument)?;
        let whole = above.is_multiple_of(HANDLE_STEP);
        machine
            .gpus
            .get(above / HANDLE_STEP)
            .filter(|_| whole)
            .ok_or(Status::InvalidArgument)
    }
}

/// A call on a device, at the moment that it is answered for.
pub(super) struct Moment<'a> {
    pub machine: &'a Machine,
    pub gpu: &'a SimulatedGpu,
    pub now_ns: i64,
    zero: bool,
}

impl Moment<'_> {
    /// A figure as the caller gets it: 0 where a fault says so.
    pub(super) fn figure<T: Default>(&self, value: T) -> T {
        if self.zero { T::default() } else { value }
    }
}

/// Answers a call on a device.
pub(super) fn device(call: Call, handle: Handle, answer: impl FnOnce(&Moment) -> Result<(), Status>) -> c_int {
    let outcome = process::machine().and_then(|machine| {
        let gpu = handle.gpu(&machine)?;
        process::stats().count(call, Some(gpu.index));
        let _turn = machine.config.global_lock.then(process::lock_calls);
        let target = Target::Call(call);
        let cost = machine.latencies.draw(target);
        clock::wait(cost.nanoseconds / 2, cost.busy);
        if let Some(until_ns) = machine.faults.hangs_until(target, gpu.index, clock::monotonic_ns()) {
            clock::sleep_until(until_ns);
        }
        let now_ns = clock::monotonic_ns();
        let outcome = match machine.faults.verdict(target, gpu.index, now_ns) {
            Verdict::Return(status) => Err(status),
            verdict => answer(&Moment {
                machine: &machine,
                gpu,
                now_ns,
                zero: verdict == Verdict::Zero,
            }),
        };
        clock::wait(cost.nanoseconds - cost.nanoseconds / 2, cost.busy);
        outcome
    });
    code(outcome)
}

/// Answers a call on the machine as a whole: faults, which are of a GPU, do not strike it.
pub(super) fn system(call: Call, answer: impl FnOnce(&Machine) -> Result<(), Status>) -> c_int {
    process::stats().count(call, None);
    let outcome = process::machine().and_then(|machine| {
        let _turn = machine.config.global_lock.then(process::lock_calls);
        let cost = machine.latencies.draw(Target::Call(call));
        clock::wait(cost.nanoseconds, cost.busy);
        answer(&machine)
    });
    code(outcome)
}

pub(super) fn code(outcome: Result<(), Status>) -> c_int {
    outcome.err().unwrap_or(Status::Success) as c_int
}
