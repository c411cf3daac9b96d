//! Zones of powercap trees that are made of files.

use std::fs;
use std::path::PathBuf;

use super::*;
use crate::sensors::interface::ReadError;

/// A powercap tree in a scratch folder.
struct Fake {
    folder: tempfile::TempDir,
}

impl Fake {
    fn new(zones: &[(&str, &str, u64)]) -> Self {
        let folder = tempfile::tempdir().expect("a scratch folder");
        for (zone, name, energy) in zones {
            let zone = folder.path().join(tree::POWERCAP).join(zone);
            fs::create_dir_all(&zone).expect("a zone");
            fs::write(zone.join("name"), format!("{name}\n")).expect("name");
            fs::write(zone.join("max_energy_range_uj"), "262143328850\n").expect("range");
            fs::write(zone.join("constraint_0_max_power_uw"), "205000000\n").expect("limit");
            fs::write(zone.join("energy_uj"), format!("{energy}\n")).expect("energy");
        }
        Self { folder }
    }

    fn counter(&self, zone: &str) -> PathBuf {
        self.folder.path().join(tree::POWERCAP).join(zone).join("energy_uj")
    }

    fn enumerate(&self, during_pause: impl Fn(&Self)) -> Enumeration {
        enumerate(self.folder.path(), "Test CPU", |_| during_pause(self))
    }
}

fn links(found: &Enumeration) -> Vec<(String, Option<String>)> {
    let devices = found.sensors.iter().map(|s| s.device());
    devices
        .map(|d| (d.id.0.clone(), d.contained_in.as_ref().map(|c| c.0.clone())))
        .collect()
}

const TWO_SOCKETS: [(&str, &str, u64); 7] = [
    ("intel-rapl:0", "package-0", 100),
    ("intel-rapl:0:0", "core", 60),
    ("intel-rapl:0:1", "dram", 20),
    ("intel-rapl:0:2", "uncore", 5),
    ("intel-rapl:1", "package-1", 200),
    ("intel-rapl:1:0", "dram", 30),
    ("intel-rapl-mmio:0", "package-0", 100),
];

#[test]
fn packages_and_memory_are_apart_and_cores_are_inside() {
    let found = Fake::new(&TWO_SOCKETS).enumerate(|_| {});
    let expected = [
        ("cpu0", None),
        ("cpu_cores0", Some("cpu0")),
        ("dram0", None),
        ("cpu1", None),
        ("dram1", None),
    ];
    assert_eq!(
        links(&found),
        expected.map(|(id, parent)| (id.to_owned(), parent.map(str::to_owned)))
    );
}

#[test]
fn a_reading_is_the_raw_counter_with_its_wrap() {
    let fake = Fake::new(&TWO_SOCKETS);
    let mut found = fake.enumerate(|_| {});
    let sensor = &mut found.sensors[0];
    let counter = sensor.columns().counter.expect("a counter");
    assert_eq!((counter.joules, counter.wraps_at), (1e-6, Some(262_143_328_850)));
    assert_eq!(sensor.read_power().expect("a reading").counter, Some(100));
    fs::write(fake.counter("intel-rapl:0"), "7\n").expect("a wrap");
    assert_eq!(sensor.read_power().expect("a reading").counter, Some(7));
    fs::write(fake.counter("intel-rapl:0"), "").expect("a fault");
    assert!(matches!(sensor.read_power(), Err(ReadError::Retry(_))));
    assert_eq!(sensor.device().power_limit, Some(Watts(205.0)));
}

#[test]
fn a_live_platform_contains_packages_and_memory() {
    let mut zones = TWO_SOCKETS.to_vec();
    zones.push(("intel-rapl:2", "psys", 1000));
    let fake = Fake::new(&zones);
    let found = fake.enumerate(|fake| {
        fs::write(fake.counter("intel-rapl:0"), "150").expect("advance");
        fs::write(fake.counter("intel-rapl:2"), "1100").expect("advance");
    });
    assert!(links(&found).contains(&("cpu1".into(), Some("platform0".into()))));
    assert!(links(&found).contains(&("dram0".into(), Some("platform0".into()))));
    assert!(links(&found).contains(&("platform0".into(), None)));
}

#[test]
fn a_platform_that_stands_still_is_left_out_and_hides_nothing() {
    let mut zones = TWO_SOCKETS.to_vec();
    zones.push(("intel-rapl:2", "psys", 0));
    let found = Fake::new(&zones).enumerate(|_| {});
    assert_eq!(links(&found).len(), 5);
    assert!(links(&found).contains(&("cpu0".into(), None)));
    assert!(found.findings.iter().any(|f| f.detail.contains("psys")));
}

#[test]
fn dies_of_one_package_get_numbers_of_their_own() {
    let zones = [
        ("intel-rapl:0", "package-0-die-0", 1),
        ("intel-rapl:1", "package-0-die-1", 1),
    ];
    let found = Fake::new(&zones).enumerate(|_| {});
    assert_eq!(links(&found), [("cpu0".into(), None), ("cpu1".into(), None)]);
    assert_eq!(found.sensors[1].device().index, Some(0), "the package");
}

#[test]
fn zones_nested_as_in_the_real_tree_are_found_too() {
    let fake = Fake::new(&[("intel-rapl:0", "package-0", 1)]);
    let nested = fake
        .folder
        .path()
        .join(tree::POWERCAP)
        .join("intel-rapl:0/intel-rapl:0:0");
    fs::create_dir(&nested).expect("a zone inside a zone");
    fs::write(nested.join("name"), "dram").expect("name");
    fs::write(nested.join("energy_uj"), "9").expect("energy");
    assert_eq!(links(&fake.enumerate(|_| {})).len(), 2);
}

#[test]
fn no_tree_is_absent_and_an_unreadable_counter_is_blocked() {
    let empty = Fake::new(&[]).enumerate(|_| {});
    assert_eq!(empty.findings[0].status, Status::Absent);
    let fake = Fake::new(&[("intel-rapl:0", "package-0", 1)]);
    fs::remove_file(fake.counter("intel-rapl:0")).expect("gone");
    let found = fake.enumerate(|_| {});
    assert!(found.sensors.is_empty());
    assert_eq!(found.findings[0].status, Status::Blocked);
}

#[test]
fn permission_denied_names_the_command() {
    // Root reads everything, so the refusal is made from the error and not from a file.
    let finding = denied(vec![DeviceId("cpu0".into())]);
    assert!(finding.is_warning());
    assert!(
        finding
            .to_string()
            .contains("sudo chmod a+r /sys/class/powercap/intel-rapl:*/energy_uj")
    );
}
