//! The table of devices: what was measured, by which interface and method, over the whole run.

use super::{Align, Cell, Column, Row, RowKind, Table, energy_cell, grade_cell, share_cells};
use crate::model::analysis::{Analysis, DeviceAnalysis, EnergyEstimate, Method};
use crate::model::device::Source;
use crate::model::units::Watts;
use crate::report::format;

const COLUMNS: [Column; 13] = [
    Column::new("device", "", Align::Left, 0),
    Column::new("name", "", Align::Left, 1),
    Column::new("figures from", "", Align::Left, 0),
    Column::new("share", "%", Align::Right, 3),
    Column::new("", "", Align::Left, 9),
    Column::new("energy", "± 95 %", Align::PlusMinus, 0),
    Column::new("grade", "", Align::Left, 0),
    Column::new("idle", "W", Align::Right, 1),
    Column::new("mean", "W", Align::Right, 2),
    Column::new("max", "W", Align::Right, 4),
    Column::new("util.", "%", Align::Right, 5),
    Column::new("mem.", "GiB", Align::Right, 7),
    Column::new("max", "GiB", Align::Right, 6),
];

/// All devices in the recording's order.
pub fn devices(analysis: &Analysis) -> Table {
    let rows = analysis.devices.iter().map(|d| device_row(analysis, d)).collect();
    Table {
        title: "Devices",
        columns: COLUMNS.to_vec(),
        rows,
        flexible: Some(1),
    }
    .without_unknown_columns()
}

fn device_row(analysis: &Analysis, d: &DeviceAnalysis) -> Row {
    // A device inside another is no part of the total, so it has no share of it.
    let whole = if d.in_total {
        &analysis.total
    } else {
        &EnergyEstimate::UNKNOWN
    };
    let (share, bar) = share_cells(&d.energy, whole);
    let id = format::printable(&d.device.id.0);
    let before = analysis.idle.iter().flat_map(|idle| &idle.devices);
    let idle = before
        .filter(|i| i.id == d.device.id.0)
        .find_map(|i| i.power)
        .map(Watts::get);
    Row {
        kind: RowKind::Entry { depth: 0, last: false },
        cells: vec![
            Cell::new(if d.in_total { id } else { format!("({id})") }),
            Cell::new(format::printable(&d.device.name)),
            Cell::new(figures_from(d)),
            share,
            bar,
            energy_cell(&d.energy, d.energy.method == Method::Estimate),
            grade_cell(&d.energy),
            Cell::new(format::plain(idle)),
            Cell::new(format::derived(d.mean_power.map(Watts::get), &d.energy)),
            Cell::new(format::plain(d.max_power.map(Watts::get))),
            Cell::new(format::percent(d.mean_utilization_pct)),
            Cell::new(format::gibibytes(d.mean_memory_bytes)),
            Cell::new(format::gibibytes(d.max_memory_bytes.map(|b| b as f64))),
        ],
    }
}

/// `nvml counter`, `rapl counter`, `estimate`, `simulated integral`, `nvml, no data`.
fn figures_from(d: &DeviceAnalysis) -> String {
    match (d.device.source, d.energy.method) {
        (Source::Estimate, Method::Estimate) => "estimate".to_owned(),
        (source, Method::None) => format!("{}, no data", source.as_str()),
        (source, method) => format!("{} {}", source.as_str(), method.as_str()),
    }
}
