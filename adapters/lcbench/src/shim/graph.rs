//! The Rust side of `shim/cuda_graph.cpp`: recording what is asked of a GPU, and asking for it again as one.
//!
//! A recorded piece of work reads and writes the memory it was recorded with: inputs are replaced in place, outputs are overwritten by
//! every replay. Nothing in it may wait for the device or copy from the host, and its shapes are those of the recording (CUDA C++
//! Programming Guide, "CUDA Graphs"). Random numbers are new in each replay, from the generator's seed at that time.

use std::{ffi::c_int, ptr::NonNull};

use super::{ShimError, check};

#[repr(C)]
struct Handle {
    _opaque: [u8; 0],
}

unsafe extern "C" {
    #[cfg(test)]
    fn lcbench_graph_symbols(count: *mut usize) -> *const *const std::ffi::c_char;
    fn lcbench_enter_stream(device: c_int, before: *mut i64) -> c_int;
    fn lcbench_leave_stream(device: c_int, before: i64) -> c_int;
    fn lcbench_graph_pool(pool: *mut u64) -> c_int;
    fn lcbench_graph_new(out: *mut *mut Handle) -> c_int;
    fn lcbench_graph_free(graph: *mut Handle);
    fn lcbench_graph_begin(graph: *mut Handle, pool: *const u64) -> c_int;
    fn lcbench_graph_end(graph: *mut Handle) -> c_int;
    fn lcbench_graph_replay(graph: *mut Handle) -> c_int;
}

/// While it lives, what is asked of the device runs on a stream of its own: only there can work be recorded.
#[derive(Debug)]
pub struct SideStream {
    device: usize,
    before: i64,
}

impl SideStream {
    pub fn enter(device: usize) -> Result<Self, ShimError> {
        let mut before = 0;
        // SAFETY: the pointer is valid for the call.
        check(unsafe { lcbench_enter_stream(device as c_int, &raw mut before) })?;
        Ok(Self { device, before })
    }
}

impl Drop for SideStream {
    fn drop(&mut self) {
        // SAFETY: the stream is the one that was current on this device. That it cannot be made so again would show in the next call.
        let _ = unsafe { lcbench_leave_stream(self.device as c_int, self.before) };
    }
}

/// Device memory that several recordings share, which are replayed in the order of recording.
#[derive(Debug, Clone, Copy)]
pub struct Pool([u64; 2]);

impl Pool {
    pub fn new() -> Result<Self, ShimError> {
        let mut id = [0; 2];
        // SAFETY: the pointer has room for the two numbers.
        check(unsafe { lcbench_graph_pool(id.as_mut_ptr()) })?;
        Ok(Self(id))
    }
}

/// Recorded work.
#[derive(Debug)]
pub struct Graph(NonNull<Handle>);

impl Graph {
    /// Records what `work` asks of the device, on a [`SideStream`]; nothing of it is done yet. What it returns is memory that each
    /// replay fills.
    pub fn record<T>(pool: Pool, work: impl FnOnce() -> T) -> Result<(Self, T), ShimError> {
        let mut handle = std::ptr::null_mut();
        // SAFETY: the pointer is valid for the call.
        check(unsafe { lcbench_graph_new(&raw mut handle) })?;
        let graph = Self(NonNull::new(handle).ok_or_else(|| ShimError("a graph without an address".to_owned()))?);
        // SAFETY: the graph lives, and the pool's two numbers are borrowed for the call.
        check(unsafe { lcbench_graph_begin(handle, pool.0.as_ptr()) })?;
        let recording = Recording(handle);
        let made = work();
        std::mem::forget(recording);
        // SAFETY: the graph lives and its recording has begun.
        check(unsafe { lcbench_graph_end(handle) })?;
        Ok((graph, made))
    }

    /// Does the recorded work, on the current stream.
    pub fn replay(&self) -> Result<(), ShimError> {
        // SAFETY: the graph lives, and its recording is complete.
        check(unsafe { lcbench_graph_replay(self.0.as_ptr()) })
    }
}

impl Drop for Graph {
    fn drop(&mut self) {
        // SAFETY: the handle is this graph's own.
        unsafe { lcbench_graph_free(self.0.as_ptr()) }
    }
}

/// Ends a recording that a panic cuts short: the device would refuse everything else until then.
struct Recording(*mut Handle);

impl Drop for Recording {
    fn drop(&mut self) {
        // SAFETY: the graph lives and its recording has begun. That it is no graph now is known.
        let _ = unsafe { lcbench_graph_end(self.0) };
    }
}

#[cfg(test)]
mod tests {
    use std::{ffi::CStr, fs::File};

    use super::*;
    use crate::device;

    /// What can be known of recording without a GPU: the functions it calls are where it looks for them.
    #[test]
    fn libtorch_has_what_is_looked_up_in_it() {
        let path = device::cuda_library().unwrap();
        let Ok(file) = File::open(&path) else {
            println!(
                "skipped: {} is not there: this libtorch is one without CUDA",
                path.display()
            );
            return;
        };
        let mut count = 0;
        // SAFETY: the shim returns `count` constant strings.
        let wanted: Vec<&[u8]> = unsafe {
            let first = lcbench_graph_symbols(&raw mut count);
            std::slice::from_raw_parts(first, count)
                .iter()
                .map(|name| CStr::from_ptr(*name).to_bytes())
                .collect()
        };
        assert_eq!(wanted.len(), 6);
        // SAFETY: nobody writes to an installed library.
        let library = unsafe { memmap2::Mmap::map(&file) }.unwrap();
        let mut missing = wanted.clone();
        for name in library
            .split(|byte| *byte == 0)
            .filter(|name| name.starts_with(b"_ZN2at4cuda"))
        {
            missing.retain(|wanted| *wanted != name);
            if missing.is_empty() {
                return;
            }
        }
        panic!(
            "{:?}",
            missing
                .iter()
                .map(|name| String::from_utf8_lossy(name))
                .collect::<Vec<_>>()
        );
    }

    #[test]
    fn without_a_gpu_nothing_is_recorded_and_the_reason_is_said() {
        if tch::Cuda::is_available() {
            println!("skipped: this machine has a GPU");
            return;
        }
        let said = Pool::new().unwrap_err().to_string();
        assert!(said.contains("CUDA graphs"), "{said}");
        assert!(SideStream::enter(0).is_err());
    }
}
