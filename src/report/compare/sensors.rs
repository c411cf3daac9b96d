//! Whether two runs were measured by the same sensors, read in the same way: only then does the sensors' own tolerance cancel.
//!
//! A device is known by its UUID, else by host, id and name. What is made of its readings counts too: the user's calibration of a
//! board, and the power that an estimate assumes. By how much figures differ through these alone is known, and is no change of the load.

use crate::model::analysis::{Analysis, DeviceAnalysis};
use crate::model::device::{Calibration, Device, Source};
use crate::model::wording::listed;
use crate::report::format;

const IN_INTERVALS: &str = "the sensors' own tolerances are in the intervals";
const ALLOWED: &str = "what that makes of the same load is in the intervals, and so are the sensors' own tolerances";

/// Why the sensors' tolerance does not cancel between the runs, as sentences; empty where it does.
pub fn differences(base: &Analysis, other: &Analysis) -> Vec<String> {
    let (base, other) = (devices(base), devices(other));
    if !base.iter().map(|(who, _)| who).eq(other.iter().map(|(who, _)| who)) {
        return vec![format!("the runs used different devices: {IN_INTERVALS}")];
    }
    let pairs: Vec<(&Device, &Device)> = base.iter().zip(&other).map(|((_, b), (_, o))| (*b, *o)).collect();
    let ids = |differ: fn(&Device, &Device) -> bool| {
        let ids = pairs.iter().filter(|(b, o)| differ(b, o));
        ids.map(|(b, _)| format::printable(&b.id.0)).collect::<Vec<_>>()
    };
    let calibrated = ids(|b, o| b.calibration != o.calibration);
    let assumed = ids(|b, o| assumption(b) != assumption(o));
    let first = |id: &[String]| {
        pairs
            .iter()
            .find(|(b, _)| id.first() == Some(&format::printable(&b.id.0)))
    };
    let mut told = Vec::new();
    if let Some((b, o)) = first(&calibrated) {
        let (b, o) = (calibration(b.calibration), calibration(o.calibration));
        told.push(format!(
            "{} calibrated differently in the two runs ({b}; {o}): {ALLOWED}",
            are(&calibrated)
        ));
    }
    if let Some((b, o)) = first(&assumed) {
        told.push(format!(
            "{} estimated from different powers in the two runs ({}; {}): {ALLOWED}",
            are(&assumed),
            watts(b),
            watts(o)
        ));
    }
    told
}

/// For each device that both runs have, by its name in the base: by how much the other run's calibration or assumed power alone would
/// change its energy, as a share of it.
pub fn shifts(base: &Analysis, other: &Analysis) -> Vec<(String, f64)> {
    let others = devices(other);
    let shift = |(who, device): (String, &Device)| {
        let (_, same) = others.iter().find(|(other, _)| *other == who)?;
        let mean = base
            .devices
            .iter()
            .find(|d| d.device.id == device.id)?
            .mean_power?
            .get();
        let reading = device.calibration.map_or(mean, |c| c.gain * mean + c.offset.get());
        let by_calibration = same.true_watts(reading) / mean;
        let by_assumption = match (assumption(device), assumption(same)) {
            (Some((Some(was), _)), Some((Some(is), _))) => is / was,
            _ => 1.0,
        };
        let shift = by_calibration * by_assumption - 1.0;
        Some((device.id.0.clone(), shift)).filter(|_| shift.is_finite())
    };
    devices(base).into_iter().filter_map(shift).collect()
}

/// The devices of a total by what they are known by.
fn devices(analysis: &Analysis) -> Vec<(String, &Device)> {
    let hosts = analysis.run.hosts.join(",");
    let identity = |device: &Device| match (&device.uuid, device.source) {
        // Made-up boards of old recordings have one UUID, whatever was played.
        (Some(uuid), Source::Simulated) => format!("{uuid}/{}", device.name),
        (Some(uuid), _) => uuid.clone(),
        (None, _) => format!("{hosts}/{}/{}", device.id, device.name),
    };
    let in_total = analysis.devices.iter().filter(|d| d.in_total);
    let mut all: Vec<_> = in_total
        .map(|DeviceAnalysis { device, .. }| (identity(device), device))
        .collect();
    all.sort_by(|(a, _), (b, _)| a.cmp(b));
    all
}

/// What an estimate assumes; nothing for what is measured, whose power limit may change as it likes.
fn assumption(device: &Device) -> Option<(Option<f64>, Option<&String>)> {
    let power = device.power_limit.map(|limit| limit.get());
    (device.source == Source::Estimate).then(|| (power, device.properties.get("assumption")))
}

fn are(ids: &[String]) -> String {
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    format!("{} {}", listed(&ids), if ids.len() == 1 { "is" } else { "are" })
}

fn calibration(calibration: Option<Calibration>) -> String {
    calibration.map_or_else(
        || "not at all".to_owned(),
        |c| format!("gain {}, offset {} W", c.gain, c.offset.get()),
    )
}

fn watts(device: &Device) -> String {
    let power = device.power_limit.map(|limit| limit.get());
    power.map_or_else(
        || "unknown".to_owned(),
        |watts| format!("{} W at full load", format::significant(watts, 3)),
    )
}
