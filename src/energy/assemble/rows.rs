//! Rows of the answer: a phase, the time outside all phases or the whole run, over all devices and for each.

use crate::energy::part::Part;
use crate::energy::state::Means;
use crate::energy::uncertainty::{Figure, exact_seconds};
use crate::energy::work::Work;
use crate::model::analysis::{DeviceAnalysis, DeviceEnergy, EnergyEstimate, PhaseAnalysis};
use crate::model::device::{DeviceKind, Source};
use crate::model::span::Spans;
use crate::model::time::Interval;
use crate::model::units::{Joules, Seconds, Watts};

/// A row of the answer.
#[derive(Debug, Clone, Copy)]
pub enum Row {
    Phase(usize),
    Outside,
    Whole,
}

/// A device's part, and where its node's phases stand among all.
pub struct Placed<'a> {
    pub part: Part<'a>,
    pub own: &'a [Option<usize>],
    /// Of its node.
    pub run: Interval,
}

impl Placed<'_> {
    /// Place of a row among the part's own: its phases, then outside, then the whole.
    fn at(&self, row: Row) -> Option<usize> {
        let phases = self.own.iter().flatten().count();
        match row {
            Row::Phase(i) => self.own[i],
            Row::Outside => Some(phases),
            Row::Whole => Some(phases + 1),
        }
    }

    pub fn figure(&self, row: Row) -> Option<&Figure> {
        self.part.figures.get(self.at(row)?)
    }

    /// Of a figure's tolerance, what its device's sensors contradict each other by. An estimate's own doubt is none of it.
    fn contradiction(&self, row: Row) -> f64 {
        let figure = self.figure(row).filter(|_| self.part.device.source != Source::Estimate);
        figure.map_or(0.0, |figure| figure.guess)
    }

    fn means(&self, row: Row) -> Option<&Means> {
        self.part.means.get(self.at(row)?)
    }
}

/// A figure as it is shown, `contradiction` joules of its tolerance being what sensors of one device differ by.
fn present(figure: Option<Figure>, contradiction: f64) -> EnergyEstimate {
    let shown = figure.map_or(EnergyEstimate::UNKNOWN, |f| f.present());
    EnergyEstimate {
        contradiction: shown.joules.map(|_| Joules(contradiction)),
        ..shown
    }
}

/// `figure`, the sum over all devices in a row, as it is shown.
pub fn present_sum(figure: Option<Figure>, parts: &[Placed], row: Row) -> EnergyEstimate {
    let summed = parts.iter().filter(|placed| placed.part.in_total);
    present(figure, summed.map(|placed| placed.contradiction(row)).sum())
}

/// What each device drew in a row; a device whose node never was in that phase has no part in it.
pub fn device_energies(parts: &[Placed], row: Row) -> Vec<DeviceEnergy> {
    let took_part = parts.iter().filter(|p| p.at(row).is_some());
    let one = |placed: &Placed| DeviceEnergy {
        id: placed.part.device.id.to_string(),
        energy: present(placed.figure(row).copied(), placed.contradiction(row)),
    };
    took_part.map(one).collect()
}

/// Mean power; over no time there is none.
pub fn mean_power(energy: &EnergyEstimate, wall: Seconds) -> Option<Watts> {
    energy.joules.filter(|_| wall.get() > 0.0).map(|joules| joules / wall)
}

/// A phase by what was done in it and what all devices together drew. `lacks`: a rank in it ran on a GPU that is not recorded.
pub fn phase(
    spans: &Spans,
    i: usize,
    work: &Work,
    figure: Option<Figure>,
    parts: &[Placed],
    lacks: bool,
) -> PhaseAnalysis {
    let is_nowhere = work.is_nowhere();
    let energy = present_sum(figure.filter(|_| !is_nowhere), parts, Row::Phase(i));
    let wall = (!is_nowhere).then(|| Seconds(exact_seconds(work.wall_ns)));
    let mut devices = device_energies(parts, Row::Phase(i));
    if is_nowhere {
        devices.iter_mut().for_each(|d| d.energy = EnergyEstimate::UNKNOWN);
    }
    let whole_time = !work.is_lost;
    let whole_energy = whole_time && !lacks;
    let gpus = || {
        parts
            .iter()
            .filter(|p| p.part.device.kind == DeviceKind::Gpu)
            .filter_map(|p| p.means(Row::Phase(i)))
    };
    let utilization: Vec<f64> = gpus().filter_map(|m| m.utilization_pct).collect();
    let memory: Vec<f64> = gpus().filter_map(|m| m.memory_bytes).collect();
    let known = |values: &[f64]| (!values.is_empty()).then(|| values.iter().sum::<f64>());
    let rate = |is_whole: bool, per: f64| work.samples.filter(|_| is_whole && per > 0.0).map(|n| n as f64 / per);
    PhaseAnalysis {
        path: spans.phases[i].path.clone(),
        name: spans.phases[i].name.clone(),
        depth: spans.phases[i].depth,
        count: work.count,
        wall,
        mean_power: wall.and_then(|wall| mean_power(&energy, wall)),
        whole_time,
        whole_energy,
        samples: work.samples,
        tokens: work.tokens,
        samples_per_s: wall.and_then(|wall| rate(whole_time, wall.get())),
        samples_per_s_per_w: energy.joules.and_then(|Joules(joules)| rate(whole_energy, joules)),
        mean_utilization_pct: known(&utilization).map(|sum| sum / utilization.len() as f64),
        mean_memory_bytes: known(&memory),
        devices,
        energy,
    }
}

pub fn device_row(placed: &Placed) -> DeviceAnalysis {
    let Placed { part, run, .. } = placed;
    let energy = present(placed.figure(Row::Whole).copied(), placed.contradiction(Row::Whole));
    let means = placed.means(Row::Whole).copied().unwrap_or_default();
    DeviceAnalysis {
        device: part.device.clone(),
        timing: part.timing,
        mean_power: mean_power(&energy, Seconds(exact_seconds(run.nanos()))),
        energy,
        max_power: part.max_power.map(Watts),
        mean_utilization_pct: means.utilization_pct,
        mean_memory_bytes: means.memory_bytes,
        max_memory_bytes: part.max_memory,
        call_share: part.call_share,
        origin: part.origin,
        in_total: part.in_total,
        found: part.found,
    }
}

#[cfg(test)]
mod tests {
    use crate::energy::laws::{self, counted, gpu, recording};
    use crate::energy::{Options, analyze, spans};
    use crate::model::analysis::{Analysis, EnergyEstimate};
    use crate::model::device::{Calibration, Device};
    use crate::model::marker::MarkerVerb::{self, Begin, End};
    use crate::model::units::{Joules, Watts};

    /// Ten seconds at 100 W on one GPU; every `end` finishes four samples.
    fn analysed(lines: &[(f64, MarkerVerb, &str, u32)]) -> Analysis {
        let mut recording = recording(vec![gpu(0)], 10_000, lines);
        for marker in recording.markers.iter_mut().filter(|m| m.verb == End) {
            marker.samples = Some(4);
        }
        let spans = spans(&recording.markers, recording.interval());
        let streams = |_: &_| Ok::<_, std::convert::Infallible>(counted(10_000, 20, |t| 100.0 * t));
        analyze(&recording, &spans, &Options::default(), streams).expect("streams cannot fail")
    }

    /// Ten seconds on one GPU: by its counter at 100 W, by its power readings at about `watts`.
    fn with_readings(watts: f64, calibration: Option<Calibration>) -> Analysis {
        let gpu = Device { calibration, ..gpu(0) };
        let recording = recording(vec![gpu], 10_000, &[(2000.0, Begin, "a", 0), (8000.0, End, "a", 0)]);
        let mut power = counted(10_000, 20, |t| 100.0 * t).power;
        power.watts = (0..power.times.t.len()).map(|i| watts + (i % 2) as f64).collect();
        laws::analysed(&recording, power)
    }

    #[test]
    fn what_contradicting_sensors_differ_by_is_a_part_of_the_tolerance_of_every_row() {
        let analysis = with_readings(124.5, None);
        let energies = [&analysis.total, &analysis.devices[0].energy, &analysis.phases[0].energy];
        for energy in energies {
            let joules = |j: Option<Joules>| j.map_or(f64::NAN, Joules::get);
            let part = joules(energy.contradiction) / joules(energy.joules);
            assert!((part - 0.25).abs() < 0.01, "{energy:?}");
            assert!(energy.u95_scale > energy.contradiction, "{energy:?}");
        }
        let agreeing = with_readings(99.5, None);
        assert_eq!(agreeing.total.contradiction, Some(Joules(0.0)));
        assert!(agreeing.total.joules.is_some());
    }

    #[test]
    fn the_highest_power_is_calibrated_as_the_mean_is() {
        let calibration = Calibration {
            gain: 0.5,
            offset: Watts(10.0),
        };
        let analysis = with_readings(99.5, Some(calibration));
        let gpu = &analysis.devices[0];
        let (mean, most) = (gpu.mean_power.map(Watts::get), gpu.max_power.map(Watts::get));
        assert!(mean.is_some_and(|mean| (mean - 180.0).abs() < 1.0), "{mean:?}");
        assert_eq!(most, Some(181.0));
    }

    #[test]
    fn a_phase_that_the_run_does_not_reach_is_unknown_and_not_nothing() {
        let analysis = analysed(&[(20_000.0, Begin, "beyond", 0), (30_000.0, End, "beyond", 0)]);
        let beyond = &analysis.phases[0];
        assert_eq!((beyond.wall, beyond.energy), (None, EnergyEstimate::UNKNOWN));
        assert_eq!(beyond.devices[0].energy, EnergyEstimate::UNKNOWN);
        assert_eq!(
            (beyond.samples, beyond.samples_per_s, beyond.samples_per_s_per_w),
            (Some(4), None, None)
        );
        assert!(
            analysis.warnings.iter().any(|w| w.starts_with("beyond has no time")),
            "{:?}",
            analysis.warnings
        );
    }

    #[test]
    fn one_marker_of_the_future_takes_the_time_of_those_behind_it() {
        let analysis = analysed(&[
            (60_000.0, Begin, "first", 0),
            (2000.0, End, "first", 0),
            (3000.0, Begin, "second", 0),
            (6000.0, End, "second", 0),
        ]);
        for phase in &analysis.phases {
            assert_eq!(
                (phase.wall, phase.energy),
                (None, EnergyEstimate::UNKNOWN),
                "{}",
                phase.path
            );
        }
    }

    #[test]
    fn a_phase_of_one_instant_drew_nothing_and_that_is_known() {
        let analysis = analysed(&[(5000.0, Begin, "blink", 0), (5000.0, End, "blink", 0)]);
        let blink = &analysis.phases[0];
        assert_eq!(blink.wall.map(|s| s.get()), Some(0.0));
        assert_eq!(blink.energy.joules.map(|j| j.get()), Some(0.0));
    }

    #[test]
    fn no_mean_power_outside_of_phases_where_ranks_are_so_at_different_times() {
        let one = [(0.0, Begin, "a", 0), (9000.0, End, "a", 0)];
        let two = [(0.0, Begin, "a", 1), (1000.0, End, "a", 1)];
        let mean = |lines: &[_]| analysed(lines).unattributed.mean_power.map(|w| w.get().round());
        assert_eq!(mean(&one), Some(100.0));
        assert_eq!(mean(&[]), Some(100.0));
        assert_eq!(mean(&[one, two].concat()), None);
    }

    #[test]
    fn samples_are_divided_by_no_energy_that_lacks_a_gpu() {
        let one = [(1000.0, Begin, "a", 0), (9000.0, End, "a", 0)];
        let two = [(1000.0, Begin, "a", 1), (9000.0, End, "a", 1)];
        let alone = analysed(&one);
        assert!(alone.phases[0].samples_per_s_per_w.is_some());
        let both = analysed(&[one, two].concat());
        let phase = &both.phases[0];
        assert_eq!((phase.samples, phase.samples_per_s_per_w), (Some(8), None));
        assert!(phase.samples_per_s.is_some() && phase.energy.joules.is_some());
    }
}
