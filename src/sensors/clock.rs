//! The clocks, read: `CLOCK_MONOTONIC` as a [`Timestamp`] for every reading and marker, and anchors to the other two.
//!
//! Apart from the nouns because `model` does no I/O.

use nix::time::{ClockId, clock_gettime};

use crate::model::time::{ClockAnchor, Timestamp};

/// Now, on the clock that every reading and every marker is stamped with.
pub fn now() -> Timestamp {
    Timestamp::from_nanos(nanos(ClockId::CLOCK_MONOTONIC))
}

/// The three clocks, read back to back.
pub fn anchor() -> ClockAnchor {
    let before = now();
    let realtime_ns = nanos(ClockId::CLOCK_REALTIME);
    let boottime_ns = nanos(ClockId::CLOCK_BOOTTIME);
    ClockAnchor {
        monotonic: before.midpoint(now()),
        realtime_ns,
        boottime_ns,
    }
}

/// `clock_gettime` cannot fail on Linux with a valid clock and a valid pointer (clock_gettime(2), ERRORS), so a failure is answered
/// with the clock's origin and not with a panic in the sampling thread.
fn nanos(clock: ClockId) -> i64 {
    clock_gettime(clock).map_or(0, |t| t.tv_sec() * 1_000_000_000 + t.tv_nsec())
}
