//! A sensor locked to the load: every window begins at the same place of every step, and sees the same mixture each time. Or at one of
//! two places, or three, where the steps are twice or three times as long as the period.
//!
//! Rayleigh's test on the place in the step at which windows begin: the mean direction of n random places has a length of about
//! 1/sqrt n; of places that stand still, 1. Directions taken k times as far find k places in turn.

use crate::energy::timeline::Timeline;

use super::Inputs;
use super::rows::Rows;

/// A mean direction as long as this is a lock.
const LOCKED: f64 = 0.8;

/// Fewer repetitions are no period to be locked to.
const REPEATED: usize = 50;

/// So many places at most are looked for.
const MOST: usize = 12;

/// The windows of a sensor that stand still against the steps.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Lock {
    /// The sensor's period and the step's, ms.
    pub period_ms: f64,
    pub step_ms: f64,
    /// At how many places of a step windows begin.
    pub places: usize,
}

/// At how many places of a step windows beginning at `starts` (seconds, ascending) stand still, and the step's mean period in seconds.
/// `None` where nothing repeats, or they are anywhere.
fn places(timeline: &Timeline, starts: &[f64]) -> Option<(usize, f64)> {
    let entries = entries(timeline)?;
    let mut directions = [(0.0, 0.0); MOST];
    let (mut count, mut at) = (0, 0);
    for &start in starts {
        while at + 1 < entries.len() && entries[at + 1] <= start {
            at += 1;
        }
        let Some(&next) = entries.get(at + 1) else { break };
        if start < entries[at] {
            continue;
        }
        let turn = std::f64::consts::TAU * (start - entries[at]) / (next - entries[at]);
        for (i, (cosine, sine)) in directions.iter_mut().enumerate() {
            let turns = (i + 1) as f64 * turn;
            *cosine += turns.cos();
            *sine += turns.sin();
        }
        count += 1;
    }
    let period = (entries[entries.len() - 1] - entries[0]) / (entries.len() - 1) as f64;
    let locked = |&(cosine, sine): &(f64, f64)| cosine.hypot(sine) > LOCKED * f64::from(count);
    let at = directions.iter().position(locked).filter(|_| count >= 20)?;
    Some((at + 1, period))
}

/// The mean time from one step to the next, ms, where something repeats.
pub fn step_ms(timeline: &Timeline) -> Option<f64> {
    let entries = entries(timeline)?;
    Some(1e3 * (entries[entries.len() - 1] - entries[0]) / (entries.len() - 1) as f64)
}

/// When the leaf with the most time among those often entered was entered.
fn entries(timeline: &Timeline) -> Option<Vec<f64>> {
    let mut seconds = vec![0.0; timeline.leaves];
    let mut counts = vec![0_usize; timeline.leaves];
    let main = |state: u32| {
        let shares = &timeline.table[state as usize];
        shares.iter().max_by(|a, b| a.1.total_cmp(&b.1)).map(|s| s.0)
    };
    for (i, &state) in timeline.states.iter().enumerate() {
        if let Some(leaf) = main(state) {
            seconds[leaf] += (timeline.edges[i + 1] - timeline.edges[i]) as f64 * 1e-9;
            counts[leaf] += 1;
        }
    }
    let often = (0..timeline.leaves).filter(|&l| counts[l] >= REPEATED);
    let leaf = often.max_by(|&a, &b| seconds[a].total_cmp(&seconds[b]))?;
    let entered = timeline
        .states
        .iter()
        .zip(&timeline.edges)
        .filter(|(state, _)| main(**state) == Some(leaf));
    Some(
        entered
            .map(|(_, edge)| (edge - timeline.edges[0]) as f64 * 1e-9)
            .collect(),
    )
}

/// Whether the windows of the stream that would be used stand still against the load.
pub fn of(inputs: &Inputs, power: Option<&Rows>, counter: Option<&Rows>) -> Option<Lock> {
    let test = |rows: &Rows| {
        let starts: Vec<f64> = rows.rows.iter().map(|r| r.end.predicted).collect();
        places(inputs.timeline, &starts).map(|(places, step)| Lock {
            period_ms: rows.period * 1e3,
            step_ms: step * 1e3,
            places,
        })
    };
    // One free stream is enough.
    let all: Option<Vec<Lock>> = power.into_iter().chain(counter).map(test).collect();
    all?.into_iter().min_by_key(|lock| lock.places)
}
