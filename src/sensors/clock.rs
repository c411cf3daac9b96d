//! Reading the clock: `CLOCK_MONOTONIC` for every reading and marker, and anchors to the other two.

use nix::time::{ClockId, clock_gettime};

use crate::model::time::{ClockAnchor, Timestamp};

/// The current instant on `CLOCK_MONOTONIC`.
///
/// The call cannot fail with a clock that every Linux has (clock_gettime(2)); were it to, the clock would stand still at 0.
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

fn nanos(clock: ClockId) -> i64 {
    clock_gettime(clock).map_or(0, |t| t.tv_sec() * 1_000_000_000 + t.tv_nsec())
}
