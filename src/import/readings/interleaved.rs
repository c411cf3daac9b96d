//! Rows of several devices that nothing tells apart, seen in what one device cannot do.
//!
//! ```text
//! two GPUs      | |        | |        | |         rows two at a time, and then nothing
//! watts        100 300    101 299    100 301      each like the one of its place in the burst before, unlike its neighbour
//! one device    |     |     |     |     |
//! ```
//!
//! One device that is asked several times in a row answers the same until it updates. What cannot be told: two like boards under one
//! load in a log of whole seconds, which is also that of one board asked twice as often.

/// More boards than this are in no machine.
const MOST: usize = 32;
/// Fewer bursts than this are chance.
const FEWEST: usize = 3;
/// So many tenths of the rows are in bursts of one size.
const NEARLY_ALL: usize = 8;
/// Rows of one burst are closer than this share of the time between bursts, where their figures tell nothing.
const CLOSE: i64 = 3;
/// Neighbours that differ so many times more than readings of one place do are of several devices.
const UNLIKE: f64 = 3.0;

/// What rows of several devices look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Bursts {
    /// How many rows in each.
    pub(super) rows: usize,
    /// Where the first one's second row stands.
    pub(super) second: usize,
    /// Usual time between two rows of one.
    pub(super) apart_ns: i64,
}

/// Whether `times`, which ascend and are written as finely as `resolution_ns`, and what was read then are of several devices.
pub(super) fn found(times: &[i64], figures: &[Option<f64>], resolution_ns: i64) -> Option<Bursts> {
    let gaps: Vec<i64> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
    let mut falling = gaps.clone();
    falling.sort_unstable_by_key(|gap| -gap);
    (2..=MOST).find_map(|rows| {
        // The middle one of those that would lie between bursts of so many rows.
        let long = *falling.get(gaps.len() / (2 * rows))?;
        let mut bursts = Vec::new();
        let mut start = 0;
        for end in 1..=times.len() {
            if end == times.len() || 2 * gaps[end - 1] > long {
                bursts.extend((end - start == rows).then_some(start));
                start = end;
            }
        }
        if bursts.len() < FEWEST || 10 * rows * bursts.len() < NEARLY_ALL * times.len() {
            return None;
        }
        let mut short: Vec<i64> = bursts.iter().flat_map(|&b| &gaps[b..b + rows - 1]).copied().collect();
        let short = *short.select_nth_unstable(bursts.len() * (rows - 1) / 2).1;
        // A coarse clock makes bursts of what comes evenly, and a header now and then takes the time of a row.
        let is_apart = long - short > 2 * resolution_ns;
        let is_close = CLOSE * short <= long && short * (rows as i64 - 1) <= long;
        let seen = Figures::of(figures, &bursts, rows)?;
        let is_several = (seen.are_unlike && (is_apart || short == 0))
            || (is_apart && is_close && seen.change_inside && !seen.stand_between);
        is_several.then_some(Bursts {
            rows,
            second: bursts[0] + 1,
            apart_ns: short,
        })
    })
}

/// What the figures in bursts do.
struct Figures {
    /// Neighbours differ more than readings of one place in consecutive bursts.
    are_unlike: bool,
    /// Most neighbours differ.
    change_inside: bool,
    /// Most bursts begin with the figure that the one before ended with, as a sensor between two updates does.
    stand_between: bool,
}

impl Figures {
    fn of(figures: &[Option<f64>], bursts: &[usize], rows: usize) -> Option<Self> {
        let apart = |a: usize, b: usize| Some((figures.get(a).copied()?? - figures.get(b).copied()??).abs());
        let inside = bursts
            .iter()
            .flat_map(|&b| (b + 1..b + rows).filter_map(move |i| apart(i - 1, i)));
        let next = || bursts.windows(2).filter(|pair| pair[1] == pair[0] + rows);
        let of_place = next().flat_map(|pair| (pair[0]..pair[1]).filter_map(move |i| apart(i, i + rows)));
        let between = next().filter_map(|pair| apart(pair[1] - 1, pair[1]));
        let (inside, of_place, between) = (Sorted::of(inside), Sorted::of(of_place), Sorted::of(between));
        Some(Self {
            are_unlike: inside.middle()? > UNLIKE * of_place.middle()?,
            change_inside: inside.middle()? > 0.0,
            stand_between: between.middle()? == 0.0,
        })
    }
}

/// Distances, the least first.
struct Sorted(Vec<f64>);

impl Sorted {
    fn of(distances: impl Iterator<Item = f64>) -> Self {
        let mut distances: Vec<f64> = distances.collect();
        distances.sort_unstable_by(f64::total_cmp);
        Self(distances)
    }

    fn middle(&self) -> Option<f64> {
        self.0.get(self.0.len() / 2).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: i64 = 1_000_000;

    /// Rows at these times of a beat, with a ripple that no two of them share.
    fn beats(beat_ms: i64, at_ms: &[i64], level: impl Fn(usize) -> f64) -> (Vec<i64>, Vec<Option<f64>>) {
        let row = |i: usize| {
            let (beat, place) = (i / at_ms.len(), i % at_ms.len());
            let ripple = (i * i * 37 % 101) as f64 * 0.03;
            ((beat as i64 * beat_ms + at_ms[place]) * MS, Some(level(place) + ripple))
        };
        (0..40 * at_ms.len()).map(row).unzip()
    }

    fn rows_found(beat_ms: i64, at_ms: &[i64], level: impl Fn(usize) -> f64, resolution_ns: i64) -> Option<usize> {
        let (times, figures) = beats(beat_ms, at_ms, level);
        found(&times, &figures, resolution_ns).map(|bursts| bursts.rows)
    }

    #[test]
    fn bursts_of_several_boards_are_seen_alike_or_not() {
        let unlike = |place: usize| 100.0 * (place + 1) as f64;
        assert_eq!(rows_found(100, &[0, 3], unlike, MS), Some(2));
        assert_eq!(rows_found(100, &[0, 0], |_| 300.0, MS), Some(2));
        assert_eq!(rows_found(100, &[0, 2, 4, 7, 9, 11, 13, 15], |_| 300.0, MS), Some(8));
        assert_eq!(rows_found(1000, &[0, 0], unlike, 1000 * MS), Some(2), "whole seconds");
    }

    #[test]
    fn one_device_is_left_alone() {
        assert_eq!(rows_found(100, &[0], |_| 300.0, MS), None);
        assert_eq!(
            rows_found(1000, &[0, 0], |_| 300.0, 1000 * MS),
            None,
            "twice in each second"
        );
        assert_eq!(
            rows_found(30, &[0, 10], |_| 300.0, 10 * MS),
            None,
            "every 15 ms, in whole tens"
        );
        let headers: Vec<i64> = (0..20).map(|row| 100 * row).collect();
        assert_eq!(
            rows_found(2200, &headers, |_| 300.0, MS),
            None,
            "two lines without figures after each 20"
        );
        // Asked about each update: the figure before, and the one behind, which stands until the next.
        let (times, _) = beats(100, &[0, 4], |_| 0.0);
        let figures: Vec<Option<f64>> = (0..times.len())
            .map(|i| Some((i.div_ceil(2) * 37 % 11) as f64))
            .collect();
        assert_eq!(found(&times, &figures, MS), None);
    }
}
