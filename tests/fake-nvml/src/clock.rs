//! The three Linux clocks that NVML's figures are stamped with. Owns reading them and waiting on them; leaves to others
//! what a stamp means.
//!
//! All times in this crate are `i64` nanoseconds of `CLOCK_MONOTONIC` (292 years), named `_ns`; the other two clocks
//! appear only in what is handed to the caller.

/// Nanoseconds of `CLOCK_MONOTONIC`: the clock of every truth and every sensor here, and of powerprof's markers.
#[must_use]
pub fn monotonic_ns() -> i64 {
    read(libc::CLOCK_MONOTONIC)
}

/// Nanoseconds of `CLOCK_BOOTTIME`: what recent Linux drivers stamp the entries of `nvmlDeviceGetSamples` with.
#[must_use]
pub fn boottime_ns() -> i64 {
    read(libc::CLOCK_BOOTTIME)
}

/// Nanoseconds since 1970: what `nvmlFieldValue_t.timestamp` counts from (nvml.h: "since 1970", in µs).
#[must_use]
pub fn realtime_ns() -> i64 {
    read(libc::CLOCK_REALTIME)
}

/// Waits for `duration_ns`: asleep, or awake where the caller wants the processor time of a real driver call.
pub fn wait(duration_ns: i64, awake: bool) {
    if duration_ns <= 0 {
        return;
    }
    let deadline_ns = monotonic_ns().saturating_add(duration_ns);
    if awake {
        while monotonic_ns() < deadline_ns {
            std::hint::spin_loop();
        }
    } else {
        sleep_until(deadline_ns);
    }
}

/// Sleeps to an absolute deadline, whatever signals arrive meanwhile: a hanging ioctl is not interruptible either.
pub fn sleep_until(deadline_ns: i64) {
    let deadline = libc::timespec {
        tv_sec: deadline_ns.div_euclid(1_000_000_000),
        tv_nsec: deadline_ns.rem_euclid(1_000_000_000),
    };
    // SAFETY: the timespec outlives the call, and the remaining time is not asked for with an absolute deadline.
    while unsafe {
        libc::clock_nanosleep(
            libc::CLOCK_MONOTONIC,
            libc::TIMER_ABSTIME,
            &deadline,
            std::ptr::null_mut(),
        )
    } == libc::EINTR
    {}
}

fn read(clock: libc::clockid_t) -> i64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `now` is a valid place for one timespec; the call fails only for clocks that the kernel does not have.
    unsafe { libc::clock_gettime(clock, &mut now) };
    now.tv_sec * 1_000_000_000 + now.tv_nsec
}
