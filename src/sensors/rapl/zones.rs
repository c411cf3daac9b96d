//! From the powercap tree to sensors: which zones are recorded, as which devices, and what is said of the others.
//!
//! Invariant: `contained_in` points from cores and uncore to their package, and from packages and memory to the platform, wherever
//! both are recorded. `intel-rapl-mmio` never gets here ([`super::tree`]).

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::Path;
use std::time::Duration;

use crate::model::device::{Device, DeviceId, DeviceKind, SensorTiming, Source};
use crate::model::units::Watts;
use crate::sensors::finding::{Family, Finding, Status};
use crate::sensors::interface::Sensor;
use crate::sensors::number_file::NumberFile;

use super::RaplZone;
use super::tree::{self, Domain, Zone};

/// How long a platform counter is watched before it is believed: many firmwares leave it unconnected.
const PLATFORM_WATCHED_FOR: Duration = Duration::from_millis(30);

/// The fix until the next boot and the fix for good. It undoes the kernel's guard against a side channel, so it says so.
const PERMISSION_HINT: &str = "since CVE-2020-8694 only root may read it. Until the next boot: `sudo chmod a+r \
     /sys/class/powercap/intel-rapl:*/energy_uj`; for good: `echo 'z /sys/class/powercap/intel-rapl:*/energy_uj 0444' | sudo tee \
     /etc/tmpfiles.d/rapl.conf` (on a machine shared with people you do not trust, use a group and 0440)";

/// What RAPL gives on this machine.
pub struct Enumeration {
    pub sensors: Vec<Box<dyn Sensor>>,
    pub findings: Vec<Finding>,
}

/// A zone with its counter open.
struct Open {
    zone: Zone,
    id: DeviceId,
    kind: DeviceKind,
    file: NumberFile,
}

/// Sensors for the zones below `sysfs`. `cpu_name` is the processor's own name; `pause` waits (tests let time pass otherwise).
pub fn enumerate(sysfs: &Path, cpu_name: &str, pause: impl Fn(Duration)) -> Enumeration {
    let mut findings = Vec::new();
    let Some(tree) = tree::read(sysfs) else {
        findings.push(absent());
        return Enumeration {
            sensors: Vec::new(),
            findings,
        };
    };
    findings.extend(
        (tree.unknown.iter())
            .map(|zone| Finding::new(Family::Rapl, Status::Note, format!("unknown zone {zone} left out"))),
    );
    let mut open = open_all(tree.zones, &mut findings);
    drop_dead_platforms(&mut open, &mut findings, pause);
    let ids: BTreeMap<Vec<u32>, DeviceId> = open.iter().map(|o| (o.zone.address.clone(), o.id.clone())).collect();
    let platform = open
        .iter()
        .find(|o| o.zone.domain == Domain::Platform)
        .map(|o| o.id.clone());
    let sensors: Vec<Box<dyn Sensor>> = open
        .into_iter()
        .map(|o| {
            let container = container(&o.zone, &ids, platform.as_ref());
            let device = device(&o, cpu_name, container);
            Box::new(RaplZone::new(device, o.file, o.zone.wraps_at)) as Box<dyn Sensor>
        })
        .collect();
    if !sensors.is_empty() {
        let devices = sensors.iter().map(|s| s.device().id.clone());
        findings.insert(
            0,
            Finding::new(Family::Rapl, Status::Found, "powercap zones").about(devices),
        );
    }
    Enumeration { sensors, findings }
}

fn absent() -> Finding {
    let detail = "the kernel shows no RAPL zone (virtual machines and ARM processors have none)";
    Finding::new(Family::Rapl, Status::Absent, detail).hint("on bare metal: `sudo modprobe intel_rapl_msr`")
}

/// Open every counter that may be read; say once what may not.
fn open_all(zones: Vec<Zone>, findings: &mut Vec<Finding>) -> Vec<Open> {
    let mut numbers = Numbers::default();
    let mut refused = Vec::new();
    let mut open = Vec::new();
    for zone in zones {
        let Some((kind, id)) = numbers.name(&zone) else {
            // The integrated GPU, inside the package: no trainer's device, and no kind of its own.
            continue;
        };
        let path = zone.folder.join("energy_uj");
        match NumberFile::open(&path) {
            Ok(file) => open.push(Open { zone, id, kind, file }),
            Err(e) if e.kind() == ErrorKind::PermissionDenied => refused.push(id),
            Err(why) => findings.push(
                Finding::new(
                    Family::Rapl,
                    Status::Blocked,
                    format!("{} cannot be read: {why}", path.display()),
                )
                .about([id]),
            ),
        }
    }
    if !refused.is_empty() {
        findings.push(denied(refused));
    }
    open
}

/// Zones that exist and that this user may not read.
fn denied(devices: Vec<DeviceId>) -> Finding {
    Finding::new(Family::Rapl, Status::Blocked, "permission denied on energy_uj")
        .hint(PERMISSION_HINT)
        .about(devices)
}

/// Device numbers: the package's own where each package is one zone, else counted in order (dies).
#[derive(Default)]
struct Numbers {
    packages: u32,
    /// Number of the package zone at this address.
    of: BTreeMap<u32, u32>,
    platforms: u32,
}

impl Numbers {
    /// The device of a zone; none for one that is not recorded.
    fn name(&mut self, zone: &Zone) -> Option<(DeviceKind, DeviceId)> {
        let kind = kind(zone.domain)?;
        let top = zone.address.first().copied().unwrap_or_default();
        let number = match zone.domain {
            Domain::Package { package, die } => {
                let number = if die.is_some() { self.packages } else { package };
                self.packages += 1;
                self.of.insert(top, number);
                number
            }
            Domain::Platform => {
                self.platforms += 1;
                self.platforms - 1
            }
            Domain::Core | Domain::Uncore | Domain::Dram => self.of.get(&top).copied().unwrap_or(top),
        };
        Some((kind, DeviceId(format!("{}{number}", kind.as_str()))))
    }
}

/// The kind of device that a zone is recorded as.
const fn kind(domain: Domain) -> Option<DeviceKind> {
    match domain {
        Domain::Package { .. } => Some(DeviceKind::Cpu),
        Domain::Core => Some(DeviceKind::CpuCores),
        Domain::Uncore => None,
        Domain::Dram => Some(DeviceKind::Dram),
        Domain::Platform => Some(DeviceKind::Platform),
    }
}

/// The recorded device that this zone's energy is part of.
fn container(zone: &Zone, ids: &BTreeMap<Vec<u32>, DeviceId>, platform: Option<&DeviceId>) -> Option<DeviceId> {
    match zone.domain {
        Domain::Core | Domain::Uncore => {
            let (_, parent) = zone.address.split_last()?;
            ids.get(parent).cloned()
        }
        Domain::Package { .. } | Domain::Dram => platform.cloned(),
        Domain::Platform => None,
    }
}

/// A platform counter contains its packages, so it counts at least what they count. One that stands still, or counts less, is not
/// connected, and would hide the packages from every total.
fn drop_dead_platforms(open: &mut Vec<Open>, findings: &mut Vec<Finding>, pause: impl Fn(Duration)) {
    if !open.iter().any(|o| o.zone.domain == Domain::Platform) {
        return;
    }
    let before: Vec<_> = open.iter().map(|o| o.file.read().ok()).collect();
    pause(PLATFORM_WATCHED_FOR);
    let advance: Vec<Option<u64>> = open
        .iter()
        .zip(before)
        .map(|(o, before)| o.file.read().ok()?.checked_sub(before?))
        .collect();
    let of = |wanted: fn(&Domain) -> bool| -> u64 {
        let zones = open.iter().zip(&advance).filter(|(o, _)| wanted(&o.zone.domain));
        zones.filter_map(|(_, advance)| *advance).sum()
    };
    let packages = of(|d| matches!(d, Domain::Package { .. }));
    let platform = of(|d| matches!(d, Domain::Platform));
    if platform > 0 && platform >= packages {
        return;
    }
    open.retain(|o| {
        let keep = o.zone.domain != Domain::Platform;
        if !keep {
            let detail = "the platform counter (psys) counts less than the packages inside it, so it is left out";
            findings.push(Finding::new(Family::Rapl, Status::Note, detail).about([o.id.clone()]));
        }
        keep
    });
}

fn device(open: &Open, cpu_name: &str, contained_in: Option<DeviceId>) -> Device {
    let zone = &open.zone;
    let mut properties = BTreeMap::from([("zone".to_owned(), zone.folder.display().to_string())]);
    let mut index = None;
    let what = match zone.domain {
        Domain::Package { package, die } => {
            index = Some(package);
            if let Some(die) = die {
                properties.insert("die".into(), die.to_string());
            }
            "package"
        }
        Domain::Core => "cores of package",
        Domain::Uncore => "uncore of package",
        Domain::Dram => "memory of package",
        Domain::Platform => "platform",
    };
    let number = open.id.0.trim_start_matches(|c: char| !c.is_ascii_digit());
    Device {
        id: open.id.clone(),
        kind: open.kind,
        source: Source::Rapl,
        name: format!("{cpu_name}, {what} {number}"),
        uuid: None,
        index,
        contained_in,
        architecture: None,
        power_limit: zone.limit_uw.map(|uw| Watts(uw as f64 * 1e-6)),
        memory_total_bytes: None,
        power_timing: SensorTiming::default(),
        counter_timing: SensorTiming {
            // AMD's manual and Intel's SDM (vol. 3B, 15.10.3) both give about 1 ms.
            update_period_ms: Some(1.0),
            ..SensorTiming::default()
        },
        calibration: None,
        properties,
    }
}

#[cfg(test)]
mod tests;
