//! The report as one HTML file: tables and the picture, in the light and in the dark, without any other file or script.
//!
//! The page forbids itself every load from elsewhere. In the dark, its style sheet replaces the picture's neutral colours.

use plotters::style::RGBColor;

use super::plot::{self, PlotError, PlotInput};
use super::tables::{Align, Column, Row, RowKind, Table, Tone};
use super::{format, notes, tables};
use crate::model::analysis::{Analysis, CheckStatus};

const TEMPLATE: &str = include_str!("html/template.html");

/// The whole page.
pub fn render(input: &PlotInput) -> Result<String, PlotError> {
    let analysis = input.analysis;
    let picture = plot::svg(input)?;
    Ok(fill(|name| match name {
        "title" => escape(&format::printable(&format::command(&analysis.run.command))),
        "run" => escape(&notes::run_line(analysis)),
        "banners" => notes::banners(analysis)
            .iter()
            .map(|b| format!("<p class=\"banner\">{}</p>", escape(b)))
            .collect(),
        "phases" => section(&tables::phases(analysis)),
        "devices" => section(&tables::devices(analysis)),
        "metrics" => section(&tables::metrics(analysis)),
        "alternatives" => section(&tables::alternatives(analysis)),
        "study" => section(&tables::study(analysis)),
        "picture" => picture.clone(),
        "checks" => checks(analysis),
        "warnings" => list(
            "Warnings",
            notes::other_warnings(analysis)
                .iter()
                .map(|lines| lines.iter().map(|l| escape(l)).collect::<Vec<_>>().join("<br>")),
        ),
        "legend" => notes::legend(analysis)
            .iter()
            .map(|note| format!("<li>{}</li>", escape(note)))
            .collect(),
        "paper" => hex(plot::BACKGROUND),
        "ink" => hex(plot::INK),
        "muted" => hex(plot::MUTED),
        "grid" => hex(plot::GRID),
        // A test holds that the template names nothing else.
        _ => String::new(),
    }))
}

/// The template with each `{{name}}` replaced, in one pass: what is put in is not looked at again.
fn fill(mut value: impl FnMut(&str) -> String) -> String {
    let mut out = String::new();
    let mut rest = TEMPLATE;
    while let Some((before, name, after)) = next_name(rest) {
        out += before;
        out += &value(name);
        rest = after;
    }
    out + rest
}

fn next_name(text: &str) -> Option<(&str, &str, &str)> {
    let (before, rest) = text.split_once("{{")?;
    let (name, after) = rest.split_once("}}")?;
    Some((before, name, after))
}

fn hex(RGBColor(r, g, b): RGBColor) -> String {
    format!("#{r:02X}{g:02X}{b:02X}")
}

fn section(table: &Table) -> String {
    if table.rows.is_empty() {
        return String::new();
    }
    let head: String = table.columns.iter().map(head_cell).collect();
    let mut in_sums = false;
    let mut rows = String::new();
    for row in &table.rows {
        let class = match row.kind {
            RowKind::Entry { .. } => "",
            RowKind::Summary if in_sums => " class=\"summary\"",
            RowKind::Summary => " class=\"summary first-summary\"",
        };
        in_sums = matches!(row.kind, RowKind::Summary);
        rows += &format!("<tr{class}>{}</tr>\n", row_cells(table, row));
    }
    format!(
        "<h2>{}</h2>\n<div class=\"scroll\"><table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{rows}</tbody></table></div>",
        table.title
    )
}

fn head_cell(column: &Column) -> String {
    let class = if column.align == Align::Left {
        ""
    } else {
        " class=\"number\""
    };
    format!(
        "<th{class}>{}<small>{}</small></th>",
        escape(column.title),
        escape(column.unit)
    )
}

fn row_cells(table: &Table, row: &Row) -> String {
    let cell = |(i, cell): (usize, &tables::Cell)| {
        if let Some(share) = cell.bar {
            return format!(
                "<td><span class=\"track\"><span style=\"width:{:.2}%\"></span></span></td>",
                share * 100.0
            );
        }
        let mut classes = Vec::new();
        if table.columns[i].align != Align::Left {
            classes.push("number");
        }
        classes.extend(match cell.tone {
            Tone::Plain => None,
            Tone::Sure => Some("sure"),
            Tone::Doubtful => Some("doubtful"),
            Tone::Bad => Some("bad"),
        });
        let class = if classes.is_empty() {
            String::new()
        } else {
            format!(" class=\"{}\"", classes.join(" "))
        };
        let indent = match row.kind {
            RowKind::Entry { depth, .. } if i == 0 && depth > 0 => {
                format!(" style=\"padding-left:{:.1}rem\"", 0.6 + 1.2 * depth.min(20) as f64)
            }
            _ => String::new(),
        };
        format!("<td{class}{indent}>{}</td>", escape(&cell.text))
    };
    row.cells.iter().enumerate().map(cell).collect()
}

fn checks(analysis: &Analysis) -> String {
    let Some(summary) = notes::checks_summary(analysis) else {
        return String::new();
    };
    let shown = analysis.checks.iter().filter(|c| c.status != CheckStatus::Pass);
    let item = |c: &crate::model::analysis::Check| {
        let class = if c.status == CheckStatus::Fail {
            "bad"
        } else {
            "doubtful"
        };
        let (name, detail) = (
            escape(&format::printable(&c.name)),
            escape(&format::printable(&c.detail)),
        );
        format!(
            "<strong class=\"{class}\">{} {name}</strong>: {detail}",
            c.status.as_str()
        )
    };
    let details = list("", shown.map(item));
    format!("<h2>Checks</h2>\n<p>{summary}</p>\n{details}")
}

fn list(title: &str, items: impl Iterator<Item = String>) -> String {
    let items: String = items.map(|item| format!("<li>{item}</li>\n")).collect();
    match (items.is_empty(), title) {
        (true, _) => String::new(),
        (false, "") => format!("<ul>\n{items}</ul>"),
        (false, title) => format!("<h2>{title}</h2>\n<ul>\n{items}</ul>"),
    }
}

fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out += "&amp;",
            '<' => out += "&lt;",
            '>' => out += "&gt;",
            '"' => out += "&quot;",
            '\'' => out += "&#39;",
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixture;

    #[test]
    fn the_page_holds_everything_and_loads_nothing() {
        let (analysis, spans, power) = fixture::training_with_readings();
        let page = render(&PlotInput {
            analysis: &analysis,
            spans: &spans,
            power: &power,
        })
        .unwrap();
        if let Some(folder) = std::env::var_os("POWERPROF_TEST_PICTURES") {
            std::fs::write(std::path::Path::new(&folder).join("training.html"), &page).unwrap();
        }
        for word in [
            "<svg",
            "backward",
            "~67.61 ± 0.74 kJ",
            "NVIDIA H100 80GB HBM3",
            "<strong class=\"doubtful\">warn lattice",
        ] {
            assert!(page.contains(word), "the page lacks {word}");
        }
        assert!(!page.contains("{{"), "a name of the template was not filled in");
        for outside in ["src=", "href=", "url(", "@import", "<script"] {
            assert!(!page.contains(outside), "the page has {outside}");
        }
    }

    /// The dark style sheet finds the picture's colours by their spelling.
    #[test]
    fn the_picture_spells_its_neutral_colours_as_the_style_sheet_does() {
        let (analysis, spans, power) = fixture::training_with_readings();
        let picture = plot::svg(&PlotInput {
            analysis: &analysis,
            spans: &spans,
            power: &power,
        })
        .unwrap();
        for (attribute, color) in [
            ("fill", plot::BACKGROUND),
            ("fill", plot::INK),
            ("fill", plot::MUTED),
            ("stroke", plot::INK),
            ("stroke", plot::MUTED),
            ("stroke", plot::GRID),
        ] {
            let spelled = format!("{attribute}=\"{}\"", hex(color));
            assert!(picture.contains(&spelled), "no {spelled} in the picture");
        }
    }

    #[test]
    fn every_name_of_the_template_is_known() {
        let known = "title run banners phases alternatives devices metrics study picture checks warnings legend paper ink muted grid";
        let mut rest = TEMPLATE;
        while let Some((_, name, after)) = next_name(rest) {
            assert!(known.split(' ').any(|k| k == name), "{name}");
            rest = after;
        }
    }

    #[test]
    fn the_hint_of_a_warning_has_a_line_of_its_own() {
        let (mut analysis, spans, power) = fixture::training_with_readings();
        analysis.warnings = vec!["NVML: no GPU `<7>`\nhint: --gpus 0".to_owned()];
        let page = render(&PlotInput {
            analysis: &analysis,
            spans: &spans,
            power: &power,
        })
        .unwrap();
        assert!(page.contains("<li>NVML: no GPU `&lt;7&gt;`<br>hint: --gpus 0</li>"));
    }

    #[test]
    fn foreign_text_stays_text() {
        let (mut analysis, spans, power) = fixture::training_with_readings();
        analysis.run.command = vec!["<script>alert(1)</script>".to_owned(), "{{ink}}".to_owned()];
        analysis.devices[0].device.name = "</svg><img onerror=x>".to_owned();
        analysis.phases[0].name = "<b>".to_owned();
        let page = render(&PlotInput {
            analysis: &analysis,
            spans: &spans,
            power: &power,
        })
        .unwrap();
        assert!(!page.contains("<script") && !page.contains("<img") && !page.contains("<b>"));
        assert!(page.contains("{{ink}}"), "what was put in was taken for the template");
    }
}
