//! Sensors watched for a moment: how often each says something new, and what asking costs.

use std::time::Duration;

use crate::model::recording::DeviceStreams;
use crate::model::sample::PowerStream;
use crate::model::time::Timestamp;
use crate::sensors::clock;
use crate::sensors::interface::{ReadError, SampleBuffer, Sensor};

/// Between two rounds: as fine as recording ever is.
const ROUND: Duration = Duration::from_millis(1);
/// Fewer changes than this are no rhythm.
const CHANGES: usize = 5;

/// What watching one sensor came to.
#[derive(Debug, Clone, Default)]
pub struct Probe {
    pub streams: DeviceStreams,
    /// Length of each call, nanoseconds, ascending.
    pub calls_ns: Vec<i64>,
    pub failures: u64,
    /// Why the last failed call did.
    pub failure: Option<String>,
    pub buffer: Option<SampleBuffer>,
}

impl Probe {
    /// The call that `share` of all calls are no longer than, microseconds.
    pub fn call_us(&self, share: f64) -> Option<f64> {
        let last = self.calls_ns.len().checked_sub(1)?;
        Some(self.calls_ns[(last as f64 * share).round() as usize] as f64 * 1e-3)
    }

    /// Median time between new values of the power, milliseconds.
    pub fn power_period_ms(&self) -> Option<f64> {
        let watts = self.streams.power.watts.iter().map(|w| w.is_finite().then_some(*w));
        period_ms(&self.streams.power.times.t, watts)
    }

    /// The same of the counter.
    pub fn counter_period_ms(&self) -> Option<f64> {
        period_ms(&self.streams.power.times.t, self.streams.power.counter.iter().copied())
    }

    /// Mean of the power readings, else what the counter advanced.
    pub fn mean_watts(&self) -> Option<f64> {
        let power = &self.streams.power;
        let known: Vec<f64> = power.watts.iter().copied().filter(|w| w.is_finite()).collect();
        if !known.is_empty() {
            return Some(known.iter().sum::<f64>() / known.len() as f64);
        }
        let counts: Vec<(Timestamp, u64)> = power
            .times
            .t
            .iter()
            .zip(&power.counter)
            .filter_map(|(t, c)| Some((*t, (*c)?)))
            .collect();
        let (first, last) = (counts.first()?, counts.last()?);
        let seconds = last.0.seconds_since(first.0);
        (seconds > 0.0 && last.1 > first.1).then(|| (last.1 - first.1) as f64 * power.counter_unit_joules / seconds)
    }
}

/// Watch all sensors for `length`, on this thread.
pub fn probe(sensors: &mut [Box<dyn Sensor>], length: Duration) -> Vec<Probe> {
    let mut probes: Vec<Probe> = sensors
        .iter()
        .map(|sensor| Probe {
            streams: DeviceStreams {
                power: PowerStream::with_columns(&sensor.columns()),
                ..DeviceStreams::default()
            },
            ..Probe::default()
        })
        .collect();
    let mut gone = vec![false; sensors.len()];
    let until = clock::now() + length;
    while clock::now() < until {
        let round = clock::now();
        for ((sensor, probe), gone) in sensors
            .iter_mut()
            .zip(&mut probes)
            .zip(&mut gone)
            .filter(|((_, _), gone)| !**gone)
        {
            let before = clock::now();
            let result = sensor.read_power();
            let after = clock::now();
            probe.calls_ns.push(after - before);
            match result {
                Ok(reading) => {
                    let half = u32::try_from((after - before) / 2).unwrap_or(u32::MAX);
                    probe
                        .streams
                        .power
                        .push(&sensor.columns(), before.midpoint(after), half, &reading);
                }
                Err(error) => {
                    probe.failures += 1;
                    *gone = !matches!(error, ReadError::Retry(_));
                    probe.failure = Some(error.to_string());
                }
            }
        }
        let spent = Duration::from_nanos((clock::now() - round).max(0) as u64);
        std::thread::sleep(ROUND.saturating_sub(spent));
    }
    for (sensor, probe) in sensors.iter().zip(&mut probes) {
        probe.calls_ns.sort_unstable();
        probe.buffer = sensor.sample_buffer();
    }
    probes
}

/// Median time between changes of what is known; `None` with too few to tell.
fn period_ms<T: PartialEq>(t: &[Timestamp], values: impl Iterator<Item = Option<T>>) -> Option<f64> {
    let known: Vec<(Timestamp, T)> = t.iter().zip(values).filter_map(|(t, v)| Some((*t, v?))).collect();
    let changes: Vec<Timestamp> = known
        .windows(2)
        .filter(|pair| pair[1].1 != pair[0].1)
        .map(|pair| pair[1].0)
        .collect();
    let mut gaps: Vec<i64> = changes.windows(2).map(|pair| pair[1] - pair[0]).collect();
    if gaps.len() < CHANGES {
        return None;
    }
    gaps.sort_unstable();
    Some(gaps[gaps.len() / 2] as f64 * 1e-6)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rhythm_needs_changes() {
        let t: Vec<Timestamp> = (0..1000).map(|ms| Timestamp::from_nanos(ms * 1_000_000)).collect();
        let every_20: Vec<i64> = (0..1000).map(|ms| ms / 20).collect();
        assert_eq!(period_ms(&t, every_20.into_iter().map(Some)), Some(20.0));
        assert_eq!(period_ms(&t, (0..1000).map(|_| Some(5))), None);
    }

    #[test]
    fn what_is_not_known_yet_is_no_change() {
        let t: Vec<Timestamp> = (0..2000).map(|ms| Timestamp::from_nanos(ms * 1_000_000)).collect();
        let watts: Vec<f64> = (0..2000)
            .map(|ms| if ms < 1500 { f64::NAN } else { f64::from(ms / 50) })
            .collect();
        let counts: Vec<Option<u64>> = (0..2000).map(|ms| (ms % 3 > 0).then_some(ms / 20)).collect();
        let mut probe = Probe::default();
        probe.streams.power.times.t = t;
        probe.streams.power.watts = watts;
        probe.streams.power.counter = counts;
        assert_eq!(probe.power_period_ms(), Some(50.0));
        assert!(probe.counter_period_ms().is_some_and(|ms| (ms - 20.0).abs() <= 1.0));
    }

    #[test]
    fn calls_are_ranked() {
        let probe = Probe {
            calls_ns: (1..=1000).map(|n| n * 1000).collect(),
            ..Probe::default()
        };
        assert_eq!(probe.call_us(0.99), Some(990.0));
        assert_eq!(Probe::default().call_us(0.5), None);
    }
}
