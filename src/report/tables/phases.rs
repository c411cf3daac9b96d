//! The table of phases: the tree, what each part took, and at the bottom what no phase covers and the total.

use super::{Align, Cell, Column, Row, RowKind, Table, energy_cell, grade_cell, share_cells};
use crate::model::analysis::{Analysis, DeviceEnergy, EnergyEstimate, Method, PhaseAnalysis};
use crate::model::units::{Joules, Seconds, Watts};
use crate::report::format;

const COLUMNS: [Column; 13] = [
    Column::new("phase", "", Align::Left, 0),
    Column::new("count", "", Align::Right, 2),
    Column::new("time", "", Align::Right, 0),
    Column::new("share", "%", Align::Right, 1),
    Column::new("", "", Align::Left, 9),
    Column::new("energy", "± 95 %", Align::PlusMinus, 0),
    Column::new("grade", "", Align::Left, 0),
    Column::new("net of idle", "± 95 %", Align::PlusMinus, 1),
    Column::new("mean", "W", Align::Right, 5),
    Column::new("samples", "/s", Align::Right, 3),
    Column::new("samples", "/s/W", Align::Right, 4),
    Column::new("util.", "%", Align::Right, 6),
    Column::new("mem.", "GiB", Align::Right, 7),
];

/// All phases in preorder, `unattributed`, and the total.
pub fn phases(analysis: &Analysis) -> Table {
    let mut rows: Vec<Row> = analysis
        .phases
        .iter()
        .enumerate()
        .map(|(i, p)| phase_row(analysis, i, p))
        .collect();
    let un = &analysis.unattributed;
    rows.push(sum_row(
        analysis,
        "unattributed",
        un.wall,
        &un.energy,
        un.mean_power,
        holds_estimate(&un.energy, &un.devices),
        analysis.idle.as_ref().map(|idle| &idle.unattributed),
    ));
    let estimated = analysis
        .devices
        .iter()
        .any(|d| d.in_total && d.energy.method == Method::Estimate);
    let mean = (analysis.total.joules).filter(|_| analysis.run.wall.get() > 0.0);
    let mean = mean.map(|joules: Joules| joules / analysis.run.wall);
    rows.push(sum_row(
        analysis,
        "total",
        analysis.run.wall,
        &analysis.total,
        mean,
        estimated,
        analysis.idle.as_ref().map(|idle| &idle.total),
    ));
    Table {
        title: "Phases",
        columns: COLUMNS.to_vec(),
        rows,
        flexible: None,
    }
    .without_unknown_columns()
}

fn phase_row(analysis: &Analysis, i: usize, phase: &PhaseAnalysis) -> Row {
    let (share, bar) = share_cells(&phase.energy, &analysis.total);
    let last = analysis.phases[i + 1..]
        .iter()
        .find(|p| p.depth <= phase.depth)
        .is_none_or(|p| p.depth < phase.depth);
    Row {
        kind: RowKind::Entry {
            depth: phase.depth,
            last,
        },
        cells: vec![
            Cell::new(format::printable(&phase.name)),
            Cell::new(format::count(Some(phase.count))),
            Cell::new(format::known_duration(phase.wall)),
            share,
            bar,
            energy_cell(&phase.energy, holds_estimate(&phase.energy, &phase.devices)),
            grade_cell(&phase.energy),
            net_cell(
                analysis.idle.as_ref().and_then(|idle| idle.phases.get(i)),
                holds_estimate(&phase.energy, &phase.devices),
            ),
            Cell::new(format::derived(phase.mean_power.map(Watts::get), &phase.energy)),
            Cell::new(format::plain(phase.samples_per_s)),
            Cell::new(format::derived(phase.samples_per_s_per_w, &phase.energy)),
            Cell::new(format::percent(phase.mean_utilization_pct)),
            Cell::new(format::gibibytes(phase.mean_memory_bytes)),
        ],
    }
}

fn net_cell(net: Option<&EnergyEstimate>, estimated: bool) -> Cell {
    net.map_or(Cell::new(""), |net| energy_cell(net, estimated))
}

fn sum_row(
    analysis: &Analysis,
    name: &str,
    wall: Seconds,
    energy: &EnergyEstimate,
    mean: Option<Watts>,
    estimated: bool,
    net: Option<&EnergyEstimate>,
) -> Row {
    let (share, bar) = share_cells(energy, &analysis.total);
    let mut cells = vec![
        Cell::new(name),
        Cell::new(""),
        Cell::new(format::duration(wall)),
        share,
        bar,
        energy_cell(energy, estimated),
        grade_cell(energy),
        net_cell(net, estimated),
        Cell::new(format::derived(mean.map(Watts::get), energy)),
    ];
    cells.resize(COLUMNS.len(), Cell::new(""));
    Row {
        kind: RowKind::Summary,
        cells,
    }
}

/// Whether any device's part of it is an estimate.
fn holds_estimate(energy: &EnergyEstimate, devices: &[DeviceEnergy]) -> bool {
    energy.method == Method::Estimate || devices.iter().any(|d| d.energy.method == Method::Estimate)
}

/// `~18.43 ± 0.21 kJ  A` for each phase and, behind them, for what no phase covers.
pub fn energy_labels(analysis: &Analysis) -> Vec<String> {
    let label = |energy: &EnergyEstimate, devices: &[DeviceEnergy]| {
        let (energy_text, grade) = (
            energy_cell(energy, holds_estimate(energy, devices)).text,
            grade_cell(energy).text,
        );
        if energy_text == format::UNKNOWN {
            energy_text
        } else {
            format!("{energy_text}  {grade}")
        }
    };
    let un = &analysis.unattributed;
    let phases = analysis.phases.iter().map(|p| label(&p.energy, &p.devices));
    phases.chain([label(&un.energy, &un.devices)]).collect()
}
