//! Time: one clock, `CLOCK_MONOTONIC` of the recording host, in nanoseconds.
//!
//! Wall-clock time never enters an integral (an NTP step would corrupt energy); [`ClockAnchor`]s relate the two afterwards.

use std::ops::{Add, Sub};

/// An instant on the recording host's `CLOCK_MONOTONIC`, in nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(i64);

impl Timestamp {
    /// From nanoseconds since the clock's origin (boot).
    pub const fn from_nanos(nanos: i64) -> Self {
        Self(nanos)
    }

    /// Nanoseconds since the clock's origin.
    pub const fn as_nanos(self) -> i64 {
        self.0
    }

    /// Seconds from `origin` to this instant; negative if it lies before.
    pub fn seconds_since(self, origin: Timestamp) -> f64 {
        (self.0 - origin.0) as f64 * 1e-9
    }

    /// This instant moved by `nanos`.
    pub const fn plus_nanos(self, nanos: i64) -> Self {
        Self(self.0 + nanos)
    }

    /// The instant halfway to `other`.
    pub const fn midpoint(self, other: Timestamp) -> Self {
        Self(self.0 + (other.0 - self.0) / 2)
    }
}

/// The difference of two instants, in nanoseconds.
impl Sub for Timestamp {
    type Output = i64;
    fn sub(self, rhs: Self) -> i64 {
        self.0 - rhs.0
    }
}

impl Add<std::time::Duration> for Timestamp {
    type Output = Timestamp;
    fn add(self, rhs: std::time::Duration) -> Timestamp {
        Timestamp(self.0 + rhs.as_nanos() as i64)
    }
}

/// A half-open stretch of time, `start <= end`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Interval {
    pub start: Timestamp,
    pub end: Timestamp,
}

impl Interval {
    /// The interval between two instants; empty if `end` lies before `start`.
    pub fn new(start: Timestamp, end: Timestamp) -> Self {
        Self {
            start,
            end: end.max(start),
        }
    }

    /// Length in nanoseconds.
    pub fn nanos(&self) -> i64 {
        self.end - self.start
    }

    /// Length in seconds.
    pub fn seconds(&self) -> f64 {
        self.nanos() as f64 * 1e-9
    }

    /// The common part with `other`, if there is any.
    pub fn intersect(&self, other: &Interval) -> Option<Interval> {
        let start = self.start.max(other.start);
        let end = self.end.min(other.end);
        (start < end).then_some(Interval { start, end })
    }
}

/// The three clocks of Linux read back to back, so that stamps of one can be turned into another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClockAnchor {
    pub monotonic: Timestamp,
    /// `CLOCK_REALTIME`, nanoseconds since 1970.
    pub realtime_ns: i64,
    /// `CLOCK_BOOTTIME`, nanoseconds.
    pub boottime_ns: i64,
}
