//! Which device it is: names, places, kind.

use std::ffi::{c_char, c_int, c_uint};

use super::entry::{Handle, device};
use super::layouts::{C2cModeInfo, PciInfo};
use super::pointers::{Out, OutText};
use crate::call::Call;
use crate::status::Status;

/// `NVML_BRAND_NVIDIA`
const BRAND_NVIDIA: c_uint = 14;
/// An A100's; nothing here depends on it.
const PCI_DEVICE_ID: c_uint = 0x20b2_10de;
const PCI_SUBSYSTEM_ID: c_uint = 0x1463_10de;

#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetIndex(handle: Handle, index: Out<c_uint>) -> c_int {
    device(Call::nvmlDeviceGetIndex, handle, |moment| index.set(moment.gpu.index))
}

#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetMinorNumber(handle: Handle, minor: Out<c_uint>) -> c_int {
    device(Call::nvmlDeviceGetMinorNumber, handle, |moment| {
        minor.set(moment.gpu.index)
    })
}

#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetName(handle: Handle, name: OutText, length: c_uint) -> c_int {
    device(Call::nvmlDeviceGetName, handle, |moment| {
        name.set(&moment.gpu.name, length)
    })
}

#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetUUID(handle: Handle, uuid: OutText, length: c_uint) -> c_int {
    device(Call::nvmlDeviceGetUUID, handle, |moment| {
        uuid.set(&moment.gpu.uuid, length)
    })
}

#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetSerial(handle: Handle, serial: OutText, length: c_uint) -> c_int {
    device(Call::nvmlDeviceGetSerial, handle, |moment| {
        serial.set(&moment.gpu.serial(), length)
    })
}

#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetBrand(handle: Handle, brand: Out<c_uint>) -> c_int {
    device(Call::nvmlDeviceGetBrand, handle, |_| brand.set(BRAND_NVIDIA))
}

#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetPciInfo_v3(handle: Handle, info: Out<PciInfo>) -> c_int {
    device(Call::nvmlDeviceGetPciInfo_v3, handle, |moment| {
        let long = moment.gpu.pci_bus_id();
        info.set(PciInfo {
            bus_id_legacy: characters(&long[4..]),
            domain: 0,
            bus: moment.gpu.pci_bus(),
            device: 0,
            device_id: PCI_DEVICE_ID,
            subsystem_id: PCI_SUBSYSTEM_ID,
            bus_id: characters(&long),
        })
    })
}

#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetArchitecture(handle: Handle, architecture: Out<c_uint>) -> c_int {
    device(Call::nvmlDeviceGetArchitecture, handle, |moment| {
        architecture.set(moment.gpu.traits.architecture)
    })
}

#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetCudaComputeCapability(handle: Handle, major: Out<c_int>, minor: Out<c_int>) -> c_int {
    device(Call::nvmlDeviceGetCudaComputeCapability, handle, |moment| {
        let (first, second) = moment.gpu.traits.compute_capability;
        major.set(first)?;
        minor.set(second)
    })
}

/// Zeus asks this to find out whether it runs on a Grace module.
#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetC2cModeInfoV(handle: Handle, info: Out<C2cModeInfo>) -> c_int {
    device(Call::nvmlDeviceGetC2cModeInfoV, handle, |moment| {
        if moment.gpu.traits.module {
            info.set(C2cModeInfo { enabled: 1 })
        } else {
            Err(Status::NotSupported)
        }
    })
}

/// Text as a terminated array; the texts here are shorter than their arrays.
fn characters<const N: usize>(text: &str) -> [c_char; N] {
    let mut array = [0; N];
    for (place, byte) in array.iter_mut().take(N - 1).zip(text.bytes()) {
        *place = byte.cast_signed();
    }
    array
}
