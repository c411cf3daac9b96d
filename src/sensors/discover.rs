//! Looking for everything that can be measured here.
//!
//! Gives the sensors and, for each family that was looked for, a finding: found, absent, or shut with the fix. Never panics, and takes
//! a tenth of a second more than the driver takes to start, half a minute at most.
//!
//! Invariants: device ids are unique; a CPU is measured by RAPL or hwmon, or in its module, or else estimated, never twice.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::model::device::{Device, DeviceKind};
use crate::model::units::Watts;

use super::estimate::{self, CpuEstimate};
use super::finding::{Family, Finding, Status};
use super::hwmon;
use super::interface::Sensor;
pub use super::nvml::enumerate::GpuSelection;
use super::nvml::{self, library::Library, library::OpenError, visible};
use super::patience;
use super::rapl;
use super::simulated::{self, profile::Simulation, truth::SimulatedTruth};

/// How long NVML may take to start and to list its GPUs. With persistence mode off it wakes each GPU, at a second or two apiece.
const NVML_PATIENCE: Duration = Duration::from_secs(30);

/// What to look for.
#[derive(Debug, Clone)]
pub struct Request {
    pub gpus: GpuSelection,
    /// Of the whole machine; overrides the table. Used where nothing measures the CPU.
    pub cpu_tdp: Option<Watts>,
    /// GPUs that do not exist instead of those that do.
    pub simulate: Option<Simulation>,
    /// NVML's library; without it `POWERPROF_NVML_LIB`, without that the system's.
    pub nvml_library: Option<PathBuf>,
    /// Roots of the kernel's file systems; tests give others.
    pub sysfs: PathBuf,
    pub procfs: PathBuf,
}

impl Default for Request {
    /// All GPUs of the machine.
    fn default() -> Self {
        Self {
            gpus: GpuSelection::All,
            cpu_tdp: None,
            simulate: None,
            nvml_library: None,
            sysfs: "/sys".into(),
            procfs: "/proc".into(),
        }
    }
}

/// What was found.
pub struct Discovery {
    /// GPUs first, in CUDA's order.
    pub sensors: Vec<Box<dyn Sensor>>,
    /// One or more for each family.
    pub findings: Vec<Finding>,
    /// With `--simulate`: must be told every marker.
    pub simulated: Option<Arc<SimulatedTruth>>,
}

/// Look.
pub fn discover(request: &Request) -> Discovery {
    let mut found = Discovery {
        sensors: Vec::new(),
        findings: Vec::new(),
        simulated: None,
    };
    match &request.simulate {
        Some(simulation) => simulate(simulation, &request.gpus, &mut found),
        None => find_nvml(request, &mut found),
    }
    find_rapl(request, &mut found);
    find_hwmon(request, &mut found);
    found.findings.extend(none_of_those_asked_for(request, &found));

    let has = |kind| found.sensors.iter().any(|s| s.device().kind == kind);
    if has(DeviceKind::Module) && !has(DeviceKind::Cpu) {
        // An estimate beside it would count the CPU twice.
        let detail = "the CPU is part of the module, which is measured";
        found
            .findings
            .push(Finding::new(Family::Estimate, Status::Note, detail));
    } else if !has(DeviceKind::Cpu) {
        estimate_cpu(request, &mut found);
    }
    found
}

fn simulate(simulation: &Simulation, selection: &GpuSelection, found: &mut Discovery) {
    let all = simulated::listed(simulation);
    let (chosen, unknown) = match selection {
        GpuSelection::Listed(entries) => visible::listed(entries, &all),
        // CUDA's variable speaks of GPUs that exist.
        GpuSelection::All | GpuSelection::Visible(_) => ((0..all.len() as u32).collect(), Vec::new()),
    };
    let (gpus, truth) = simulated::simulate(simulation, &chosen);
    let devices = gpus.iter().map(|gpu| gpu.device().id.clone());
    let detail =
        format!("SIMULATED: `{simulation}`; no real GPU is read, and no figure of these devices is a measurement");
    found
        .findings
        .push(Finding::new(Family::Simulated, Status::Note, detail).about(devices));
    found
        .sensors
        .extend(gpus.into_iter().map(|gpu| Box::new(gpu) as Box<dyn Sensor>));
    found.findings.extend(unknown.into_iter().map(|entry| {
        let detail = format!("no GPU `{entry}` in `{simulation}`");
        let hint = format!("`--gpus` takes indices 0 to {}, or UUIDs", all.len() - 1);
        Finding::new(Family::Simulated, Status::Blocked, detail).hint(hint)
    }));
    found.simulated = Some(truth);
}

fn find_nvml(request: &Request, found: &mut Discovery) {
    let (path, gpus) = (request.nvml_library.clone(), request.gpus.clone());
    let answer = patience::within(NVML_PATIENCE, move || {
        Library::open(path.as_deref()).map(|library| nvml::enumerate::enumerate(&library, &gpus))
    });
    match answer {
        Ok(Ok(nvml)) => {
            found.sensors.extend(nvml.sensors);
            found.findings.extend(nvml.findings);
        }
        Ok(Err(error)) => found.findings.push(no_library(&error, has_nvidia_card(&request.sysfs))),
        Err(no_answer) => found.findings.push(
            Finding::new(Family::Nvml, Status::Blocked, no_answer.to_string())
                .hint("a GPU hangs in its driver: see whether `nvidia-smi` returns, and `dmesg | grep -i xid`"),
        ),
    }
}

/// Without the library and without a card there is nothing to say; with a card there is something to fix.
fn no_library(error: &OpenError, has_card: bool) -> Finding {
    match error {
        OpenError::NotFound(_) | OpenError::DriverNotLoaded if !has_card => {
            Finding::new(Family::Nvml, Status::Absent, error.to_string())
        }
        _ => Finding::new(Family::Nvml, Status::Blocked, error.to_string()).hint(error.hint()),
    }
}

/// GPUs that were listed, on a machine that has none: no family knows that one was meant.
fn none_of_those_asked_for(request: &Request, found: &Discovery) -> Option<Finding> {
    let GpuSelection::Listed(listed) = &request.gpus else {
        return None;
    };
    let has_gpu = found.sensors.iter().any(|s| s.device().kind == DeviceKind::Gpu);
    let told = found
        .findings
        .iter()
        .any(|f| f.family == Family::Nvml && f.is_warning());
    if listed.is_empty() || has_gpu || told || request.simulate.is_some() {
        return None;
    }
    let detail = format!("no GPU `{}` on this machine", listed.join(","));
    let hint = "`powerprof doctor` says which GPUs there are, and why not; `--gpus none` asks for none";
    Some(Finding::new(Family::Nvml, Status::Blocked, detail).hint(hint))
}

/// A PCI device of NVIDIA's (vendor 0x10de) that is a display or 3D controller (class 0x03....).
fn has_nvidia_card(sysfs: &Path) -> bool {
    let Ok(devices) = std::fs::read_dir(sysfs.join("bus/pci/devices")) else {
        return false;
    };
    devices.flatten().any(|device| {
        let says = |file: &str, what: &str| {
            std::fs::read_to_string(device.path().join(file)).is_ok_and(|text| text.starts_with(what))
        };
        says("vendor", "0x10de") && says("class", "0x03")
    })
}

fn find_rapl(request: &Request, found: &mut Discovery) {
    let cpu = estimate::procfs::CpuInfo::read(&request.procfs).map_or_else(|_| "CPU".to_owned(), |info| info.model);
    let rapl = rapl::zones::enumerate(&request.sysfs, &cpu, std::thread::sleep);

    if !rapl.sensors.is_empty() && has_sgx(&request.procfs) {
        let detail = "this processor has SGX: if it is enabled, the counters are blurred on purpose below some tens of milliseconds \
                      (INTEL-SA-00389), so short phases of the CPU are less certain than their intervals say";
        found.findings.push(Finding::new(Family::Rapl, Status::Note, detail));
    }
    found.sensors.extend(rapl.sensors);
    found.findings.extend(rapl.findings);
}

/// Whether the processor announces SGX (`flags` of `/proc/cpuinfo`).
fn has_sgx(procfs: &Path) -> bool {
    let text = std::fs::read_to_string(procfs.join("cpuinfo")).unwrap_or_default();
    let flags = text
        .lines()
        .find_map(|line| line.strip_prefix("flags")?.split_once(':'));
    flags.is_some_and(|(_, flags)| flags.split_whitespace().any(|flag| flag == "sgx"))
}

fn find_hwmon(request: &Request, found: &mut Discovery) {
    let others: Vec<&Device> = found.sensors.iter().map(|s| s.device()).collect();
    let has_gpus = others.iter().any(|d| d.kind == DeviceKind::Gpu);
    let wanted = |number: u32, id: Option<&str>| match &request.gpus {
        // CUDA's variable says nothing about GPUs of other makers.
        GpuSelection::All | GpuSelection::Visible(_) => request.simulate.is_none(),
        GpuSelection::Listed(entries) => entries.iter().any(|entry| {
            (!has_gpus && request.simulate.is_none() && entry.parse() == Ok(number)) || id.is_some_and(|id| id == entry)
        }),
    };
    let hwmon = hwmon::found::enumerate(&request.sysfs, &others, &wanted);
    found.sensors.extend(hwmon.sensors);
    found.findings.extend(hwmon.findings);
}

fn estimate_cpu(request: &Request, found: &mut Discovery) {
    match CpuEstimate::new(&request.procfs, request.cpu_tdp) {
        Ok(cpu) => {
            let assumptions = cpu.assumptions();
            let mut detail = format!(
                "nothing measures the CPU: {:.0} to {:.0} W by utilization, TDP from {}",
                assumptions.idle.0, assumptions.full.0, assumptions.source
            );
            if let Some(scaling) = &assumptions.scaling {
                detail.push_str(&format!("; {scaling}"));
            }
            let mut finding = Finding::new(Family::Estimate, Status::Note, detail).about([cpu.device().id.clone()]);
            if request.cpu_tdp.is_none() {
                finding = finding.hint("`--cpu-tdp WATTS` gives the figure of this machine's processors together");
            }
            found.findings.push(finding);
            found.sensors.push(Box::new(cpu));
        }
        Err(e) => found
            .findings
            .push(Finding::new(Family::Estimate, Status::Blocked, e.to_string()).hint("is /proc mounted?")),
    }
}

#[cfg(test)]
mod tests;
