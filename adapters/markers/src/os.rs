//! What the standard library does not offer: the number behind CLOCK_MONOTONIC, and moving a descriptor out of the way.
//! All `unsafe` of this crate is below here. Elsewhere than on Linux nothing is recorded, and the client stays silent.

#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "linux")]
pub(crate) use linux::{monotonic_ns, open_for_markers};

#[cfg(not(target_os = "linux"))]
mod other;
#[cfg(not(target_os = "linux"))]
pub(crate) use other::{monotonic_ns, open_for_markers};
