//! A comparison for a terminal: 100 columns, legible without colour.

use super::{Change, Comparison, Outcome, Pair, Quantity, Verdict};
use crate::report::tables::{Align, Cell, Column, Row, RowKind, Table, Tone};
use crate::report::text::{self, TextOptions};
use crate::report::{format, tables};

const COLUMNS: [Column; 9] = [
    Column::new("phase", "", Align::Left, 0),
    Column::new("time", "base", Align::Right, 6),
    Column::new("time", "other", Align::Right, 5),
    Column::new("Δ time", "%", Align::Right, 2),
    Column::new("energy", "base", Align::PlusMinus, 4),
    Column::new("energy", "other", Align::PlusMinus, 3),
    Column::new("Δ energy", "% ± 95 %", Align::PlusMinus, 0),
    Column::new("J/sample", "other", Align::Right, 7),
    Column::new("Δ J/sample", "% ± 95 %", Align::PlusMinus, 1),
];

/// The table of changes, the conditions' verdicts, and what to keep in mind.
pub fn render(comparison: &Comparison, outcomes: &[Outcome], options: &TextOptions) -> String {
    let mut paragraphs = vec![
        format!("base   {}", comparison.base_run),
        format!("other  {}", comparison.other_run),
    ];
    paragraphs.extend(comparison.caveats.iter().map(|c| format!("!! {c}")));
    let rows = comparison
        .pairs
        .iter()
        .enumerate()
        .map(|(i, p)| row(comparison, i, p))
        .collect();
    let table = Table {
        title: "Changes",
        columns: COLUMNS.to_vec(),
        rows,
        flexible: None,
    };
    let mut notes: Vec<String> = outcomes.iter().map(verdict_line).collect();
    if !notes.is_empty() {
        notes.push(String::new());
    }
    let contradicting = comparison.pairs.iter().any(Pair::holds_contradiction);
    let tolerance = match (comparison.same_devices, contradicting) {
        (true, false) => "; the sensors' own tolerance cancels on the same devices",
        (true, true) => {
            ", and what contradicting sensors of one device differ by; the rest of the sensors' own tolerance cancels on the same devices"
        }
        (false, _) => "",
    };
    notes.push(format!(
        "±: half-width of the 95 % interval from both runs' noise and timing{tolerance}; how much runs differ by themselves is not \
         in it, so repeat them where the change is small"
    ));
    notes.push("Δ: change from base to other; ≈: no change at all lies within the interval".to_owned());
    if comparison.pairs.iter().any(Pair::holds_estimate) {
        notes.push("~: wholly or partly an estimate, not a measurement".to_owned());
    }
    text::document(&paragraphs, table.without_unknown_columns(), &notes, options)
}

fn row(comparison: &Comparison, i: usize, pair: &Pair) -> Row {
    let energy = |side: Option<super::Side>| match side {
        Some(side) => tables::energy_cell(&side.energy, side.holds_estimate),
        None => Cell::new(format::UNKNOWN),
    };
    let wall = |side: Option<super::Side>| format::known_duration(side.and_then(|s| s.wall));
    let change = |quantity| change_cell(comparison.change(pair, quantity));
    let later = comparison.pairs[i + 1..].iter().find(|p| p.depth <= pair.depth);
    let kind = match pair.path {
        None => RowKind::Summary,
        Some(_) => RowKind::Entry {
            depth: pair.depth,
            last: later.is_none_or(|p| p.depth < pair.depth),
        },
    };
    let per_sample = pair.other.and_then(|s| {
        s.value(Quantity::JoulesPerSample)
            .map(|v| format::derived(Some(v), &s.energy))
    });
    Row {
        kind,
        cells: vec![
            Cell::new(format::printable(&pair.name)),
            Cell::new(wall(pair.base)),
            Cell::new(wall(pair.other)),
            change(Quantity::WallSeconds),
            energy(pair.base),
            energy(pair.other),
            change(Quantity::Joules),
            Cell::new(per_sample.unwrap_or_else(|| format::UNKNOWN.to_owned())),
            change(Quantity::JoulesPerSample),
        ],
    }
}

/// More energy or time is the bad direction in every column.
fn change_cell(change: Option<Change>) -> Cell {
    let Some(change) = change else {
        return Cell::new(format::UNKNOWN);
    };
    let tone = match change {
        c if c.half_width.is_none() || c.may_be_none() => Tone::Plain,
        c if c.relative > 0.0 => Tone::Doubtful,
        _ => Tone::Sure,
    };
    let mark = if change.may_be_none() { "≈" } else { "" };
    Cell {
        tone,
        ..Cell::new(format!(
            "{mark}{}",
            format::change_percent(change.relative, change.half_width)
        ))
    }
}

fn verdict_line(outcome: &Outcome) -> String {
    let place = outcome.phase.as_deref().map_or("the whole run".to_owned(), |p| {
        format!("phase {}", format::printable(p))
    });
    let change = outcome.change.map_or_else(
        || "not known in both runs".to_owned(),
        |c| format!("{} %", format::change_percent(c.relative, c.half_width)),
    );
    let verdict = match outcome.verdict {
        Verdict::Met => "FAIL",
        Verdict::NotMet => "ok",
        Verdict::Undecided => "undecided (the threshold lies within the interval)",
        Verdict::Unknown => "UNKNOWN",
    };
    let condition = format::printable(&outcome.condition.text);
    format!("{verdict}: fail if {condition}; {place}: {change}")
}
