//! What a square wave says of one sensor, put together: the power's window and delay, the counter's kind.

use super::fit::{self, Fit, Window};
use super::observe;
use super::wave::Wave;
use crate::model::sample::PowerStream;
use crate::model::time::Timestamp;

/// A value and the half-width of its 95 % interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Measured {
    pub value: f64,
    pub u95: f64,
}

/// What the energy counter adds up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CounterKind {
    /// All time.
    Continuous,
    /// The windows of the power readings, each taken for its whole period.
    Sampled,
    /// The two explain the readings equally well.
    Unknown,
}

impl CounterKind {
    /// The word of reports and of the configuration file.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Continuous => "continuous",
            Self::Sampled => "sampled",
            Self::Unknown => "unknown",
        }
    }
}

/// One sensor's properties, milliseconds. `None`: could not be told.
#[derive(Debug, Clone, PartialEq)]
pub struct SensorResult {
    pub power_period_ms: Option<Measured>,
    pub power: Option<Fit>,
    pub counter_period_ms: Option<Measured>,
    pub counter: Option<Fit>,
    pub kind: CounterKind,
    /// Residual variance as sampled over that as continuous.
    pub kind_ratio: Option<f64>,
}

/// One explanation must leave so many times the variance of the other to lose.
const DECISIVE: f64 = 1.3;

fn ms(period: (f64, f64)) -> Measured {
    Measured {
        value: period.0 * 1e3,
        u95: period.1 * 1e3,
    }
}

/// Measure a sensor by a wave, whose times are seconds since `origin`.
pub fn measure(stream: &PowerStream, wave: &Wave, origin: Timestamp) -> SensorResult {
    let (updates, ticks) = (observe::power(stream, origin), observe::counter(stream, origin));
    let (power_period, counter_period) = (observe::period(&updates), observe::period(&ticks));
    let power = power_period.and_then(|(period, _)| fit::fit(wave, &updates, Window::Free, period));
    let continuous = counter_period.and_then(|(period, _)| fit::fit(wave, &ticks, Window::Between, period));
    let sampled = counter_period.and_then(|(period, _)| {
        let window = power.as_ref().map_or(Window::Free, |p| Window::Fixed(p.theta.window));
        fit::fit(wave, &ticks, window, period)
    });
    // A load that makes no difference to one of the explanations speaks for the other.
    let (kind, kind_ratio) = match (&continuous, &sampled) {
        (Some(c), Some(s)) => {
            let ratio = (s.rms_w / c.rms_w.max(1e-9)).powi(2);
            let kind = match ratio {
                r if r > DECISIVE => CounterKind::Continuous,
                r if r < 1.0 / DECISIVE => CounterKind::Sampled,
                _ => CounterKind::Unknown,
            };
            (kind, Some(ratio))
        }
        (Some(_), None) => (CounterKind::Continuous, None),
        (None, Some(_)) => (CounterKind::Sampled, None),
        (None, None) => (CounterKind::Unknown, None),
    };
    SensorResult {
        power_period_ms: power_period.map(ms),
        power,
        counter_period_ms: counter_period.map(ms),
        counter: if kind == CounterKind::Sampled {
            sampled
        } else {
            continuous
        },
        kind,
        kind_ratio,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::sample::{Columns, CounterUnit, PowerReading};

    /// Waves of r times `period` one after another, `each` seconds apiece, played to a made-up sensor polled every millisecond.
    fn played(period: f64, window: f64, delay: f64, sampled: bool) -> SensorResult {
        let each = 40.0 * period.max(0.05);
        let mut edges = Vec::new();
        let mut start = 0.3;
        for ratio in [2.0 / 3.0, 0.8, 1.2, 4.0 / 3.0, 1.03] {
            let mut t = start;
            while t < start + each {
                edges.push((t, true));
                edges.push((t + 0.5 * ratio * period, false));
                t += ratio * period;
            }
            start = t;
        }
        let wave = Wave::new(edges);
        let on = wave.on_time(0.0);
        let energy = |t: f64| 90.0 * t + 210.0 * on.at(t);
        let columns = Columns {
            watts: true,
            counter: Some(CounterUnit {
                joules: 1e-3,
                wraps_at: None,
            }),
            ..Columns::default()
        };
        let mut stream = PowerStream::with_columns(&columns);
        let mean = |k: f64| {
            let end = k * period + 0.0123 - delay;
            (energy(end) - energy(end - window)) / window
        };
        let mut counted = (0.0, 0.0);
        for i in 0..(start * 1000.0) as i64 {
            let t = i as f64 * 1e-3;
            let k = ((t - 0.0123) / period).floor();
            while counted.0 < k {
                counted.0 += 1.0;
                counted.1 += mean(counted.0) * period;
            }
            let continuous = energy(k * period + 0.0123 - delay).max(0.0);
            let reading = PowerReading {
                watts: Some(mean(k) + 0.3 * ((k * 0.618).fract() - 0.5)),
                average_watts: None,
                counter: Some(((if sampled { counted.1 } else { continuous } + 100.0) * 1e3) as u64),
            };
            stream.push(&columns, Timestamp::from_nanos(i * 1_000_000), 20_000, &reading);
        }
        measure(&stream, &wave, Timestamp::default())
    }

    #[test]
    fn windows_and_delays_are_found_within_their_doubt() {
        for (period, window, delay) in [(0.1, 0.025, 0.002), (0.02, 0.01, 0.0), (0.1, 0.1, 0.007)] {
            let found = played(period, window, delay, false);
            let power = found.power.unwrap_or_else(|| panic!("no fit at {period}/{window}"));
            let (w, d) = (power.theta.window - window, power.theta.delay - delay);
            assert!(
                w.abs() <= power.u95.window.max(3e-4),
                "window off by {w} at {period}/{window}: {power:?}"
            );
            assert!(
                d.abs() <= power.u95.delay.max(6e-4),
                "delay off by {d} at {period}/{window}: {power:?}"
            );
            let seen = found.power_period_ms.map_or(0.0, |p| p.value);
            assert!((seen - period * 1e3).abs() < 0.01, "{seen}");
            assert!(
                (power.low_w - 90.0).abs() < 1.0 && (power.high_w - 300.0).abs() < 1.0,
                "{power:?}"
            );
        }
    }

    #[test]
    fn a_counter_tells_whether_it_adds_up_all_time() {
        assert_eq!(played(0.1, 0.025, 0.002, false).kind, CounterKind::Continuous);
        assert_eq!(played(0.1, 0.025, 0.002, true).kind, CounterKind::Sampled);
    }

    #[test]
    fn a_load_that_changes_nothing_measures_nothing() {
        let columns = Columns {
            watts: true,
            ..Columns::default()
        };
        let mut stream = PowerStream::with_columns(&columns);
        for i in 0..20_000_i64 {
            let reading = PowerReading {
                watts: Some(100.0 + 5.0 * ((i / 100) as f64 * 0.618).fract()),
                ..PowerReading::default()
            };
            stream.push(&columns, Timestamp::from_nanos(i * 1_000_000), 0, &reading);
        }
        let wave = Wave::new((0..300).map(|i| (0.066 * f64::from(i), i % 2 == 0)).collect());
        assert_eq!(measure(&stream, &wave, Timestamp::default()).power, None);
    }
}
