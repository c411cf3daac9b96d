//! The one clock, read: `CLOCK_MONOTONIC` as a [`Timestamp`].
//!
//! Apart from the noun because `model` does no I/O.

use nix::time::{ClockId, clock_gettime};

use crate::model::time::Timestamp;

/// Now, on the clock that every reading and every marker is stamped with.
///
/// `clock_gettime(CLOCK_MONOTONIC)` cannot fail on Linux with a valid clock and a valid pointer (clock_gettime(2), ERRORS), so a
/// failure is answered with the clock's origin and not with a panic in the sampling thread.
pub fn now() -> Timestamp {
    clock_gettime(ClockId::CLOCK_MONOTONIC)
        .map(|t| Timestamp::from_nanos(t.tv_sec() * 1_000_000_000 + t.tv_nsec()))
        .unwrap_or_default()
}
