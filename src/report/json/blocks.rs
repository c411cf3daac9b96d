//! Blocks that a report has only where they were asked for: the idle baseline, other estimators, the study's figures.

use serde::Serialize;

use super::{Energy, energy};
use crate::model::analysis::{self, Analysis, IdleBaseline};
use crate::model::study::Study;
use crate::model::units::Watts;

/// What was drawn before the command ran; the `net_energy` of everything is without it.
#[derive(Serialize)]
pub struct Baseline<'a> {
    wall_s: f64,
    before_start_s: f64,
    interval_s: f64,
    polling: Option<&'a str>,
    devices: Vec<BaselineDevice<'a>>,
}

#[derive(Serialize)]
struct BaselineDevice<'a> {
    id: &'a str,
    mean_power_w: Option<f64>,
    u95_mean_power_w: Option<f64>,
}

#[derive(Serialize)]
pub struct Alternative<'a> {
    estimator: &'static str,
    total: Energy,
    unattributed: Energy,
    phases: Vec<AlternativePhase<'a>>,
}

#[derive(Serialize)]
struct AlternativePhase<'a> {
    path: &'a str,
    energy: Energy,
}

#[derive(Serialize)]
pub struct AsPaper<'a> {
    study: &'static str,
    device: Option<&'a str>,
    rows: usize,
    row_s: f64,
    figures: Vec<PaperFigure<'a>>,
}

#[derive(Serialize)]
struct PaperFigure<'a> {
    name: &'a str,
    unit: &'a str,
    paper: Option<f64>,
    exact: Option<f64>,
    difference_pct: Option<f64>,
    method: &'a str,
}

pub fn as_paper(study: &Study) -> AsPaper<'_> {
    AsPaper {
        study: crate::report::format::STUDY,
        device: study.device.as_deref(),
        rows: study.rows,
        row_s: Study::ROW_S,
        figures: study
            .figures
            .iter()
            .map(|f| PaperFigure {
                name: f.name,
                unit: f.unit,
                paper: f.study,
                exact: f.exact,
                difference_pct: f.difference().map(|d| d * 100.0),
                method: &f.method,
            })
            .collect(),
    }
}

pub fn alternative<'a>(analysis: &'a Analysis, other: &analysis::Alternative) -> Alternative<'a> {
    let phases = analysis.phases.iter().zip(&other.phases);
    Alternative {
        estimator: other.estimator,
        total: energy(&other.total),
        unattributed: energy(&other.unattributed),
        phases: phases
            .map(|(phase, e)| AlternativePhase {
                path: &phase.path,
                energy: energy(e),
            })
            .collect(),
    }
}

pub fn baseline(idle: &IdleBaseline) -> Baseline<'_> {
    Baseline {
        wall_s: idle.wall.get(),
        before_start_s: idle.before_start.get(),
        interval_s: idle.interval.get(),
        polling: idle.polling.as_deref(),
        devices: idle
            .devices
            .iter()
            .map(|d| BaselineDevice {
                id: &d.id,
                mean_power_w: d.power.map(Watts::get),
                u95_mean_power_w: d.u95.map(Watts::get),
            })
            .collect(),
    }
}
