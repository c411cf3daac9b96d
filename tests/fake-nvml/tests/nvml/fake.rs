//! An installation in a folder of its own, opened through nvml-wrapper.

use fake_nvml::config::{Config, Shape, Square};
use fake_nvml::gpu::SimulatedGpu;
use fake_nvml::{Installation, Machine};
use nvml_wrapper::Nvml;
use nvml_wrapper_sys::bindings::nvmlFieldValue_t;
use tempfile::TempDir;

pub struct Fake {
    pub nvml: Nvml,
    pub installation: Installation,
    _folder: TempDir,
}

impl Fake {
    pub fn new(config: &Config) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let installation = Installation::create(folder.path(), config).unwrap_or_else(|error| panic!("{error}"));
        let library = installation.library();
        let nvml = Nvml::builder().lib_path(library.as_os_str()).init().unwrap();
        Self {
            nvml,
            installation,
            _folder: folder,
        }
    }

    pub fn machine(&self) -> &Machine {
        self.installation.machine()
    }

    pub fn gpu(&self, index: u32) -> &SimulatedGpu {
        &self.machine().gpus[index as usize]
    }

    /// A batched call with scopes, which the wrapper cannot make: values, or each entry's own status.
    pub fn fields(&self, gpu: u32, asked: &[(u32, u32)]) -> Vec<Result<u64, u32>> {
        let device = self.nvml.device_by_index(gpu).unwrap();
        // SAFETY: all zero is a valid nvmlFieldValue_t.
        let mut entries: Vec<nvmlFieldValue_t> = vec![unsafe { std::mem::zeroed() }; asked.len()];
        for (entry, &(field, scope)) in entries.iter_mut().zip(asked) {
            (entry.fieldId, entry.scopeId) = (field, scope);
        }
        let call = self.nvml.lib().nvmlDeviceGetFieldValues.as_ref().unwrap();
        // SAFETY: handle and array are valid, and the count is the array's.
        let status = unsafe { call(device.handle(), asked.len() as i32, entries.as_mut_ptr()) };
        assert_eq!(status, 0, "the call as a whole");
        let value = |entry: &nvmlFieldValue_t| match (entry.nvmlReturn, entry.valueType) {
            // SAFETY: the type says which member it is.
            (0, 1) => Ok(u64::from(unsafe { entry.value.uiVal })),
            (0, 3) => Ok(unsafe { entry.value.ullVal }),
            (0, other) => panic!("value type {other}"),
            (status, _) => Err(status),
        };
        entries.iter().map(value).collect()
    }
}

pub fn square(high_w: f64, low_w: f64, period_ms: f64) -> Shape {
    Shape::Square(Square {
        high_w,
        low_w,
        period_ms,
        duty: 0.5,
    })
}
