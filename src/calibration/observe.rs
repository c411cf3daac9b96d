//! Readings -> observations: when a new value appeared, and what it says of the time before.

use crate::model::sample::PowerStream;
use crate::model::time::Timestamp;

/// A new value: it appeared at `t`, give or take `half` (seconds), and says that the power was `watts` in its window.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Observation {
    pub t: f64,
    pub half: f64,
    /// When the value before it appeared.
    pub before: f64,
    pub watts: f64,
}

/// Polls further apart than this are a hole.
const HOLE_S: f64 = 0.05;

/// New values of the power.
pub fn power(stream: &PowerStream, origin: Timestamp) -> Vec<Observation> {
    let polls = stream
        .times
        .t
        .iter()
        .zip(&stream.watts)
        .filter(|(_, w)| w.is_finite() && **w > 0.0);
    let polls: Vec<(f64, f64)> = polls.map(|(t, w)| (t.seconds_since(origin), *w)).collect();
    let changes = polls
        .windows(2)
        .filter(|p| p[1].1 != p[0].1 && p[1].0 - p[0].0 < HOLE_S);
    let mut seen: Vec<Observation> = Vec::new();
    for pair in changes {
        let t = 0.5 * (pair[0].0 + pair[1].0);
        seen.push(Observation {
            t,
            half: 0.5 * (pair[1].0 - pair[0].0),
            before: seen.last().map_or(f64::NEG_INFINITY, |o| o.t),
            watts: pair[1].1,
        });
    }
    seen
}

/// Mean powers between ticks of the counter.
pub fn counter(stream: &PowerStream, origin: Timestamp) -> Vec<Observation> {
    let polls = stream.times.t.iter().zip(&stream.counter);
    let polls: Vec<(f64, u64)> = polls
        .filter_map(|(t, c)| Some((t.seconds_since(origin), (*c)?)))
        .collect();
    let mut ticks: Vec<(f64, f64, u64)> = Vec::new();
    for pair in polls.windows(2) {
        let ((t0, old), (t1, new)) = (pair[0], pair[1]);
        if new > old && t1 - t0 < HOLE_S {
            ticks.push((0.5 * (t0 + t1), 0.5 * (t1 - t0), new));
        }
    }
    ticks
        .windows(2)
        .filter(|p| p[1].2 > p[0].2)
        .map(|p| Observation {
            t: p[1].0,
            half: p[1].1,
            before: p[0].0,
            watts: (p[1].2 - p[0].2) as f64 * stream.counter_unit_joules / (p[1].0 - p[0].0),
        })
        .collect()
}

/// Period of a stream of observations with its half-width (95 %): least squares over counted steps. `None`: no lattice.
pub fn period(observations: &[Observation]) -> Option<(f64, f64)> {
    if observations.len() < 12 {
        return None;
    }
    let mut gaps: Vec<f64> = observations.windows(2).map(|p| p[1].t - p[0].t).collect();
    gaps.sort_by(f64::total_cmp);
    let mut period = gaps[gaps.len() / 2];
    let (mut spread, mut scatter) = (0.0, 0.0);
    for _ in 0..3 {
        let mut steps = vec![0.0];
        for pair in observations.windows(2) {
            let last = steps[steps.len() - 1];
            steps.push(last + ((pair[1].t - pair[0].t) / period).round().max(1.0));
        }
        let n = steps.len() as f64;
        let (mx, my) = (
            steps.iter().sum::<f64>() / n,
            observations.iter().map(|o| o.t).sum::<f64>() / n,
        );
        let xx: f64 = steps.iter().map(|x| (x - mx).powi(2)).sum();
        let xy: f64 = steps.iter().zip(observations).map(|(x, o)| (x - mx) * (o.t - my)).sum();
        period = xy / xx;
        spread = xx;
        let residual = |(x, o): (&f64, &Observation)| (o.t - my - period * (x - mx)).powi(2);
        scatter = (steps.iter().zip(observations).map(residual).sum::<f64>() / (n - 2.0)).sqrt();
    }
    Some((period, 2.0 * scatter / spread.sqrt()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::sample::{Columns, CounterUnit, PowerReading};

    #[test]
    fn updates_ticks_and_the_period_of_both() {
        let columns = Columns {
            watts: true,
            counter: Some(CounterUnit {
                joules: 1e-3,
                wraps_at: None,
            }),
            ..Columns::default()
        };
        let mut stream = PowerStream::with_columns(&columns);
        for ms in 0..3000_i64 {
            let reading = PowerReading {
                watts: Some(100.0 + (ms / 20) as f64),
                average_watts: None,
                counter: Some((ms / 25) as u64 * 2500),
            };
            stream.push(&columns, Timestamp::from_nanos(ms * 1_000_000), 0, &reading);
        }
        let origin = Timestamp::default();
        let (updates, ticks) = (power(&stream, origin), counter(&stream, origin));
        let (period_s, u95) = period(&updates).expect("a lattice");
        assert!((period_s - 0.02).abs() < 1e-9 && u95 < 1e-6, "{period_s} {u95}");
        assert!((period(&ticks).expect("a lattice").0 - 0.025).abs() < 1e-9);
        assert!((ticks[5].watts - 100.0).abs() < 1e-6, "2.5 J in 25 ms");
    }
}
