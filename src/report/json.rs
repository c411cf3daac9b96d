//! Schema `powerprof.report/1`: every figure in full precision, SI units in the keys, `null` for the unknown.
//!
//! Names are a contract: adding one is free, changing one makes `powerprof.report/2`. Numbers that are not finite are `null` too.

mod blocks;

use std::collections::BTreeMap;

use serde::Serialize;

use self::blocks::{Alternative, AsPaper, Baseline, alternative, as_paper, baseline};
use super::{ReportError, format, notes};
use crate::model::analysis::{
    Analysis, DeviceAnalysis, DeviceEnergy, EnergyEstimate, FoundSensor, FoundStream, PhaseAnalysis, PowerOrigin,
};
use crate::model::units::{Joules, Seconds, Watts};

/// The name of the schema.
pub const SCHEMA: &str = "powerprof.report/1";

#[derive(Serialize)]
struct Report<'a> {
    schema: &'static str,
    run: Run<'a>,
    total: Total,
    idle_baseline: Option<Baseline<'a>>,
    devices: Vec<Device<'a>>,
    phases: Vec<Phase<'a>>,
    unattributed: Unattributed<'a>,
    metrics: Vec<Metric<'a>>,
    checks: Vec<Check<'a>>,
    warnings: &'a [String],
    /// The same by other estimators, where they were asked for (`--estimator all`).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    alternatives: Vec<Alternative<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    as_paper: Option<AsPaper<'a>>,
}

#[derive(Serialize)]
struct Run<'a> {
    command: &'a [String],
    started_at: Option<String>,
    wall_s: f64,
    exit_code: Option<i32>,
    complete: bool,
    hosts: &'a [String],
    simulated: Option<&'a str>,
    labels: &'a BTreeMap<String, String>,
}

#[derive(Serialize)]
struct Energy {
    joules: Option<f64>,
    u95_joules: Option<f64>,
    u95_scale_joules: Option<f64>,
    method: &'static str,
    grade: &'static str,
    upper_bound_joules: Option<f64>,
}

#[derive(Serialize)]
struct Total {
    wall_s: f64,
    energy: Energy,
    net_energy: Option<Energy>,
}

#[derive(Serialize)]
struct Device<'a> {
    id: &'a str,
    kind: &'static str,
    name: &'a str,
    uuid: Option<&'a str>,
    source: &'static str,
    update_period_ms: Option<f64>,
    window_ms: Option<f64>,
    energy: Energy,
    net_energy: Option<Energy>,
    mean_power_w: Option<f64>,
    max_power_w: Option<f64>,
    mean_utilization_pct: Option<f64>,
    mean_memory_bytes: Option<f64>,
    max_memory_bytes: Option<u64>,
    in_total: bool,
    power_stream: Option<&'static str>,
    sensor: Option<Sensor>,
    sensor_call_share: Option<f64>,
}

/// What the readings say of the sensor; `u95_*` are half-widths of 95 % intervals.
#[derive(Serialize)]
struct Sensor {
    power_stream: Option<&'static str>,
    power: Option<SensorStream>,
    counter: Option<SensorStream>,
    counter_kind: &'static str,
    power_lag_ms: f64,
    u95_power_lag_ms: f64,
    phases_in_parts: bool,
}

#[derive(Serialize)]
struct SensorStream {
    updates: usize,
    update_period_ms: f64,
    u95_update_period_ms: f64,
    window_ms: Option<f64>,
    u95_window_ms: Option<f64>,
    window_shape: Option<&'static str>,
    delay_ms: Option<f64>,
    u95_delay_ms: Option<f64>,
    jitter_ms: f64,
}

#[derive(Serialize)]
struct Phase<'a> {
    path: &'a str,
    name: &'a str,
    count: u64,
    wall_s: Option<f64>,
    energy: Energy,
    net_energy: Option<Energy>,
    mean_power_w: Option<f64>,
    samples: Option<u64>,
    samples_per_s: Option<f64>,
    samples_per_s_per_w: Option<f64>,
    tokens: Option<u64>,
    mean_utilization_pct: Option<f64>,
    mean_memory_bytes: Option<f64>,
    devices: Vec<Part<'a>>,
}

#[derive(Serialize)]
struct Part<'a> {
    id: &'a str,
    energy: Energy,
}

#[derive(Serialize)]
struct Unattributed<'a> {
    wall_s: f64,
    energy: Energy,
    net_energy: Option<Energy>,
    devices: Vec<Part<'a>>,
}

#[derive(Serialize)]
struct Metric<'a> {
    name: &'a str,
    value: f64,
    /// `nan`, `inf` or `-inf` where that was written: `value` is null then, for JSON has no such number.
    not_finite: Option<&'static str>,
    path: &'a str,
    t_s: f64,
    rank: u32,
}

#[derive(Serialize)]
struct Check<'a> {
    name: &'a str,
    status: &'static str,
    detail: &'a str,
}

/// The analysis as indented JSON, a line feed at the end.
pub fn render(analysis: &Analysis) -> Result<String, ReportError> {
    let run = &analysis.run;
    let idle = analysis.idle.as_ref();
    let report = Report {
        schema: SCHEMA,
        run: Run {
            command: &run.command,
            started_at: notes::started_at(run.started_realtime_ns),
            wall_s: run.wall.get(),
            exit_code: run.exit_code,
            complete: run.complete,
            hosts: &run.hosts,
            simulated: run.simulated.as_deref(),
            labels: &run.labels,
        },
        total: Total {
            wall_s: run.wall.get(),
            energy: energy(&analysis.total),
            net_energy: idle.map(|idle| energy(&idle.total)),
        },
        idle_baseline: idle.map(baseline),
        devices: (analysis.devices.iter().enumerate())
            .map(|(i, d)| device(d, idle.and_then(|idle| idle.devices.get(i)).map(|d| &d.net)))
            .collect(),
        phases: (analysis.phases.iter().enumerate())
            .map(|(i, p)| phase(p, idle.and_then(|idle| idle.phases.get(i))))
            .collect(),
        unattributed: Unattributed {
            wall_s: analysis.unattributed.wall.get(),
            energy: energy(&analysis.unattributed.energy),
            net_energy: idle.map(|idle| energy(&idle.unattributed)),
            devices: parts(&analysis.unattributed.devices),
        },
        metrics: analysis
            .metrics
            .iter()
            .map(|m| Metric {
                name: &m.name,
                value: m.value,
                not_finite: format::not_finite(m.value),
                path: &m.path,
                t_s: m.t.seconds_since(run.started),
                rank: m.rank,
            })
            .collect(),
        checks: analysis
            .checks
            .iter()
            .map(|c| Check {
                name: &c.name,
                status: c.status.as_str(),
                detail: &c.detail,
            })
            .collect(),
        warnings: &analysis.warnings,
        alternatives: analysis.alternatives.iter().map(|a| alternative(analysis, a)).collect(),
        as_paper: analysis.study.as_ref().map(as_paper),
    };
    Ok(serde_json::to_string_pretty(&report)? + "\n")
}

fn energy(e: &EnergyEstimate) -> Energy {
    Energy {
        joules: e.joules.map(Joules::get),
        u95_joules: e.u95.map(Joules::get),
        u95_scale_joules: e.u95_scale.map(Joules::get),
        method: e.method.as_str(),
        grade: e.grade.as_str(),
        upper_bound_joules: e.upper_bound.map(Joules::get),
    }
}

fn sensor(found: &FoundSensor) -> Sensor {
    Sensor {
        power_stream: found.origin.map(PowerOrigin::as_str),
        power: found.power.as_ref().map(sensor_stream),
        counter: found.counter.as_ref().map(sensor_stream),
        counter_kind: found.counter_kind,
        power_lag_ms: found.lag.value,
        u95_power_lag_ms: found.lag.u95,
        phases_in_parts: found.in_parts,
    }
}

fn sensor_stream(found: &FoundStream) -> SensorStream {
    SensorStream {
        updates: found.updates,
        update_period_ms: found.period.value,
        u95_update_period_ms: found.period.u95,
        window_ms: found.window.map(|(ms, _)| ms.value),
        u95_window_ms: found.window.map(|(ms, _)| ms.u95),
        window_shape: found.window.map(|(_, shape)| shape),
        delay_ms: found.delay.map(|ms| ms.value),
        u95_delay_ms: found.delay.map(|ms| ms.u95),
        jitter_ms: found.jitter_ms,
    }
}

fn device<'a>(d: &'a DeviceAnalysis, net: Option<&EnergyEstimate>) -> Device<'a> {
    Device {
        id: &d.device.id.0,
        kind: d.device.kind.as_str(),
        name: &d.device.name,
        uuid: d.device.uuid.as_deref(),
        source: d.device.source.as_str(),
        update_period_ms: d.timing.update_period_ms,
        window_ms: d.timing.window_ms,
        energy: energy(&d.energy),
        net_energy: net.map(energy),
        mean_power_w: d.mean_power.map(Watts::get),
        max_power_w: d.max_power.map(Watts::get),
        mean_utilization_pct: d.mean_utilization_pct,
        mean_memory_bytes: d.mean_memory_bytes,
        max_memory_bytes: d.max_memory_bytes,
        in_total: d.in_total,
        power_stream: d.origin.map(PowerOrigin::as_str),
        sensor: d.found.as_ref().map(sensor),
        sensor_call_share: d.call_share,
    }
}

fn phase<'a>(p: &'a PhaseAnalysis, net: Option<&EnergyEstimate>) -> Phase<'a> {
    Phase {
        path: &p.path,
        name: &p.name,
        count: p.count,
        wall_s: p.wall.map(Seconds::get),
        energy: energy(&p.energy),
        net_energy: net.map(energy),
        mean_power_w: p.mean_power.map(Watts::get),
        samples: p.samples,
        samples_per_s: p.samples_per_s,
        samples_per_s_per_w: p.samples_per_s_per_w,
        tokens: p.tokens,
        mean_utilization_pct: p.mean_utilization_pct,
        mean_memory_bytes: p.mean_memory_bytes,
        devices: parts(&p.devices),
    }
}

fn parts(devices: &[DeviceEnergy]) -> Vec<Part<'_>> {
    devices
        .iter()
        .map(|d| Part {
            id: &d.id,
            energy: energy(&d.energy),
        })
        .collect()
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
    fn what_is_not_finite_is_null() {
        let mut analysis = fixture::training();
        analysis.phases[0].mean_power = Some(Watts(f64::NAN));
        analysis.phases[0].energy.joules = Some(Joules(f64::INFINITY));
        let json: serde_json::Value = serde_json::from_str(&render(&analysis).unwrap()).unwrap();
        assert!(json["phases"][0]["mean_power_w"].is_null());
        assert!(json["phases"][0]["energy"]["joules"].is_null());
    }

    #[test]
    fn a_metric_that_is_no_number_says_which_and_labels_are_an_object() {
        let mut analysis = fixture::training();
        let values = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 0.5];
        analysis.metrics.iter_mut().zip(values).for_each(|(m, v)| m.value = v);
        analysis.run.labels.insert("model".to_owned(), "led".to_owned());
        let json: serde_json::Value = serde_json::from_str(&render(&analysis).unwrap()).unwrap();
        for (i, word) in ["nan", "inf", "-inf"].into_iter().enumerate() {
            assert!(json["metrics"][i]["value"].is_null());
            assert_eq!(json["metrics"][i]["not_finite"], word);
        }
        assert!(json["metrics"][3]["value"] == 0.5 && json["metrics"][3]["not_finite"].is_null());
        assert_eq!(json["run"]["labels"]["model"], "led");
    }

    /// Every key of the contract, spelled as there: the schema may grow, and loses nothing.
    #[test]
    fn keys_of_the_contract_are_there() {
        let json: serde_json::Value = serde_json::from_str(&render(&fixture::training()).unwrap()).unwrap();
        let energy = "joules u95_joules u95_scale_joules method grade upper_bound_joules";
        let cases = [
            (
                "",
                "schema run total devices phases unattributed metrics checks warnings",
            ),
            ("/run", "command started_at wall_s exit_code complete hosts"),
            ("/total", "wall_s energy"),
            ("/total/energy", energy),
            (
                "/devices/0",
                "id kind name uuid source update_period_ms window_ms energy mean_power_w max_power_w mean_utilization_pct \
                 mean_memory_bytes max_memory_bytes",
            ),
            (
                "/phases/0",
                "path name count wall_s energy mean_power_w samples samples_per_s samples_per_s_per_w tokens \
                 mean_utilization_pct mean_memory_bytes devices",
            ),
            ("/phases/0/devices/0", "id energy"),
            ("/phases/0/devices/0/energy", energy),
            ("/unattributed", "wall_s energy"),
            ("/metrics/0", "name value path t_s"),
            ("/checks/0", "name status detail"),
        ];
        for (pointer, keys) in cases {
            let object = json
                .pointer(pointer)
                .and_then(|v| v.as_object())
                .unwrap_or_else(|| panic!("no {pointer}"));
            for key in keys.split_whitespace() {
                assert!(object.contains_key(key), "{pointer} lacks {key}");
            }
        }
        assert_eq!(json["schema"], SCHEMA);
    }
}
