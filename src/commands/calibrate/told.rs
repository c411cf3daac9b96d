//! What a calibration found, for people and as JSON (`powerprof.calibration/1`).

use std::fmt::Write;

use serde::Serialize;

use crate::calibration::{CounterKind, Measured, SensorResult};
use crate::model::device::Device;

const SCHEMA: &str = "powerprof.calibration/1";

/// `25.1 ± 0.3 ms`.
fn pm(value_s: f64, u95_s: f64) -> String {
    format!("{:.2} ± {:.2} ms", value_s * 1e3, u95_s * 1e3)
}

/// The text, a line feed at the end.
pub fn text(results: &[(Device, SensorResult)], answered: bool, period_s: f64) -> String {
    let mut text = String::new();
    for (device, result) in results {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{:<6} {}", device.id.to_string(), device.name);
        for (name, value) in rows(result) {
            let _ = writeln!(text, "       {name:<12} {value}");
        }
    }
    let edges = if answered {
        "the load said when it changed"
    } else {
        "the load did not say when it changed: how late it obeyed is part of the delay"
    };
    let _ = writeln!(
        text,
        "\nwaves of 2/3, 4/5, 6/5, 4/3 and 1.03 times {:.1} ms; {edges}; ± is the half-width of a 95 % interval",
        period_s * 1e3
    );
    text
}

fn rows(result: &SensorResult) -> Vec<(&'static str, String)> {
    let mut rows = Vec::new();
    let every = |period: &Measured| format!("a new value every {:.3} ± {:.3} ms", period.value, period.u95);
    match (&result.power_period_ms, &result.power) {
        (Some(period), Some(fit)) => {
            let (theta, u95) = (&fit.theta, &fit.u95);
            rows.push((
                "power",
                format!(
                    "{}, the mean of {}, seen {} after its window ended",
                    every(period),
                    pm(theta.window, u95.window),
                    pm(theta.delay, u95.delay)
                ),
            ));
            let response = if theta.response > 0.0 {
                format!(
                    "follows the load with a time constant of {}",
                    pm(theta.response, u95.response)
                )
            } else {
                "follows the load faster than this can tell".to_owned()
            };
            rows.push(("response", response));
            rows.push((
                "load",
                format!(
                    "{:.1} W off, {:.1} W on; {} readings lie {:.2} W (rms) about this",
                    fit.low_w, fit.high_w, fit.observations, fit.rms_w
                ),
            ));
        }
        (Some(period), None) => rows.push((
            "power",
            format!("{}; the load makes no difference to it", every(period)),
        )),
        (None, _) => {}
    }
    if let Some(period) = &result.counter_period_ms {
        let ratio = result.kind_ratio.map_or(String::new(), |r| {
            format!(" (as a sum of short windows it would leave {r:.2} times the variance)")
        });
        let kind = match result.kind {
            CounterKind::Continuous => format!("adds up all time{ratio}"),
            CounterKind::Sampled => format!("adds up the windows of the power readings, and not all time{ratio}"),
            CounterKind::Unknown if result.counter.is_none() => "the load makes no difference to it".to_owned(),
            CounterKind::Unknown => format!("what it adds up cannot be told{ratio}"),
        };
        rows.push(("counter", format!("{}; {kind}", every(period))));
    }
    if rows.is_empty() {
        rows.push(("", "said nothing new while the load changed".to_owned()));
    }
    rows
}

#[derive(Serialize)]
struct Report<'a> {
    schema: &'static str,
    load_answered: bool,
    devices: Vec<JsonDevice<'a>>,
}

#[derive(Serialize)]
struct JsonDevice<'a> {
    id: &'a str,
    name: &'a str,
    uuid: Option<&'a str>,
    power_update_period_ms: Option<Value>,
    power_window_ms: Option<Value>,
    power_delay_ms: Option<Value>,
    power_response_ms: Option<Value>,
    low_w: Option<f64>,
    high_w: Option<f64>,
    residual_rms_w: Option<f64>,
    counter_update_period_ms: Option<Value>,
    counter_delay_ms: Option<Value>,
    counter_kind: Option<&'static str>,
    counter_kind_ratio: Option<f64>,
}

#[derive(Serialize)]
struct Value {
    value: f64,
    u95: f64,
}

fn seconds(value_s: f64, u95_s: f64) -> Value {
    Value {
        value: value_s * 1e3,
        u95: u95_s * 1e3,
    }
}

/// The result as indented JSON, a line feed at the end.
pub fn json(results: &[(Device, SensorResult)], answered: bool) -> Result<String, serde_json::Error> {
    let value = |m: &Measured| Value {
        value: m.value,
        u95: m.u95,
    };
    let devices = results.iter().map(|(device, r)| {
        let power = r.power.as_ref();
        JsonDevice {
            id: &device.id.0,
            name: &device.name,
            uuid: device.uuid.as_deref(),
            power_update_period_ms: r.power_period_ms.as_ref().map(value),
            power_window_ms: power.map(|f| seconds(f.theta.window, f.u95.window)),
            power_delay_ms: power.map(|f| seconds(f.theta.delay, f.u95.delay)),
            power_response_ms: power
                .filter(|f| f.theta.response > 0.0)
                .map(|f| seconds(f.theta.response, f.u95.response)),
            low_w: power.map(|f| f.low_w),
            high_w: power.map(|f| f.high_w),
            residual_rms_w: power.map(|f| f.rms_w),
            counter_update_period_ms: r.counter_period_ms.as_ref().map(value),
            counter_delay_ms: r.counter.as_ref().map(|f| seconds(f.theta.delay, f.u95.delay)),
            counter_kind: r.counter_period_ms.as_ref().map(|_| r.kind.as_str()),
            counter_kind_ratio: r.kind_ratio,
        }
    });
    let report = Report {
        schema: SCHEMA,
        load_answered: answered,
        devices: devices.collect(),
    };
    Ok(serde_json::to_string_pretty(&report)? + "\n")
}
