//! `powerprof report RUN.h5...`: what the recording of a run says, or those of its nodes together, from the files alone.

use super::output::{self, Failure, Outcome};
use super::{load, plot};
use crate::cli::{EstimatorChoice, ReportArgs, ReportFormat};
use crate::energy::{self, Estimator, Options};
use crate::model::analysis::Alternative;
use crate::report::{csv, html, json, markdown, text};

pub fn run(args: &ReportArgs) -> Outcome {
    let beside = [
        ("--as-paper", args.as_paper),
        ("--estimator all", args.estimator == EstimatorChoice::All),
    ];
    if let Some((flag, _)) = beside
        .iter()
        .find(|(_, asked)| *asked && args.format == ReportFormat::Csv)
    {
        let error = anyhow::anyhow!("{flag}: CSV has one row per phase, and no place for it\nhint: --format json");
        return Err(Failure { error, status: 2 });
    }
    let mut loaded = by_estimator(args)?;
    if args.as_paper {
        // The study looked at one GPU of one machine.
        let node = &loaded.nodes[0];
        let device = energy::device_of_study(&node.recording);
        let streams = device.map(|device| node.streams(device)).transpose()?;
        let study = energy::study(&node.recording, &loaded.analysis, device.zip(streams.as_ref()));
        loaded.analysis.study = Some(study);
    }
    let analysis = &loaded.analysis;
    let data = match args.format {
        ReportFormat::Text => text::render(analysis, &text_options(args)),
        ReportFormat::Json => json::render(analysis)?,
        ReportFormat::Csv => csv::render(analysis)?,
        ReportFormat::Md => markdown::render(analysis),
        ReportFormat::Html => {
            let power = plot::power_series(&loaded)?;
            html::render(&plot::input(&loaded, &power))?
        }
    };
    output::deliver(data.as_bytes(), args.output.as_deref(), args.force)?;
    Ok(0)
}

/// The run, analysed as asked: by one estimator, or by the usual one with the others beside it.
fn by_estimator(args: &ReportArgs) -> anyhow::Result<load::Loaded> {
    let by = |estimator| load::load_run_by(&args.recordings, &Options { estimator });
    match args.estimator {
        EstimatorChoice::Auto => by(Estimator::Auto),
        EstimatorChoice::Interval => by(Estimator::Interval),
        EstimatorChoice::Regression => by(Estimator::Regression),
        EstimatorChoice::All => {
            let mut loaded = by(Estimator::Auto)?;
            for (name, estimator) in [("interval", Estimator::Interval), ("regression", Estimator::Regression)] {
                let other = by(estimator)?.analysis;
                loaded.analysis.alternatives.push(Alternative {
                    estimator: name,
                    total: other.total,
                    unattributed: other.unattributed.energy,
                    phases: other.phases.iter().map(|p| p.energy).collect(),
                });
            }
            Ok(loaded)
        }
    }
}

fn text_options(args: &ReportArgs) -> text::TextOptions {
    use std::io::IsTerminal;
    let color = output::color() && args.output.is_none() && std::io::stdout().is_terminal();
    text::TextOptions { color }
}
