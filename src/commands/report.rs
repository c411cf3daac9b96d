//! `powerprof report RUN.h5`: what a recording says, from the file alone.

use super::output::{self, Outcome};
use super::{load, plot};
use crate::cli::{ReportArgs, ReportFormat};
use crate::report::{csv, html, json, markdown, text};

pub fn run(args: &ReportArgs) -> Outcome {
    let loaded = load::load(load::only(&args.recordings)?)?;
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

fn text_options(args: &ReportArgs) -> text::TextOptions {
    use std::io::IsTerminal;
    let color = output::color() && args.output.is_none() && std::io::stdout().is_terminal();
    text::TextOptions { color }
}
