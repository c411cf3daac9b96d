//! Finding, opening and keeping open `libnvidia-ml`.
//!
//! The library stays open for the whole run: with persistence mode off, the last client's exit may unload the driver's state of a
//! GPU, and the energy counter starts again from zero.

use std::ffi::OsString;
use std::path::Path;
use std::sync::Arc;

use nvml_wrapper::Nvml;
use nvml_wrapper::error::NvmlError;

/// Names a file to load instead of the system's library.
pub const LIBRARY_VARIABLE: &str = "POWERPROF_NVML_LIB";

/// What the dynamic linker is asked for: the driver's own name first, then the link that developer packages add.
const SYSTEM_NAMES: [&str; 2] = ["libnvidia-ml.so.1", "libnvidia-ml.so"];

/// NVML, initialised. Dropped last: every handle holds an [`Arc`] of it.
pub struct Library {
    nvml: Nvml,
    path: String,
    driver_version: Option<String>,
}

/// Why there is no NVML. The message says what, [`OpenError::hint`] what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    #[error("no {0} found")]
    NotFound(String),
    #[error("the library {0} cannot be loaded: {1}")]
    Unloadable(String, String),
    #[error("the NVIDIA driver is not loaded")]
    DriverNotLoaded,
    #[error("no permission to talk to the NVIDIA driver")]
    NoPermission,
    #[error("the NVML library and the loaded kernel driver are of different versions")]
    VersionMismatch,
    #[error("NVML does not start: {0}")]
    Other(String),
}

impl OpenError {
    /// What to do about it.
    pub fn hint(&self) -> String {
        match self {
            Self::NotFound(_) => "install the NVIDIA driver's user library (it comes with nvidia-smi); in a container, start it with \
                 `--gpus all` and NVIDIA_DRIVER_CAPABILITIES=compute,utility"
                .to_owned(),
            Self::Unloadable(..) => format!("give {LIBRARY_VARIABLE} the path of a libnvidia-ml.so.1 for this machine"),
            Self::DriverNotLoaded => "load it: `sudo modprobe nvidia`, and look at `dmesg | grep -i nvrm`".to_owned(),
            Self::NoPermission => {
                "see `ls -l /dev/nvidia*`: this user needs read and write there (often the group `video` or a cgroup rule)"
                    .to_owned()
            }
            Self::VersionMismatch => "the driver was upgraded under a running kernel module: reboot, or unload and load it \
                 (`sudo rmmod nvidia_uvm nvidia && sudo modprobe nvidia`)"
                .to_owned(),
            Self::Other(_) => "see whether `nvidia-smi` works as this user".to_owned(),
        }
    }

    fn from_nvml(name: &str, error: NvmlError) -> Self {
        match error {
            NvmlError::LibloadingError(e) => Self::Unloadable(name.to_owned(), e.to_string()),
            NvmlError::LibraryNotFound => Self::NotFound(name.to_owned()),
            NvmlError::DriverNotLoaded => Self::DriverNotLoaded,
            NvmlError::NoPermission => Self::NoPermission,
            NvmlError::LibRmVersionMismatch => Self::VersionMismatch,
            other => Self::Other(other.to_string()),
        }
    }
}

impl Library {
    /// Open the library at `path`; without one, what [`LIBRARY_VARIABLE`] names; without that, the system's.
    ///
    /// A library that was named and does not open is an error: nothing else is tried in its place.
    pub fn open(path: Option<&Path>) -> Result<Arc<Self>, OpenError> {
        let named = path
            .map(|p| p.as_os_str().to_owned())
            .or_else(|| std::env::var_os(LIBRARY_VARIABLE).filter(|v| !v.is_empty()));
        match named {
            Some(name) => Self::load(name),
            None => Self::load_system(),
        }
        .map(Arc::new)
    }

    fn load_system() -> Result<Self, OpenError> {
        for name in SYSTEM_NAMES {
            match Self::load(name.into()) {
                // dlopen(3) has no error code; a file of that name that exists and is broken says so with the same words as one
                // that does not, so the next name is tried and "not found" is the summary.
                Err(OpenError::Unloadable(..)) => continue,
                result => return result,
            }
        }
        Err(OpenError::NotFound(SYSTEM_NAMES.join(" or ")))
    }

    fn load(name: OsString) -> Result<Self, OpenError> {
        let path = name.to_string_lossy().into_owned();
        let nvml = Nvml::builder()
            .lib_path(&name)
            .init()
            .map_err(|e| OpenError::from_nvml(&path, e))?;
        let driver_version = nvml.sys_driver_version().ok();
        Ok(Self {
            nvml,
            path,
            driver_version,
        })
    }

    /// The wrapper.
    pub fn nvml(&self) -> &Nvml {
        &self.nvml
    }

    /// What was loaded: a path or a name that the dynamic linker found.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// E.g. `580.82.07`.
    pub fn driver_version(&self) -> Option<&str> {
        self.driver_version.as_deref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_named_library_that_is_missing_is_an_error_that_names_it() {
        let error = Library::open(Some(Path::new("/nonexistent/libnvidia-ml.so.1")))
            .err()
            .expect("nothing to load");
        assert!(matches!(&error, OpenError::Unloadable(name, _) if name == "/nonexistent/libnvidia-ml.so.1"));
        assert!(error.hint().contains(LIBRARY_VARIABLE));
    }

    #[test]
    fn what_the_driver_says_at_its_start_becomes_advice() {
        let cases = [
            (
                NvmlError::DriverNotLoaded,
                "the NVIDIA driver is not loaded",
                "modprobe nvidia",
            ),
            (NvmlError::NoPermission, "no permission", "/dev/nvidia"),
            (NvmlError::LibRmVersionMismatch, "different versions", "reboot"),
            (
                NvmlError::Unknown,
                "does not start: an internal driver error",
                "nvidia-smi",
            ),
        ];
        for (said, message, advice) in cases {
            let error = OpenError::from_nvml("libnvidia-ml.so.1", said);
            assert!(error.to_string().contains(message), "{error}");
            assert!(error.hint().contains(advice), "{}", error.hint());
        }
    }
}
