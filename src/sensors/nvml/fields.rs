//! Field values: several figures of one GPU in one driver call, without allocating.
//!
//! Owns the request array and the reading of each entry's status and type; what the figures mean is for the sensors that ask.
//! Raw units: milliwatts and millijoules.

use nvml_wrapper::error::NvmlError;
use nvml_wrapper_sys::bindings::{
    nvmlFieldValue_t, nvmlReturn_enum_NVML_SUCCESS, nvmlValue_t, nvmlValueType_enum_NVML_VALUE_TYPE_DOUBLE,
    nvmlValueType_enum_NVML_VALUE_TYPE_SIGNED_LONG_LONG, nvmlValueType_enum_NVML_VALUE_TYPE_UNSIGNED_INT,
    nvmlValueType_enum_NVML_VALUE_TYPE_UNSIGNED_LONG, nvmlValueType_enum_NVML_VALUE_TYPE_UNSIGNED_LONG_LONG,
};

use super::handle::Handle;

/// `NVML_FI_DEV_TOTAL_ENERGY_CONSUMPTION`: mJ since the driver was loaded.
pub const TOTAL_ENERGY: u32 = 83;
/// `NVML_FI_DEV_POWER_AVERAGE`: mW, averaged over one second.
pub const POWER_AVERAGE: u32 = 185;
/// `NVML_FI_DEV_POWER_INSTANT`: mW, the shortest average the board offers.
pub const POWER_INSTANT: u32 = 186;

/// `NVML_VALUE_TYPE_SIGNED_INT` and `_UNSIGNED_SHORT`, newer than the bindings.
const TYPE_SIGNED_INT: u32 = 5;
const TYPE_UNSIGNED_SHORT: u32 = 6;

/// Which part of the board a power field covers (nvml.h, `NVML_POWER_SCOPE_*`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    Gpu,
    /// GPU and CPU and their memory, on boards that hold both (Grace Hopper).
    Module,
    /// The GPU's memory by the macro `NVML_POWER_SCOPE_MEMORY`; a comment in the same header says otherwise of this number, so it is
    /// believed only after its figures have been compared with the GPU's.
    Memory,
}

impl Scope {
    /// The number in `scopeId`.
    pub const fn id(self) -> u32 {
        match self {
            Self::Gpu => 0,
            Self::Module => 1,
            Self::Memory => 2,
        }
    }
}

/// Why one entry holds no figure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FieldError {
    /// NVML's status for this entry.
    #[error("NVML status {0}")]
    Status(u32),
    /// A type that no power or energy figure has.
    #[error("unexpected value type {0}")]
    Type(u32),
    /// A negative or non-finite number.
    #[error("a value that is no amount")]
    NoAmount,
}

impl FieldError {
    /// The same as the wrapper's error, for one classification of both.
    pub fn into_nvml(self) -> NvmlError {
        match self {
            Self::Status(code) => NvmlError::from(code),
            Self::Type(kind) => NvmlError::UnexpectedVariant(kind),
            Self::NoAmount => NvmlError::NoData,
        }
    }
}

/// Up to three fields of one GPU, asked together.
pub struct Batch {
    entries: [nvmlFieldValue_t; Self::CAPACITY],
    len: usize,
}

impl Batch {
    /// Instant power, average power, energy.
    pub const CAPACITY: usize = 3;

    /// Ask for these fields; those beyond [`Self::CAPACITY`] are left out.
    pub fn new(fields: &[(u32, Scope)]) -> Self {
        let mut entries = [entry(0, Scope::Gpu); Self::CAPACITY];
        let len = fields.len().min(Self::CAPACITY);
        for (slot, &(field, scope)) in entries.iter_mut().zip(fields) {
            *slot = entry(field, scope);
        }
        Self { entries, len }
    }

    /// Whether nothing is asked.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// One driver call. The figures are then in [`Self::value`].
    pub fn read(&mut self, handle: &Handle) -> Result<(), NvmlError> {
        for entry in &mut self.entries[..self.len] {
            // A driver that fills nothing in must not leave the last call's success standing.
            entry.nvmlReturn = u32::MAX;
            entry.value = nvmlValue_t { ullVal: 0 };
        }
        handle.field_values(&mut self.entries[..self.len])
    }

    /// The figure of the `slot`-th field, in NVML's raw unit.
    pub fn value(&self, slot: usize) -> Result<u64, FieldError> {
        decode(&self.entries[slot])
    }
}

/// A request for one field.
fn entry(field: u32, scope: Scope) -> nvmlFieldValue_t {
    nvmlFieldValue_t {
        fieldId: field,
        scopeId: scope.id(),
        timestamp: 0,
        latencyUsec: 0,
        valueType: 0,
        nvmlReturn: u32::MAX,
        value: nvmlValue_t { ullVal: 0 },
    }
}

/// The amount in an answered entry, if it holds one.
fn decode(entry: &nvmlFieldValue_t) -> Result<u64, FieldError> {
    if entry.nvmlReturn != nvmlReturn_enum_NVML_SUCCESS {
        return Err(FieldError::Status(entry.nvmlReturn));
    }
    let value = entry.value;
    // SAFETY: each arm reads the member that `valueType` says was written; all are plain numbers, valid for any bits.
    unsafe {
        match entry.valueType {
            t if t == nvmlValueType_enum_NVML_VALUE_TYPE_UNSIGNED_INT => Ok(u64::from(value.uiVal)),
            t if t == nvmlValueType_enum_NVML_VALUE_TYPE_UNSIGNED_LONG => Ok(value.ulVal),
            t if t == nvmlValueType_enum_NVML_VALUE_TYPE_UNSIGNED_LONG_LONG => Ok(value.ullVal),
            t if t == nvmlValueType_enum_NVML_VALUE_TYPE_SIGNED_LONG_LONG => {
                u64::try_from(value.sllVal).map_err(|_| FieldError::NoAmount)
            }
            t if t == nvmlValueType_enum_NVML_VALUE_TYPE_DOUBLE => amount(value.dVal),
            TYPE_SIGNED_INT => u64::try_from(value.siVal).map_err(|_| FieldError::NoAmount),
            TYPE_UNSIGNED_SHORT => Ok(u64::from(value.usVal)),
            other => Err(FieldError::Type(other)),
        }
    }
}

fn amount(value: f64) -> Result<u64, FieldError> {
    // Above 2^53 a double no longer holds each integer; no board draws that many milliwatts.
    if (0.0..9e15).contains(&value) {
        Ok(value.round() as u64)
    } else {
        Err(FieldError::NoAmount)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(kind: u32, value: nvmlValue_t) -> nvmlFieldValue_t {
        nvmlFieldValue_t {
            valueType: kind,
            nvmlReturn: 0,
            value,
            ..entry(POWER_INSTANT, Scope::Gpu)
        }
    }

    #[test]
    fn every_number_type_is_read_by_its_own_member() {
        let cases = [
            (0, nvmlValue_t { dVal: 300_123.4 }, Ok(300_123)),
            (1, nvmlValue_t { uiVal: 4_000_000_000 }, Ok(4_000_000_000)),
            (2, nvmlValue_t { ulVal: 1 << 40 }, Ok(1 << 40)),
            (3, nvmlValue_t { ullVal: u64::MAX }, Ok(u64::MAX)),
            (4, nvmlValue_t { sllVal: 7 }, Ok(7)),
            (4, nvmlValue_t { sllVal: -7 }, Err(FieldError::NoAmount)),
            (5, nvmlValue_t { siVal: -1 }, Err(FieldError::NoAmount)),
            (6, nvmlValue_t { usVal: 65_535 }, Ok(65_535)),
            (0, nvmlValue_t { dVal: f64::NAN }, Err(FieldError::NoAmount)),
            (99, nvmlValue_t { ullVal: 5 }, Err(FieldError::Type(99))),
        ];
        for (kind, value, expected) in cases {
            assert_eq!(decode(&answered(kind, value)), expected, "value type {kind}");
        }
    }

    #[test]
    fn an_entry_with_a_bad_status_gives_no_value_even_if_one_is_there() {
        let mut lost = answered(1, nvmlValue_t { uiVal: 250_000 });
        lost.nvmlReturn = 15;
        assert_eq!(decode(&lost), Err(FieldError::Status(15)));
        assert!(matches!(FieldError::Status(15).into_nvml(), NvmlError::GpuLost));
    }

    #[test]
    fn a_request_carries_its_scope_and_is_unanswered_until_filled() {
        let batch = Batch::new(&[(POWER_INSTANT, Scope::Module), (TOTAL_ENERGY, Scope::Gpu)]);
        assert_eq!((batch.entries[0].fieldId, batch.entries[0].scopeId), (186, 1));
        assert_eq!((batch.entries[1].fieldId, batch.entries[1].scopeId), (83, 0));
        assert_eq!(batch.value(0), Err(FieldError::Status(u32::MAX)));
    }

    #[test]
    fn the_entry_has_the_layout_of_the_header() {
        assert_eq!(size_of::<nvmlFieldValue_t>(), 40);
        assert_eq!(std::mem::offset_of!(nvmlFieldValue_t, value), 32);
    }
}
