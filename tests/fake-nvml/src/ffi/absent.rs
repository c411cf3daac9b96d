//! Functions that nvitop and others look up and that a data centre GPU answers with a refusal: a tool that finds no
//! such symbol may stop, one that is refused goes on. Counted like all others.

use std::ffi::{c_int, c_uint, c_void};

use super::entry::{Handle, device};
use super::pointers::Out;
use crate::call::Call;
use crate::status::Status;

macro_rules! absent {
    ($status:ident: $($name:ident($($argument:ty),*))*) => {$(
        #[unsafe(no_mangle)]
        extern "C" fn $name(handle: Handle, $(_: $argument),*) -> c_int {
            device(Call::$name, handle, |_| Err(Status::$status))
        }
    )*};
}

absent! { NotSupported:
    nvmlDeviceGetFanSpeed(*mut c_uint)
    nvmlDeviceGetPcieThroughput(c_uint, *mut c_uint)
    nvmlDeviceGetTotalEccErrors(c_uint, c_uint, *mut u64)
    nvmlDeviceGetDisplayMode(*mut c_uint)
    nvmlDeviceGetDisplayActive(*mut c_uint)
    nvmlDeviceGetEncoderUtilization(*mut c_uint, *mut c_uint)
    nvmlDeviceGetDecoderUtilization(*mut c_uint, *mut c_uint)
    nvmlDeviceGetDriverModel_v2(*mut c_void, *mut c_void)
    nvmlDeviceGetMigMode(*mut c_uint, *mut c_uint)
}

// What only root may do. A measuring tool has no business with either, and the counts tell whether one tried.
absent! { NoPermission:
    nvmlDeviceSetPowerManagementLimit(c_uint)
    nvmlDeviceSetPersistenceMode(c_uint)
}

#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceIsMigDeviceHandle(handle: Handle, is_mig: Out<c_uint>) -> c_int {
    device(Call::nvmlDeviceIsMigDeviceHandle, handle, |_| is_mig.set(0))
}
