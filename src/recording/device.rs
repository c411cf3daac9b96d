//! Devices as groups: `gpu0` is the group `gpu/0`, and what is known of it are that group's attributes. The root's attribute
//! `devices` lists the ids in the recording's order.

use hdf5::Group;

use super::attributes::{get_if, json, set_if, set_json, set_text, set_text_if, text, text_if};
use super::error::{Fault, RecordingError};
use super::lost::Lost;
use super::schema;
use crate::model::device::{Calibration, Device, DeviceId, DeviceKind, SensorTiming, Source};
use crate::model::units::Watts;

/// The group of a device: the number at the end of its id is a level of its own.
pub(super) fn group_path(id: &DeviceId) -> String {
    let stem = id.0.trim_end_matches(|c: char| c.is_ascii_digit());
    let number = &id.0[stem.len()..];
    if number.is_empty() || stem.is_empty() {
        id.0.clone()
    } else {
        format!("{stem}/{number}")
    }
}

/// Refuse ids that have no group of their own.
pub(super) fn check_ids<'a>(devices: impl Iterator<Item = &'a Device>) -> Result<(), RecordingError> {
    let mut seen = Vec::new();
    for device in devices {
        let id = &device.id.0;
        let bad = |reason| Err(RecordingError::BadDevice { id: id.clone(), reason });
        if id.is_empty() || id.len() > 64 {
            return bad("an id has 1 to 64 bytes");
        }
        if !id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-') {
            return bad("an id is made of letters, digits, `_` and `-`");
        }
        let stem = id.trim_end_matches(|c: char| c.is_ascii_digit());
        if schema::TABLES.iter().any(|(name, _, _)| *name == stem) {
            return bad("the file has a table of that name");
        }
        if seen.contains(id) {
            return bad("another device has the same id");
        }
        seen.push(id.clone());
    }
    Ok(())
}

/// Write the order of the devices.
pub(super) fn write_order<'a>(root: &Group, devices: impl Iterator<Item = &'a Device>) -> Result<(), Fault> {
    let ids: Vec<&str> = devices.map(|d| d.id.0.as_str()).collect();
    set_json(root, "devices", &ids)
}

/// Make a device's group, with its attributes.
pub(super) fn write(root: &Group, device: &Device) -> Result<Group, Fault> {
    let group = root.create_group(&group_path(&device.id))?;
    set_text(&group, "id", &device.id.0)?;
    set_text(&group, "kind", device.kind.as_str())?;
    set_text(&group, "source", device.source.as_str())?;
    set_text(&group, "name", &device.name)?;
    set_text_if(&group, "uuid", device.uuid.as_deref())?;
    set_if(&group, "index", device.index)?;
    set_text_if(
        &group,
        "contained_in",
        device.contained_in.as_ref().map(|id| id.0.as_str()),
    )?;
    set_text_if(&group, "architecture", device.architecture.as_deref())?;
    set_if(&group, "power_limit_watts", device.power_limit.map(Watts::get))?;
    set_if(&group, "memory_total_bytes", device.memory_total_bytes)?;
    write_timing(&group, "power", &device.power_timing)?;
    write_timing(&group, "counter", &device.counter_timing)?;
    set_if(&group, "calibration_gain", device.calibration.map(|c| c.gain))?;
    set_if(
        &group,
        "calibration_offset_watts",
        device.calibration.map(|c| c.offset.get()),
    )?;
    set_json(&group, "properties", &device.properties)?;
    Ok(group)
}

fn write_timing(group: &Group, of: &str, timing: &SensorTiming) -> Result<(), Fault> {
    set_if(group, &format!("{of}_update_period_ms"), timing.update_period_ms)?;
    set_if(group, &format!("{of}_window_ms"), timing.window_ms)?;
    set_if(group, &format!("{of}_delay_ms"), timing.delay_ms)
}

/// All devices that can be read, in the recording's order; an error where there are some and none of them can.
pub(super) fn read_all(root: &Group, lost: &Lost) -> Result<Vec<Device>, Fault> {
    let ids: Vec<String> = json(root, "devices")?;
    let mut devices = Vec::with_capacity(ids.len());
    let mut first = None;
    for id in ids {
        let path = group_path(&DeviceId(id));
        match root.group(&path).map_err(Fault::from).and_then(|group| read(&group)) {
            Ok(device) => devices.push(device),
            Err(fault) => {
                lost.note(&path, 0..0, 0, &fault);
                first.get_or_insert(fault.at(path));
            }
        }
    }
    first.filter(|_| devices.is_empty()).map_or(Ok(devices), Err)
}

fn read(group: &Group) -> Result<Device, Fault> {
    let kind = text(group, "kind")?;
    let source = text(group, "source")?;
    let calibration = match (
        get_if(group, "calibration_gain")?,
        get_if(group, "calibration_offset_watts")?,
    ) {
        (Some(gain), Some(offset)) => Some(Calibration {
            gain,
            offset: Watts(offset),
        }),
        _ => None,
    };
    Ok(Device {
        id: DeviceId(text(group, "id")?),
        kind: DeviceKind::parse(&kind).ok_or_else(|| Fault::Content(format!("unknown kind of device `{kind}`")))?,
        source: Source::parse(&source).ok_or_else(|| Fault::Content(format!("unknown source `{source}`")))?,
        name: text(group, "name")?,
        uuid: text_if(group, "uuid")?,
        index: get_if(group, "index")?,
        contained_in: text_if(group, "contained_in")?.map(DeviceId),
        architecture: text_if(group, "architecture")?,
        power_limit: get_if(group, "power_limit_watts")?.map(Watts),
        memory_total_bytes: get_if(group, "memory_total_bytes")?,
        power_timing: read_timing(group, "power")?,
        counter_timing: read_timing(group, "counter")?,
        calibration,
        properties: json(group, "properties")?,
    })
}

fn read_timing(group: &Group, of: &str) -> Result<SensorTiming, Fault> {
    Ok(SensorTiming {
        update_period_ms: get_if(group, &format!("{of}_update_period_ms"))?,
        window_ms: get_if(group, &format!("{of}_window_ms"))?,
        delay_ms: get_if(group, &format!("{of}_delay_ms"))?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn number_of_a_device_is_a_level_of_its_own() {
        let path = |id: &str| group_path(&DeviceId(id.to_owned()));
        assert_eq!(path("gpu0"), "gpu/0");
        assert_eq!(path("gpu_memory12"), "gpu_memory/12");
        assert_eq!(path("platform"), "platform");
        assert_eq!(path("7"), "7");
    }
}
