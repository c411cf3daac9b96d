//! When to ask a device next: at every tick until the rhythm of its sensor is known, then only around each expected update.
//!
//! A sensor that publishes every 100 ms says nothing new in between, and each call takes a lock of the driver that the trainer needs.
//! Once updates lie on a lattice, a device is asked from a margin before each expected update until the update was seen:
//!
//! ```text
//! ticks     | | | | | | | | | | | | | | | | | | | | | | | |
//! updates   ^             ^             ^             ^
//! steady    x x x x x x x x x x x x x x x x x x x x x x x x
//! adaptive  (steady)   x x x       x x x         x x x          [expected - margin, seen]
//! ```
//!
//! Invariants: an update is never lost to this: one that comes outside its bracket, or three that do not come or are seen only after polls
//! that were held up, end it at once, and the device is asked at every tick again until a lattice is found anew. Power and counter have
//! lattices of their own; the device is asked where either wants it. Times are nanoseconds of the monotonic clock.
//!
//! *Limits of validity.* A value that repeats hides its update; an unchanging load is therefore polled steadily, and nobody is
//! disturbed by that. The long average beside an instant power has no bracket of its own.

use std::collections::VecDeque;

/// Updates that a lattice is fitted to, and fewer than which it is not.
const MOST: usize = 64;
const FEWEST: usize = 16;
/// Fitted anew after this many updates.
const REFIT: usize = 4;
/// A clock that wanders by more than this share of its period is no lattice.
const STEADY_CLOCK: f64 = 0.05;
/// A period shorter than this many ticks leaves nothing to spare.
const WORTH_IT: i64 = 4;
/// Added to three standard deviations on both sides of an expected update.
const SLACK_NS: f64 = 1e6;
/// So many expected updates may stay away in a row.
const MISSES: u32 = 3;

/// The rhythm of one device.
#[derive(Debug)]
pub struct Rhythm {
    tracks: [Track; 2],
}

impl Rhythm {
    /// Nothing is known. `tick_ns`: the finest time between two polls.
    pub fn new(tick_ns: i64) -> Self {
        Self {
            tracks: [Track::new(tick_ns), Track::new(tick_ns)],
        }
    }

    /// A poll at `t` gave these; what the device does not give is `None`.
    pub fn take(&mut self, t: i64, watts: Option<f64>, counter: Option<u64>) {
        let values = [watts.map(f64::to_bits), counter];
        for (track, value) in self.tracks.iter_mut().zip(values) {
            if let Some(value) = value {
                track.take(t, value);
            }
        }
    }

    /// The first time from `now` on at which the device should be asked.
    pub fn next(&mut self, now: i64) -> i64 {
        // A stream that never gave anything has no say; with none at all there is something to find out.
        let times = self
            .tracks
            .iter_mut()
            .filter(|t| t.value.is_some())
            .map(|t| t.next(now));
        times.min().unwrap_or(now)
    }

    /// Whether every stream's updates are expected on a lattice.
    #[cfg(test)]
    fn is_locked(&self) -> bool {
        let mut heard = self.tracks.iter().filter(|t| t.value.is_some()).peekable();
        heard.peek().is_some() && heard.all(|t| t.lattice.is_some())
    }
}

/// An update: it came after `lo` and before `hi`.
#[derive(Debug, Clone, Copy)]
struct Seen {
    lo: i64,
    hi: i64,
}

impl Seen {
    fn middle(&self) -> i64 {
        self.lo + (self.hi - self.lo) / 2
    }
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Lattice {
    origin: i64,
    period: f64,
    /// Half of the bracket around an expected update.
    margin: i64,
}

impl Lattice {
    /// The expected update that follows one seen at `t`, wherever in its bracket that was.
    fn after(&self, t: i64) -> i64 {
        let steps = ((t - self.origin) as f64 / self.period).round() + 1.0;
        self.origin + (steps * self.period) as i64
    }

    /// The first expected update whose bracket ends at `t` or later.
    fn open_at(&self, t: i64) -> i64 {
        let steps = ((t - self.margin - self.origin) as f64 / self.period).ceil();
        self.origin + (steps * self.period) as i64
    }
}

/// One stream: power, or counter.
#[derive(Debug)]
struct Track {
    tick_ns: i64,
    value: Option<u64>,
    /// The last poll that gave it.
    polled_at: i64,
    updates: VecDeque<Seen>,
    since_fit: usize,
    lattice: Option<Lattice>,
    /// The expected update that is waited for.
    awaited: i64,
    misses: u32,
}

impl Track {
    fn new(tick_ns: i64) -> Self {
        Self {
            tick_ns,
            value: None,
            polled_at: 0,
            updates: VecDeque::with_capacity(MOST),
            since_fit: 0,
            lattice: None,
            awaited: i64::MIN,
            misses: 0,
        }
    }

    fn take(&mut self, t: i64, value: u64) {
        let before = self.value.replace(value);
        let polled_before = std::mem::replace(&mut self.polled_at, t);
        if before.is_none() || before == Some(value) {
            return;
        }
        let seen = Seen {
            lo: polled_before,
            hi: t,
        };
        // Two ticks and a half: one poll may be late.
        if seen.hi - seen.lo > 5 * self.tick_ns / 2 {
            self.take_blurred(seen);
            return;
        }
        self.misses = 0;
        if self.updates.len() == MOST {
            self.updates.pop_front();
        }
        self.updates.push_back(seen);
        self.since_fit += 1;
        if self.updates.len() >= FEWEST && (self.since_fit >= REFIT || self.lattice.is_none()) {
            self.since_fit = 0;
            self.lattice = fit(&self.updates, self.tick_ns);
        }
        if let Some(lattice) = self.lattice {
            self.awaited = lattice.after(seen.middle());
        }
    }

    /// An update that is not known to a tick: a poll was held up, or nobody looked.
    fn take_blurred(&mut self, seen: Seen) {
        // Where every tick is asked, a poll was held up; what was seen sharply stays.
        let Some(lattice) = self.lattice else { return };
        self.misses += 1;
        if self.awaited - lattice.margin > seen.hi || self.misses >= MISSES {
            // It came while nobody looked, or the clock was not seen for long: what is known of the rhythm does not hold.
            self.forget();
        } else {
            self.awaited = self.awaited.max(lattice.open_at(seen.hi));
        }
    }

    fn forget(&mut self) {
        self.updates.clear();
        self.lattice = None;
        self.misses = 0;
        self.awaited = i64::MIN;
    }

    fn next(&mut self, now: i64) -> i64 {
        let Some(lattice) = self.lattice else { return now };
        // An update at the end of its bracket is seen by the tick after it.
        while now > self.awaited + lattice.margin + self.tick_ns {
            // Its bracket is over and it was not seen: repeated, or late.
            self.misses += 1;
            if self.misses >= MISSES {
                self.forget();
                return now;
            }
            self.awaited += (lattice.period as i64).max(1);
        }
        // One tick earlier, so that the old value is seen just before the new one.
        now.max(self.awaited - lattice.margin - self.tick_ns)
    }
}

/// A lattice through brackets, if they lie on one.
fn fit(updates: &VecDeque<Seen>, tick_ns: i64) -> Option<Lattice> {
    let origin = updates.front()?.middle();
    let at: Vec<f64> = updates.iter().map(|u| (u.middle() - origin) as f64).collect();
    let mut gaps: Vec<f64> = at.windows(2).map(|p| p[1] - p[0]).collect();
    gaps.sort_by(f64::total_cmp);
    let mut period = *gaps.get(gaps.len() / 2)?;
    let (mut offset, mut steps) = (0.0, vec![0.0; at.len()]);
    // The median may be off by a tick, which adds up over many steps: count them one by one, and again with the better period.
    for _ in 0..3 {
        if period < (WORTH_IT * tick_ns) as f64 {
            return None;
        }
        for i in 1..at.len() {
            steps[i] = steps[i - 1] + ((at[i] - at[i - 1]) / period).round().max(1.0);
        }
        (offset, period) = line(&steps, &at)?;
    }
    let residuals = steps.iter().zip(&at).map(|(n, t)| t - offset - n * period);
    let scatter = (residuals.map(|r| r * r).sum::<f64>() / at.len() as f64).sqrt();
    let width = updates.iter().map(|u| (u.hi - u.lo) as f64).sum::<f64>() / at.len() as f64;
    // A poller of this width makes an exact clock scatter by width / sqrt 12.
    let own = (scatter * scatter - width * width / 12.0).max(0.0).sqrt();
    (own <= STEADY_CLOCK * period && scatter <= 0.25 * period).then(|| Lattice {
        origin: origin + offset as i64,
        period,
        // The line may lie half a bracket off the true times: a poller in step with the sensor always sees the same part of its tick.
        margin: (3.0 * own + 0.5 * width + SLACK_NS) as i64,
    })
}

/// Offset and slope by least squares.
fn line(x: &[f64], y: &[f64]) -> Option<(f64, f64)> {
    let n = x.len() as f64;
    let (mx, my) = (x.iter().sum::<f64>() / n, y.iter().sum::<f64>() / n);
    let xy: f64 = x.iter().zip(y).map(|(x, y)| (x - mx) * (y - my)).sum();
    let xx: f64 = x.iter().map(|x| (x - mx).powi(2)).sum();
    (xx > 0.0).then(|| (my - xy / xx * mx, xy / xx))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: i64 = 1_000_000;

    /// Poll a counter whose updates come at `updates` (ascending) for as long as they last; which were seen, and how sharply, and how
    /// often the device was asked.
    fn watch(updates: &[i64], tick: i64) -> (Vec<(i64, i64)>, usize, bool) {
        watch_late(updates, tick, |_| 0)
    }

    /// The same, with polls that a loaded machine holds up for so many ticks.
    fn watch_late(updates: &[i64], tick: i64, late: impl Fn(usize) -> i64) -> (Vec<(i64, i64)>, usize, bool) {
        let mut rhythm = Rhythm::new(tick);
        let (mut seen, mut polls, mut last) = (Vec::new(), 0, (0, 0));
        let mut now = 0;
        while now < updates[updates.len() - 1] + 30 * MS {
            let value = updates.partition_point(|u| *u <= now);
            polls += 1;
            if value != last.1 {
                seen.push((last.0, now));
            }
            last = (now, value);
            rhythm.take(now, None, Some(value as u64));
            let next = rhythm.next(now + tick);
            now += (((next - now + tick - 1) / tick).max(1) + late(polls)) * tick;
        }
        (seen, polls, rhythm.is_locked())
    }

    fn lattice(n: i64, period_us: i64, jitter: impl Fn(i64) -> i64) -> Vec<i64> {
        (1..=n).map(|k| 7 * MS + k * period_us * 1000 + jitter(k)).collect()
    }

    #[test]
    fn a_lattice_is_followed_with_far_fewer_polls_and_no_update_is_lost_or_blurred() {
        for (period_us, tick, fewer) in [(100_000, 10 * MS, 2.0), (101_237, MS, 6.0), (99_873, 2 * MS, 5.0)] {
            let updates = lattice(600, period_us, |_| 0);
            let (seen, polls, _) = watch(&updates, tick);
            let steady = (updates[updates.len() - 1] / tick) as f64;
            assert_eq!(seen.len(), updates.len(), "{period_us} us at {tick} ns");
            assert!(
                seen.iter().all(|(lo, hi)| hi - lo <= tick),
                "every bracket is one tick wide"
            );
            assert!(
                steady / polls as f64 > fewer,
                "{polls} polls against {steady} at {period_us} us, {tick} ns"
            );
        }
    }

    #[test]
    fn jitter_widens_the_brackets_and_much_of_it_ends_them() {
        let wobble = |size: i64| move |k: i64| (k * 7919 % 1009 - 504) * size / 504;
        let updates = lattice(600, 100_000, wobble(2 * MS));
        let (seen, polls, locked) = watch(&updates, MS);
        assert!(locked && seen.len() == updates.len());
        assert!(polls < 25_000, "{polls} of 60000");
        let updates = lattice(600, 100_000, wobble(20 * MS));
        let (seen, polls, locked) = watch(&updates, MS);
        assert!(!locked, "a clock that wanders by a tenth of its period is no lattice");
        assert!(polls > 55_000 && seen.len() == updates.len());
    }

    #[test]
    fn polls_that_a_loaded_machine_holds_up_cost_no_update_and_do_not_end_the_rhythm() {
        let updates = lattice(600, 100_000, |_| 0);
        let (_, spared, _) = watch(&updates, 2 * MS);
        for held_up in [17, 40] {
            let (seen, polls, locked) = watch_late(&updates, 2 * MS, |k| if k % held_up == 0 { 6 } else { 0 });
            assert!(
                locked && seen.len() == updates.len(),
                "{} of {}",
                seen.len(),
                updates.len()
            );
            assert!(polls < 2 * spared, "every {held_up}th poll late: {polls} for {spared}");
        }
    }

    #[test]
    fn a_sensor_that_changes_its_rhythm_is_found_again() {
        let mut updates = lattice(100, 100_000, |_| 0);
        let turn = updates[updates.len() - 1];
        updates.extend((1..=300).map(|k| turn + k * 37 * MS));
        let (seen, polls, locked) = watch(&updates, MS);
        assert!(locked);
        // One update may come while nobody looks, before the change is noticed; it is still seen, less sharply.
        let blurred = seen.iter().filter(|(lo, hi)| hi - lo > MS).count();
        assert!(
            blurred <= 2 && seen.len() >= updates.len() - 2,
            "{blurred} blurred, {} of {}",
            seen.len(),
            updates.len()
        );
        assert!(polls < 14_000, "{polls}");
    }

    #[test]
    fn an_unchanging_value_and_a_fast_counter_are_polled_steadily() {
        let mut rhythm = Rhythm::new(10 * MS);
        for k in 0..1000 {
            rhythm.take(k * 10 * MS, Some(200.0), Some(k as u64));
            assert_eq!(rhythm.next((k + 1) * 10 * MS), (k + 1) * 10 * MS);
        }
    }
}
