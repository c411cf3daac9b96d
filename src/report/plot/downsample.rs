//! Millions of readings in a thousand columns, without losing an extreme.
//!
//! A column of the picture holds the smallest, largest and mean reading of its stretch of time. A stretch in which the sensor gave
//! nothing is a hole, and is never bridged.

/// A hole is at least this long, seconds …
const HOLE_S: f64 = 1.0;
/// … and this many times the usual distance of two readings.
const HOLE_PERIODS: f64 = 10.0;

/// What one column of the picture shows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Column {
    /// Mean time of its readings, seconds.
    pub t: f64,
    pub min: f64,
    pub max: f64,
    pub mean: f64,
    pub readings: usize,
}

/// Readings with no hole between them.
pub type Stretch = Vec<Column>;

/// The readings between `from` and `to` seconds in at most `columns` columns.
///
/// `t` ascends. A reading that is not a number, and a long time without one, end a stretch.
pub fn envelope(t: &[f64], values: &[f64], from: f64, to: f64, columns: usize) -> Vec<Stretch> {
    let longest_step = (HOLE_PERIODS * median_step(t)).max(HOLE_S);
    let mut stretches: Vec<Stretch> = vec![Vec::new()];
    let mut place = None;
    let mut before = f64::NAN;
    for (&t, &value) in t.iter().zip(values) {
        if !(t >= from && t <= to) {
            continue;
        }
        if !value.is_finite() || t - before > longest_step {
            stretches.push(Vec::new());
            place = None;
        }
        before = t;
        if !value.is_finite() {
            continue;
        }
        let column = (((t - from) / (to - from) * columns as f64) as usize).min(columns.saturating_sub(1));
        let Some(stretch) = stretches.last_mut() else { continue };
        match stretch.last_mut() {
            Some(c) if place == Some(column) => {
                let n = c.readings as f64;
                c.t = (c.t * n + t) / (n + 1.0);
                c.mean = (c.mean * n + value) / (n + 1.0);
                c.min = c.min.min(value);
                c.max = c.max.max(value);
                c.readings += 1;
            }
            _ => stretch.push(Column {
                t,
                min: value,
                max: value,
                mean: value,
                readings: 1,
            }),
        }
        place = Some(column);
    }
    stretches.retain(|s| !s.is_empty());
    stretches
}

fn median_step(t: &[f64]) -> f64 {
    let mut steps: Vec<f64> = t.windows(2).map(|w| w[1] - w[0]).filter(|s| s.is_finite()).collect();
    if steps.is_empty() {
        return 0.0;
    }
    let middle = steps.len() / 2;
    *steps.select_nth_unstable_by(middle, f64::total_cmp).1
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_spike_of_one_reading_survives() {
        let t: Vec<f64> = (0..100_000).map(|i| i as f64 * 0.01).collect();
        let mut watts = vec![300.0; t.len()];
        watts[77_777] = 700.0;
        watts[12_345] = 50.0;
        let stretches = envelope(&t, &watts, 0.0, 1000.0, 900);
        assert_eq!(stretches.len(), 1);
        assert!(stretches[0].len() <= 900);
        let extremes =
            |f: fn(f64, f64) -> f64, start, of: fn(&Column) -> f64| stretches[0].iter().map(of).fold(start, f);
        assert_eq!(extremes(f64::max, 0.0, |c| c.max), 700.0);
        assert_eq!(extremes(f64::min, 1e9, |c| c.min), 50.0);
    }

    #[test]
    fn a_hole_is_not_bridged() {
        let t = [0.0, 0.1, 0.2, 5.0, 5.1, 5.2, 5.3];
        let stretches = envelope(&t, &[1.0; 7], 0.0, 10.0, 1000);
        assert_eq!(stretches.iter().map(Vec::len).collect::<Vec<_>>(), [3, 4]);
        let stretches = envelope(&t[3..], &[1.0, f64::NAN, 1.0, 1.0], 0.0, 10.0, 1000);
        assert_eq!(stretches.iter().map(Vec::len).collect::<Vec<_>>(), [1, 2]);
    }

    #[test]
    fn few_readings_stay_as_they_are() {
        let stretches = envelope(&[0.0, 0.4, 1.0], &[1.0, 3.0, 2.0], 0.0, 1.0, 800);
        assert!(
            stretches[0]
                .iter()
                .all(|c| c.readings == 1 && c.min == c.max && c.mean == c.min)
        );
        assert_eq!(stretches[0].len(), 3);
        assert!(envelope(&[], &[], 0.0, 1.0, 800).is_empty());
        assert!(envelope(&[0.5], &[1.0], 0.0, 0.0, 800).is_empty());
    }

    proptest! {
        /// Extremes, the number of readings and their sum are those of the readings, for any columns.
        #[test]
        fn nothing_is_lost(values in proptest::collection::vec(-500f64..2000.0, 1..400), columns in 1usize..50) {
            let t: Vec<f64> = (0..values.len()).map(|i| i as f64 * 0.01).collect();
            let all: Vec<Column> = envelope(&t, &values, 0.0, 4.0, columns).concat();
            prop_assert!(all.len() <= columns);
            prop_assert_eq!(all.iter().map(|c| c.readings).sum::<usize>(), values.len());
            let (least, most) = values.iter().fold((f64::MAX, f64::MIN), |(l, m), &v| (l.min(v), m.max(v)));
            prop_assert_eq!(all.iter().map(|c| c.min).fold(f64::MAX, f64::min), least);
            prop_assert_eq!(all.iter().map(|c| c.max).fold(f64::MIN, f64::max), most);
            let (sum, shown): (f64, f64) = (values.iter().sum(), all.iter().map(|c| c.mean * c.readings as f64).sum());
            prop_assert!((sum - shown).abs() < 1e-6 * (1.0 + sum.abs()));
        }
    }
}
