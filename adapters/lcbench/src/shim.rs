//! The Rust side of `shim/`: libtorch calls that tch 0.24 does not bind. The only unsafe code beside `device`.

pub mod graph;

use std::ffi::{CStr, c_char, c_int};

use tch::Tensor;
use torch_sys::C_tensor;

#[derive(Debug, thiserror::Error)]
#[error("libtorch: {0}")]
pub struct ShimError(String);

unsafe extern "C" {
    fn lcbench_shim_error() -> *const c_char;
    fn lcbench_fused_adamw(
        params: *const *const C_tensor,
        grads: *const *const C_tensor,
        m: *const *const C_tensor,
        v: *const *const C_tensor,
        n: usize,
        step: *const C_tensor,
        scale: *const C_tensor,
        lr: f64,
        beta1: f64,
        beta2: f64,
        eps: f64,
        decay: f64,
    ) -> c_int;
    fn lcbench_total_norm(tensors: *const *const C_tensor, n: usize, out: *mut *mut C_tensor) -> c_int;
    fn lcbench_projected_cross_entropy(
        rows: *const C_tensor,
        table: *const C_tensor,
        bias: *const C_tensor,
        labels: *const C_tensor,
        weights: *const C_tensor,
        out: *mut *mut C_tensor,
    ) -> c_int;
    fn lcbench_block_attention(
        qkv: *const C_tensor,
        from: *const C_tensor,
        at: *const C_tensor,
        padding: *const C_tensor,
        block: i64,
        first: f64,
        result: *mut *mut C_tensor,
    ) -> c_int;
    fn lcbench_allow_tf32(allow: bool);
    fn lcbench_peak_memory(device: c_int, allocated: *mut i64, reserved: *mut i64) -> c_int;
    fn lcbench_reset_peak_memory(device: c_int) -> c_int;
}

fn check(status: c_int) -> Result<(), ShimError> {
    if status == 0 {
        return Ok(());
    }
    // SAFETY: the shim returns a NUL-terminated string that lives until this thread's next call into it.
    let reason = unsafe { CStr::from_ptr(lcbench_shim_error()) };
    // libtorch appends its C++ stack; the first line is the message.
    Err(ShimError(
        reason
            .to_string_lossy()
            .lines()
            .next()
            .unwrap_or("no reason given")
            .to_owned(),
    ))
}

fn pointers(tensors: &[&Tensor]) -> Vec<*const C_tensor> {
    tensors.iter().map(|t| t.as_ptr()).collect()
}

/// The numbers of one AdamW step. `scale`: gradients are divided by it.
#[derive(Debug)]
pub struct AdamStep<'a> {
    pub step: &'a Tensor,
    pub scale: Option<&'a Tensor>,
    pub lr: f64,
    pub betas: (f64, f64),
    pub eps: f64,
    pub decay: f64,
}

/// One fused AdamW step, in place on `params`, `m` and `v`; the four lists run in parallel.
pub fn fused_adamw(
    params: &[&Tensor],
    grads: &[&Tensor],
    m: &[&Tensor],
    v: &[&Tensor],
    by: &AdamStep<'_>,
) -> Result<(), ShimError> {
    assert!(grads.len() == params.len() && m.len() == params.len() && v.len() == params.len());
    let [params, grads, m, v] = [params, grads, m, v].map(pointers);
    let scale = by.scale.map_or(std::ptr::null(), |scale| scale.as_ptr());
    // SAFETY: every pointer is a live at::Tensor borrowed for the call, and the lists have equal lengths.
    check(unsafe {
        lcbench_fused_adamw(
            params.as_ptr(),
            grads.as_ptr(),
            m.as_ptr(),
            v.as_ptr(),
            params.len(),
            by.step.as_ptr(),
            scale,
            by.lr,
            by.betas.0,
            by.betas.1,
            by.eps,
            by.decay,
        )
    })
}

/// The Euclidean norm of all tensors taken together, left on their device.
pub fn total_norm(tensors: &[&Tensor]) -> Result<Tensor, ShimError> {
    let list = pointers(tensors);
    let mut out = std::ptr::null_mut();
    // SAFETY: as above; `out` receives a handle of its own, which the new Tensor frees.
    unsafe {
        check(lcbench_total_norm(list.as_ptr(), list.len(), &raw mut out))?;
        Ok(Tensor::from_ptr(out))
    }
}

/// Cross-entropy of `rows` (N, E) projected onto `table` (V, E) with `bias` (V), against `labels` (N), with gradients of rows and
/// table: their mean, or their sum by `weights` (N). What libtorch says where the shapes do not fit becomes a panic, as with tch's
/// own operators.
pub fn projected_cross_entropy(
    rows: &Tensor,
    table: &Tensor,
    bias: &Tensor,
    labels: &Tensor,
    weights: Option<&Tensor>,
) -> Tensor {
    let [rows, table, bias, labels] = [rows, table, bias, labels].map(|t| t.as_ptr());
    let weights = weights.map_or(std::ptr::null(), Tensor::as_ptr);
    let mut out = std::ptr::null_mut();
    // SAFETY: as in `total_norm`; `weights` may be null.
    let status = unsafe { lcbench_projected_cross_entropy(rows, table, bias, labels, weights, &raw mut out) };
    if let Err(error) = check(status) {
        panic!("{error}");
    }
    // SAFETY: the call succeeded, so `out` is a handle of its own.
    unsafe { Tensor::from_ptr(out) }
}

/// Who sees whom, for [`block_attention`]: query block i of head h sees the key blocks `at[from[h·N + i]..from[h·N + i + 1]]`.
/// Both are int64 on the CPU.
#[derive(Debug)]
pub struct BlockLists {
    pub from: Tensor,
    pub at: Tensor,
    pub block: i64,
    /// Added to the scores of block 0, except for the first and the last query block.
    pub first: f64,
}

/// Block-sparse attention on the CPU: fp32 projections (B, S, 3, H, D) to (B, S, H, D), with gradients. `padding` (B, S) is added to
/// the scores of each key.
pub fn block_attention(qkv: &Tensor, lists: &BlockLists, padding: Option<&Tensor>) -> Tensor {
    let padding = padding.map_or(std::ptr::null(), Tensor::as_ptr);
    let [qkv, from, at] = [qkv, &lists.from, &lists.at].map(|t| t.as_ptr());
    let mut out = std::ptr::null_mut();
    // SAFETY: every pointer is a live at::Tensor borrowed for the call, or null where that is allowed.
    let status = unsafe { lcbench_block_attention(qkv, from, at, padding, lists.block, lists.first, &raw mut out) };
    if let Err(error) = check(status) {
        panic!("{error}");
    }
    // SAFETY: the call succeeded, so `out` is a handle of its own.
    unsafe { Tensor::from_ptr(out) }
}

/// Whether fp32 matrix products may run on tensor cores with 10-bit mantissas (TF32).
pub fn allow_tf32(allow: bool) {
    // SAFETY: sets a flag of libtorch's global context.
    unsafe { lcbench_allow_tf32(allow) }
}

/// Bytes on a CUDA device since the last reset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PeakMemory {
    pub allocated: i64,
    pub reserved: i64,
}

pub fn peak_memory(cuda_device: usize) -> Result<PeakMemory, ShimError> {
    let mut peak = PeakMemory {
        allocated: 0,
        reserved: 0,
    };
    // SAFETY: both pointers are valid for the call.
    check(unsafe { lcbench_peak_memory(cuda_device as c_int, &raw mut peak.allocated, &raw mut peak.reserved) })?;
    Ok(peak)
}

pub fn reset_peak_memory(cuda_device: usize) -> Result<(), ShimError> {
    // SAFETY: takes a number.
    check(unsafe { lcbench_reset_peak_memory(cuda_device as c_int) })
}
