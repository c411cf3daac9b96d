//! The table of the study's figures, each beside the exact one; how each came about is told by the notes.

use super::{Align, Cell, Column, Row, RowKind, Table};
use crate::model::analysis::Analysis;
use crate::report::format;

const COLUMNS: [Column; 5] = [
    Column::new("as in the study", "", Align::Left, 0),
    Column::new("unit", "", Align::Left, 0),
    Column::new("study", "", Align::Right, 0),
    Column::new("exact", "", Align::Right, 0),
    Column::new("difference", "%", Align::Right, 0),
];

/// One row for each figure; none where they were not asked for.
pub fn study(analysis: &Analysis) -> Table {
    let figures = analysis.study.iter().flat_map(|study| &study.figures);
    let number =
        |value: Option<f64>| Cell::new(value.map_or(format::UNKNOWN.to_owned(), |v| format::significant(v, 4)));
    let rows = figures.map(|figure| {
        let difference = figure.difference();
        Row {
            kind: RowKind::Entry { depth: 0, last: false },
            cells: vec![
                Cell::new(figure.name.replace('_', " ")),
                Cell::new(figure.unit),
                number(figure.study),
                number(figure.exact),
                Cell::new(difference.map_or(format::UNKNOWN.to_owned(), |d| format::change_percent(d, None))),
            ],
        }
    });
    Table {
        title: "As in the study",
        columns: COLUMNS.to_vec(),
        rows: rows.collect(),
        flexible: None,
    }
}
