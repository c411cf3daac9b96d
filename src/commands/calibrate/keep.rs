//! A calibration kept for later recordings: one section per sensor in a `powerprof.toml`, everything else in it left as it is.

use std::fmt::Write;
use std::path::Path;

use anyhow::Context;

use crate::calibration::{CounterKind, SensorResult};
use crate::model::device::Device;
use crate::plan::config::sensor_key;
use crate::sensors::clock;

/// Write the sections of the sensors that were measured; how many.
pub fn keep(file: &Path, results: &[(Device, SensorResult)]) -> anyhow::Result<usize> {
    let mut text = match std::fs::read_to_string(file) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", file.display())),
    };
    let now = std::time::UNIX_EPOCH + std::time::Duration::from_nanos(clock::anchor().realtime_ns.max(0) as u64);
    let when = humantime::format_rfc3339_seconds(now).to_string();
    let measured = |r: &&(Device, SensorResult)| r.1.power.is_some() || r.1.counter.is_some();
    let mut kept = 0;
    for (device, result) in results.iter().filter(measured) {
        text = replaced(&text, sensor_key(device), &section(result, &when));
        kept += 1;
    }
    if let Some(folder) = file.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    }
    std::fs::write(file, text)
        .with_context(|| format!("cannot write {}\nhint: --write=FILE names another", file.display()))?;
    Ok(kept)
}

/// The settings of one sensor.
fn section(result: &SensorResult, when: &str) -> String {
    let mut text = format!("measured_at = \"{when}\"\n");
    let mut set = |name: &str, value: Option<f64>| {
        if let Some(value) = value.filter(|v| v.is_finite()) {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{name} = {value:.4}");
        }
    };
    set("power_update_period_ms", result.power_period_ms.map(|p| p.value));
    if let Some(fit) = &result.power {
        set("power_window_ms", Some(fit.theta.window * 1e3));
        set("power_window_u95_ms", Some(fit.u95.window * 1e3));
        set("power_delay_ms", Some(fit.theta.delay * 1e3));
        set("power_delay_u95_ms", Some(fit.u95.delay * 1e3));
        set(
            "power_response_ms",
            Some(fit.theta.response * 1e3).filter(|ms| *ms > 0.0),
        );
    }
    set("counter_update_period_ms", result.counter_period_ms.map(|p| p.value));
    set(
        "counter_delay_ms",
        result.counter.as_ref().map(|fit| fit.theta.delay * 1e3),
    );
    if result.kind != CounterKind::Unknown {
        let _ = writeln!(text, "counter_kind = \"{}\"", result.kind.as_str());
    }
    text
}

/// `text` with this sensor's section new, at its end.
fn replaced(text: &str, key: &str, section: &str) -> String {
    let header = format!("[sensor.\"{key}\"]");
    let mut kept: Vec<&str> = Vec::new();
    let mut inside = false;
    for line in text.lines() {
        let trimmed = line.trim();
        if trimmed.starts_with('[') {
            inside = trimmed == header || trimmed == format!("[sensor.{key}]");
        }
        if !inside {
            kept.push(line);
        }
    }
    while kept.last().is_some_and(|line| line.trim().is_empty()) {
        kept.pop();
    }
    let mut out = kept.join("\n");
    if !out.is_empty() {
        out.push_str("\n\n");
    }
    out + &header + "\n" + section
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_section_is_replaced_and_the_rest_of_the_file_stays() {
        let file = "# mine\n[record]\ninterval = \"5ms\" # fast\n\n[sensor.\"GPU-1\"]\npower_window_ms = 9\n\n[calibration.\"GPU-1\"]\ngain = 0.95\n";
        let new = replaced(file, "GPU-1", "power_window_ms = 25.0\n");
        assert_eq!(
            new,
            "# mine\n[record]\ninterval = \"5ms\" # fast\n\n[calibration.\"GPU-1\"]\ngain = 0.95\n\n[sensor.\"GPU-1\"]\npower_window_ms = 25.0\n"
        );
        assert_eq!(
            replaced(&new, "GPU-1", "power_window_ms = 25.0\n"),
            new,
            "again is the same"
        );
        assert_eq!(replaced("", "cpu0", "x = 1\n"), "[sensor.\"cpu0\"]\nx = 1\n");
    }
}
