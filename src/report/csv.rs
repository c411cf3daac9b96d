//! Phases as CSV, one row each in full precision, `unattributed` and `total` behind them; empty cells for the unknown.
//!
//! The first column says what a row is, so that a sum over `phase` rows of depth 0 and `unattributed` can be held against `total`.
//! `simulated` names the profile in every row where nothing was measured. Each device adds the columns `<id>_joules` and `<id>_u95_joules`;
//! columns that came later stand behind these. Last, each label of the run is a column `label_<key>` with its value in every row, as
//! tables of many runs want it.

use super::ReportError;
use crate::model::analysis::{Analysis, DeviceEnergy, EnergyEstimate};
use crate::model::units::{Joules, Seconds, Watts};

const HEADER: [&str; 22] = [
    "row",
    "path",
    "name",
    "depth",
    "count",
    "wall_s",
    "energy_joules",
    "u95_joules",
    "u95_scale_joules",
    "upper_bound_joules",
    "method",
    "grade",
    "mean_power_w",
    "samples",
    "samples_per_s",
    "samples_per_s_per_w",
    "tokens",
    "mean_utilization_pct",
    "mean_memory_bytes",
    "simulated",
    "net_energy_joules",
    "net_u95_joules",
];

/// Behind the devices' columns.
const LATER: [&str; 2] = ["net_upper_bound_joules", "net_grade"];

/// The table, header first.
pub fn render(analysis: &Analysis) -> Result<String, ReportError> {
    let mut out = ::csv::Writer::from_writer(Vec::new());
    let ids: Vec<&str> = analysis.devices.iter().map(|d| d.device.id.0.as_str()).collect();
    let of_devices = ids
        .iter()
        .flat_map(|id| [format!("{id}_joules"), format!("{id}_u95_joules")]);
    let header = HEADER.iter().map(|h| (*h).to_owned()).chain(of_devices);
    let labels = &analysis.run.labels;
    let of_labels = labels.keys().map(|key| format!("label_{key}"));
    out.write_record(header.chain(LATER.map(str::to_owned)).chain(of_labels))?;
    let simulated = analysis
        .run
        .simulated
        .as_ref()
        .map(|profile| format!("SIMULATED {profile}"))
        .unwrap_or_default();
    let idle = analysis.idle.as_ref();
    for (i, p) in analysis.phases.iter().enumerate() {
        let mut row = vec![
            "phase".to_owned(),
            p.path.clone(),
            p.name.clone(),
            p.depth.to_string(),
            p.count.to_string(),
        ];
        row.extend(energy_cells(p.wall, &p.energy));
        row.extend([
            float(p.mean_power.map(Watts::get)),
            whole(p.samples),
            float(p.samples_per_s),
            float(p.samples_per_s_per_w),
            whole(p.tokens),
            float(p.mean_utilization_pct),
            float(p.mean_memory_bytes),
        ]);
        row.push(simulated.clone());
        let net = idle.and_then(|idle| idle.phases.get(i));
        row.extend(net_cells(net));
        row.extend(device_cells(&ids, &p.devices));
        row.extend(later_cells(net));
        row.extend(labels.values().cloned());
        out.write_record(row)?;
    }
    let un = &analysis.unattributed;
    let all: Vec<DeviceEnergy> = analysis
        .devices
        .iter()
        .map(|d| DeviceEnergy {
            id: d.device.id.0.clone(),
            energy: d.energy,
        })
        .collect();
    let mean = (analysis.total.joules).filter(|_| analysis.run.wall.get() > 0.0);
    let mean = mean.map(|joules| joules / analysis.run.wall);
    for (kind, wall, energy, mean, net, devices) in [
        (
            "unattributed",
            un.wall,
            &un.energy,
            un.mean_power,
            idle.map(|i| &i.unattributed),
            &un.devices,
        ),
        (
            "total",
            analysis.run.wall,
            &analysis.total,
            mean,
            idle.map(|i| &i.total),
            &all,
        ),
    ] {
        let mut row = vec![kind.to_owned()];
        row.resize(5, String::new());
        row.extend(energy_cells(Some(wall), energy));
        row.push(float(mean.map(Watts::get)));
        row.resize(HEADER.len() - 3, String::new());
        row.push(simulated.clone());
        row.extend(net_cells(net));
        row.extend(device_cells(&ids, devices));
        row.extend(later_cells(net));
        row.extend(labels.values().cloned());
        out.write_record(row)?;
    }
    let bytes = out.into_inner().map_err(|e| ::csv::Error::from(e.into_error()))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn net_cells(net: Option<&EnergyEstimate>) -> [String; 2] {
    [
        float(net.and_then(|e| e.joules).map(Joules::get)),
        float(net.and_then(|e| e.u95).map(Joules::get)),
    ]
}

fn later_cells(net: Option<&EnergyEstimate>) -> [String; 2] {
    [
        float(net.and_then(|e| e.upper_bound).map(Joules::get)),
        net.map(|e| e.grade.as_str().to_owned()).unwrap_or_default(),
    ]
}

fn energy_cells(wall: Option<Seconds>, e: &EnergyEstimate) -> [String; 7] {
    let joules = |j: Option<Joules>| float(j.map(Joules::get));
    [
        float(wall.map(Seconds::get)),
        joules(e.joules),
        joules(e.u95),
        joules(e.u95_scale),
        joules(e.upper_bound),
        e.method.as_str().to_owned(),
        e.grade.as_str().to_owned(),
    ]
}

fn device_cells(ids: &[&str], parts: &[DeviceEnergy]) -> Vec<String> {
    let cells = ids.iter().flat_map(|id| {
        let part = parts.iter().find(|d| d.id == *id).map(|d| d.energy);
        [
            float(part.and_then(|e| e.joules).map(Joules::get)),
            float(part.and_then(|e| e.u95).map(Joules::get)),
        ]
    });
    cells.collect()
}

/// The shortest decimal that reads back as the same number.
fn float(value: Option<f64>) -> String {
    value
        .filter(|v| v.is_finite())
        .map(|v| v.to_string())
        .unwrap_or_default()
}

fn whole(value: Option<u64>) -> String {
    value.map(|v| v.to_string()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixture;

    #[test]
    fn training_run() {
        insta::assert_snapshot!(render(&fixture::training()).unwrap());
    }

    #[test]
    fn a_net_energy_has_its_bound_and_grade() {
        let text = render(&fixture::net_of_idle()).unwrap();
        let mut reader = ::csv::Reader::from_reader(text.as_bytes());
        let names = reader.headers().unwrap().clone();
        let of = |row: &::csv::StringRecord, name: &str| {
            let at = names.iter().position(|n| n == name).unwrap();
            row[at].to_owned()
        };
        let rows: Vec<_> = reader.records().map(Result::unwrap).collect();
        let cells = ["net_energy_joules", "net_upper_bound_joules", "net_grade"];
        assert_eq!(cells.map(|name| of(&rows[0], name)), ["", "16.5", "unresolved"]);
        assert_eq!(cells.map(|name| of(&rows[1], name)), ["84080", "", "C"]);
    }

    #[test]
    fn labels_are_the_last_columns_of_every_row() {
        let mut analysis = fixture::training();
        let without = render(&analysis).unwrap();
        let labels = [("batch", "8"), ("model", "led, large")];
        analysis.run.labels = labels.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
        let text = render(&analysis).unwrap();
        let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
        for (i, (with, without)) in lines(&text).iter().zip(lines(&without)).enumerate() {
            let cells = if i == 0 {
                "label_batch,label_model"
            } else {
                "8,\"led, large\""
            };
            assert_eq!(*with, format!("{without},{cells}"));
        }
    }

    #[test]
    fn rows_at_the_top_and_unattributed_add_up_to_the_total() {
        let text = render(&fixture::training()).unwrap();
        let mut reader = ::csv::Reader::from_reader(text.as_bytes());
        let column = |name: &str| HEADER.iter().position(|h| *h == name).unwrap();
        let (mut sum, mut total) = (0.0, 0.0);
        for row in reader.records() {
            let row = row.unwrap();
            let joules: f64 = row[column("energy_joules")].parse().unwrap_or(0.0);
            match (&row[0], &row[column("depth")]) {
                ("phase", "0") | ("unattributed", _) => sum += joules,
                ("total", _) => total += joules,
                _ => {}
            }
        }
        assert!(
            total > 0.0 && (sum - total).abs() < 1e-6 * total,
            "{sum} against {total}"
        );
    }
}
