//! How wrong cells can be whose sensor looked at part of them: by what runs in them.
//!
//! A cell's energy is its reading, held. Where windows are shorter than the period, the reading differs from the cell's mean by as much
//! as readings differ from each other while the load is the same. An idle device and a steady load are seen well at any duty, and a
//! load that swings is not: so the variance is taken over the cells in which the same phase ran, alone or mixed with others inside one
//! phase around them, and not over the run, where the step from idle to load would count as noise. At such a step the levels beside it
//! are what a cell may have.
//!
//! Where the model says what each reading should have been (`difference`), what of the load it explains is no chance: the readings' rest
//! counts, less what changes over many cells, for that is in the cells as in the readings. Where that leaves more, nothing is made good.

use std::collections::BTreeMap;

use super::cell::Cell;
use super::curve::Curve;
use super::difference::Expected;
use super::integrate::{bartlett, long_run, unseen_variance};
use super::levels;
use super::persistence::{self, Parts, Scatter};
use super::shares::{self, above};
use super::timeline::Timeline;
use super::uncertainty::few_values;

/// With fewer cells than this a context is an edge.
const ENOUGH: usize = 12;

/// What lasts leaves at least this share of the variance: no execution is as even as that.
const MOST_LASTING: f64 = 0.1;

/// What runs in a cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Context {
    Alone(usize),
    /// Nothing that a marker names, and the device at rest, before or after what runs without markers.
    Idle,
    /// Several leaves; the innermost phase around all of them.
    Inside(Option<usize>),
}

/// Give the cells of a power integral the variance of their contexts.
pub fn by_context(curve: &mut Curve, timeline: &Timeline, parents: &[Option<usize>]) {
    if !curve.is_part_time() {
        return;
    }
    let (often, rare) = contexts(curve, timeline, parents);
    let edges: Vec<(usize, f64)> = rare.into_iter().map(|i| (i, at_an_edge(curve, i))).collect();
    for (i, variance) in edges {
        let cell = &mut curve.cells[i];
        cell.variance = cell.variance.min(variance * cell.seconds().powi(2));
    }
    for members in &often {
        let variance = variance_of(curve, members);
        for &i in members {
            let cell = &mut curve.cells[i];
            cell.variance = variance * cell.seconds().powi(2);
        }
    }
}

/// Make the cells good by what their readings and they themselves should be, where that leaves less to chance. Which ones were.
pub fn by_model(
    curve: &mut Curve,
    (timeline, parents): (&Timeline, &[Option<usize>]),
    expected: &[Option<Expected>],
) -> Vec<bool> {
    let mut corrected = vec![false; curve.cells.len()];
    if !curve.is_part_time() {
        return corrected;
    }
    for members in &contexts(curve, timeline, parents).0 {
        let known: Vec<(usize, Expected)> = members.iter().filter_map(|&i| Some((i, expected[i]?))).collect();
        if known.len() < ENOUGH {
            continue;
        }
        let rest = known
            .iter()
            .map(|&(i, expected)| curve.cells[i].watts() - expected.read);
        let rest = steady(&rest.collect::<Vec<f64>>());
        let scatter: Vec<Scatter> = known.iter().map(|(_, expected)| expected.scatter).collect();
        let duty = curve.story.duty;
        let plain = unseen_of_steady(&rest, duty, &Parts::default());
        let parts = persistence::parts(&rest, &scatter, curve.cell_seconds());
        // A window that lies elsewhere is wrong in all that it stands for.
        let by_parts = parts.left + parts.moved + unseen_of_steady(&rest, duty, &parts);
        let variance = by_parts.min(plain + duty * parts.moved).max(MOST_LASTING * plain);
        if variance >= variance_of(curve, members) {
            continue;
        }
        for &(i, expected) in &known {
            let cell = &mut curve.cells[i];
            let seconds = cell.seconds();
            cell.joules += (expected.mean - expected.read) * seconds;
            cell.variance = variance * seconds.powi(2);
            corrected[i] = true;
        }
    }
    corrected
}

/// Variance (J^2) of what readings stand for without having seen it: of each phase, outside, and the run.
pub fn unseen(curve: &Curve, timeline: &Timeline, parents: &[Option<usize>]) -> Vec<f64> {
    let whole = timeline.leaves;
    let mut variance = vec![0.0; whole + 1];
    let cells = curve.cells.iter().map(|cell| (cell.start, cell.end));
    shares::walk(timeline, cells, |i, shares| {
        let cell = &curve.cells[i];
        for &(leaf, seconds) in shares.iter().filter(|_| cell.known) {
            let part = cell.variance * (seconds / cell.seconds()).min(1.0);
            above(parents, leaf)
                .chain([whole])
                .for_each(|phase| variance[phase] += part);
        }
    });
    variance
}

/// Without what changes slowly: less the mean over 2 sqrt n values to either side.
fn steady(values: &[f64]) -> Vec<f64> {
    let around = levels::around(values, reach(values.len()));
    values.iter().zip(around).map(|(value, mean)| value - mean).collect()
}

fn reach(n: usize) -> usize {
    2 * (n as f64).sqrt() as usize
}

/// The unseen variance of `steady` rests, beside the `parts` that are known. A load that beats with the sensor is explained: what
/// rests still have in common is that of neighbours, and few lags have less error of their own; no more than one standard error is taken for
/// nothing. Less a mean over m of them, independent rests have in common with the l-th behind the share -2/m + (m - l)/m^2; what Bartlett's
/// weights make of that is missing.
fn unseen_of_steady(rests: &[f64], duty: f64, parts: &Parts) -> f64 {
    let (n, m) = (rests.len(), (2 * reach(rests.len()) + 1) as f64);
    let lags = (n as f64).cbrt() as usize;
    let common = |l: usize| -2.0 / m + (m - l as f64) / (m * m);
    let weights = || (1..=lags).map(|l| (l, bartlett(l, lags)));
    let taken: f64 = common(0) + weights().map(|(l, weight)| 2.0 * weight * common(l)).sum::<f64>();
    let (own, tails) = long_run(rests, lags);
    // Covariances of n independent values have the variance own^2 / n.
    let error = 2.0 * own * (weights().map(|(_, weight)| weight * weight).sum::<f64>() / n as f64).sqrt();
    let (own, whole) = (own / (1.0 + common(0)), (own + tails) / (1.0 + taken));
    // An execution is in one window and the next.
    let beyond = whole - own - bartlett(1, lags) * parts.shared;
    let tails = if beyond.abs() < error { 0.0 } else { beyond };
    let rest = (own - parts.whole - parts.moved).max(0.0);
    (rest + tails).max(0.1 * rest) * (1.0 - duty) * few_values(lags, n)
}

fn variance_of(curve: &Curve, members: &[usize]) -> f64 {
    let watts: Vec<f64> = members.iter().map(|&i| curve.cells[i].watts()).collect();
    unseen_variance(&watts, curve.story.duty)
}

/// Cells by what runs in them: those of contexts that have enough, and the others.
fn contexts(curve: &Curve, timeline: &Timeline, parents: &[Option<usize>]) -> (Vec<Vec<usize>>, Vec<usize>) {
    let mut contexts: BTreeMap<Context, Vec<usize>> = BTreeMap::new();
    let cells = curve.cells.iter().map(|c| (c.start, c.end));
    shares::walk(timeline, cells, |i, shares| {
        if let (Some(context), true) = (context(shares, parents), curve.cells[i].known) {
            contexts.entry(context).or_default().push(i);
        }
    });
    let outside = Context::Alone(timeline.outside());
    if let Some(members) = contexts.remove(&outside) {
        let (idle, rest) = idle_ends(&curve.cells, members);
        contexts.insert(Context::Idle, idle);
        contexts.insert(outside, rest);
    }
    let (often, rare): (Vec<_>, Vec<_>) = contexts.into_values().partition(|members| members.len() >= ENOUGH);
    (often, rare.into_iter().flatten().collect())
}

/// Of cells in which no phase ran, those at the ends in which the device rests, and the others: work that nobody marked is no part of the
/// same load.
fn idle_ends(cells: &[Cell], members: Vec<usize>) -> (Vec<usize>, Vec<usize>) {
    const LOAD: usize = 10;
    const IDLE: f64 = 0.5;
    let mut watts: Vec<f64> = members.iter().map(|&i| cells[i].watts()).collect();
    watts.sort_by(f64::total_cmp);
    let load = watts[watts.len() - 1 - watts.len() / LOAD];
    let rests = |i: &&usize| cells[**i].watts() < IDLE * load;
    let first = members.iter().take_while(rests).count();
    let last = members
        .iter()
        .rev()
        .take_while(rests)
        .count()
        .min(members.len() - first);
    let behind = members.len() - last;
    let is_end = |at: usize| at < first || at >= behind;
    let (idle, rest): (Vec<_>, Vec<_>) = members.into_iter().enumerate().partition(|&(at, _)| is_end(at));
    let bare = |members: Vec<(usize, usize)>| members.into_iter().map(|(_, i)| i).collect();
    (bare(idle), bare(rest))
}

/// Variance (W^2) of the mean of a cell in which something begins or ends that does so a few times: the reading beside one level or the
/// other, and the step at any place of it.
fn at_an_edge(curve: &Curve, i: usize) -> f64 {
    let near = &curve.cells[i.saturating_sub(1)..(i + 2).min(curve.cells.len())];
    let known = near.iter().filter(|cell| cell.known).map(Cell::watts);
    let (low, high) = known.fold((f64::INFINITY, 0.0_f64), |(low, high), w| (low.min(w), high.max(w)));
    (high - low).max(0.0).powi(2) / 12.0
}

fn context(shares: &[(usize, f64)], parents: &[Option<usize>]) -> Option<Context> {
    match shares {
        [] => None,
        &[(leaf, _)] => Some(Context::Alone(leaf)),
        [(first, _), others @ ..] => {
            let common = |phase: &usize| {
                others
                    .iter()
                    .all(|&(leaf, _)| above(parents, leaf).any(|at| at == *phase))
            };
            Some(Context::Inside(above(parents, *first).find(common)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::laws::{analysed, chance, gpu, recording};
    use super::*;
    use crate::model::device::SensorTiming;
    use crate::model::marker::MarkerVerb::{Begin, End};
    use crate::model::sample::{PowerStream, Times};
    use crate::model::time::Timestamp;

    #[test]
    fn independent_rests_keep_their_variance() {
        const N: i64 = 1300;
        // Uniform within 1 to either side, a quarter of the time seen; what few lags widen is the same for all.
        let truth = 0.75 / 3.0 * few_values((N as f64).cbrt() as usize, N as usize);
        let found = |run: i64| {
            let values: Vec<f64> = (0..N).map(|i| chance(run * N + i)).collect();
            unseen_of_steady(&steady(&values), 0.25, &Parts::default())
        };
        let mean = (0..60).map(found).sum::<f64>() / 60.0;
        assert!((mean / truth - 1.0).abs() < 0.08, "{mean} for {truth}");
    }

    #[test]
    fn what_neighbours_have_in_common_counts_unless_it_is_known_to_be_of_one_execution() {
        const N: i64 = 1300;
        // Each rest is half of the one behind: two draws of variance 1/3, the one shared.
        let found = |run: i64, shared: f64| {
            let at = |i: i64| chance(run * N + i);
            let values: Vec<f64> = (0..N).map(|i| at(i) + at(i + 1)).collect();
            let parts = Parts {
                shared,
                ..Parts::default()
            };
            unseen_of_steady(&steady(&values), 0.25, &parts)
        };
        let mean = |shared: f64| (0..60).map(|run| found(run, shared)).sum::<f64>() / 60.0;
        let few = 0.75 * few_values((N as f64).cbrt() as usize, N as usize);
        let of_one = mean(2.0 / 3.0) / few;
        assert!((of_one / (2.0 / 3.0) - 1.0).abs() < 0.1, "{of_one}");
        let of_all = mean(0.0) / few;
        assert!((of_all / (4.0 / 3.0) - 1.0).abs() < 0.1, "{of_all}");
    }

    /// Six seconds idle, six of load, six idle, by a sensor that looks at a quarter of the time; the load is marked or not.
    #[test]
    fn the_step_from_idle_to_load_is_no_noise() {
        let (mut power, mut times) = (PowerStream::default(), Times::default());
        for ms in (0..18_000_i64).step_by(5) {
            let published = ms / 100 * 100;
            let noise = 0.2 * (published / 100 * 7919 % 13) as f64;
            let load = (6_000..12_000).contains(&(published - 10));
            times.push(Timestamp::from_nanos(ms * 1_000_000), 10_000);
            power.watts.push(if load { 187.0 } else { 60.0 } + noise);
        }
        power.times = times;
        let mut device = gpu(0);
        device.power_timing = SensorTiming {
            update_period_ms: Some(100.0),
            window_ms: Some(25.0),
            delay_ms: None,
        };
        let lines = [(6_000.0, Begin, "load", 0), (12_000.0, End, "load", 0)];
        let unmarked = analysed(&recording(vec![device.clone()], 18_000, &[]), power.clone());
        let analysis = analysed(&recording(vec![device], 18_000, &lines), power);
        let (load, total) = (&analysis.phases[0].energy, &analysis.total);
        let whole = 6.0 * 188.2 + 12.0 * 61.2;
        for (energy, truth) in [(load, 6.0 * 188.2), (total, whole), (&unmarked.total, whole)] {
            let (joules, u95) = (energy.joules.expect("resolved").get(), energy.u95.expect("known").get());
            assert!(
                (joules - truth).abs() < u95 && u95 < 0.02 * truth,
                "{joules} ± {u95} J for {truth}"
            );
        }
    }
}
