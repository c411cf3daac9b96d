//! Structures of nvml.h that are handed over. Owns their layout, which tests compare with another project's bindings.

use std::ffi::{c_char, c_int, c_uint};

/// `nvmlFieldValue_t`
#[repr(C)]
#[derive(Clone, Copy)]
pub(super) struct FieldValue {
    pub field_id: c_uint,
    pub scope_id: c_uint,
    pub timestamp_us: i64,
    pub latency_us: i64,
    pub value_type: c_uint,
    pub status: c_int,
    pub value: Value,
}

/// `nvmlValue_t`: the union's bytes. On a little-endian machine a `u32` is the low half of them.
#[repr(transparent)]
#[derive(Clone, Copy)]
pub(super) struct Value(u64);

impl Value {
    pub(super) fn from_u32(value: u32) -> Self {
        let [a, b, c, d] = value.to_ne_bytes(); // the union's first bytes, whatever the byte order
        Self(u64::from_ne_bytes([a, b, c, d, 0, 0, 0, 0]))
    }

    pub(super) fn from_u64(value: u64) -> Self {
        Self(value)
    }
}

/// `nvmlValueType_t`
pub(super) const UNSIGNED_INT: c_uint = 1;
pub(super) const UNSIGNED_LONG_LONG: c_uint = 3;

/// `nvmlSample_t`
#[repr(C)]
#[derive(Clone, Copy)]
pub(super) struct Sample {
    pub timestamp_us: u64,
    pub value: Value,
}

/// `nvmlUtilization_t`
#[repr(C)]
#[derive(Clone, Copy)]
pub(super) struct Utilization {
    pub gpu: c_uint,
    pub memory: c_uint,
}

/// `nvmlMemory_t`
#[repr(C)]
#[derive(Clone, Copy)]
pub(super) struct Memory {
    pub total: u64,
    pub free: u64,
    pub used: u64,
}

/// `nvmlMemory_v2_t`
#[repr(C)]
#[derive(Clone, Copy)]
pub(super) struct MemoryV2 {
    pub version: c_uint,
    pub total: u64,
    pub reserved: u64,
    pub free: u64,
    pub used: u64,
}

/// `nvmlTemperature_v1_t`
#[repr(C)]
#[derive(Clone, Copy)]
pub(super) struct TemperatureV1 {
    pub version: c_uint,
    pub sensor: c_uint,
    pub temperature: c_int,
}

/// `nvmlPciInfo_t`
#[repr(C)]
#[derive(Clone, Copy)]
pub(super) struct PciInfo {
    pub bus_id_legacy: [c_char; 16],
    pub domain: c_uint,
    pub bus: c_uint,
    pub device: c_uint,
    pub device_id: c_uint,
    pub subsystem_id: c_uint,
    pub bus_id: [c_char; 32],
}

/// `nvmlC2cModeInfo_v1_t`
#[repr(C)]
#[derive(Clone, Copy)]
pub(super) struct C2cModeInfo {
    pub enabled: c_uint,
}

/// `NVML_STRUCT_VERSION`: size, and version in the top byte. What a caller must have filled in.
pub(super) const fn version_of<T>(version: c_uint) -> c_uint {
    size_of::<T>() as c_uint | (version << 24)
}

// The two whose version is known in full: a size of another layout would be refused by callers.
const _: () = assert!(version_of::<MemoryV2>(2) == 0x0200_0028);
const _: () = assert!(version_of::<TemperatureV1>(1) == 0x0100_000C);

/// By name in nvml.h, for a test against other bindings of it.
pub(crate) fn sizes() -> [(&'static str, usize); 6] {
    [
        ("nvmlFieldValue_t", size_of::<FieldValue>()),
        ("nvmlSample_t", size_of::<Sample>()),
        ("nvmlUtilization_t", size_of::<Utilization>()),
        ("nvmlMemory_t", size_of::<Memory>()),
        ("nvmlMemory_v2_t", size_of::<MemoryV2>()),
        ("nvmlPciInfo_t", size_of::<PciInfo>()),
    ]
}
