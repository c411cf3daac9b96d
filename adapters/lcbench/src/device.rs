//! Which device the training runs on, and waiting for it.
//!
//! The binary links the CPU half of libtorch only, so that it starts where no CUDA libraries are. The CUDA half registers itself
//! when it is loaded; that must happen before libtorch first asks for CUDA, because it caches the answer.

use std::{ffi::CString, fs, io, path::PathBuf};

use tch::{Cuda, Device};

#[derive(Debug, thiserror::Error)]
pub enum DeviceError {
    #[error(
        "--device {wanted}: no CUDA device can be used: {reason}\nhint: --device cpu, or --device auto to take what is there"
    )]
    NoCuda { wanted: String, reason: String },
    #[error(
        "--device {wanted}: there are {found} CUDA devices\nhint: numbers start at 0 and follow CUDA_VISIBLE_DEVICES"
    )]
    NoSuchDevice { wanted: String, found: i64 },
    #[error("--device {0}: not a device\nhint: auto, cpu, cuda or cuda:N")]
    Unknown(String),
}

/// Where libtorch_cuda.so would be: beside the libtorch_cpu.so that is loaded.
pub fn cuda_library() -> Result<PathBuf, String> {
    let maps = fs::read_to_string("/proc/self/maps").map_err(|e| format!("/proc/self/maps: {e}"))?;
    let cpu = maps.lines().find(|line| line.ends_with("/libtorch_cpu.so"));
    let start = cpu.and_then(|line| line.find('/').map(|at| &line[at..]));
    start
        .map(|cpu| PathBuf::from(cpu).with_file_name("libtorch_cuda.so"))
        .ok_or_else(|| "libtorch_cpu.so is not loaded".to_owned())
}

/// Loads libtorch_cuda.so. The error says why CUDA is out of reach, which is no fault on a machine without it. Call before anything
/// else asks libtorch for CUDA.
pub fn load_cuda() -> Result<(), String> {
    let path = cuda_library()?;
    let name = CString::new(path.as_os_str().as_encoded_bytes()).map_err(|e| e.to_string())?;
    // SAFETY: loads a library that is made to be loaded so; its initialisers only register kernels.
    let handle = unsafe { libc::dlopen(name.as_ptr(), libc::RTLD_NOW | libc::RTLD_GLOBAL) };
    if !handle.is_null() {
        return Ok(());
    }
    // SAFETY: after a failed dlopen, dlerror returns a string or null.
    let reason = unsafe {
        let text = libc::dlerror();
        if text.is_null() {
            None
        } else {
            Some(std::ffi::CStr::from_ptr(text).to_string_lossy().into_owned())
        }
    };
    Err(reason.unwrap_or_else(|| "dlopen gave no reason".into()))
}

/// `auto`, `cpu`, `cuda` or `cuda:N`. `cuda` is what [`load_cuda`] returned.
pub fn choose(wanted: &str, cuda: &Result<(), String>) -> Result<Device, DeviceError> {
    let number = match wanted {
        "cpu" => return Ok(Device::Cpu),
        "auto" => {
            return Ok(if cuda.is_ok() {
                Device::cuda_if_available()
            } else {
                Device::Cpu
            });
        }
        "cuda" => 0,
        other => {
            let number = other.strip_prefix("cuda:").and_then(|n| n.parse().ok());
            number.ok_or_else(|| DeviceError::Unknown(other.to_owned()))?
        }
    };
    if let Err(reason) = cuda {
        return Err(DeviceError::NoCuda {
            wanted: wanted.to_owned(),
            reason: reason.clone(),
        });
    }
    if !Cuda::is_available() {
        return Err(DeviceError::NoCuda {
            wanted: wanted.to_owned(),
            reason: "no driver, or no GPU is visible".into(),
        });
    }
    let found = Cuda::device_count();
    if number as i64 >= found {
        return Err(DeviceError::NoSuchDevice {
            wanted: wanted.to_owned(),
            found,
        });
    }
    Ok(Device::Cuda(number))
}

/// Waits until the device has done all that was asked of it. Phases are measured between such points.
pub fn synchronize(device: Device) {
    if let Device::Cuda(number) = device {
        Cuda::synchronize(number as i64);
    }
}

/// Bounds the host memory that this process may still map for its data: allocations beyond it fail. For a process whose address
/// space a CUDA driver does not fill.
pub fn limit_memory(bytes: u64) -> io::Result<()> {
    let mut old = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: both calls take a pointer to a struct that lives through them.
    let status = unsafe {
        match libc::getrlimit(libc::RLIMIT_DATA, &raw mut old) {
            0 => libc::setrlimit(
                libc::RLIMIT_DATA,
                &libc::rlimit {
                    rlim_cur: bytes.min(old.rlim_max),
                    ..old
                },
            ),
            failed => failed,
        }
    };
    if status == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// Host memory that could be had without swapping (`MemAvailable`, proc_meminfo(5)); `None` where the kernel does not say.
pub fn free_memory() -> Option<u64> {
    kib_of("/proc/meminfo", "MemAvailable:")
}

fn kib_of(path: &str, field: &str) -> Option<u64> {
    let text = fs::read_to_string(path).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(field))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

/// Host memory that [`limit_memory`] counts, of this process (`VmData`, proc_pid_status(5)).
pub fn data_memory() -> Option<u64> {
    kib_of("/proc/self/status", "VmData:")
}

/// Lets the kernel end this process before any other when memory runs out (proc_pid_oom_score_adj(5)).
pub fn go_first_when_memory_runs_out() {
    // Not being able to is no fault: the kernel then chooses by size, which is this process too.
    let _ = fs::write("/proc/self/oom_score_adj", "1000");
}

/// Most bytes of main memory that this process ever held (VmHWM, proc_pid_status(5)); `None` where the kernel does not say.
pub fn peak_host_memory() -> Option<u64> {
    kib_of("/proc/self/status", "VmHWM:")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peak_memory_covers_what_was_touched() {
        let before = peak_host_memory().unwrap();
        let size = before as usize + (64 << 20);
        let block = vec![1_u8; size];
        assert!(peak_host_memory().unwrap() as usize >= size, "{}", block[size / 2]);
    }

    #[test]
    fn cpu_is_always_there_and_nonsense_is_refused() {
        let none = Err("not here".to_owned());
        assert_eq!(choose("cpu", &none).unwrap(), Device::Cpu);
        assert_eq!(choose("auto", &none).unwrap(), Device::Cpu);
        assert!(choose("cuda:1", &none).unwrap_err().to_string().contains("not here"));
        assert!(matches!(choose("tpu", &none), Err(DeviceError::Unknown(_))));
        assert!(matches!(choose("cuda:x", &none), Err(DeviceError::Unknown(_))));
    }
}
