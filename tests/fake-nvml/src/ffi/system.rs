//! Start, end, versions and the list of devices.

use std::ffi::{c_char, c_int, c_uint};

use super::entry::{Handle, code, system};
use super::pointers::{InText, Out, OutText};
use super::process;
use crate::call::Call;
use crate::gpu::SimulatedGpu;
use crate::machine::Machine;
use crate::status::Status;

#[unsafe(no_mangle)]
extern "C" fn nvmlInit() -> c_int {
    code(process::initialise(Call::nvmlInit))
}

#[unsafe(no_mangle)]
extern "C" fn nvmlInit_v2() -> c_int {
    code(process::initialise(Call::nvmlInit_v2))
}

#[unsafe(no_mangle)]
extern "C" fn nvmlInitWithFlags(_flags: c_uint) -> c_int {
    code(process::initialise(Call::nvmlInitWithFlags))
}

#[unsafe(no_mangle)]
extern "C" fn nvmlShutdown() -> c_int {
    code(process::shut_down())
}

#[unsafe(no_mangle)]
extern "C" fn nvmlErrorString(status: c_int) -> *const c_char {
    process::stats().count(Call::nvmlErrorString, None);
    Status::describe(status).as_ptr()
}

#[unsafe(no_mangle)]
extern "C" fn nvmlSystemGetDriverVersion(version: OutText, length: c_uint) -> c_int {
    system(Call::nvmlSystemGetDriverVersion, |machine| {
        version.set(&machine.config.driver_version, length)
    })
}

#[unsafe(no_mangle)]
extern "C" fn nvmlSystemGetNVMLVersion(version: OutText, length: c_uint) -> c_int {
    system(Call::nvmlSystemGetNVMLVersion, |machine| {
        version.set(&machine.config.nvml_version, length)
    })
}

#[unsafe(no_mangle)]
extern "C" fn nvmlSystemGetCudaDriverVersion(version: Out<c_int>) -> c_int {
    system(Call::nvmlSystemGetCudaDriverVersion, |machine| {
        version.set(machine.config.cuda_driver_version)
    })
}

#[unsafe(no_mangle)]
extern "C" fn nvmlSystemGetCudaDriverVersion_v2(version: Out<c_int>) -> c_int {
    system(Call::nvmlSystemGetCudaDriverVersion_v2, |machine| {
        version.set(machine.config.cuda_driver_version)
    })
}

#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetCount(count: Out<c_uint>) -> c_int {
    system(Call::nvmlDeviceGetCount, |machine| {
        count.set(machine.gpus.len() as c_uint)
    })
}

#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetCount_v2(count: Out<c_uint>) -> c_int {
    system(Call::nvmlDeviceGetCount_v2, |machine| {
        count.set(machine.gpus.len() as c_uint)
    })
}

#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetHandleByIndex(index: c_uint, device: Out<Handle>) -> c_int {
    system(Call::nvmlDeviceGetHandleByIndex, |machine| {
        by_index(machine, index, device)
    })
}

#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetHandleByIndex_v2(index: c_uint, device: Out<Handle>) -> c_int {
    system(Call::nvmlDeviceGetHandleByIndex_v2, |machine| {
        by_index(machine, index, device)
    })
}

#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetHandleByUUID(uuid: InText, device: Out<Handle>) -> c_int {
    system(Call::nvmlDeviceGetHandleByUUID, |machine| {
        by_text(machine, uuid, device, |gpu, text| gpu.uuid == text)
    })
}

#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetHandleBySerial(serial: InText, device: Out<Handle>) -> c_int {
    system(Call::nvmlDeviceGetHandleBySerial, |machine| {
        by_text(machine, serial, device, |gpu, text| gpu.serial() == text)
    })
}

/// NVML takes the long and the short form of the domain, in either case.
#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetHandleByPciBusId_v2(bus_id: InText, device: Out<Handle>) -> c_int {
    system(Call::nvmlDeviceGetHandleByPciBusId_v2, |machine| {
        by_text(machine, bus_id, device, |gpu, text| {
            let long = gpu.pci_bus_id();
            [&long, &long[4..]].iter().any(|form| form.eq_ignore_ascii_case(text))
        })
    })
}

fn by_index(machine: &Machine, index: c_uint, device: Out<Handle>) -> Result<(), Status> {
    let gpu = machine.gpus.get(index as usize).ok_or(Status::InvalidArgument)?;
    device.set(Handle::of(gpu))
}

fn by_text(
    machine: &Machine,
    text: InText,
    device: Out<Handle>,
    is_it: impl Fn(&SimulatedGpu, &str) -> bool,
) -> Result<(), Status> {
    let text = text.get()?;
    let gpu = machine
        .gpus
        .iter()
        .find(|gpu| is_it(gpu, &text))
        .ok_or(Status::NotFound)?;
    device.set(Handle::of(gpu))
}
