//! Energy counter -> cells: what was added between two of its ticks, and when those ticks were.
//!
//! A counter moves on a lattice of its own (1 ms for RAPL, 20 to 100 ms for NVML); the poller sees a new value some time after.
//! A tick therefore lies between the last poll that saw the old value and the first that saw the new one.
//!
//! ```text
//! polls    | 40 | 40 | 40 | 57 | 57 | 57 | 73 |
//! ticks               ^ mid          ^ mid        cell: 57 - 40 counts? no: 73 - 57, the energy between the two ticks
//! ```
//!
//! Invariants: counts stay integers until the difference is taken; a difference is never negative (wrap or reset, told apart).

use std::collections::BTreeSet;

use crate::model::device::Device;
use crate::model::sample::PowerStream;
use crate::model::time::Timestamp;

use super::cell::Cell;

/// So many bad readings in a row are believed to be bad.
const BAD_IN_A_ROW: usize = 8;

/// What a new counter value means against the one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CounterStep {
    /// There is none before.
    First,
    /// It went on by this many counts.
    Advanced(u64),
    /// It started again from zero on the way; counts since.
    Wrapped(u64),
    /// It fell, and cannot have wrapped: what it had counted is lost.
    Reset,
}

impl CounterStep {
    /// The step from `old` to `new` of a counter that starts again after `wraps_at`; `most` is what it can have counted meanwhile.
    pub fn between(old: u64, new: u64, wraps_at: Option<u64>, most: Option<f64>) -> Self {
        if new >= old {
            // More than the device can have drawn: one of the two values is none of its counter's.
            let possible = most.is_none_or(|most| (new - old) as f64 <= most);
            return if possible {
                Self::Advanced(new - old)
            } else {
                Self::Reset
            };
        }
        match wraps_at {
            Some(wrap) if old <= wrap => {
                let counts = (wrap - old).saturating_add(new);
                if most.is_some_and(|most| counts as f64 > most) {
                    Self::Reset
                } else {
                    Self::Wrapped(counts)
                }
            }
            _ => Self::Reset,
        }
    }
}

/// A value change and when it happened.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tick {
    /// Middle of the time in which it must have happened, nanoseconds.
    pub t: i64,
    /// Half of that time.
    pub half_ns: i64,
    /// For how long polls saw the value that it ended.
    pub stood_ns: i64,
    pub step: CounterStep,
}

/// Cells of a counter and how they came about.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Counted {
    pub cells: Vec<Cell>,
    /// For how long polls saw each cell's counter stand still, nanoseconds.
    pub stood_ns: Vec<i64>,
    pub resets: u64,
    pub glitches: u64,
    /// Median time between ticks, seconds.
    pub period_s: Option<f64>,
    /// By how much it moves at a time, calibrated, J.
    pub step_joules: f64,
    /// Where it was polled, as far as it was, before its first tick and after its last, nanoseconds.
    pub still: Vec<(i64, i64)>,
}

/// All ticks of a stream's counter, and how many readings were dropped as impossible.
pub fn ticks(device: &Device, stream: &PowerStream) -> (Vec<Tick>, u64) {
    let polls: Vec<(i64, i64, u64)> = stream
        .counter
        .iter()
        .zip(stream.times.t.iter().zip(&stream.times.half_width_ns))
        .filter_map(|(value, (t, half))| Some((t.as_nanos(), i64::from(*half), (*value)?)))
        .collect();
    let believed_ns = device.counter_timing.update_period_ms.map(|ms| (ms * 1e6) as i64);
    // Twice the limit: what no board exceeds over the time between two polls.
    let most_watts = device.power_limit.map(|limit| 2.0 * limit.get());
    let mut ticks = Vec::new();
    let mut glitches = 0;
    let Some(&(mut seen_at, mut seen_half, mut value)) = polls.first() else {
        return (ticks, 0);
    };
    let mut first_seen = seen_at;
    for (i, &(t, half, new)) in polls.iter().enumerate().skip(1) {
        // A reading that falls and comes back was a bad read, not a reset (spurious zeros: measurement of the field, nvidia-smi and
        // NVML wrappers report them at fast polling); now and then there are a few in a row.
        if new < value && polls[i + 1..].iter().take(BAD_IN_A_ROW).any(|next| next.2 >= value) {
            glitches += 1;
            continue;
        }
        if new != value {
            let earliest = (seen_at - seen_half).max(believed_ns.map_or(i64::MIN, |period| t - half - period));
            let latest = t + half;
            // A counter that stood still may jump to where it should be: what counts is the time since it moved.
            let since = ticks.last().map_or(seen_at, |tick: &Tick| tick.t.min(seen_at));
            let seconds = (t - since) as f64 * 1e-9 + believed_ns.map_or(1.0, |p| p as f64 * 1e-9);
            let most = most_watts.map(|w| w * seconds / stream.counter_unit_joules);
            let step = match CounterStep::between(value, new, stream.counter_wraps_at, most) {
                CounterStep::Advanced(_) | CounterStep::Wrapped(_) if ticks.is_empty() => CounterStep::First,
                step => step,
            };
            ticks.push(Tick {
                t: earliest + (latest - earliest) / 2,
                half_ns: (latest - earliest) / 2,
                stood_ns: seen_at - first_seen,
                step,
            });
            first_seen = t;
        }
        (seen_at, seen_half, value) = (t, half, new);
    }
    sharpen(&mut ticks);
    (ticks, glitches)
}

/// Behind a stalled poll the bracket is as long as the stall; but the counter went on moving, and what is seen then is one period old
/// at most.
fn sharpen(ticks: &mut [Tick]) {
    let Some(period_ns) = median_gap_s(ticks).map(|s| (s * 1e9) as i64) else {
        return;
    };
    for tick in ticks
        .iter_mut()
        .filter(|tick| 2 * tick.half_ns > period_ns + period_ns / 2)
    {
        tick.t += tick.half_ns - period_ns / 2;
        tick.half_ns = period_ns / 2;
    }
}

/// The counter's cells, calibrated.
pub fn cells(device: &Device, stream: &PowerStream) -> Counted {
    let (ticks, glitches) = ticks(device, stream);
    let (gain, offset) = device.calibration.map_or((1.0, 0.0), |c| (c.gain, c.offset.get()));
    let mut counted = Counted {
        glitches,
        period_s: median_gap_s(&ticks),
        step_joules: step_counts(&ticks) as f64 * stream.counter_unit_joules / gain,
        ..Counted::default()
    };
    let polled = || {
        let answered = |(value, &t): (&Option<u64>, _)| value.map(|_| Timestamp::as_nanos(t));
        stream.counter.iter().zip(&stream.times.t).filter_map(answered)
    };
    if let (Some(began), Some(ended)) = (polled().next(), polled().next_back()) {
        let (first, last) = (
            ticks.first().map_or(ended, |t| t.t),
            ticks.last().map_or(ended, |t| t.t),
        );
        counted.still = vec![(began, first), (last, ended)];
    }
    let back_ns = (device.counter_timing.delay_ms.unwrap_or(0.0) * 1e6) as i64;
    for pair in ticks.windows(2) {
        let (from, to) = (pair[0], pair[1]);
        let counts = match to.step {
            CounterStep::Advanced(counts) | CounterStep::Wrapped(counts) => Some(counts),
            CounterStep::First | CounterStep::Reset => None,
        };
        counted.resets += u64::from(to.step == CounterStep::Reset);
        if to.t <= from.t {
            continue;
        }
        let seconds = (to.t - from.t) as f64 * 1e-9;
        let raw = counts.map_or(0.0, |c| c as f64 * stream.counter_unit_joules);
        counted.stood_ns.push(to.stood_ns);
        counted.cells.push(Cell {
            start: from.t - back_ns,
            end: to.t - back_ns,
            joules: (raw - offset * seconds) / gain,
            known: counts.is_some(),
            ends_s: [from, to].map(|tick| tick.half_ns as f64 * 1e-9 / 3.0_f64.sqrt()),
            variance: 0.0,
        });
    }
    counted
}

/// The counts by which it moves at a time: the largest number that all its moves are multiples of, where these are of many sizes.
fn step_counts(ticks: &[Tick]) -> u64 {
    const SIZES: usize = 8;
    let moves = ticks.iter().filter_map(|tick| match tick.step {
        CounterStep::Advanced(counts) => Some(counts),
        _ => None,
    });
    let (mut step, mut sizes) = (0, BTreeSet::new());
    for counts in moves {
        step = greatest_common_divisor(step, counts);
        if sizes.len() < SIZES {
            sizes.insert(counts);
        }
    }
    if sizes.len() < SIZES { 1 } else { step }
}

fn greatest_common_divisor(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { greatest_common_divisor(b, a % b) }
}

fn median_gap_s(ticks: &[Tick]) -> Option<f64> {
    let mut gaps: Vec<i64> = ticks.windows(2).map(|p| p[1].t - p[0].t).collect();
    if gaps.len() < 4 {
        return None;
    }
    gaps.sort_unstable();
    Some(gaps[gaps.len() / 2] as f64 * 1e-9)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_all_moves_are_multiples_of_is_its_step() {
        let step = |counts: &[u64]| {
            let tick = |&counts: &u64| Tick {
                t: 0,
                half_ns: 0,
                stood_ns: 0,
                step: CounterStep::Advanced(counts),
            };
            let mut ticks: Vec<Tick> = counts.iter().map(tick).collect();
            // What it wrapped by is not all counted.
            ticks.push(Tick {
                step: CounterStep::Wrapped(7),
                ..ticks[0]
            });
            step_counts(&ticks)
        };
        assert_eq!(step(&[600, 700, 900, 1100, 1200, 1500, 1600, 2900, 600]), 100);
        assert_eq!(step(&[600, 700, 900, 1100, 1201, 1500, 1600, 2900]), 1);
        assert_eq!(step(&[30_000; 20]), 1, "a load as steady as that tells no step");
    }

    #[test]
    fn steps_are_told_apart() {
        use CounterStep::{Advanced, Reset, Wrapped};
        assert_eq!(CounterStep::between(5, 9, None, None), Advanced(4));
        assert_eq!(CounterStep::between(9, 5, None, None), Reset);
        assert_eq!(CounterStep::between(98, 5, Some(100), None), Wrapped(7));
        // From 10 to 5 by wrapping would be 95 counts; the device can only have counted 20.
        assert_eq!(CounterStep::between(10, 5, Some(100), Some(20.0)), Reset);
        assert_eq!(CounterStep::between(200, 5, Some(100), None), Reset);
        // A jump that no board could draw: from a spurious zero back to where the counter stood.
        assert_eq!(CounterStep::between(0, 1_000_000, None, Some(20.0)), Reset);
    }
}
