//! From the hwmon chips to sensors: numbers, names, containment and findings.
//!
//! Invariants: GPU numbers go on where NVML's end; a Grace socket is contained in the module of its number where NVML records one.

use std::collections::BTreeMap;
use std::path::Path;

use crate::model::device::{Device, DeviceId, DeviceKind, SensorTiming, Source};
use crate::model::units::Watts;
use crate::sensors::finding::{Family, Finding, Status};
use crate::sensors::interface::Sensor;

use super::grace::Meter;
use super::tree::Chip;
use super::{Files, HwmonDevice, amd, grace, intel, tree};

/// What hwmon gives on this machine.
pub struct Enumeration {
    pub sensors: Vec<Box<dyn Sensor>>,
    pub findings: Vec<Finding>,
}

/// Which of the GPUs here are wanted.
pub type Wanted<'a> = &'a dyn Fn(u32, Option<&str>) -> bool;

/// Sensors for the chips below `sysfs`. `others` are the devices recorded already; `wanted` judges a GPU by its number and its id.
pub fn enumerate(sysfs: &Path, others: &[&Device], wanted: Wanted<'_>) -> Enumeration {
    let mut found = Enumeration {
        sensors: Vec::new(),
        findings: Vec::new(),
    };
    let gpus = others
        .iter()
        .filter(|d| d.kind == DeviceKind::Gpu)
        .filter_map(|d| d.index);
    let mut next_gpu = gpus.max().map_or(0, |last| last + 1);
    let mut meters = Vec::new();
    for chip in tree::read(sysfs) {
        let gpu = match chip.name.as_str() {
            amd::DRIVER => amd_gpu(&chip, &mut found.findings),
            name if intel::DRIVERS.contains(&name) => intel_gpu(&chip),
            grace::DRIVER => {
                meters.push(chip);
                None
            }
            _ => None,
        };
        if let Some((mut device, files)) = gpu {
            device.id = DeviceId(format!("gpu{next_gpu}"));
            device.index = Some(next_gpu);
            next_gpu += 1;
            if wanted(next_gpu - 1, device.uuid.as_deref()) {
                found.sensors.push(Box::new(HwmonDevice::new(device, files)));
            }
        }
    }
    add_grace(&meters, others, &mut found);
    if !found.sensors.is_empty() {
        let devices = found.sensors.iter().map(|s| s.device().id.clone());
        found.findings.insert(
            0,
            Finding::new(Family::Hwmon, Status::Found, "kernel sensors").about(devices),
        );
    } else if found.findings.is_empty() {
        let detail = "no AMD or Intel GPU and no Grace processor shows a power sensor";
        found.findings.push(Finding::new(Family::Hwmon, Status::Absent, detail));
    }
    found
}

fn amd_gpu(chip: &Chip, findings: &mut Vec<Finding>) -> Option<(Device, Files)> {
    match amd::open(chip) {
        amd::Amd::Gpu(files) => {
            let mut device = device(chip, DeviceKind::Gpu, amd::name(chip));
            device.uuid = chip.text("unique_id");
            device.power_limit = chip.number("power1_cap").map(watts);

            device.memory_total_bytes = chip.number("mem_info_vram_total");
            // MI210: 190 ms late, 4 s to rise (measured there against its 1 ms energy counter).
            if chip.number("power1_input").is_none() {
                let detail = format!(
                    "the GPU at {} gives a filtered power alone (up to seconds of average, by board): trust phases of many seconds",
                    chip.address
                );
                findings.push(Finding::new(Family::Hwmon, Status::Note, detail));
                device
                    .properties
                    .insert("power_filter".into(), "power1_average, filtered by the firmware".into());
            }
            Some((device, files))
        }
        amd::Amd::Apu => {
            let detail = format!(
                "the GPU at {} is part of the processor: its power is in the package's",
                chip.address
            );
            findings.push(Finding::new(Family::Hwmon, Status::Note, detail));
            None
        }
        amd::Amd::Silent => {
            let detail = format!("the AMD GPU at {} shows no power", chip.address);
            findings.push(
                Finding::new(Family::Hwmon, Status::Blocked, detail)
                    .hint("virtual functions have no sensor; on bare metal, update the kernel or amdgpu-dkms"),
            );
            None
        }
    }
}

fn intel_gpu(chip: &Chip) -> Option<(Device, Files)> {
    // Integrated Intel GPUs have the chip and no counter: the package's RAPL holds them.
    let (files, scope) = intel::open(chip)?;
    let mut device = device(chip, DeviceKind::Gpu, intel::name(chip));
    device.power_limit = intel::limit_uw(chip).map(watts);
    device.properties.insert("scope".into(), scope.as_str().into());
    Some((device, files))
}

/// The sockets and, inside those that are there, their cores.
fn add_grace(meters: &[Chip], others: &[&Device], found: &mut Enumeration) {
    let measured = |chip: &Chip| {
        chip.text("power1_oem_info")
            .map_or(Meter::Other, |info| Meter::parse(&info))
    };
    let is_recorded = |id: &DeviceId| others.iter().any(|d| d.id == *id);
    for chip in meters {
        let Some((kind, number)) = measured(chip).device() else {
            continue;
        };
        let Some(files) = grace::open(chip) else {
            let detail = format!("the Grace power meter at {} does not answer", chip.address);
            let hint = "see `ls -l` there: the kernel needs CONFIG_SENSORS_ACPI_POWER, and this user the right to read";
            found
                .findings
                .push(Finding::new(Family::Hwmon, Status::Blocked, detail).hint(hint));
            continue;
        };
        let mut device = device(chip, kind, "NVIDIA Grace".to_owned());
        device.id = DeviceId(format!("{}{number}", kind.as_str()));
        if is_recorded(&device.id) {
            continue;
        }
        let container = match kind {
            DeviceKind::CpuCores => {
                let socket = meters.iter().any(|other| measured(other) == Meter::Socket(number));
                socket.then(|| DeviceId(format!("cpu{number}")))
            }
            _ => Some(DeviceId(format!("module{number}"))).filter(is_recorded),
        };
        let interval = grace::interval_ms(chip);
        device.index = Some(number);
        device.contained_in = container;
        device.power_timing = SensorTiming {
            update_period_ms: interval,
            window_ms: interval,
            delay_ms: None,
        };
        if let Some(meter) = chip.text("power1_oem_info") {
            device.properties.insert("meter".into(), meter);
        }
        found.sensors.push(Box::new(HwmonDevice::new(device, files)));
    }
}

fn watts(uw: u64) -> Watts {
    Watts(uw as f64 * 1e-6)
}

/// A device of this chip, still without its number.
fn device(chip: &Chip, kind: DeviceKind, name: String) -> Device {
    Device {
        id: DeviceId(String::new()),
        kind,
        source: Source::Hwmon,
        name,
        uuid: None,
        index: None,
        contained_in: None,
        architecture: None,
        power_limit: None,
        memory_total_bytes: None,
        power_timing: SensorTiming::default(),
        counter_timing: SensorTiming::default(),
        calibration: None,
        properties: BTreeMap::from([
            ("driver".to_owned(), chip.name.clone()),
            ("pci_bus".to_owned(), chip.address.clone()),
        ]),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// A sysfs of these files below `class/hwmon`.
    fn machine(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().expect("a scratch folder");
        for (path, text) in files {
            let path = root.path().join(tree::HWMON).join(path);
            fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
            fs::write(path, format!("{text}\n")).expect("a file");
        }
        root
    }

    fn all(files: &[(&str, &str)], others: &[&Device]) -> (Enumeration, tempfile::TempDir) {
        let root = machine(files);
        (enumerate(root.path(), others, &|_, _| true), root)
    }

    const MI210: [(&str, &str); 8] = [
        ("hwmon3/name", "amdgpu"),
        ("hwmon3/power1_average", "71000000"),
        ("hwmon3/power1_cap", "300000000"),
        ("hwmon3/temp1_input", "45000"),
        ("hwmon3/freq1_input", "1700000000"),
        ("hwmon3/device/gpu_busy_percent", "99"),
        ("hwmon3/device/mem_info_vram_used", "1024"),
        ("hwmon3/device/unique_id", "83ad0123"),
    ];

    #[test]
    fn an_amd_gpu_in_si_units() {
        let (mut found, _root) = all(&MI210, &[]);
        let gpu = &mut found.sensors[0];
        assert_eq!(gpu.device().id.0, "gpu0");
        assert_eq!(gpu.device().uuid.as_deref(), Some("83ad0123"));
        assert_eq!(gpu.device().power_limit, Some(Watts(300.0)));
        let close = |value: Option<f64>, to: f64| assert!((value.expect("a figure") - to).abs() < 1e-9 * to);
        close(gpu.read_power().expect("reads").watts, 71.0);
        let state = gpu.read_state().expect("reads");
        close(state.utilization_pct, 99.0);
        close(state.temperature_c, 45.0);
        close(state.sm_clock_mhz, 1700.0);
        assert_eq!((state.memory_used_bytes, state.memory_clock_mhz), (Some(1024), None));
        assert!(!gpu.columns().average_watts && gpu.columns().counter.is_none());
    }

    #[test]
    fn with_both_powers_the_instant_one_leads() {
        let mut files = MI210.to_vec();
        files.push(("hwmon3/power1_input", "90000000"));
        let (mut found, root) = all(&files, &[]);
        let reading = found.sensors[0].read_power().expect("reads");
        assert!(reading.watts.expect("watts") > reading.average_watts.expect("watts"));
        for file in ["power1_input", "power1_average"] {
            fs::write(root.path().join(tree::HWMON).join("hwmon3").join(file), "").expect("asleep");
        }
        let error = found.sensors[0].read_power().expect_err("nothing answers");
        assert!(matches!(error, crate::sensors::interface::ReadError::Retry(_)));
    }

    #[test]
    fn a_processor_with_a_gpu_inside_is_left_to_rapl() {
        let (found, _root) = all(&[("hwmon0/name", "amdgpu"), ("hwmon0/power1_average", "15000000")], &[]);
        assert!(found.sensors.is_empty());
        assert_eq!(found.findings[0].status, Status::Note);
    }

    #[test]
    fn an_intel_card_counts_microjoules_and_an_integrated_one_is_none() {
        let files = [
            ("hwmon1/name", "xe"),
            ("hwmon1/energy1_input", "123456"),
            ("hwmon1/power1_max", "0"),
            ("hwmon1/power1_rated_max", "190000000"),
            ("hwmon2/name", "i915"),
        ];
        let (mut found, _root) = all(&files, &[]);
        assert_eq!(found.sensors.len(), 1);
        assert_eq!(found.sensors[0].read_power().expect("reads").counter, Some(123_456));
        assert_eq!(found.sensors[0].device().power_limit, Some(Watts(190.0)));
        assert_eq!(found.sensors[0].state_period(), None);
    }

    #[test]
    fn grace_sockets_contain_cores_and_lie_in_the_module() {
        let files = [
            ("hwmon0/name", "power_meter"),
            ("hwmon0/device/power1_average", "120000000"),
            ("hwmon0/device/power1_oem_info", "Grace Power Socket 0"),
            ("hwmon0/device/power1_average_interval", "50"),
            ("hwmon1/name", "power_meter"),
            ("hwmon1/device/power1_average", "80000000"),
            ("hwmon1/device/power1_oem_info", "CPU Power Socket 0"),
            ("hwmon2/name", "power_meter"),
            ("hwmon2/device/power1_average", "500000000"),
            ("hwmon2/device/power1_oem_info", "Module Power Socket 0"),
            ("hwmon3/name", "power_meter"),
            ("hwmon3/device/power1_average", "900000000"),
        ];
        let links = |found: &Enumeration| -> Vec<(String, Option<String>)> {
            let devices = found.sensors.iter().map(|s| s.device());
            devices
                .map(|d| (d.id.0.clone(), d.contained_in.as_ref().map(|c| c.0.clone())))
                .collect()
        };
        let (found, root) = all(&files, &[]);
        assert_eq!(
            links(&found),
            [("cpu0".into(), None), ("cpu_cores0".into(), Some("cpu0".into()))]
        );
        assert_eq!(found.sensors[0].device().power_timing.window_ms, Some(50.0));
        let mut module = found.sensors[0].device().clone();
        module.id = DeviceId("module0".into());
        let with_module = enumerate(root.path(), &[&module], &|_, _| true);
        assert_eq!(links(&with_module)[0].1.as_deref(), Some("module0"));
    }

    #[test]
    fn numbers_go_on_after_the_other_gpus_and_the_unwanted_are_left_out() {
        let (found, root) = all(&MI210, &[]);
        let mut other = found.sensors[0].device().clone();
        other.index = Some(3);
        let after = enumerate(root.path(), &[&other], &|_, _| true);
        assert_eq!(after.sensors[0].device().id.0, "gpu4");
        let none = enumerate(root.path(), &[&other], &|number, _| number != 4);
        assert!(none.sensors.is_empty());
    }

    #[test]
    fn a_machine_without_any_is_absent() {
        assert_eq!(
            all(&[("hwmon0/name", "coretemp")], &[]).0.findings[0].status,
            Status::Absent
        );
        assert_eq!(
            enumerate(Path::new("/nonexistent"), &[], &|_, _| true).findings[0].status,
            Status::Absent
        );
    }
}
