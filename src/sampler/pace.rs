//! Absolute deadlines, and as much punctuality as the system grants.

use std::os::fd::AsFd;
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::eventfd::EventFd;
use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};

use crate::model::time::Timestamp;
use crate::sensors::clock;

/// Deadlines a fixed interval apart, or about that.
///
/// A sensor that updates every 100 ms, asked exactly every 10 ms, would change at the same place between two questions each time, and hide
/// where its clock is and how it drifts. So deadlines can be [`spread`](Pacer::spread) over their intervals: in steps of the golden section,
/// which come near no fraction (Weyl 1916).
pub struct Pacer {
    interval: Duration,
    due: Timestamp,
    /// How much of an interval a deadline may be put off, and how much of that the next is.
    spread: f64,
    turn: f64,
    timer: Option<TimerFd>,
}

impl Pacer {
    /// The first deadline is one interval from now.
    pub fn new(interval: Duration) -> Self {
        let interval = interval.max(Duration::from_micros(100));
        let timer = TimerFd::new(
            ClockId::CLOCK_MONOTONIC,
            TimerFlags::TFD_CLOEXEC | TimerFlags::TFD_NONBLOCK,
        )
        .ok();
        Self {
            interval,
            due: clock::now() + interval,
            spread: 0.0,
            turn: 0.0,
            timer,
        }
    }

    /// Put each deadline off by a share of the interval, another one each time.
    pub fn spread(mut self) -> Self {
        const SHARE: f64 = 0.8;
        self.spread = SHARE;
        self
    }

    /// Wait for the next deadline, and return it; `None` once `stop` is raised.
    pub fn wait(&mut self, stop: &EventFd) -> Option<Timestamp> {
        self.wait_until(self.due, stop)
    }

    /// The same, passing over the deadlines before `wanted`.
    pub fn wait_until(&mut self, wanted: Timestamp, stop: &EventFd) -> Option<Timestamp> {
        self.due = next_due(self.due, self.interval, clock::now());
        let (behind, interval) = (wanted - self.due, self.interval.as_nanos() as i64);
        if behind > 0 {
            self.due = self.due.plus_nanos((behind + interval - 1) / interval * interval);
        }
        const GOLDEN: f64 = 0.618_033_988_749_894_9;
        self.turn = (self.turn + GOLDEN).fract();
        let deadline = self.due.plus_nanos((self.spread * self.turn * interval as f64) as i64);
        loop {
            let left = deadline - clock::now();
            let stopped = if left <= 0 {
                raised(stop, PollTimeout::ZERO)
            } else {
                self.sleep(deadline, left, stop)
            };
            if stopped {
                return None;
            }
            if clock::now() >= deadline {
                self.due = self.due + self.interval;
                return Some(deadline);
            }
        }
    }

    /// Sleep until `deadline`, `left` nanoseconds from now, or until stopped (true).
    fn sleep(&self, deadline: Timestamp, left: i64, stop: &EventFd) -> bool {
        let deadline = TimeSpec::from_duration(Duration::from_nanos(deadline.as_nanos().max(0) as u64));
        let armed = self.timer.as_ref().filter(|timer| {
            timer
                .set(Expiration::OneShot(deadline), TimerSetTimeFlags::TFD_TIMER_ABSTIME)
                .is_ok()
        });
        let Some(timer) = armed else {
            // Without timers the resolution is poll's millisecond.
            return raised(stop, PollTimeout::from((left / 1_000_000).clamp(1, 60_000) as u16));
        };
        let mut ready = [
            PollFd::new(timer.as_fd(), PollFlags::POLLIN),
            PollFd::new(stop.as_fd(), PollFlags::POLLIN),
        ];
        let _ = poll(&mut ready, PollTimeout::NONE);
        ready[1].any().unwrap_or(false)
    }
}

/// The first deadline on the lattice of `due` that is not more than one interval in the past.
fn next_due(due: Timestamp, interval: Duration, now: Timestamp) -> Timestamp {
    let interval = interval.as_nanos() as i64;
    let behind = now - due;
    if behind < interval {
        due
    } else {
        due.plus_nanos(behind / interval * interval)
    }
}

fn raised(stop: &EventFd, timeout: PollTimeout) -> bool {
    let mut ready = [PollFd::new(stop.as_fd(), PollFlags::POLLIN)];
    poll(&mut ready, timeout).is_ok_and(|n| n > 0)
}

/// Ask for a short timer slack and real-time priority for this thread; both are granted or not, and the sweeps' lateness is recorded.
pub fn claim_priority() {
    // The default slack of 50 µs is added to every sleep (prctl(2), PR_SET_TIMERSLACK).
    let _ = nix::sys::prctl::set_timerslack(1_000);
    // SAFETY: plain calls on the calling thread with a valid parameter block.
    unsafe {
        let parameters = libc::sched_param { sched_priority: 1 };
        let policy = libc::SCHED_FIFO | libc::SCHED_RESET_ON_FORK;
        if libc::sched_setscheduler(0, policy, &parameters) != 0 {
            // Linux keeps a nice value per thread (setpriority(2), "C library/kernel differences").
            libc::setpriority(libc::PRIO_PROCESS, 0, -10);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deadlines_stay_on_their_lattice_however_late_a_sweep_was() {
        let (at, ms) = (
            |ms: i64| Timestamp::from_nanos(ms * 1_000_000),
            Duration::from_millis(10),
        );
        assert_eq!(next_due(at(100), ms, at(95)), at(100));
        assert_eq!(next_due(at(100), ms, at(104)), at(100));
        assert_eq!(next_due(at(100), ms, at(127)), at(120));
        assert_eq!(next_due(at(100), ms, at(2104)), at(2100));
    }

    #[test]
    fn spread_deadlines_come_once_an_interval_and_at_all_places_of_it() -> nix::Result<()> {
        const MS: i64 = 1_000_000;
        let stop = EventFd::new()?;
        let mut pacer = Pacer::new(Duration::from_millis(4)).spread();
        let origin = pacer.due;
        let mut places: Vec<i64> = (0..20)
            .filter_map(|_| pacer.wait(&stop))
            .map(|t| (t - origin) % (4 * MS))
            .collect();
        places.sort_unstable();
        let widest = places.windows(2).map(|pair| pair[1] - pair[0]).max();
        // Of a stalled machine fewer may be left.
        assert!(places.len() < 20 || widest.is_some_and(|gap| gap < MS), "{places:?}");
        assert!(places.iter().all(|&place| (0..=32 * MS / 10).contains(&place)));
        Ok(())
    }

    #[test]
    fn deadlines_that_nobody_wants_are_passed_over_and_the_lattice_stays() -> nix::Result<()> {
        let stop = EventFd::new()?;
        let mut pacer = Pacer::new(Duration::from_millis(2));
        let first = pacer.wait(&stop).unwrap_or_default();
        let later = pacer.wait_until(first.plus_nanos(9_000_000), &stop).unwrap_or_default();
        assert!(
            later - first >= 10_000_000 && (later - first) % 2_000_000 == 0,
            "{}",
            later - first
        );
        Ok(())
    }

    #[test]
    fn waiting_ends_at_the_deadline_or_when_stopped() -> nix::Result<()> {
        let stop = EventFd::new()?;
        let mut pacer = Pacer::new(Duration::from_millis(2));
        let before = clock::now();
        let due = pacer.wait(&stop);
        assert!(due.is_some_and(|due| clock::now() >= due && due > before));
        stop.write(1)?;
        assert_eq!(pacer.wait(&stop), None);
        Ok(())
    }
}
