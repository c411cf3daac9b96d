//! The report in GitHub's Markdown: the tables of the text report, whole, for an issue, a pull request or a notebook.

use super::tables::{Align, Cell, RowKind, Table};
use super::{format, notes, tables};
use crate::model::analysis::{Analysis, CheckStatus};

/// The report, a line feed at the end.
pub fn render(analysis: &Analysis) -> String {
    let mut out = format!("## {}\n\n", code(&format::command(&analysis.run.command)));
    out += &format!("{}\n\n", escape(&notes::run_line(analysis)));
    for banner in notes::banners(analysis) {
        out += &format!("> **{}**\n\n", escape(&banner));
    }
    for table in [
        tables::devices(analysis),
        tables::phases(analysis),
        tables::alternatives(analysis),
        tables::metrics(analysis),
        tables::study(analysis),
    ] {
        if !table.rows.is_empty() {
            out += &format!("### {}\n\n{}\n", table.title, pipes(&table));
        }
    }
    if let Some(summary) = notes::checks_summary(analysis) {
        out += &format!("### Checks\n\n{summary}\n\n");
        for check in analysis.checks.iter().filter(|c| c.status != CheckStatus::Pass) {
            let (name, detail) = (format::printable(&check.name), format::printable(&check.detail));
            out += &format!(
                "- **{} {}**: {}\n",
                check.status.as_str(),
                escape(&name),
                escape(&detail)
            );
        }
        out += "\n";
    }
    let others = notes::other_warnings(analysis);
    if !others.is_empty() {
        out += "### Warnings\n\n";
        for warning in others {
            let lines: Vec<String> = warning.iter().map(|line| escape(line)).collect();
            out += &format!("- {}\n", lines.join("<br>"));
        }
        out += "\n";
    }
    for note in notes::legend(analysis) {
        out += &format!("<sub>{}</sub><br>\n", escape(&note));
    }
    out
}

fn pipes(table: &Table) -> String {
    // The bar column repeats the share beside it, and Markdown has no bars.
    let shown: Vec<usize> = (0..table.columns.len())
        .filter(|&i| !table.columns[i].title.is_empty())
        .collect();
    let line = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
    let head = |i: &usize| match (table.columns[*i].title, table.columns[*i].unit) {
        (title, "") => title.to_owned(),
        (title, unit) if unit.starts_with('/') => format!("{title}{unit}"),
        (title, unit) => format!("{title} ({unit})"),
    };
    let mut out = line(shown.iter().map(head).collect());
    let rule = |i: &usize| {
        if table.columns[*i].align == Align::Left {
            ":--"
        } else {
            "--:"
        }
        .to_owned()
    };
    out += &line(shown.iter().map(rule).collect());
    for row in &table.rows {
        let cell = |(nth, i): (usize, &usize)| {
            let Cell { text, .. } = &row.cells[*i];
            match row.kind {
                RowKind::Entry { depth, .. } if nth == 0 => {
                    format!("{}{}", "&emsp;".repeat(depth.min(20)), escape(text))
                }
                RowKind::Summary if !text.is_empty() => format!("**{}**", escape(text)),
                _ => escape(text),
            }
        };
        out += &line(shown.iter().enumerate().map(cell).collect());
    }
    out
}

/// Text that Markdown and the HTML inside it leave as it is.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' => out += "&lt;",
            '>' => out += "&gt;",
            '&' => out += "&amp;",
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '~' => {
                out.push('\\');
                out.push(c);
            }
            c => out.push(c),
        }
    }
    out
}

/// A code span around text that may hold backticks.
fn code(text: &str) -> String {
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest + 1);
    let pad = if longest > 0 { " " } else { "" };
    format!("{fence}{pad}{text}{pad}{fence}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixture;

    #[test]
    fn training_run() {
        insta::assert_snapshot!(render(&fixture::training()));
    }

    #[test]
    fn the_hint_of_a_warning_has_a_line_of_its_own() {
        let mut analysis = fixture::training();
        analysis.warnings = vec!["NVML: no GPU <7>\nhint: --gpus 0".to_owned()];
        let text = render(&analysis);
        assert!(text.contains("- NVML: no GPU &lt;7&gt;<br>hint: --gpus 0\n"), "{text}");
    }

    #[test]
    fn foreign_text_cannot_break_a_table() {
        let mut analysis = fixture::training();
        analysis.devices[0].device.name = "a|b\n<script>".to_owned();
        let text = render(&analysis);
        assert!(text.contains("a\\|b &lt;script&gt;"));
        assert!(code("a``b").starts_with("``` a``b "));
    }
}
