//! The analysis of a recording, put together: devices one after another, then sums over them.
//!
//! Owns which device counts in the totals and how the parts of the answer close. One device's streams are in memory at a time.

use crate::model::analysis::{
    Analysis, Check, CheckStatus, DeviceAnalysis, DeviceEnergy, EnergyEstimate, PhaseAnalysis, RunSummary, Unattributed,
};
use crate::model::device::{Device, DeviceKind, SensorTiming, Source};
use crate::model::recording::{DeviceStreams, Recording};
use crate::model::span::Spans;
use crate::model::time::Interval;
use crate::model::units::{Joules, Seconds, Watts};

use super::attribute;
use super::checks;
use super::combine;
use super::curve::{self, Curve};
use super::interval;
use super::sensor_model::{self, CounterKind, Model, Refusal};
use super::state::{self, Means};
use super::timeline::Timeline;
use super::uncertainty::{self, Figure, exact_seconds};
use super::work::{self, Work};
use super::{Estimator, Options};

/// What one device contributes.
struct Part<'a> {
    device: &'a Device,
    in_total: bool,
    /// Each phase, then outside, then the run; empty where no sensor said anything.
    figures: Vec<Figure>,
    means: Vec<Means>,
    max_memory: Option<u64>,
    max_power: Option<f64>,
    timing: SensorTiming,
}

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
    let counts: Vec<u64> = work.iter().map(|w| w.count).collect();
    let mut parts = Vec::with_capacity(recording.devices.len());
    let mut last: Option<(&[u32], Timeline)> = None;
    for (device, ranks) in recording.devices.iter().zip(&ownership.ranks) {
        let timeline = match last.take() {
            Some((same, timeline)) if same == ranks.as_slice() => timeline,
            _ => Timeline::new(spans, run, ranks),
        };
        let readings = streams(device)?;
        let (part, found) = one_device(recording, device, &readings, run, &timeline, &parents, &counts, options);
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
    })
}

fn one_device<'a>(
    recording: &Recording,
    device: &'a Device,
    readings: &DeviceStreams,
    run: Interval,
    timeline: &Timeline,
    parents: &[Option<usize>],
    counts: &[u64],
    options: &Options,
) -> (Part<'a>, Vec<Check>) {
    let (means, max_memory) = state::means(&readings.state, timeline, parents);
    let contained = device.contained_in.as_ref();
    let mut part = Part {
        device,
        in_total: !recording.devices.iter().any(|other| Some(&other.id) == contained),
        figures: Vec::new(),
        means,
        max_memory,
        max_power: None,
        timing: device.power_timing,
    };
    let Some(mut curve) = curve::build(device, &readings.power, run) else {
        let detail = format!("{} gave no usable reading of power or energy", device.id);
        let check = Check {
            name: format!("coverage:{}", device.id),
            status: CheckStatus::Fail,
            detail,
        };
        return (part, vec![check]);
    };
    let mut split = interval::split(&curve, timeline, parents);
    let (model, doubts) = model_of(device, readings, run, timeline, &curve, &split, options);
    match &model {
        Ok(Some(model)) if model.kind == CounterKind::Sampled => curve.doubt_counter(),
        Err(Refusal::Locked(..)) => curve.doubt_unseen(),
        _ => {}
    }
    let model = model.ok().flatten();
    split = interval::split(&curve, timeline, parents);
    if let Some(model) = &model {
        let cell_s = curve.cell_seconds();
        split = combine::combine(
            split,
            model,
            parents,
            counts,
            &timeline.segments(),
            cell_s,
            curve.range.sd(),
            options.estimator,
        );
    }
    let inclusive = inclusive_seconds(&split.seconds, parents);
    for (figure, seconds) in split.figures.iter_mut().zip(inclusive) {
        figure.scale = uncertainty::scale(device, figure.joules, seconds);
    }
    part.figures = split.figures;
    part.max_power = max_power(readings, &curve, run);
    part.timing = timing(device, &curve, model.as_ref());
    let mut found = checks::of_device(device, &curve.story, run.seconds());
    found.extend(doubts);
    (part, found)
}

/// The sensor model where it has something to add, or why there is none.
fn model_of(
    device: &Device,
    readings: &DeviceStreams,
    run: Interval,
    timeline: &Timeline,
    curve: &Curve,
    split: &interval::Split,
    options: &Options,
) -> (Result<Option<Model>, Refusal>, Option<Check>) {
    if options.estimator == Estimator::Interval || timeline.leaves < 2 || device.source == Source::Estimate {
        return (Ok(None), None);
    }
    let inputs = sensor_model::Inputs {
        device,
        stream: &readings.power,
        timeline,
        run,
        seconds: &split.seconds,
        mean_watts: split.leaves.iter().sum::<f64>() / run.seconds().max(1e-9),
        ceiling_watts: curve.range.ceiling,
        contradiction: curve
            .story
            .counter_over_integral
            .is_some_and(|(ratio, _)| (ratio - 1.0).abs() > 0.1),
    };
    match sensor_model::fit(&inputs) {
        Ok(model) => {
            let check = checks::of_model(device, &model);
            (Ok(Some(model)), check)
        }
        Err(refusal) => {
            let check = checks::of_refusal(device, &refusal);
            (Err(refusal), check)
        }
    }
}

/// Leaf seconds summed up the tree, then outside, then all.
fn inclusive_seconds(leaves: &[f64], parents: &[Option<usize>]) -> Vec<f64> {
    let mut sums = vec![0.0; leaves.len() + 1];
    for (leaf, seconds) in leaves.iter().enumerate() {
        let mut at = Some(leaf);
        while let Some(phase) = at {
            sums[phase] += seconds;
            at = parents.get(phase).copied().flatten();
        }
        sums[leaves.len()] += seconds;
    }
    sums
}

/// The highest power reading of the run; of a device with a counter alone, the highest mean between two ticks.
fn max_power(readings: &DeviceStreams, curve: &Curve, run: Interval) -> Option<f64> {
    let inside = readings.power.times.t.iter().map(|&t| t >= run.start && t <= run.end);
    let read = readings
        .power
        .watts
        .iter()
        .zip(inside)
        .filter(|(w, inside)| *inside && w.is_finite());
    let read = read.map(|(w, _)| *w).reduce(f64::max);
    read.or_else(|| {
        curve
            .cells
            .iter()
            .filter(|c| c.known)
            .map(|c| c.watts())
            .reduce(f64::max)
    })
}

/// What the data say of the sensor, else what is believed.
fn timing(device: &Device, curve: &Curve, model: Option<&Model>) -> SensorTiming {
    if let Some(found) = model.and_then(|m| m.power) {
        return SensorTiming {
            update_period_ms: Some(found.period_ms),
            window_ms: Some(found.theta.window),
            delay_ms: Some(found.theta.delay),
        };
    }
    let seen = match device.power_timing.update_period_ms {
        Some(_) => curve.story.power_period_ms.or(curve.story.counter_period_ms),
        None => curve.story.counter_period_ms.or(curve.story.power_period_ms),
    };
    SensorTiming {
        update_period_ms: seen.or(device.power_timing.update_period_ms),
        ..device.power_timing
    }
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
