//! All chosen GPUs of a machine as sensors, with what is constant about each.
//!
//! Order of the result: that in which CUDA counts the visible GPUs, so that the position is the ordinal a trainer uses.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use nvml_wrapper::error::NvmlError;

use crate::model::device::{Device, DeviceId, DeviceKind, SensorTiming, Source};
use crate::model::units::Watts;
use crate::sensors::finding::{Family, Finding, Status};
use crate::sensors::interface::Sensor;

use super::chip::Chip;
use super::fields::{Batch, POWER_AVERAGE, POWER_INSTANT, Scope};
use super::gpu::NvmlGpu;
use super::handle::Handle;
use super::library::Library;
use super::scopes;
use super::state::power_limit;
use super::survey::{self, Answers};
use super::visible::{self, Listed};

/// Which GPUs to record.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum GpuSelection {
    #[default]
    All,
    /// As `CUDA_VISIBLE_DEVICES` says: its value.
    Visible(String),
    /// Indices or UUIDs from the command line.
    Listed(Vec<String>),
}

/// Between the two looks of a survey: longer than the 50 ms below which some drivers refuse to be asked again.
const SECOND_LOOK_AFTER: Duration = Duration::from_millis(60);

/// A chosen GPU on its way to being a sensor.
struct Candidate {
    handle: Handle,
    index: u32,
    /// Position among the chosen, which is CUDA's ordinal.
    ordinal: usize,
    limit_mw: Option<u32>,
    answers: Answers,
}

/// What NVML gives on this machine.
pub struct Enumeration {
    pub sensors: Vec<Box<dyn Sensor>>,
    pub findings: Vec<Finding>,
}

/// Sensors for the GPUs of `selection`.
pub fn enumerate(library: &Arc<Library>, selection: &GpuSelection) -> Enumeration {
    let mut found = Enumeration {
        sensors: Vec::new(),
        findings: Vec::new(),
    };
    let gpus = match list(library) {
        Ok(gpus) => gpus,
        Err(e) => {
            found.findings.push(
                Finding::new(
                    Family::Nvml,
                    Status::Blocked,
                    format!("the GPUs cannot be counted: {e}"),
                )
                .hint("see whether `nvidia-smi` works as this user"),
            );
            return found;
        }
    };
    if gpus.is_empty() {
        found.findings.push(Finding::new(
            Family::Nvml,
            Status::Absent,
            "NVML works and finds no GPU",
        ));
        return found;
    }
    let chosen = choose(library, &gpus, selection, &mut found.findings);
    let candidates = survey_all(library, &chosen, &mut found.findings);
    for candidate in candidates {
        add(candidate, &mut found);
    }
    if !found.sensors.is_empty() {
        let devices = found.sensors.iter().map(|s| s.device().id.clone());
        let detail = format!(
            "{} with driver {}",
            library.path(),
            library.driver_version().unwrap_or("of unknown version")
        );
        let finding = Finding::new(Family::Nvml, Status::Found, detail).about(devices);
        found.findings.insert(0, finding);
    }
    found
}

/// Every GPU of the machine. One that cannot be opened keeps its place, without a UUID.
fn list(library: &Arc<Library>) -> Result<Vec<Listed>, NvmlError> {
    let count = library.nvml().device_count()?;
    Ok((0..count)
        .map(|index| match library.nvml().device_by_index(index) {
            Ok(device) => Listed {
                uuid: device.uuid().ok(),
                name: device.name().unwrap_or_default(),
            },
            Err(_) => Listed {
                uuid: None,
                name: String::new(),
            },
        })
        .collect())
}

fn choose(library: &Arc<Library>, gpus: &[Listed], selection: &GpuSelection, findings: &mut Vec<Finding>) -> Vec<u32> {
    match selection {
        GpuSelection::All => (0_u32..).zip(gpus).map(|(index, _)| index).collect(),
        GpuSelection::Visible(spec) => {
            let by_pci_bus = std::env::var("CUDA_DEVICE_ORDER").is_ok_and(|order| order == "PCI_BUS_ID");
            let seen = visible::visible(spec, gpus, by_pci_bus, |mig| {
                let instance = library.nvml().device_by_uuid(mig).ok()?;
                instance.mig_parent_device().ok()?.index().ok()
            });
            let notes = seen.notes.into_iter();
            findings.extend(notes.map(|note| Finding::new(Family::Nvml, Status::Note, note)));
            if seen.indices.is_empty() {
                let detail = format!("CUDA_VISIBLE_DEVICES=`{spec}` leaves no GPU visible, so none is recorded");
                findings.push(
                    Finding::new(Family::Nvml, Status::Note, detail).hint("`--gpus 0,1` records GPUs regardless"),
                );
            }
            seen.indices
        }
        GpuSelection::Listed(entries) => {
            let (indices, unknown) = visible::listed(entries, gpus);
            findings.extend(unknown.into_iter().map(|entry| {
                Finding::new(
                    Family::Nvml,
                    Status::Blocked,
                    format!("no GPU `{entry}` on this machine"),
                )
                .hint(format!(
                    "`--gpus` takes indices 0 to {} or UUIDs; `powerprof doctor` lists them",
                    gpus.len() - 1
                ))
            }));
            indices
        }
    }
}

/// Survey the chosen GPUs: a second look, after one pause for all, at those that did not answer everything.
fn survey_all(library: &Arc<Library>, chosen: &[u32], findings: &mut Vec<Finding>) -> Vec<Candidate> {
    let mut candidates = Vec::new();
    for (ordinal, &index) in chosen.iter().enumerate() {
        let opened = Handle::by_index(library, index).and_then(|handle| {
            let limit_mw = power_limit(&handle).ok();
            let answers = survey::look(&handle, limit_mw)?;
            Ok(Candidate {
                handle,
                index,
                ordinal,
                limit_mw,
                answers,
            })
        });
        match opened {
            Ok(candidate) => candidates.push(candidate),
            Err(e) => findings.push(
                Finding::new(
                    Family::Nvml,
                    Status::Blocked,
                    format!("GPU {index} cannot be read: {e}"),
                )
                .hint(format!("`nvidia-smi -i {index} -q` shows its state")),
            ),
        }
    }
    if candidates.iter().any(|c| !c.answers.is_complete()) {
        std::thread::sleep(SECOND_LOOK_AFTER);
        for candidate in candidates.iter_mut().filter(|c| !c.answers.is_complete()) {
            if let Ok(again) = survey::look(&candidate.handle, candidate.limit_mw) {
                candidate.answers = candidate.answers.or(again);
            }
        }
    }
    candidates
}

fn add(candidate: Candidate, found: &mut Enumeration) {
    let (mut device, chip) = describe(&candidate);
    if !candidate.answers.any() {
        let detail = format!(
            "GPU {} ({}) answers neither power nor energy",
            candidate.index, device.name
        );
        found.findings.push(
            Finding::new(Family::Nvml, Status::Blocked, detail)
                .hint("either the driver forbids it to this user (then as root it answers), or there is no sensor, as on many virtual GPUs (then measure on the host)"),
        );
        return;
    }
    let scopes = gpu_milliwatts(&candidate.handle)
        .map(|mw| scopes::scopes(&candidate.handle, &mut device, mw))
        .unwrap_or_default();
    if device.properties.get("mig").is_some_and(|mode| mode == "enabled") {
        let detail = format!(
            "GPU {} is in MIG mode: power and energy are those of the whole GPU, and there is no utilization",
            candidate.index
        );
        found
            .findings
            .push(Finding::new(Family::Nvml, Status::Note, detail).about([device.id.clone()]));
    }
    let gpu = NvmlGpu::new(candidate.handle, device, chip, &candidate.answers);
    found.sensors.push(Box::new(gpu));
    let scopes = scopes.into_iter().map(|s| Box::new(s) as Box<dyn Sensor>);
    found.sensors.extend(scopes);
}

/// The figure that the other scopes are held against.
fn gpu_milliwatts(handle: &Handle) -> Option<u64> {
    let mut batch = Batch::new(&[(POWER_INSTANT, Scope::Gpu), (POWER_AVERAGE, Scope::Gpu)]);
    batch.read(handle).ok()?;
    batch.value(0).or_else(|_| batch.value(1)).ok()
}

/// What does not change about a GPU.
fn describe(candidate: &Candidate) -> (Device, Chip) {
    let handle = &candidate.handle;
    let gpu = handle.device();
    let capability = gpu.cuda_compute_capability().ok().map(|c| (c.major, c.minor));
    let chip = Chip::from_codes(handle.architecture_code().ok(), capability);
    let mut properties = BTreeMap::from([
        ("nvml_library".to_owned(), handle.library().path().to_owned()),
        ("cuda_ordinal".to_owned(), candidate.ordinal.to_string()),
    ]);
    let mut note = |key: &str, value: Option<String>| {
        if let Some(value) = value {
            properties.insert(key.to_owned(), value);
        }
    };
    note("driver", handle.library().driver_version().map(str::to_owned));
    note("vbios", gpu.vbios_version().ok());
    note("pci_bus", gpu.pci_info().ok().map(|pci| pci.bus_id));
    note(
        "compute_capability",
        capability.map(|(major, minor)| format!("{major}.{minor}")),
    );
    note("persistence_mode", gpu.is_in_persistent_mode().ok().map(on_off));
    // 1 is NVML_DEVICE_MIG_ENABLE (nvml.h).
    note("mig", gpu.mig_mode().ok().map(|mode| on_off(mode.current == 1)));
    let device = Device {
        id: DeviceId(format!("gpu{}", candidate.index)),
        kind: DeviceKind::Gpu,
        source: Source::Nvml,
        name: gpu.name().unwrap_or_else(|_| "NVIDIA GPU".to_owned()),
        uuid: gpu.uuid().ok(),
        index: Some(candidate.index),
        contained_in: None,
        architecture: chip.architecture().map(str::to_owned),
        power_limit: candidate.limit_mw.map(|mw| Watts(f64::from(mw) * 1e-3)),
        memory_total_bytes: handle.memory().ok().map(|m| m.total),
        power_timing: SensorTiming::default(),
        counter_timing: SensorTiming::default(),
        calibration: None,
        properties,
    };
    (device, chip)
}

fn on_off(on: bool) -> String {
    if on { "enabled" } else { "disabled" }.to_owned()
}
