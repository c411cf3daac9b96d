//! The table of estimators: what each phase would be by each of them, side by side.

use super::{Align, Cell, Column, Row, RowKind, Table, energy_cell};
use crate::model::analysis::{Alternative, Analysis, EnergyEstimate};
use crate::report::format;

const COLUMNS: [Column; 4] = [
    Column::new("phase", "", Align::Left, 0),
    Column::new("auto", "± 95 %", Align::PlusMinus, 0),
    Column::new("interval", "± 95 %", Align::PlusMinus, 0),
    Column::new("regression", "± 95 %", Align::PlusMinus, 0),
];

/// All phases, `unattributed` and the total; no rows where no alternatives were asked for.
pub fn alternatives(analysis: &Analysis) -> Table {
    let row = |kind, name: String, shown: &EnergyEstimate, of: &dyn Fn(&Alternative) -> EnergyEstimate| {
        let by = |name: &str| {
            analysis
                .alternatives
                .iter()
                .find(|a| a.estimator == name)
                .map_or(EnergyEstimate::UNKNOWN, of)
        };
        let cell = |energy: &EnergyEstimate| energy_cell(energy, false);
        Row {
            kind,
            cells: vec![
                Cell::new(name),
                cell(shown),
                cell(&by("interval")),
                cell(&by("regression")),
            ],
        }
    };
    let entry = RowKind::Entry { depth: 0, last: false };
    let mut rows = Vec::new();
    if !analysis.alternatives.is_empty() {
        for (i, phase) in analysis.phases.iter().enumerate() {
            let of = |a: &Alternative| a.phases.get(i).copied().unwrap_or(EnergyEstimate::UNKNOWN);
            rows.push(row(entry, format::printable(&phase.path), &phase.energy, &of));
        }
        let rest = &analysis.unattributed.energy;
        rows.push(row(entry, "unattributed".into(), rest, &|a| a.unattributed));
        rows.push(row(entry, "total".into(), &analysis.total, &|a| a.total));
    }
    Table {
        title: "Estimators",
        columns: COLUMNS.to_vec(),
        rows,
        flexible: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixture;

    #[test]
    fn every_phase_has_a_cell_for_each_estimator() {
        let mut analysis = fixture::training();
        assert!(alternatives(&analysis).rows.is_empty());
        let interval = Alternative {
            estimator: "interval",
            total: analysis.total,
            unattributed: EnergyEstimate::UNKNOWN,
            phases: analysis.phases.iter().map(|p| p.energy).collect(),
        };
        analysis.alternatives.push(interval);
        let table = alternatives(&analysis);
        assert_eq!(table.rows.len(), analysis.phases.len() + 2);
        assert!(table.rows.iter().all(|row| row.cells.len() == COLUMNS.len()));
        assert_eq!(table.rows[0].cells[1], table.rows[0].cells[2]);
        assert_eq!(table.rows[0].cells[3].text, "—");
    }
}
