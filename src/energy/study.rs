//! The run as the study measured its own (Ang, Dhingra and Wills 2022), from the same recording, beside the exact figures.
//!
//! What the study did is read from its code (github.com/phyllisayk/nlp-efficiency-tradeoff at 83877b4, `wandb_script/` and
//! `custom_trainer.py`) and from wandb 0.12.9, which it ran (`sdk/internal/stats.py`): `nvmlDeviceGetPowerUsage`, utilization and
//! memory of GPU 0 every 2 s from before the data were read to the end; 15 samples are averaged into one row, what is left at the end
//! into a last one; the mean over the rows of the whole run stands for the power of training.
//!
//! ```text
//! samples   |  |  |  |  |  |  |  |  |  |  |  |  |  |  |  |  |  |     every 2 s, from the start of the run
//! rows      [------------- 15 samples -----------------][-- rest]
//! phases      load   |------------ train (with evaluations) ------------|
//! ```

use crate::model::analysis::{Analysis, PhaseAnalysis};
use crate::model::device::{Device, DeviceKind};
use crate::model::recording::{DeviceStreams, Recording};
use crate::model::study::{Study, StudyFigure};
use crate::model::time::{Interval, Timestamp};
use crate::model::units::Seconds;

/// Between two samples, and how many make a row (wandb 0.12.9).
const SAMPLE_NS: i64 = 2_000_000_000;
const SAMPLES_A_ROW: usize = 15;
/// A reading older than this is none: the sensor was silent.
const STALE_NS: i64 = 5_000_000_000;

/// The GPU that the study would have looked at.
pub fn device_of_study(recording: &Recording) -> Option<&Device> {
    recording.devices.iter().find(|d| d.kind == DeviceKind::Gpu)
}

/// The study's figures; `gpu` is the device of [`device_of_study`] with its readings.
pub fn study(recording: &Recording, analysis: &Analysis, gpu: Option<(&Device, &DeviceStreams)>) -> Study {
    let watts = gpu.map_or(Vec::new(), |(_, streams)| power(streams));
    let rows = rows(&watts, recording.interval());
    let power = mean(&rows);
    let exact = Exact { analysis };
    let (train, infer) = (exact.phase("train"), exact.phase("infer").or(exact.phase("validate")));
    let run_time = train.and_then(|p| p.wall).map(Seconds::get);
    let train_speed = train.and_then(|p| per(exact.trained(), p.wall.map(Seconds::get)));
    let mut figures = vec![
        StudyFigure {
            name: "training_speed",
            unit: "samples/s",
            study: train_speed,
            exact: exact.steps("train").and_then(|p| p.samples_per_s),
            method: "study: samples over the run time of training, with its evaluations and saves; exact: over its steps alone".into(),
        },
        StudyFigure {
            name: "inference_speed",
            unit: "samples/s",
            study: infer.and_then(|p| p.samples_per_s),
            exact: infer.and_then(|p| exact.steps(&p.path)).and_then(|p| p.samples_per_s),
            method: "study: samples over the run time of the evaluation, scoring included; exact: over its steps alone".into(),
        },
        StudyFigure {
            name: "mean_power",
            unit: "W",
            study: power,
            exact: gpu.and_then(|(device, _)| exact.mean_power("train", &device.id.0)),
            method: "study: mean of the 30 s rows of the first GPU over the whole run, idle start and end included; exact: its energy \
                     in training over the time of training"
                .into(),
        },
        StudyFigure {
            name: "power_efficiency",
            unit: "samples/s/W",
            study: per(train_speed, power),
            exact: exact.steps("train").and_then(|p| per(exact.measured(p), exact.gpu_joules(p))),
            method: "study: training speed over that mean power; exact: samples of the steps over the energy of all GPUs in them".into(),
        },
        StudyFigure {
            name: "training_energy",
            unit: "J",
            study: power.zip(run_time).map(|(watts, seconds)| watts * seconds),
            exact: train.and_then(|p| exact.gpu_joules(p)),
            method: "study: that mean power times the run time of training; exact: energy of all GPUs in it".into(),
        },
        StudyFigure {
            name: "published_energy_column",
            unit: "kW",
            study: (!rows.is_empty()).then(|| rows.iter().sum::<f64>() / 1000.0),
            exact: None,
            method: "study: the sum of the rows over 1000, which is no energy: it has no time in it; times 30 s it would be kilojoules \
                     of the first GPU"
                .into(),
        },
    ];
    figures.extend(gpu.map_or(Vec::new(), |(device, streams)| {
        state_figures(&exact, device, streams, recording.interval())
    }));
    Study {
        device: gpu.map(|(device, _)| device.id.to_string()),
        rows: rows.len(),
        figures,
    }
}

fn state_figures(exact: &Exact<'_>, device: &Device, streams: &DeviceStreams, run: Interval) -> Vec<StudyFigure> {
    let state = &streams.state;
    let column = |values: &[f64]| -> Vec<(Timestamp, f64)> {
        state.times.t.iter().copied().zip(values.iter().copied()).collect()
    };
    let total = device.memory_total_bytes.map(|bytes| bytes as f64);
    let used = state
        .memory_used_bytes
        .iter()
        .map(|bytes| bytes.map_or(f64::NAN, |bytes| bytes as f64));
    let memory: Vec<f64> = used
        .map(|bytes| total.map_or(f64::NAN, |total| 100.0 * bytes / total))
        .collect();
    let in_training = exact.phase("train");
    vec![
        StudyFigure {
            name: "gpu_utilization",
            unit: "%",
            study: mean(&rows(&column(&state.utilization_pct), run)),
            exact: in_training.and_then(|p| p.mean_utilization_pct),
            method: "study: mean of the rows of the first GPU over the whole run; exact: mean over training, all GPUs".into(),
        },
        StudyFigure {
            name: "gpu_memory",
            unit: "%",
            study: mean(&rows(&column(&memory), run)),
            exact: in_training.and_then(|p| per(p.mean_memory_bytes, exact.gpu_memory())).map(|share| 100.0 * share),
            method: "study: mean of the rows of the first GPU over the whole run, in per cent of its memory (the study published 48 GB \
                     times it); exact: mean over training, all GPUs"
                .into(),
        },
    ]
}

/// What `nvmlDeviceGetPowerUsage` would have said: the long average where the device keeps one, else the reading it has.
fn power(streams: &DeviceStreams) -> Vec<(Timestamp, f64)> {
    let power = &streams.power;
    let values = if power.average_watts.is_empty() {
        &power.watts
    } else {
        &power.average_watts
    };
    power.times.t.iter().copied().zip(values.iter().copied()).collect()
}

/// Means of 15 samples, each the latest reading at its time; fewer in the last.
fn rows(readings: &[(Timestamp, f64)], run: Interval) -> Vec<f64> {
    let known: Vec<(Timestamp, f64)> = readings.iter().copied().filter(|(_, v)| v.is_finite()).collect();
    let samples: Vec<Option<f64>> = (0..)
        .map(|i| run.start.plus_nanos(i * SAMPLE_NS))
        .take_while(|t| *t <= run.end)
        .map(|t| {
            let latest = known
                .partition_point(|(at, _)| *at <= t)
                .checked_sub(1)
                .map(|i| known[i])?;
            (t - latest.0 <= STALE_NS).then_some(latest.1)
        })
        .collect();
    samples
        .chunks(SAMPLES_A_ROW)
        .filter_map(|row| mean(&row.iter().copied().flatten().collect::<Vec<_>>()))
        .collect()
}

fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

/// A quotient of two known figures, unless it would be by nothing.
fn per(figure: Option<f64>, by: Option<f64>) -> Option<f64> {
    let by = by.filter(|by| *by > 0.0)?;
    Some(figure? / by)
}

/// The exact figures, looked up.
struct Exact<'a> {
    analysis: &'a Analysis,
}

impl<'a> Exact<'a> {
    fn phase(&self, path: &str) -> Option<&'a PhaseAnalysis> {
        self.analysis.phases.iter().find(|p| p.path == path)
    }

    /// The phase's steps, or the phase itself where it has none.
    fn steps(&self, path: &str) -> Option<&'a PhaseAnalysis> {
        self.phase(&format!("{path}/step"))
            .filter(|p| p.samples.is_some())
            .or(self.phase(path))
    }

    /// Samples of training without those of evaluations inside it.
    fn trained(&self) -> Option<f64> {
        let all = self.phase("train")?.samples?;
        let evaluated: u64 = ["train/validate", "train/infer"]
            .iter()
            .filter_map(|path| self.phase(path)?.samples)
            .sum();
        Some(all.saturating_sub(evaluated) as f64)
    }

    /// Samples of a phase whose energy is that of all of them.
    fn measured(&self, phase: &PhaseAnalysis) -> Option<f64> {
        phase.samples.filter(|_| phase.whole_energy).map(|n| n as f64)
    }

    fn gpus(&self) -> impl Iterator<Item = &'a crate::model::analysis::DeviceAnalysis> {
        self.analysis
            .devices
            .iter()
            .filter(|d| d.device.kind == DeviceKind::Gpu)
    }

    /// Energy of all GPUs in a phase; unknown if that of one is.
    fn gpu_joules(&self, phase: &PhaseAnalysis) -> Option<f64> {
        let of = |id: &str| phase.devices.iter().find(|d| d.id == id)?.energy.joules;
        let all: Vec<f64> = self
            .gpus()
            .map(|d| Some(of(&d.device.id.0)?.get()))
            .collect::<Option<_>>()?;
        (!all.is_empty()).then(|| all.iter().sum())
    }

    /// Memory of all GPUs together, bytes.
    fn gpu_memory(&self) -> Option<f64> {
        self.gpus()
            .map(|d| d.device.memory_total_bytes.map(|bytes| bytes as f64))
            .sum()
    }

    fn mean_power(&self, path: &str, device: &str) -> Option<f64> {
        let phase = self.phase(path)?;
        let joules = phase.devices.iter().find(|d| d.id == device)?.energy.joules?;
        per(Some(joules.get()), phase.wall.map(Seconds::get))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(s: f64) -> Timestamp {
        Timestamp::from_nanos((s * 1e9) as i64)
    }

    #[test]
    fn a_row_is_fifteen_samples_and_the_last_what_is_left() {
        // 70 s at 100 W, then 300 W from second 30 on; a reading every second.
        let readings: Vec<(Timestamp, f64)> = (0..70)
            .map(|s| (at(f64::from(s)), if s < 30 { 100.0 } else { 300.0 }))
            .collect();
        let rows = rows(&readings, Interval::new(at(0.0), at(69.0)));
        // Samples at 0, 2, ..., 68: 15 + 15 + 5.
        assert_eq!(rows, [100.0, 300.0, 300.0]);
        assert_eq!(mean(&rows), Some(700.0 / 3.0));
    }

    #[test]
    fn a_sensor_that_is_silent_gives_no_rows_and_not_zeros() {
        let readings = [(at(0.0), 100.0), (at(1.0), f64::NAN)];
        assert_eq!(rows(&readings, Interval::new(at(0.0), at(29.0))), [100.0]);
        assert_eq!(rows(&[], Interval::new(at(0.0), at(90.0))), [0.0; 0]);
        let late = [(at(70.0), 50.0)];
        assert_eq!(rows(&late, Interval::new(at(0.0), at(80.0))), [50.0]);
    }

    #[test]
    fn quotients_by_nothing_are_unknown() {
        assert_eq!(per(Some(3.0), Some(0.0)), None);
        assert_eq!(per(None, Some(2.0)), None);
        assert_eq!(per(Some(3.0), Some(2.0)), Some(1.5));
    }
}
