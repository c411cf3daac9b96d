//! A sensor locked to the load: every window begins at the same place of every step, and sees the same mixture each time.
//!
//! Rayleigh's test on the place in the step at which windows begin: the mean direction of n random places has a length of about
//! 1/sqrt n; of places that stand still, 1.

use crate::energy::timeline::Timeline;

use super::Inputs;
use super::rows::Rows;

/// A mean direction as long as this is a lock.
const LOCKED: f64 = 0.8;

/// Fewer repetitions are no period to be locked to.
const REPEATED: usize = 50;

/// The length of the mean direction (0 free, 1 locked) and the step's mean period in seconds, for windows beginning at `starts`
/// (seconds, ascending). `None` where nothing repeats.
pub fn rayleigh(timeline: &Timeline, starts: &[f64]) -> Option<(f64, f64)> {
    let entries = entries(timeline)?;
    let (mut cosine, mut sine, mut count, mut at) = (0.0, 0.0, 0, 0);
    for &start in starts {
        while at + 1 < entries.len() && entries[at + 1] <= start {
            at += 1;
        }
        let Some(&next) = entries.get(at + 1) else { break };
        if start < entries[at] {
            continue;
        }
        let turn = std::f64::consts::TAU * (start - entries[at]) / (next - entries[at]);
        cosine += turn.cos();
        sine += turn.sin();
        count += 1;
    }
    let period = (entries[entries.len() - 1] - entries[0]) / (entries.len() - 1) as f64;
    (count >= 20).then(|| (cosine.hypot(sine) / f64::from(count), period))
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
pub fn of(inputs: &Inputs, power: Option<&Rows>, counter: Option<&Rows>) -> Option<(f64, f64)> {
    let test = |rows: &Rows| {
        let starts: Vec<f64> = rows.rows.iter().map(|r| r.end.predicted).collect();
        rayleigh(inputs.timeline, &starts)
            .filter(|(length, _)| *length > LOCKED)
            .map(|(_, step)| (rows.period * 1e3, step * 1e3))
    };
    // One free stream is enough.
    let all: Vec<Option<(f64, f64)>> = power.into_iter().chain(counter).map(test).collect();
    if all.iter().any(Option::is_none) {
        None
    } else {
        all.into_iter().flatten().next()
    }
}
