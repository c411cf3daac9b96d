//! Power of a part of a board, or of the module around it: NVML's power scopes beside the GPU's own.
//!
//! A module (Grace Hopper: CPU, GPU and their memory) contains the GPU; the GPU contains its memory. Each is a device of its own,
//! linked by `contained_in`, so that sums never add them. They are polled more slowly than the GPU: their figures are context, and
//! every call takes the driver's lock.
//!
//! *Limits of validity.* The header contradicts itself about scope 2, so a scope is believed only if its first figures fit: a module
//! draws at least as much as its GPU, memory less than it. Boards that answer every scope with the GPU's own figure are thereby left
//! out. Where two GPUs share one module, each reports it; NVML does not say which do.

use std::time::{Duration, Instant};

use nvml_wrapper::error::NvmlError;

use crate::model::device::{Device, DeviceId, DeviceKind, SensorTiming};
use crate::model::sample::{Columns, PowerReading};
use crate::sensors::interface::{ReadError, Sensor};

use super::faults::GapPolicy;
use super::fields::{Batch, POWER_AVERAGE, POWER_INSTANT, Scope};
use super::gpu::watts;
use super::handle::Handle;

/// Half the update period of the fastest board that has scopes.
const PERIOD: Duration = Duration::from_millis(50);

/// One scope of one GPU.
pub struct NvmlScope {
    handle: Handle,
    device: Device,
    batch: Batch,
    instant: Option<usize>,
    average: Option<usize>,
    gaps: GapPolicy,
}

/// Which scopes of this GPU answer plausibly beside a GPU that draws `gpu_mw`, as sensors. The GPU's own device is needed for names,
/// and gets `contained_in` set if its module is recorded.
pub fn scopes(handle: &Handle, gpu: &mut Device, gpu_mw: u64) -> Vec<NvmlScope> {
    let number = gpu.index.unwrap_or_default();
    let mut sensors = Vec::new();
    for (scope, kind) in [
        (Scope::Module, DeviceKind::Module),
        (Scope::Memory, DeviceKind::GpuMemory),
    ] {
        let mut batch = Batch::new(&[(POWER_INSTANT, scope), (POWER_AVERAGE, scope)]);
        if batch.read(handle).is_err() {
            continue;
        }
        let fits = |slot| batch.value(slot).is_ok_and(|mw| fits_scope(scope, mw, gpu_mw));
        let (has_instant, has_average) = (fits(0), fits(1));
        if !has_instant && !has_average {
            continue;
        }
        let id = DeviceId(format!("{}{number}", kind.as_str()));
        if kind == DeviceKind::Module {
            gpu.contained_in = Some(id.clone());
        }
        let fields: Vec<_> = [(has_instant, POWER_INSTANT), (has_average, POWER_AVERAGE)]
            .into_iter()
            .filter_map(|(has, field)| has.then_some((field, scope)))
            .collect();
        sensors.push(NvmlScope {
            handle: handle.duplicate(),
            device: device(id, kind, scope, gpu),
            batch: Batch::new(&fields),
            instant: has_instant.then_some(0),
            average: has_average.then_some(usize::from(has_instant)),
            gaps: GapPolicy::default(),
        });
    }
    sensors
}

/// Whether a first figure of this scope can be what the scope's name says. A copy of the GPU's own figure is neither more nor less.
fn fits_scope(scope: Scope, mw: u64, gpu_mw: u64) -> bool {
    match scope {
        Scope::Gpu => true,
        Scope::Module => mw > gpu_mw,
        Scope::Memory => 0 < mw && mw < gpu_mw,
    }
}

fn device(id: DeviceId, kind: DeviceKind, scope: Scope, gpu: &Device) -> Device {
    let part = match scope {
        Scope::Module => "module of",
        _ => "memory of",
    };
    let mut properties = gpu.properties.clone();
    properties.insert("scope".into(), scope.id().to_string());
    Device {
        id,
        kind,
        name: format!("{part} {}", gpu.name),
        contained_in: (scope == Scope::Memory).then(|| gpu.id.clone()),
        power_limit: None,
        memory_total_bytes: None,
        power_timing: SensorTiming::default(),
        counter_timing: SensorTiming::default(),
        calibration: None,
        properties,
        ..gpu.clone()
    }
}

impl Sensor for NvmlScope {
    fn device(&self) -> &Device {
        &self.device
    }

    fn columns(&self) -> Columns {
        Columns {
            // Without an instant figure the average is the best there is, and stands in the main column.
            watts: true,
            average_watts: self.instant.is_some() && self.average.is_some(),
            ..Columns::default()
        }
    }

    fn power_period(&self) -> Duration {
        PERIOD
    }

    fn read_power(&mut self) -> Result<PowerReading, ReadError> {
        if let Err(e) = self.batch.read(&self.handle) {
            return Err(self.gaps.failure(Instant::now(), &e));
        }
        let figure = |slot: Option<usize>| slot.and_then(|s| self.batch.value(s).ok()).and_then(watts);
        let (instant, average) = (figure(self.instant), figure(self.average));
        let reading = PowerReading {
            watts: if self.instant.is_some() { instant } else { average },
            average_watts: if self.instant.is_some() { average } else { None },
            counter: None,
        };
        if reading == PowerReading::default() {
            let status = self.batch.value(0).err().map_or(NvmlError::NoData, |e| e.into_nvml());
            return Err(self.gaps.failure(Instant::now(), &status));
        }
        self.gaps.success();
        Ok(reading)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_that_repeats_the_gpus_figure_is_not_believed() {
        assert!(!fits_scope(Scope::Module, 300_000, 300_000));
        assert!(!fits_scope(Scope::Memory, 300_000, 300_000));
        assert!(fits_scope(Scope::Module, 450_000, 300_000));
        assert!(fits_scope(Scope::Memory, 60_000, 300_000));
        assert!(!fits_scope(Scope::Memory, 0, 300_000));
    }
}
