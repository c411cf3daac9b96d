//! The table of metrics: how often each was written, and what it was in the end.

use super::{Align, Cell, Column, Row, RowKind, Table};
use crate::model::analysis::Analysis;
use crate::report::format;

const COLUMNS: [Column; 5] = [
    Column::new("metric", "", Align::Left, 0),
    Column::new("in phase", "", Align::Left, 1),
    Column::new("count", "", Align::Right, 2),
    Column::new("first", "", Align::Right, 3),
    Column::new("last", "", Align::Right, 0),
];

/// One row for each name and phase, in order of first appearance.
pub fn metrics(analysis: &Analysis) -> Table {
    struct Series<'a> {
        name: &'a str,
        path: &'a str,
        count: u64,
        first: f64,
        last: f64,
    }
    let mut series: Vec<Series> = Vec::new();
    let mut place = std::collections::HashMap::new();
    for metric in &analysis.metrics {
        let i = *place
            .entry((metric.name.as_str(), metric.path.as_str()))
            .or_insert_with(|| {
                series.push(Series {
                    name: &metric.name,
                    path: &metric.path,
                    count: 0,
                    first: metric.value,
                    last: metric.value,
                });
                series.len() - 1
            });
        series[i].count += 1;
        series[i].last = metric.value;
    }
    let rows = series.iter().map(|s| Row {
        kind: RowKind::Entry { depth: 0, last: false },
        cells: vec![
            Cell::new(format::printable(s.name)),
            Cell::new(format::printable(s.path)),
            Cell::new(format::count(Some(s.count))),
            Cell::new(format::any(s.first, 4)),
            Cell::new(format::any(s.last, 4)),
        ],
    });
    Table {
        title: "Metrics",
        columns: COLUMNS.to_vec(),
        rows: rows.collect(),
        flexible: Some(1),
    }
    .without_unknown_columns()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixture;

    #[test]
    fn a_loss_that_diverged_is_shown_as_such() {
        let mut analysis = fixture::training();
        let shown = |analysis: &Analysis| {
            let loss = metrics(analysis).rows.swap_remove(0);
            loss.cells.iter().map(|c| c.text.clone()).collect::<Vec<_>>()
        };
        analysis.metrics[3].value = f64::NAN;
        assert_eq!(shown(&analysis), ["loss", "train/step", "3", "9.812", "nan"]);
        analysis.metrics[0].value = f64::NEG_INFINITY;
        analysis.metrics[3].value = f64::INFINITY;
        assert_eq!(shown(&analysis), ["loss", "train/step", "3", "-inf", "inf"]);
    }
}
