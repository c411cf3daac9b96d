//! Does the counter add up the power readings themselves?
//!
//! Readings that look at a part of the time miss by chance what the load does in the rest: over some readings their energy differs from
//! that of a counter which adds up all time, and the more the readings differ among themselves, the more. A counter that is much closer
//! to them than that has seen no more than they have.
//!
//! ```text
//! counter   |----|----|----|----|----|----|      D = its energy over a block less that of the readings in the same time
//! readings  |-a-|-b-|-c-|-d-|-e-|-f-|-g-|        A = T (a - b + c - d + ...), or T (a + b - c - d + ...): what drifts slowly is not in it
//! ```
//!
//! Of n readings with a standard deviation s, windows W and a period T, all time would add up to something else by T s sqrt((1 - W/T) n),
//! and A has the variance n s^2 T^2. So D^2 over (1 - W/T) A^2 is about one, and next to nothing where the counter is made of the
//! readings. A load that keeps step with the readings makes one A large, and long phases make both: the smallest of them and of n s^2 T^2,
//! s by how much most neighbours differ, counts.
//!
//! Energies of blocks by readings are taken in two ways: each held for its time, or each for a whole period, whenever it was seen.
//!
//! Single cells have a veto: where the readings change, those of a counter that adds up all time lie anywhere between them, and those of
//! one that is made of readings are one or the other. No proof of that: so are those of any counter while one phase goes on.

use super::cell::{Cell, energy_between};

/// A block is as long as so many readings, or cells of the counter, whichever is longer; fewer blocks do not tell.
const READINGS: usize = 10;
const TICKS: usize = 5;
const BLOCKS: usize = 8;
/// So many tell as well as all.
const ENOUGH: usize = 2000;
/// Windows that cover this share of the time see all of it.
pub const ALL: f64 = 0.95;
/// How much of a period the counter is tried to be early or late by, in tenths of a period of the readings.
const SHIFTS: std::ops::RangeInclusive<i64> = -12..=12;
/// Blocks that differ most are left out: the load begins or ends there, or something was lost.
const KEPT: f64 = 0.85;

/// What the comparison says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Summed {
    /// The counter is made of the readings.
    Yes,
    /// It is as far from them as one that adds up all time.
    No,
    #[default]
    Unknown,
}

impl Summed {
    /// What two comparisons say together.
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Yes, _) | (_, Self::Yes) => Self::Yes,
            (Self::No, Self::No) => Self::No,
            _ => Self::Unknown,
        }
    }
}

/// Whether a counter with `counter`'s cells adds up the readings held in `power`'s, which look at the share `duty` of the time.
///
/// The limits were set by 212 counters of readings and 202 of all time, of simulated runs that were made by others.
pub fn of(counter: &[Cell], power: &[Cell], duty: f64) -> Summed {
    const CLOSE: f64 = 0.1;
    /// Much farther than chance has them is something else: an edge, ticks that jitter.
    const FAR: std::ops::Range<f64> = 0.5..10.0;
    const APART: f64 = 0.2;
    if duty >= ALL {
        return Summed::Unknown;
    }
    let ratio = closeness(counter, power, duty);
    match (ratio, distance(counter, power)) {
        (Some(ratio), distance) if ratio < CLOSE && distance.is_none_or(|d| d < APART) => Summed::Yes,
        (Some(ratio), Some(distance)) if FAR.contains(&ratio) && distance > APART => Summed::No,
        _ => Summed::Unknown,
    }
}

/// Mean square of D over what chance alone would make it; `None` where there is too little to tell.
fn closeness(counter: &[Cell], power: &[Cell], duty: f64) -> Option<f64> {
    let period = median_ns(power)?;
    let length = (READINGS as i64 * period).max(TICKS as i64 * median_ns(counter)?);
    let blocks = loaded(blocks(counter, length));
    let every = blocks.len().div_ceil(ENOUGH).max(1);
    let blocks: Vec<Block> = blocks.into_iter().step_by(every).collect();
    let period_s = mean_s(power, period);
    let number = median(blocks.iter().map(|block| (block.to - block.from) as f64).collect())? * 1e-9 / period_s;
    let of_readings = [1, 2].map(|apart| Some(number * scatter(&blocks, power, apart)? * period_s * period_s));
    let of_sums = [1, 2].map(|run| {
        let sum = |block: &Block| period_s * alternating(block, power, run);
        mean_square(blocks.iter().map(sum).collect())
    });
    let least = of_readings.into_iter().chain(of_sums).flatten().reduce(f64::min)?;
    let chance = (1.0 - duty) * least;
    let off = SHIFTS.filter_map(|tenths| {
        let (mut at, shift) = (0, tenths * period / 10);
        let by_time =
            |block: &Block| Some(block.joules - energy_between(power, &mut at, block.from + shift, block.to + shift)?);
        let by_number = |block: &Block| {
            let watts = readings(power, block.from + shift, block.to + shift).map(Cell::watts);
            block.joules - period_s * watts.sum::<f64>()
        };
        let by_time = mean_square(blocks.iter().filter_map(by_time).collect());
        let by_number = mean_square(blocks.iter().map(by_number).collect());
        by_time.into_iter().chain(by_number).reduce(f64::min)
    });
    let off = off.reduce(f64::min)?;
    (chance > 0.0).then(|| off / chance)
}

/// How far the counter's cells are from being readings, where those change: mean distance of a cell's power from what the readings were at
/// the time, or a period before or after, over how much neighbouring readings differ there. A cell that adds up all time lies anywhere
/// between the readings around it.
fn distance(counter: &[Cell], power: &[Cell]) -> Option<f64> {
    const FEWEST: usize = 20;
    const MOST: usize = 4000;
    const STRONG: f64 = 0.5;
    const USUAL: f64 = 0.25;
    let (period, tick) = (median_ns(power)?, median_ns(counter)?);
    let each = (tick as f64 / period as f64).round().max(1.0) as usize;
    let is_fast = 2 * tick < period;
    // What as many readings as fit into a cell say together, and when that was.
    let said: Vec<(i64, f64)> = power
        .windows(each)
        .map(|run| {
            let middle = run[0].start + (run[each - 1].end - run[0].start) / 2;
            (middle, run.iter().map(Cell::watts).sum::<f64>() / each as f64)
        })
        .collect();
    let changes: Vec<f64> = said.windows(2).map(|pair| (pair[1].1 - pair[0].1).abs()).collect();
    let mut sorted = changes.clone();
    sorted.sort_by(f64::total_cmp);
    let strong = STRONG * sorted.get(sorted.len() * 9 / 10)?;
    let every = counter.len().div_ceil(MOST).max(1);
    let usual = |cell: &&Cell| cell.known && ((cell.end - cell.start) as f64 / tick as f64 - 1.0).abs() < USUAL;
    let cells: Vec<(i64, f64)> = counter
        .iter()
        .filter(usual)
        .step_by(every)
        .map(|cell| (cell.start + tick / 2, 1e9 * cell.joules / tick as f64))
        .collect();
    let at_shift = |tenths: i64| {
        let mut off: Vec<f64> = Vec::new();
        for &(at, watts) in &cells {
            let at = at + tenths * period / 10;
            let next = said.partition_point(|one| one.0 <= at);
            let Some(i) = next
                .checked_sub(1)
                .filter(|&i| i + 1 < said.len() && changes[i] > strong)
            else {
                continue;
            };
            let [before, behind] = [said[i], said[i + 1]];
            let [a, b] = [before, behind].map(|one| (watts - one.1).abs());
            let held = if at - before.0 < behind.0 - at { a } else { b };
            off.push(if is_fast { held } else { a.min(b) } / changes[i]);
        }
        (off.len() >= FEWEST).then(|| off.iter().map(|o| o.min(1.0)).sum::<f64>() / off.len() as f64)
    };
    SHIFTS.filter_map(at_shift).reduce(f64::min)
}

/// A stretch of the counter.
#[derive(Debug, Clone, Copy)]
struct Block {
    from: i64,
    to: i64,
    joules: f64,
}

impl Block {
    fn watts(&self) -> f64 {
        self.joules / (self.to - self.from) as f64
    }
}

/// Those in which the device works: an idle one differs from nothing.
fn loaded(mut blocks: Vec<Block>) -> Vec<Block> {
    let most = blocks.iter().map(Block::watts).fold(0.0, f64::max);
    blocks.retain(|block| block.watts() > 0.5 * most);
    blocks
}

/// Variance of single readings by how much they differ from the next, or the one after it: that of most of them.
fn scatter(blocks: &[Block], power: &[Cell], apart: usize) -> Option<f64> {
    /// Half of all differences of normal numbers are below this many of their standard deviations.
    const HALF: f64 = 0.954;
    let of_block = |block: &Block| -> Vec<f64> {
        let watts: Vec<f64> = readings(power, block.from, block.to).map(Cell::watts).collect();
        watts
            .iter()
            .zip(watts.iter().skip(apart))
            .map(|(a, b)| (a - b).abs())
            .collect()
    };
    Some((median(blocks.iter().flat_map(of_block).collect())? / HALF).powi(2))
}

/// Stretches of known cells, as long as `length` or a little longer.
fn blocks(counter: &[Cell], length: i64) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut open: Option<Block> = None;
    for cell in counter {
        open = match open {
            _ if !cell.known => None,
            Some(block) if block.to == cell.start => Some(Block {
                to: cell.end,
                joules: block.joules + cell.joules,
                ..block
            }),
            _ => Some(Block {
                from: cell.start,
                to: cell.end,
                joules: cell.joules,
            }),
        };
        if let Some(block) = open.filter(|block| block.to - block.from >= length) {
            blocks.push(block);
            open = None;
        }
    }
    blocks
}

/// The readings in a block with signs that change after each `run` of them, watts.
fn alternating(block: &Block, power: &[Cell], run: usize) -> f64 {
    let watts: Vec<f64> = readings(power, block.from, block.to).map(Cell::watts).collect();
    let whole = watts.len() / (2 * run) * 2 * run;
    let signed = |(i, watts): (usize, &f64)| if (i / run).is_multiple_of(2) { *watts } else { -watts };
    watts[..whole].iter().enumerate().map(signed).sum()
}

/// Mean square of all but the largest; `None` of a few.
fn mean_square(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(|a, b| a.abs().total_cmp(&b.abs()));
    let kept = (KEPT * values.len() as f64) as usize;
    let squares: f64 = values[..kept].iter().map(|v| v * v).sum();
    (values.len() >= BLOCKS).then(|| squares / kept as f64)
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

/// The cells with their middle in a stretch.
fn readings(power: &[Cell], from: i64, to: i64) -> impl Iterator<Item = &Cell> {
    let middle = |cell: &Cell| cell.start + (cell.end - cell.start) / 2;
    let first = power.partition_point(|cell| middle(cell) < from);
    power[first..].iter().take_while(move |cell| middle(cell) < to)
}

/// Mean length of the cells that are about as long as usual, seconds.
fn mean_s(power: &[Cell], usual_ns: i64) -> f64 {
    let about = |cell: &&Cell| (2 * (cell.end - cell.start) - 2 * usual_ns).abs() < usual_ns;
    let lengths: Vec<f64> = power.iter().filter(about).map(Cell::seconds).collect();
    lengths.iter().sum::<f64>() / lengths.len().max(1) as f64
}

fn median_ns(cells: &[Cell]) -> Option<i64> {
    let mut lengths: Vec<i64> = cells.iter().filter(|c| c.known).map(|c| c.end - c.start).collect();
    lengths.sort_unstable();
    lengths.get(lengths.len() / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: i64 = 1_000_000;

    fn cells(count: i64, ms: i64, watts: impl Fn(i64) -> f64) -> Vec<Cell> {
        let cell = |i: i64| Cell {
            start: i * ms * MS,
            end: (i + 1) * ms * MS,
            joules: watts(i) * ms as f64 * 1e-3,
            known: true,
            ends_s: [0.0; 2],
            variance: 0.0,
        };
        (0..count).map(cell).collect()
    }

    /// Anything between 0 and 1.
    fn hash(i: i64) -> f64 {
        (((i * 7919 + 13) * (i + 101)).rem_euclid(997)) as f64 / 997.0
    }

    #[test]
    fn a_counter_that_is_made_of_the_readings_is_too_close_to_them() {
        let reading = |i: i64| 100.0 + 200.0 * hash(i);
        let power = cells(300, 100, reading);
        // A quarter of what flows is what the readings saw.
        let all = |i: i64| 0.25 * reading(i) + 0.75 * (100.0 + 200.0 * hash(i + 5000));
        let of =
            |counter: &dyn Fn(i64) -> f64, count: i64, duty: f64| super::of(&cells(count, 100, counter), &power, duty);
        assert_eq!(of(&|i| reading(i - 1), 300, 0.25), Summed::Yes, "a period late");
        assert_eq!(of(&all, 300, 0.25), Summed::No);
        assert_eq!(of(&reading, 30, 0.25), Summed::Unknown, "a few say nothing");
        assert_eq!(of(&reading, 300, 1.0), Summed::Unknown, "the readings have seen all");
    }

    #[test]
    fn long_phases_leave_nothing_unseen_and_tell_nothing() {
        // Seconds of one power; readings have noise of their own.
        let level = |i: i64| if i / 23 % 2 == 0 { 300.0 } else { 160.0 };
        let power = cells(600, 100, |i| level(i) + 2.0 * hash(i));
        assert_ne!(of(&cells(600, 100, |i| level(i) + 1.0), &power, 0.25), Summed::Yes);
    }

    #[test]
    fn cells_that_are_readings_have_a_veto_and_are_no_proof() {
        for ms in [110, 150, 220, 250, 330, 470] {
            let level = |t: i64| [130.0, 474.0, 526.0, 293.0][(t / ms).rem_euclid(4) as usize];
            let mean = |from: i64, to: i64| (from..to).map(level).sum::<f64>() / (to - from) as f64;
            let power = cells(900, 100, |i| mean(100 * i + 75, 100 * i + 100));
            let all = cells(900, 100, |i| mean(100 * i, 100 * i + 100));
            // Of levels of 220 ms chance alone says that it adds up all time.
            assert_eq!(super::of(&all, &power, 0.25), Summed::Unknown, "levels of {ms} ms");
        }
    }
}
