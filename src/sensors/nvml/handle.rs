//! One GPU's handle, and the few calls that nvml-wrapper lacks. All `unsafe` of the NVML side is here.
//!
//! `nvml_wrapper::Device<'nvml>` borrows the library and so cannot live in a struct beside it. The raw handle can: it is an opaque
//! value that stays valid from `nvmlInit` to `nvmlShutdown` (nvml.h, `nvmlDevice_t`), and the [`Arc`] here keeps the library
//! initialised for at least as long as the handle exists. [`Handle::device`] re-borrows on demand, which copies two pointers.

use std::sync::Arc;

use nvml_wrapper::Device;
use nvml_wrapper::enum_wrappers::device::{SampleValueType, Sampling};
use nvml_wrapper::error::{NvmlError, nvml_sym, nvml_try, nvml_try_count};
use nvml_wrapper::struct_wrappers::device::Sample;
use nvml_wrapper_sys::bindings::{nvmlDevice_t, nvmlFieldValue_t, nvmlMemory_t, nvmlSample_t, nvmlValue_t};

use super::library::Library;

/// A GPU of an open library.
pub struct Handle {
    library: Arc<Library>,
    raw: nvmlDevice_t,
}

// SAFETY: `raw` is an opaque token, never dereferenced here, and "NVML is thread-safe so it is safe to make simultaneous NVML calls
// from multiple threads" (nvml.h, introduction). What it refers to is kept alive by `library`.
unsafe impl Send for Handle {}

impl Handle {
    /// The GPU at this NVML index.
    pub fn by_index(library: &Arc<Library>, index: u32) -> Result<Self, NvmlError> {
        let device = library.nvml().device_by_index(index)?;
        // SAFETY: taken from a live device of the library that the new `Handle` holds.
        let raw = unsafe { device.handle() };
        Ok(Self {
            library: Arc::clone(library),
            raw,
        })
    }

    /// The same GPU again, for a second sensor on it.
    pub fn duplicate(&self) -> Self {
        Self {
            library: Arc::clone(&self.library),
            raw: self.raw,
        }
    }

    /// The wrapper's view, for calls that it has.
    pub fn device(&self) -> Device<'_> {
        // SAFETY: `raw` came from this very library, which `self` keeps initialised.
        unsafe { Device::new(self.raw, self.library.nvml()) }
    }

    /// The library this GPU belongs to.
    pub fn library(&self) -> &Library {
        &self.library
    }

    /// `nvmlDeviceGetFieldValues`: fill `entries`, each with its own status. nvml-wrapper's own method always asks scope 0 and
    /// allocates twice a call.
    pub fn field_values(&self, entries: &mut [nvmlFieldValue_t]) -> Result<(), NvmlError> {
        let call = nvml_sym(self.library.nvml().lib().nvmlDeviceGetFieldValues.as_ref())?;
        let count = i32::try_from(entries.len()).map_err(|_| NvmlError::InvalidArg)?;
        // SAFETY: `raw` is valid (see above) and `entries` points to `count` initialised entries that NVML may overwrite.
        nvml_try(unsafe { call(self.raw, count, entries.as_mut_ptr()) })
    }

    /// `nvmlDeviceGetSamples` of total power without a place for them: how many there can be.
    pub fn power_samples_room(&self) -> Result<u32, NvmlError> {
        let call = nvml_sym(self.library.nvml().lib().nvmlDeviceGetSamples.as_ref())?;
        let (mut value_type, mut count) = (0, 0);
        // SAFETY: `raw` is valid; without a buffer only the two numbers are written (nvml.h, `nvmlDeviceGetSamples`).
        nvml_try_count(unsafe {
            call(
                self.raw,
                Sampling::Power.as_c(),
                0,
                &mut value_type,
                &mut count,
                std::ptr::null_mut(),
            )
        })?;
        Ok(count)
    }

    /// The same for at most `room` samples later than `after_us`: one call, where nvml-wrapper's own method makes two each time.
    pub fn power_samples(&self, after_us: u64, room: u32) -> Result<Vec<Sample>, NvmlError> {
        let call = nvml_sym(self.library.nvml().lib().nvmlDeviceGetSamples.as_ref())?;
        if room == 0 {
            return Err(NvmlError::NotFound);
        }
        let empty = nvmlSample_t {
            timeStamp: 0,
            sampleValue: nvmlValue_t { ullVal: 0 },
        };
        let mut samples = vec![empty; room as usize];
        let (mut value_type, mut count) = (0, room);
        // SAFETY: `raw` is valid, and `samples` points to `count` initialised entries that NVML may overwrite.
        nvml_try(unsafe {
            call(
                self.raw,
                Sampling::Power.as_c(),
                after_us,
                &mut value_type,
                &mut count,
                samples.as_mut_ptr(),
            )
        })?;
        let value_type = SampleValueType::try_from(value_type)?;
        let came = samples.into_iter().take(count as usize);
        Ok(came
            .map(|sample| Sample::from_tag_and_struct(&value_type, sample))
            .collect())
    }

    /// `nvmlDeviceGetArchitecture` as a number: nvml-wrapper refuses those that are newer than itself.
    pub fn architecture_code(&self) -> Result<u32, NvmlError> {
        let call = nvml_sym(self.library.nvml().lib().nvmlDeviceGetArchitecture.as_ref())?;
        let mut code = 0;
        // SAFETY: `raw` is valid, `code` is written once.
        nvml_try(unsafe { call(self.raw, &mut code) })?;
        Ok(code)
    }

    /// All bits of the clocks-event (formerly throttle) reasons: nvml-wrapper drops those that it does not know.
    pub fn clocks_event_reasons(&self) -> Result<u64, NvmlError> {
        let lib = self.library.nvml().lib();
        // Renamed in driver 535; older libraries have the old name alone, newer ones keep both.
        let call = match lib.nvmlDeviceGetCurrentClocksEventReasons.as_ref() {
            Ok(call) => call,
            Err(_) => nvml_sym(lib.nvmlDeviceGetCurrentClocksThrottleReasons.as_ref())?,
        };
        let mut mask = 0;
        // SAFETY: `raw` is valid, `mask` is written once.
        nvml_try(unsafe { call(self.raw, &mut mask) })?;
        Ok(mask)
    }

    /// Bytes in use and in all. By the second version of the call, which counts the driver's own reserve apart; where a library
    /// older than 510 lacks it, by the first.
    pub fn memory(&self) -> Result<Memory, NvmlError> {
        match self.device().memory_info() {
            Ok(info) => Ok(Memory {
                used: info.used,
                total: info.total,
            }),
            Err(NvmlError::FailedToLoadSymbol(_)) => self.memory_first_version(),
            Err(other) => Err(other),
        }
    }

    fn memory_first_version(&self) -> Result<Memory, NvmlError> {
        let call = nvml_sym(self.library.nvml().lib().nvmlDeviceGetMemoryInfo.as_ref())?;
        let mut info = nvmlMemory_t {
            total: 0,
            free: 0,
            used: 0,
        };
        // SAFETY: `raw` is valid, `info` is a plain struct of the layout that this version of the call fills.
        nvml_try(unsafe { call(self.raw, &mut info) })?;
        Ok(Memory {
            used: info.used,
            total: info.total,
        })
    }
}

/// A GPU's memory, bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Memory {
    pub used: u64,
    pub total: u64,
}
