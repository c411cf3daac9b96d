//! NVIDIA GPUs through NVML.
//!
//! One poll of a GPU is one `nvmlDeviceGetFieldValues` for power and energy together: NVML calls serialise on a lock of the driver
//! that the trainer's own launches need, so fewer calls are better calls. The slow figures are asked in rotation ([`state`]).
//! Process lists, fan speed and PCIe throughput are never asked: each can hold that lock for milliseconds.
//!
//! *Limits of validity.* What a power reading covers differs by architecture, board and driver; [`timing`] gives the prior, and the
//! analysis finds the truth in the data. The board's own scale error (up to about 10 % against an external meter, linear per board:
//! Yang et al., SC24, doi 10.1109/SC41406.2024.00028) is not removed here.

pub mod buffer;
pub mod chip;
pub mod enumerate;
pub mod faults;
pub mod fields;
pub mod gpu;
pub mod handle;
pub mod library;
pub mod samples;
pub mod scopes;
pub mod state;
pub mod survey;
pub mod timing;
pub mod visible;

#[cfg(test)]
mod tests;
