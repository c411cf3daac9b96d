//! The analysis of a recording, put together: devices one after another, then sums over them.
//!
//! Owns which device counts in the totals and how the parts of the answer close. One device's streams are in memory at a time.

use crate::model::analysis::{
    Analysis, Check, CheckStatus, DeviceAnalysis, DeviceEnergy, EnergyEstimate, PhaseAnalysis, RunSummary, Unattributed,
};
use crate::model::device::{Device, DeviceKind};
use crate::model::recording::{DeviceStreams, Recording};
use crate::model::span::Spans;
use crate::model::time::Interval;
use crate::model::units::{Joules, Seconds, Watts};

use super::Options;
use super::attribute;
use super::checks;
use super::part::{self, Common, Part};
use super::timeline::Timeline;
use super::uncertainty::{self, Figure, exact_seconds};
use super::work::{self, Work};

/// Analyse a recording. `streams` gives a device's readings, and is asked for one device at a time.
pub fn analyze<E>(
    recording: &Recording,
    spans: &Spans,
    options: &Options,
    mut streams: impl FnMut(&Device) -> Result<DeviceStreams, E>,
) -> Result<Analysis, E> {
    let run = recording.interval();
    let parents: Vec<Option<usize>> = spans.phases.iter().map(|p| p.parent.map(|p| p.0)).collect();
    let ownership = attribute::owners(recording, spans);
    let mut checks = checks::of_recording(recording, spans);
    let mut warnings = recording.warnings.clone();
    warnings.extend(ownership.warnings.iter().cloned());
    let work = work::collect(spans);
    let common = Common {
        recording,
        run,
        parents: &parents,
        spans,
        options,
    };
    let mut parts = Vec::with_capacity(recording.devices.len());
    let mut last: Option<(&[u32], Timeline)> = None;
    for (device, ranks) in recording.devices.iter().zip(&ownership.ranks) {
        let timeline = match last.take() {
            Some((same, timeline)) if same == ranks.as_slice() => timeline,
            _ => Timeline::new(spans, run, ranks),
        };
        let readings = streams(device)?;
        let (part, found) = part::one_device(&common, device, &readings, &timeline);
        parts.push(part);
        checks.extend(found);
        last = Some((ranks.as_slice(), timeline));
    }
    let summed: Vec<&Part> = parts.iter().filter(|p| p.in_total && !p.figures.is_empty()).collect();
    if summed.is_empty() {
        warnings.push("no device gave an energy: times and work are right, every energy is unknown".into());
    }
    let (outside, whole) = (spans.phases.len(), spans.phases.len() + 1);
    let node = |i: usize| uncertainty::sum(summed.iter().map(|p| (&p.figures[i], p.device)));
    let phases: Vec<PhaseAnalysis> = (0..spans.phases.len())
        .map(|i| phase(spans, i, &work[i], node(i), &parts))
        .collect();
    let tops: f64 = phases.iter().filter(|p| p.depth == 0).map(|p| p.wall.get()).sum();
    let overlapping = work::overlap_of_tops(spans) > 0;
    let idle = if overlapping {
        exact_seconds(work::outside_nanos(spans, run))
    } else {
        exact_seconds(run.nanos()) - tops
    };
    checks.push(closure(&phases, overlapping));
    warnings.extend(checks::warnings(&checks));
    Ok(Analysis {
        run: summary(recording, run),
        total: present(node(whole)),
        devices: parts.iter().map(|part| device_row(part, whole, run)).collect(),
        unattributed: Unattributed {
            wall: Seconds(idle.max(0.0)),
            energy: present(node(outside)),
            devices: device_energies(&parts, outside),
        },
        phases,
        metrics: spans.metrics.clone(),
        checks,
        warnings,
        study: None,
    })
}

fn present(figure: Option<Figure>) -> EnergyEstimate {
    figure.map_or(EnergyEstimate::UNKNOWN, |f| f.present())
}

fn device_energies(parts: &[Part], i: usize) -> Vec<DeviceEnergy> {
    let one = |part: &Part| DeviceEnergy {
        id: part.device.id.to_string(),
        energy: present(part.figures.get(i).copied()),
    };
    parts.iter().map(one).collect()
}

/// Mean power; over no time there is none.
fn mean_power(energy: &EnergyEstimate, wall: Seconds) -> Option<Watts> {
    energy.joules.filter(|_| wall.get() > 0.0).map(|joules| joules / wall)
}

fn phase(spans: &Spans, i: usize, work: &Work, figure: Option<Figure>, parts: &[Part]) -> PhaseAnalysis {
    let energy = present(figure);
    let wall = Seconds(exact_seconds(work.wall_ns));
    let gpus = || {
        parts
            .iter()
            .filter(|p| p.device.kind == DeviceKind::Gpu)
            .map(|p| &p.means[i])
    };
    let utilization: Vec<f64> = gpus().filter_map(|m| m.utilization_pct).collect();
    let memory: Vec<f64> = gpus().filter_map(|m| m.memory_bytes).collect();
    let known = |values: &[f64]| (!values.is_empty()).then(|| values.iter().sum::<f64>());
    let rate = |per: f64| work.samples.filter(|_| per > 0.0).map(|n| n as f64 / per);
    PhaseAnalysis {
        path: spans.phases[i].path.clone(),
        name: spans.phases[i].name.clone(),
        depth: spans.phases[i].depth,
        count: work.count,
        wall,
        mean_power: mean_power(&energy, wall),
        samples: work.samples,
        tokens: work.tokens,
        samples_per_s: rate(wall.get()),
        samples_per_s_per_w: energy.joules.and_then(|Joules(joules)| rate(joules)),
        mean_utilization_pct: known(&utilization).map(|sum| sum / utilization.len() as f64),
        mean_memory_bytes: known(&memory),
        devices: device_energies(parts, i),
        energy,
    }
}

fn device_row(part: &Part, whole: usize, run: Interval) -> DeviceAnalysis {
    let energy = present(part.figures.get(whole).copied());
    DeviceAnalysis {
        device: part.device.clone(),
        timing: part.timing,
        mean_power: mean_power(&energy, Seconds(exact_seconds(run.nanos()))),
        energy,
        max_power: part.max_power.map(Watts),
        mean_utilization_pct: part.means[whole].utilization_pct,
        mean_memory_bytes: part.means[whole].memory_bytes,
        max_memory_bytes: part.max_memory,
        in_total: part.in_total,
    }
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

fn summary(recording: &Recording, run: Interval) -> RunSummary {
    let info = &recording.run;
    RunSummary {
        command: info.command.clone(),
        started_realtime_ns: info.started_realtime_ns,
        started: info.started,
        wall: Seconds(exact_seconds(run.nanos())),
        exit_code: info.exit.map(|exit| exit.status()),
        complete: info.complete,
        hosts: vec![info.host.hostname.clone()],
        simulated: info.simulated.clone(),
    }
}
