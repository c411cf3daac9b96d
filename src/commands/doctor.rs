//! `powerprof doctor`: every family of sensors, found or why not, what it gives, and the fix.

use std::fmt::Write;

use super::output::{self, Failure, Outcome};
use crate::cli::DoctorArgs;
use crate::model::device::{Device, SensorTiming};
use crate::model::sample::Columns;
use crate::plan;
use crate::sensors::discover::{self, Request};
use crate::sensors::finding::{Finding, Status};

pub fn run(args: &DoctorArgs) -> Outcome {
    let gpus = plan::gpus(args.gpus.as_deref()).map_err(|error| Failure {
        error: error.into(),
        status: 2,
    })?;
    let discovery = discover::discover(&Request {
        gpus,
        ..Request::default()
    });
    let mut text = String::new();
    for finding in &discovery.findings {
        text.push_str(&line(finding));
    }
    text.push('\n');
    for sensor in &discovery.sensors {
        text.push_str(&describe(sensor.device(), &sensor.columns()));
    }
    if discovery.sensors.is_empty() {
        text.push_str("no device can be recorded; phases would have their times and no energy\n");
    }
    output::deliver(text.as_bytes(), None, false)?;
    Ok(0)
}

fn line(finding: &Finding) -> String {
    let word = match finding.status {
        Status::Found => "found  ",
        Status::Absent => "absent ",
        Status::Blocked => "BLOCKED",
        Status::Note => "note   ",
    };
    let mut text = format!("{word} {}: {}\n", finding.family.as_str(), finding.detail);
    for hint in finding.hint.iter().flat_map(|hint| hint.lines()) {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "        fix: {hint}");
    }
    text
}

fn describe(device: &Device, columns: &Columns) -> String {
    let mut text = format!("{:<6} {}\n", device.id.to_string(), device.name);
    let mut row = |name: &str, value: String| {
        let _ = writeln!(text, "       {name:<12} {value}");
    };
    if let Some(uuid) = &device.uuid {
        row("uuid", uuid.clone());
    }
    if columns.watts {
        row("power", timing(&device.power_timing));
    }
    if columns.counter.is_some() {
        row("counter", timing(&device.counter_timing));
    }
    if let Some(limit) = device.power_limit {
        row("limit", format!("{:.0} W", limit.get()));
    }
    if let Some(container) = &device.contained_in {
        row("part of", format!("{container}, and never added to it"));
    }
    for (name, value) in &device.properties {
        row(name, value.clone());
    }
    text
}

fn timing(timing: &SensorTiming) -> String {
    let ms = |value: Option<f64>| value.map_or("unknown".to_owned(), |ms| format!("{ms} ms"));
    let window = timing
        .window_ms
        .map_or(String::new(), |ms| format!(", each the mean of {ms} ms"));
    format!(
        "a new value every {}{window} (expected; each recording measures it)",
        ms(timing.update_period_ms)
    )
}
