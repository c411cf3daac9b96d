//! The analysis of a recording, put together: devices side by side, then sums over them.
//!
//! Owns which device counts in the totals and how the parts of the answer close. Streams are in memory while their device is analysed.

mod rows;

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::thread;

use self::rows::{Placed, Row, device_energies, device_row, mean_power, phase, present_sum};
use crate::model::analysis::{Analysis, Check, CheckStatus, PhaseAnalysis, RunSummary, Unattributed};
use crate::model::device::Device;
use crate::model::recording::{DeviceStreams, Recording};
use crate::model::span::Spans;
use crate::model::time::Interval;
use crate::model::units::Seconds;

use super::Options;
use super::attribute;
use super::boards::{self, Board, Told};
use super::checks;
use super::events;
use super::nodes::{self, Node, Together};
use super::part::{self, Common, Part};
use super::timeline::Timeline;
use super::uncertainty::{self, exact_seconds};
use super::work;

/// Analyse a recording. `streams` gives a device's readings, and is asked for one device after the other; for some of several like boards
/// once more.
pub fn analyze<E: Send>(
    recording: &Recording,
    spans: &Spans,
    options: &Options,
    mut streams: impl FnMut(&Device) -> Result<DeviceStreams, E> + Send,
) -> Result<Analysis, E> {
    let nodes = [Node { recording, spans }];
    analyze_nodes(&nodes, &nodes::together(&nodes), options, |_, device| streams(device))
}

/// Analyse the nodes of one run. `streams` gives the readings of a device of the node with this number, one after the other, as [`analyze`]
/// asks for them.
pub fn analyze_nodes<E: Send>(
    nodes: &[Node<'_>],
    together: &Together<'_>,
    options: &Options,
    mut streams: impl FnMut(usize, &Device) -> Result<DeviceStreams, E> + Send,
) -> Result<Analysis, E> {
    let Together { spans, run, own } = together;
    let (spans, run): (&Spans, Interval) = (spans, *run);
    let labels = nodes::labels(nodes);
    let (mut parts, mut checks, mut warnings) = (Vec::new(), Vec::new(), Vec::new());
    // Phases in which a rank ran on what is not recorded.
    let mut lacks = vec![false; spans.phases.len()];
    let mut is_one_outside = nodes.len() == 1;
    for (n, node) in nodes.iter().enumerate() {
        let mut found = of_node(node, options, |device| streams(n, device))?;
        if nodes.len() > 1 {
            found.name(&labels[n]);
        }
        let place = |part| Placed {
            part,
            own: &own[n],
            run: node.recording.interval(),
        };
        parts.extend(found.parts.into_iter().map(place));
        for (lacks, phase) in lacks.iter_mut().zip(&own[n]) {
            *lacks |= phase.is_some_and(|phase| found.lacks[phase]);
        }
        is_one_outside &= found.is_one_outside;
        checks.extend(found.checks);
        warnings.extend(found.warnings);
    }
    let work = work::collect(spans);
    warnings.extend(work::warnings(spans, &work));
    let summed: Vec<&Placed> = parts
        .iter()
        .filter(|p| p.part.in_total && !p.part.figures.is_empty())
        .collect();
    if summed.is_empty() {
        warnings.push("no device gave an energy: times and work are right, every energy is unknown".into());
    }
    let sum = |row: Row| uncertainty::sum(summed.iter().filter_map(|p| Some((p.figure(row)?, p.part.device))));
    let phases: Vec<PhaseAnalysis> = (0..spans.phases.len())
        .map(|i| phase(spans, i, &work[i], sum(Row::Phase(i)), &parts, lacks[i]))
        .collect();
    let tops = phases.iter().filter(|p| p.depth == 0);
    let tops: f64 = tops.filter_map(|p| p.wall).map(Seconds::get).sum();
    let overlapping = work::overlap_of_tops(spans) > 0;
    let idle = if overlapping {
        exact_seconds(work::outside_nanos(spans, run))
    } else {
        exact_seconds(run.nanos()) - tops
    };
    let (idle, outside) = (
        Seconds(idle.max(0.0)),
        present_sum(sum(Row::Outside), &parts, Row::Outside),
    );
    checks.push(closure(&phases, overlapping));
    warnings.extend(checks::warnings(&checks));
    Ok(Analysis {
        run: summary(nodes, run),
        total: present_sum(sum(Row::Whole), &parts, Row::Whole),
        devices: parts.iter().map(device_row).collect(),
        unattributed: Unattributed {
            wall: idle,
            energy: outside,
            mean_power: mean_power(&outside, idle).filter(|_| is_one_outside),
            devices: device_energies(&parts, Row::Outside),
        },
        phases,
        metrics: spans.metrics.clone(),
        checks,
        warnings,
        idle: None,
        study: None,
        alternatives: Vec::new(),
    })
}

/// What one node gave.
struct Found<'a> {
    parts: Vec<Part<'a>>,
    checks: Vec<Check>,
    warnings: Vec<String>,
    /// For each of its phases, whether a rank in it ran on a GPU that is not recorded.
    lacks: Vec<bool>,
    /// Whether all devices are outside all phases at the same time: there is one rank at most, and it runs on all of them.
    is_one_outside: bool,
}

impl Found<'_> {
    /// Say whose they are; devices bear their node's name already.
    fn name(&mut self, label: &str) {
        for check in self.checks.iter_mut().filter(|check| !check.name.contains(':')) {
            check.name = format!("{}:{label}", check.name);
        }
        for warning in &mut self.warnings {
            *warning = format!("{label}: {warning}");
        }
    }
}

/// Analyse one node over its own interval.
fn of_node<'a, E: Send>(
    node: &Node<'a>,
    options: &Options,
    mut streams: impl FnMut(&Device) -> Result<DeviceStreams, E> + Send,
) -> Result<Found<'a>, E> {
    let Node { recording, spans } = *node;
    let run = recording.interval();
    let parents: Vec<Option<usize>> = spans.phases.iter().map(|p| p.parent.map(|p| p.0)).collect();
    let ownership = attribute::owners(recording, spans);
    let mut checks = checks::of_recording(recording, spans);
    let mut warnings = recording.warnings.clone();
    warnings.extend(ownership.warnings.iter().cloned());
    let common = Common {
        recording,
        run,
        parents: &parents,
        spans,
        options,
        threads: (cores() / recording.devices.len().clamp(1, MOST_THREADS)).max(1),
    };
    let alone: Vec<One<'_, '_>> = recording
        .devices
        .iter()
        .zip(&ownership.ranks)
        .map(|(device, ranks)| (device, ranks, None))
        .collect();
    let mut found = side_by_side(&common, &alone, &mut streams)?;
    let told = boards::tell(&found.iter().map(|(part, _)| board(part)).collect::<Vec<_>>());
    let again = alone.iter().zip(&told).enumerate();
    let (places, again): (Vec<usize>, Vec<One<'_, '_>>) = again
        .filter_map(|(i, (&(device, ranks, _), told))| Some((i, (device, ranks, Some(told.as_ref()?)))))
        .unzip();
    for (i, one) in places.into_iter().zip(side_by_side(&common, &again, &mut streams)?) {
        found[i] = one;
    }
    let mut parts = Vec::with_capacity(found.len());
    for (part, mut found) in found {
        events::tell(recording, part.device, &mut found);
        parts.push(part);
        checks.extend(found);
    }
    Ok(Found {
        parts,
        checks,
        warnings,
        lacks: ownership.lacks,
        is_one_outside: spans.ranks.len() <= 1 && ownership.ranks.iter().all(|ranks| ranks.len() == spans.ranks.len()),
    })
}

/// So many devices are analysed at once at most: each has its readings and its timeline in memory (a million steps: 0.4 GB).
const MOST_THREADS: usize = 8;

fn cores() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

/// A device, its ranks, and what boards like it tell of it.
type One<'a, 'r> = (&'a Device, &'r Vec<u32>, Option<&'r Told>);

fn board<'p>(part: &'p Part<'_>) -> Board<'p> {
    Board {
        device: part.device,
        origin: part.origin,
        found: part.found.as_ref(),
    }
}

/// Analyse devices on all cores; what each gave, in their order.
fn side_by_side<'a, E: Send>(
    common: &Common<'_>,
    devices: &[One<'a, '_>],
    streams: impl FnMut(&Device) -> Result<DeviceStreams, E> + Send,
) -> Result<Vec<(Part<'a>, Vec<Check>)>, E> {
    let threads = cores().min(devices.len()).min(MOST_THREADS);
    let waiting = Mutex::new((devices.iter().enumerate(), streams));
    let next = || {
        // A thread that panicked ends the analysis anyway.
        let mut waiting = waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let (devices, streams) = &mut *waiting;
        let (i, &one) = devices.next()?;
        Some(streams(one.0).map(|readings| (i, one, readings)))
    };
    let work = || {
        let mut done = Vec::new();
        let mut last: Option<(&[u32], Timeline)> = None;
        while let Some(one) = next() {
            let (i, (device, ranks, told), readings) = one?;
            let timeline = match last.take() {
                Some((same, timeline)) if same == ranks.as_slice() => timeline,
                _ => Timeline::new(common.spans, common.run, ranks),
            };
            let (part, mut checks) = part::one_device(common, (device, told), &readings, &timeline);
            checks.extend(events::unreadable(device, &readings));
            done.push((i, (part, checks)));
            last = Some((ranks, timeline));
        }
        Ok(done)
    };
    let done: Result<Vec<Vec<_>>, E> = thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        let ended = threads.into_iter().map(|thread| match thread.join() {
            Ok(done) => done,
            Err(panic) => std::panic::resume_unwind(panic),
        });
        ended.collect()
    });
    let mut done: Vec<_> = done?.into_iter().flatten().collect();
    done.sort_by_key(|(i, _)| *i);
    Ok(done.into_iter().map(|(_, found)| found).collect())
}

/// The sums hold by construction; what may stand in a reader's way of adding up the rows is said.
fn closure(phases: &[PhaseAnalysis], overlapping: bool) -> Check {
    let hidden: Vec<&str> = phases
        .iter()
        .filter(|p| p.depth == 0 && p.energy.joules.is_none() && p.energy.upper_bound.is_some())
        .map(|p| p.path.as_str())
        .collect();
    let mut detail = "phases at the top and unattributed add up to the total".to_owned();
    if !hidden.is_empty() {
        detail += &format!(
            "; not shown in that sum, for they are unresolved: {}",
            hidden.join(", ")
        );
    }
    if overlapping {
        detail += "; ranks were in different top phases at once, so wall times overlap (energy is divided)";
    }
    Check {
        name: "closure".into(),
        status: CheckStatus::Pass,
        detail,
    }
}

/// The run as one: the first command, the first failure.
fn summary(nodes: &[Node<'_>], run: Interval) -> RunSummary {
    let info = &nodes[0].recording.run;
    let runs = || nodes.iter().map(|node| &node.recording.run);
    let statuses: Option<Vec<i32>> = runs().map(|run| run.exit.map(|exit| exit.status())).collect();
    RunSummary {
        command: info.command.clone(),
        started_realtime_ns: info.started_realtime_ns + (run.start - info.started),
        started: run.start,
        wall: Seconds(exact_seconds(run.nanos())),
        exit_code: statuses.and_then(|all| all.iter().copied().find(|status| *status != 0).or(all.first().copied())),
        complete: runs().all(|run| run.complete),
        hosts: runs().map(|run| run.host.hostname.clone()).collect(),
        simulated: runs().find_map(|run| run.simulated.clone()),
        labels: labels(runs().map(|run| &run.labels)),
    }
}

/// The nodes' labels as one, with every value that a key has.
fn labels<'a>(nodes: impl Iterator<Item = &'a BTreeMap<String, String>>) -> BTreeMap<String, String> {
    let mut values: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (key, value) in nodes.flatten() {
        let values = values.entry(key).or_default();
        if !values.contains(&value.as_str()) {
            values.push(value);
        }
    }
    let joined = values
        .into_iter()
        .map(|(key, values)| (key.to_owned(), values.join(", ")));
    joined.collect()
}

#[cfg(test)]
mod tests {
    use crate::energy::laws::{counted, gpu, recording};
    use crate::energy::{Options, analyze, spans};
    use crate::model::analysis::Analysis;
    use crate::model::device::Device;

    /// Twelve devices over 10 s, the i-th at 100 (i + 1) W; the readings of `lost` cannot be had.
    fn twelve(lost: Option<u32>) -> Result<Analysis, String> {
        let recording = recording((0..12).map(gpu).collect(), 10_000, &[]);
        let spans = spans(&recording.markers, recording.interval());
        analyze(&recording, &spans, &Options::default(), |device: &Device| {
            let i = device.index.filter(|_| device.index != lost);
            let watts = 100.0 * f64::from(i.ok_or_else(|| format!("no {}", device.id))? + 1);
            Ok(counted(10_000, 100, |t| watts * t))
        })
    }

    #[test]
    fn labels_of_nodes_are_put_together() {
        let node = |all: &[(&str, &str)]| {
            let owned = all.iter().map(|(key, value)| (key.to_string(), value.to_string()));
            owned.collect::<std::collections::BTreeMap<_, _>>()
        };
        let (first, second) = (
            node(&[("model", "led"), ("rack", "1")]),
            node(&[("model", "led"), ("rack", "2")]),
        );
        assert_eq!(
            super::labels([&first, &second].into_iter()),
            node(&[("model", "led"), ("rack", "1, 2")])
        );
    }

    #[test]
    fn devices_that_are_analysed_side_by_side_stay_in_their_order() {
        let analysis = twelve(None).expect("all have readings");
        assert_eq!(analysis.devices.len(), 12);
        for (i, row) in analysis.devices.iter().enumerate() {
            assert_eq!(row.device.id.to_string(), format!("gpu{i}"));
            let joules = row.energy.joules.expect("a total").get();
            assert!(
                (joules / (1000.0 * (i + 1) as f64) - 1.0).abs() < 0.01,
                "{i}: {joules} J"
            );
        }
    }

    #[test]
    fn readings_that_cannot_be_had_end_the_analysis() {
        assert_eq!(twelve(Some(3)).err(), Some("no gpu3".to_owned()));
    }
}
