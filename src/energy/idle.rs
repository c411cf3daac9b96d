//! Net of idle: every energy without what the machine draws when nobody trains.
//!
//! The idle power of each device is its mean over the baseline, by the same curve as everything else; what it would have drawn in a
//! phase's time is taken off. Doubts: the phase's own and, in quadrature, the baseline's over that time. The sensor's offset is in both
//! and cancels, so only a tolerance of gain is left, which is in proportion to the value.
//!
//! Invariants: where the gross energy is unknown so is the net; net energies of the top phases and of the rest add up to the total's.

use crate::model::analysis::{Analysis, EnergyEstimate, IdleBaseline, IdleDevice, Method};
use crate::model::device::Device;
use crate::model::recording::{DeviceStreams, Recording};
use crate::model::span::Spans;
use crate::model::time::Interval;
use crate::model::units::{Joules, Seconds, Watts};

use super::attribute;
use super::cell::Cell;
use super::curve::{self, Curve, Sources};
use super::sensed::Sensed;
use super::shares;
use super::timeline::Timeline;
use super::uncertainty::{Figure, K95, exact_joules, exact_seconds};

/// The idle power of one device and where it goes.
struct Idle {
    watts: f64,
    u95: f64,
    /// Energy at idle and seconds: each phase with everything inside it, then outside, then the run.
    joules: Vec<f64>,
    seconds: Vec<f64>,
}

/// Net energies, where the recording has a baseline.
pub fn net_of_idle<E>(
    recording: &Recording,
    spans: &Spans,
    analysis: &Analysis,
    mut streams: impl FnMut(&Device) -> Result<DeviceStreams, E>,
) -> Result<Option<IdleBaseline>, E> {
    let Some(baseline) = recording.baseline.filter(|b| b.nanos() > 0) else {
        return Ok(None);
    };
    let parents: Vec<Option<usize>> = spans.phases.iter().map(|p| p.parent.map(|p| p.0)).collect();
    let ownership = attribute::owners(recording, spans);
    let mut idles = Vec::with_capacity(recording.devices.len());
    for (device, ranks) in recording.devices.iter().zip(&ownership.ranks) {
        let timeline = Timeline::new(spans, recording.interval(), ranks);
        idles.push(idle(
            device,
            &streams(device)?,
            baseline,
            &timeline,
            recording.interval(),
            &parents,
        ));
    }
    let (outside, whole) = (spans.phases.len(), spans.phases.len() + 1);
    let of_node = |gross: &EnergyEstimate, node: usize| {
        let summed: Option<Vec<&Idle>> = analysis
            .devices
            .iter()
            .zip(&idles)
            .filter(|(d, _)| d.in_total && d.energy.method != Method::None)
            .map(|(_, idle)| idle.as_ref())
            .collect();
        summed.map_or(EnergyEstimate::UNKNOWN, |idles| net(gross, node, &idles))
    };
    let devices = analysis.devices.iter().zip(&idles).map(|(d, idle)| IdleDevice {
        id: d.device.id.to_string(),
        power: idle.as_ref().map(|i| Watts(i.watts)),
        u95: idle.as_ref().map(|i| Watts(i.u95)),
        net: idle
            .as_ref()
            .map_or(EnergyEstimate::UNKNOWN, |i| net(&d.energy, whole, &[i])),
    });
    Ok(Some(IdleBaseline {
        wall: Seconds(exact_seconds(baseline.nanos())),
        before_start: Seconds(exact_seconds((recording.run.started - baseline.end).max(0))),
        interval: Seconds(recording.run.interval_ns as f64 * 1e-9),
        polling: recording
            .devices
            .iter()
            .find_map(|d| d.properties.get("polling").cloned()),
        devices: devices.collect(),
        total: of_node(&analysis.total, whole),
        phases: analysis
            .phases
            .iter()
            .enumerate()
            .map(|(i, p)| of_node(&p.energy, i))
            .collect(),
        unattributed: of_node(&analysis.unattributed.energy, outside),
    }))
}

/// `None`: the sensor said nothing during the baseline.
fn idle(
    device: &Device,
    readings: &DeviceStreams,
    baseline: Interval,
    timeline: &Timeline,
    run: Interval,
    parents: &[Option<usize>],
) -> Option<Idle> {
    let sensed = Sensed::of(device, readings, baseline);
    let curve = curve::build(&sensed.device, &sensed, baseline, Sources::All)?;
    let (watts, u95) = mean_power(&curve, baseline)?;
    let mut leaves = vec![0.0; timeline.leaves];
    let whole_run = std::iter::once((run.start.as_nanos(), run.end.as_nanos()));
    shares::walk(timeline, whole_run, |_, shares| {
        shares.iter().for_each(|&(leaf, s)| leaves[leaf] += s)
    });
    let joules: Vec<f64> = leaves.iter().map(|s| exact_joules(watts * s)).collect();
    Some(Idle {
        watts,
        u95,
        joules: shares::inclusive(&joules, parents),
        seconds: shares::inclusive(&leaves, parents),
    })
}

/// Mean power over the cells that lie whole in the baseline, and its half-width: no cell is split, so nothing that ran beside is in it.
fn mean_power(curve: &Curve, baseline: Interval) -> Option<(f64, f64)> {
    let (start, end) = (baseline.start.as_nanos(), baseline.end.as_nanos());
    let inside: Vec<&Cell> = curve
        .cells
        .iter()
        .filter(|c| c.known && c.start >= start && c.end <= end)
        .collect();
    let seconds: f64 = inside.iter().map(|c| c.seconds()).sum();
    // Half of it unseen is no baseline.
    if seconds < 0.5 * baseline.seconds() {
        return None;
    }
    let watts = inside.iter().map(|c| c.joules).sum::<f64>() / seconds;
    // Inner edges move energy from one cell into the next; the outer two are doubts about the whole.
    let [first, last] = [inside.first()?, inside.last()?];
    let edges = (first.watts() * first.ends_s[0]).powi(2) + (last.watts() * last.ends_s[1]).powi(2);
    let variance = inside.iter().map(|c| c.variance).sum::<f64>() + edges;
    Some((watts, K95 * variance.sqrt() / seconds))
}

/// `gross` without what these devices draw at idle in the time of `node`.
fn net(gross: &EnergyEstimate, node: usize, idles: &[&Idle]) -> EnergyEstimate {
    let (Some(Joules(joules)), Some(Joules(u95))) = (gross.joules, gross.u95) else {
        return EnergyEstimate {
            method: gross.method,
            ..EnergyEstimate::UNKNOWN
        };
    };
    let idle: f64 = idles.iter().map(|i| i.joules[node]).sum();
    let variance: f64 = idles.iter().map(|i| (i.u95 * i.seconds[node]).powi(2)).sum();
    let value = joules - idle;
    let doubt = u95.hypot(variance.sqrt());
    let part = if joules == 0.0 { 0.0 } else { (value / joules).abs() };
    let net = Figure {
        joules: value,
        u95: doubt,
        scale: gross.u95_scale.map_or(0.0, |Joules(scale)| scale * part),
        upper: value + doubt,
        guess: 0.0,
        common: 0.0,
        method: gross.method,
    };
    let shown = net.present();
    EnergyEstimate {
        grade: shown.grade.max(gross.grade),
        ..shown
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::analysis::Grade;

    fn gross(joules: Option<f64>) -> EnergyEstimate {
        EnergyEstimate {
            joules: joules.map(Joules),
            u95: joules.map(|_| Joules(3.0)),
            u95_scale: joules.map(|_| Joules(60.0)),
            contradiction: None,
            method: Method::Counter,
            grade: Grade::A,
            upper_bound: None,
        }
    }

    fn at(watts: f64, u95: f64, seconds: f64) -> Idle {
        Idle {
            watts,
            u95,
            joules: vec![watts * seconds],
            seconds: vec![seconds],
        }
    }

    #[test]
    fn idle_energy_goes_off_and_its_doubt_comes_on_top() {
        let two = [&at(50.0, 0.4, 10.0), &at(40.0, 0.0, 10.0)];
        let net = net(&gross(Some(3000.0)), 0, &two);
        assert_eq!(net.joules, Some(Joules(2100.0)));
        assert!(
            (net.u95.map_or(0.0, Joules::get) - 5.0).abs() < 1e-9,
            "3 J and 0.4 W over 10 s"
        );
        assert!(
            (net.u95_scale.map_or(0.0, Joules::get) - 42.0).abs() < 1e-9,
            "gain alone is left"
        );
    }

    #[test]
    fn what_is_unknown_stays_unknown_and_what_is_within_its_doubt_is_a_bound() {
        assert_eq!(net(&gross(None), 0, &[&at(50.0, 0.4, 10.0)]).joules, None);
        let nothing_left = net(&gross(Some(501.0)), 0, &[&at(50.0, 0.4, 10.0)]);
        assert_eq!((nothing_left.joules, nothing_left.grade), (None, Grade::Unresolved));
        assert!(nothing_left.upper_bound.is_some_and(|bound| bound.get() > 1.0));
    }
}
