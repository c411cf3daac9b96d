//! The report for a terminal: 100 columns, legible without colour.
//!
//! Owns the order of the parts; the tables are laid out in `layout`. Colour is added only when asked for, and never says anything
//! that the text does not.

mod layout;
mod style;

use self::style::Paint;
use super::{format, notes, tables};
use crate::model::analysis::{Analysis, CheckStatus};

/// No line is wider, whatever the names in it are.
pub const WIDTH: usize = 100;

/// How to write it.
#[derive(Debug, Clone, Copy, Default)]
pub struct TextOptions {
    /// ANSI colour and weight.
    pub color: bool,
}

/// The report, a line feed at the end of every line.
pub fn render(analysis: &Analysis, options: &TextOptions) -> String {
    let paint = Paint { on: options.color };
    let mut lines = head(analysis, paint);
    for table in [
        tables::devices(analysis),
        tables::phases(analysis),
        tables::alternatives(analysis),
        tables::metrics(analysis),
        tables::study(analysis),
    ] {
        if !table.rows.is_empty() {
            lines.push(String::new());
            lines.extend(layout::table(table, paint));
        }
    }
    lines.extend(checks(analysis, paint));
    lines.extend(warnings(analysis, paint));
    lines.push(String::new());
    for note in notes::legend(analysis) {
        lines.extend(wrapped("", "  ", &note).into_iter().map(|line| paint.faint(&line)));
    }
    joined(&lines)
}

/// A document of another kind in the same style: paragraphs, a table, notes.
pub(super) fn document(paragraphs: &[String], table: tables::Table, notes: &[String], options: &TextOptions) -> String {
    let paint = Paint { on: options.color };
    let mut lines: Vec<String> = paragraphs.iter().flat_map(|p| wrapped("", "       ", p)).collect();
    lines.push(String::new());
    lines.extend(layout::table(table, paint));
    lines.push(String::new());
    lines.extend(notes.iter().flat_map(|note| wrapped("", "  ", note)));
    joined(&lines)
}

fn joined(lines: &[String]) -> String {
    lines.iter().map(|line| line.trim_end().to_owned() + "\n").collect()
}

fn head(analysis: &Analysis, paint: Paint) -> Vec<String> {
    let command = layout::shortened(&format::command(&analysis.run.command), WIDTH - "powerprof  ".len());
    let mut lines = vec![format!("powerprof  {}", paint.bold(&command))];
    lines.extend(wrapped("           ", "           ", &notes::run_line(analysis)));
    for banner in notes::banners(analysis) {
        lines.extend(wrapped("!! ", "   ", &banner).iter().map(|line| paint.bad(line)));
    }
    lines
}

fn checks(analysis: &Analysis, paint: Paint) -> Vec<String> {
    let Some(summary) = notes::checks_summary(analysis) else {
        return Vec::new();
    };
    let mut lines = vec![String::new(), format!("{}  {summary}", paint.bold("Checks"))];
    let (shown, more) = notes::main_checks(analysis);
    for check in shown {
        let text = format!(
            "{} {}: {}",
            check.status.as_str(),
            format::printable(&check.name),
            format::printable(&check.detail)
        );
        let toned = |line: String| match check.status {
            CheckStatus::Fail => paint.bad(&line),
            _ => paint.doubtful(&line),
        };
        lines.extend(wrapped("  ", "       ", &text).into_iter().map(toned));
    }
    lines.extend(more.iter().flat_map(|more| wrapped("  ", "       ", more)));
    lines
}

fn warnings(analysis: &Analysis, paint: Paint) -> Vec<String> {
    let others = notes::other_warnings(analysis);
    if others.is_empty() {
        return Vec::new();
    }
    let mut lines = vec![String::new(), paint.bold("Warnings")];
    for warning in others {
        for (i, line) in warning.iter().enumerate() {
            lines.extend(wrapped(if i == 0 { "  - " } else { "    " }, "    ", line));
        }
    }
    lines
}

fn wrapped(first: &str, others: &str, text: &str) -> Vec<String> {
    let options = textwrap::Options::new(WIDTH)
        .initial_indent(first)
        .subsequent_indent(others);
    textwrap::wrap(text, options)
        .into_iter()
        .map(|line| line.into_owned())
        .collect()
}

#[cfg(test)]
mod tests;
