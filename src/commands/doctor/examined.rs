//! One sensor, examined: what is believed of it, what was seen, and what follows for phases. Also as JSON (`powerprof.doctor/1`).

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use super::precision::{self, Expected, Known, Precision};
use super::probe::Probe;
use crate::model::device::{Device, SensorTiming};
use crate::model::sample::Columns;
use crate::sensors::finding::{Finding, Status};
use crate::sensors::interface::{SampleBuffer, Sensor};

/// The name of the schema.
const SCHEMA: &str = "powerprof.doctor/1";
/// Where neither a limit nor a reading says what the device draws.
const SOME_WATTS: f64 = 100.0;

/// One sensor.
pub struct Examined {
    pub device: Device,
    pub columns: Columns,
    /// Seen while it was watched, milliseconds.
    pub power_period_ms: Option<f64>,
    pub counter_period_ms: Option<f64>,
    pub mean_watts: Option<f64>,
    pub calls: usize,
    pub call_median_us: Option<f64>,
    pub call_p99_us: Option<f64>,
    pub failures: u64,
    pub failure: Option<String>,
    pub buffer: Option<SampleBuffer>,
    pub precision: Option<Vec<Precision>>,
    /// Why there is no expectation of precision.
    pub no_precision: &'static str,
}

impl Examined {
    /// From a sensor that was watched.
    pub fn of(device: Device, sensor: &dyn Sensor, probe: &Probe) -> Self {
        let columns = sensor.columns();
        let seconds = |ms: Option<f64>| ms.map(|ms| ms * 1e-3).filter(|s| *s > 0.0);
        let power_period = seconds(probe.power_period_ms().or(device.power_timing.update_period_ms));
        let window = seconds(device.power_timing.window_ms);
        let mean_watts = probe.mean_watts();
        let limit = device.power_limit.map(|limit| limit.get()).filter(|w| *w > 0.0);
        let known = Known {
            power: power_period.zip(window).filter(|_| columns.watts),
            counter_s: columns.counter.and(seconds(
                probe.counter_period_ms().or(device.counter_timing.update_period_ms),
            )),
            counter_unit: columns.counter,
            limit_watts: limit.or(mean_watts.map(|w| 2.0 * w)).unwrap_or(SOME_WATTS),
            poll_s: sensor.power_period().as_secs_f64(),
        };
        Self {
            columns,
            power_period_ms: probe.power_period_ms(),
            counter_period_ms: probe.counter_period_ms(),
            mean_watts,
            calls: probe.calls_ns.len(),
            call_median_us: probe.call_us(0.5),
            call_p99_us: probe.call_us(0.99),
            failures: probe.failures,
            failure: probe.failure.clone(),
            buffer: probe.buffer,
            precision: precision::of(&device, &known),
            no_precision: "nothing is known of its window and it has no counter: `powerprof calibrate` measures both",
            device,
        }
    }
}

#[derive(Serialize)]
struct Report<'a> {
    schema: &'static str,
    watched_s: f64,
    findings: Vec<JsonFinding<'a>>,
    devices: Vec<JsonDevice<'a>>,
}

#[derive(Serialize)]
struct JsonFinding<'a> {
    family: &'static str,
    status: &'static str,
    detail: &'a str,
    hint: Option<&'a str>,
    devices: Vec<&'a str>,
}

#[derive(Serialize)]
struct JsonDevice<'a> {
    id: &'a str,
    kind: &'static str,
    source: &'static str,
    name: &'a str,
    uuid: Option<&'a str>,
    contained_in: Option<&'a str>,
    power_limit_w: Option<f64>,
    mean_power_w: Option<f64>,
    power: Option<JsonStream>,
    counter: Option<JsonStream>,
    calls: JsonCalls<'a>,
    sample_buffer: Option<JsonBuffer>,
    precision: Option<Vec<JsonPrecision>>,
    properties: &'a BTreeMap<String, String>,
}

/// `believed_*`: a table of boards, or a calibration (`properties.timing_source`).
#[derive(Serialize)]
struct JsonStream {
    believed_update_period_ms: Option<f64>,
    believed_window_ms: Option<f64>,
    believed_delay_ms: Option<f64>,
    seen_update_period_ms: Option<f64>,
}

#[derive(Serialize)]
struct JsonCalls<'a> {
    count: usize,
    median_us: Option<f64>,
    p99_us: Option<f64>,
    failures: u64,
    last_failure: Option<&'a str>,
}

#[derive(Serialize)]
struct JsonBuffer {
    length: usize,
    spacing_ms: Option<f64>,
    clock: Option<&'static str>,
}

#[derive(Serialize)]
struct JsonPrecision {
    phase_s: f64,
    once: JsonExpected,
    once_places: usize,
    once_unresolved_places: usize,
    repeated_for_s: f64,
    repeated: JsonExpected,
}

#[derive(Serialize)]
struct JsonExpected {
    relative_u95: Option<f64>,
    grade: &'static str,
}

/// The word of a status in JSON.
pub const fn status(status: Status) -> &'static str {
    match status {
        Status::Found => "found",
        Status::Absent => "absent",
        Status::Blocked => "blocked",
        Status::Note => "note",
    }
}

/// Everything as indented JSON, a line feed at the end.
pub fn json(findings: &[Finding], examined: &[Examined], watched: Duration) -> Result<String, serde_json::Error> {
    let report = Report {
        schema: SCHEMA,
        watched_s: watched.as_secs_f64(),
        findings: findings.iter().map(finding).collect(),
        devices: examined.iter().map(device).collect(),
    };
    Ok(serde_json::to_string_pretty(&report)? + "\n")
}

fn finding(finding: &Finding) -> JsonFinding<'_> {
    JsonFinding {
        family: finding.family.as_str(),
        status: status(finding.status),
        detail: &finding.detail,
        hint: finding.hint.as_deref(),
        devices: finding.devices.iter().map(|id| id.0.as_str()).collect(),
    }
}

fn device(e: &Examined) -> JsonDevice<'_> {
    let stream = |present: bool, believed: &SensorTiming, seen: Option<f64>| {
        present.then_some(JsonStream {
            believed_update_period_ms: believed.update_period_ms,
            believed_window_ms: believed.window_ms,
            believed_delay_ms: believed.delay_ms,
            seen_update_period_ms: seen,
        })
    };
    let expected = |e: Expected| JsonExpected {
        relative_u95: e.relative_u95,
        grade: e.grade.as_str(),
    };
    let d = &e.device;
    JsonDevice {
        id: &d.id.0,
        kind: d.kind.as_str(),
        source: d.source.as_str(),
        name: &d.name,
        uuid: d.uuid.as_deref(),
        contained_in: d.contained_in.as_ref().map(|id| id.0.as_str()),
        power_limit_w: d.power_limit.map(|limit| limit.get()),
        mean_power_w: e.mean_watts,
        power: stream(e.columns.watts, &d.power_timing, e.power_period_ms),
        counter: stream(e.columns.counter.is_some(), &d.counter_timing, e.counter_period_ms),
        calls: JsonCalls {
            count: e.calls,
            median_us: e.call_median_us,
            p99_us: e.call_p99_us,
            failures: e.failures,
            last_failure: e.failure.as_deref(),
        },
        sample_buffer: e.buffer.map(|buffer| JsonBuffer {
            length: buffer.length,
            spacing_ms: buffer.spacing_ms,
            clock: buffer.clock,
        }),
        precision: e.precision.as_ref().map(|all| {
            let one = |p: &Precision| JsonPrecision {
                phase_s: p.phase_s,
                once: expected(p.once),
                once_places: precision::PLACES,
                once_unresolved_places: p.once_unresolved,
                repeated_for_s: precision::REPEATED_FOR_S,
                repeated: expected(p.repeated),
            };
            all.iter().map(one).collect()
        }),
        properties: &d.properties,
    }
}
