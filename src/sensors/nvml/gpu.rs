//! One NVIDIA GPU as a sensor.
//!
//! Invariant: one poll of power and energy is one call of `nvmlDeviceGetFieldValues` wherever the driver answers these fields; only
//! figures that it does not answer there are asked by their own calls. Raw units end here: milliwatts become watts, the counter
//! stays in millijoules with its unit beside it.

use std::time::{Duration, Instant};

use nvml_wrapper::error::NvmlError;

use crate::model::device::{Device, SensorTiming};
use crate::model::sample::{Columns, CounterUnit, PowerReading, SampleBatch, SampleOutcome, StateReading};
use crate::sensors::interface::{ReadError, SampleBuffer, Sensor};

use super::buffer;
use super::chip::Chip;
use super::faults::{GapPolicy, is_gone};
use super::fields::{Batch, POWER_AVERAGE, POWER_INSTANT, Scope, TOTAL_ENERGY};
use super::handle::Handle;
use super::samples::SampleReader;
use super::state::{self, StateReader};
use super::survey::Answers;
use super::timing::{PowerCall, counter_prior, driver_branch, power_prior};

/// NVML's energy counter counts millijoules, in 64 bits: no run sees it wrap.
pub const COUNTER_UNIT: CounterUnit = CounterUnit {
    joules: 1e-3,
    wraps_at: None,
};

/// One GPU.
pub struct NvmlGpu {
    handle: Handle,
    device: Device,
    columns: Columns,
    calls: Calls,
    gaps: GapPolicy,
    state: StateReader,
    samples: Option<SampleReader>,
}

/// How this GPU's figures are asked: places in the batch, or calls of their own.
struct Calls {
    batch: Batch,
    instant: Option<usize>,
    average: Option<usize>,
    counter: Option<usize>,
    /// `nvmlDeviceGetPowerUsage`, where field 186 does not answer.
    usage: bool,
    /// `nvmlDeviceGetTotalEnergyConsumption`, where field 83 does not answer.
    total_energy: bool,
}

impl Calls {
    fn new(answers: &Answers) -> Self {
        let mut fields = Vec::new();
        let mut place = |wanted: bool, field| {
            wanted.then(|| {
                fields.push((field, Scope::Gpu));
                fields.len() - 1
            })
        };
        let instant = place(answers.instant, POWER_INSTANT);
        let average = place(answers.average, POWER_AVERAGE);
        let counter = place(answers.counter_field, TOTAL_ENERGY);
        Self {
            batch: Batch::new(&fields),
            instant,
            average,
            counter,
            usage: !answers.instant && answers.usage,
            total_energy: !answers.counter_field && answers.counter_call,
        }
    }

    fn columns(&self) -> Columns {
        Columns {
            watts: self.instant.is_some() || self.usage,
            average_watts: self.average.is_some(),
            counter: (self.counter.is_some() || self.total_energy).then_some(COUNTER_UNIT),
            ..Columns::default()
        }
    }

    fn power_call(&self) -> Option<PowerCall> {
        match (self.instant, self.usage) {
            (Some(_), _) => Some(PowerCall::Instant),
            (None, true) => Some(PowerCall::Usage),
            (None, false) => None,
        }
    }

    fn counter_call(&self) -> Option<&'static str> {
        match (self.counter, self.total_energy) {
            (Some(_), _) => Some("field 83 (TOTAL_ENERGY_CONSUMPTION)"),
            (None, true) => Some("nvmlDeviceGetTotalEnergyConsumption"),
            (None, false) => None,
        }
    }

    /// One poll. Figures that did not come are `None`; the last reason why is beside them.
    fn read(&mut self, handle: &Handle) -> (PowerReading, Option<NvmlError>) {
        let mut reading = PowerReading::default();
        let mut failure = None;
        if !self.batch.is_empty() {
            match self.batch.read(handle) {
                Ok(()) => self.take_fields(&mut reading, &mut failure),
                Err(e) => failure = Some(e),
            }
        }
        if self.usage {
            match handle.device().power_usage() {
                Ok(mw) => reading.watts = watts(mw.into()),
                Err(e) => failure = Some(e),
            }
        }
        if self.total_energy {
            match handle.device().total_energy_consumption() {
                Ok(mj) => reading.counter = Some(mj),
                Err(e) => failure = Some(e),
            }
        }
        (reading, failure)
    }

    fn take_fields(&self, reading: &mut PowerReading, failure: &mut Option<NvmlError>) {
        let mut take = |slot: Option<usize>| match self.batch.value(slot?) {
            Ok(raw) => Some(raw),
            Err(e) => {
                *failure = Some(e.into_nvml());
                None
            }
        };
        reading.watts = take(self.instant).and_then(watts);
        reading.average_watts = take(self.average).and_then(watts);
        reading.counter = take(self.counter);
    }
}

/// Milliwatts as read. A powered board that answers at all draws something: zero is a reading that failed (drivers polled faster
/// than they like give it now and then).
pub(super) fn watts(mw: u64) -> Option<f64> {
    (mw > 0).then_some(mw as f64 * 1e-3)
}

impl NvmlGpu {
    /// A sensor for this GPU, which answered these calls. `device` is completed with what follows from them.
    pub fn new(handle: Handle, mut device: Device, chip: Chip, answers: &Answers) -> Self {
        let calls = Calls::new(answers);
        let state = StateReader::survey(&handle);
        let power = calls.columns();
        let branch = handle.library().driver_version().and_then(driver_branch);
        device.power_timing = calls
            .power_call()
            .map_or(SensorTiming::default(), |call| power_prior(chip, call, branch));
        if power.counter.is_some() {
            device.counter_timing = counter_prior(chip);
        }
        let (samples, said) = SampleReader::open(&handle, device.power_timing.update_period_ms);
        let mut note = |key: &str, value: Option<&str>| {
            if let Some(value) = value {
                device.properties.insert(key.to_owned(), value.to_owned());
            }
        };
        note("power_call", calls.power_call().map(PowerCall::as_str));
        note("energy_call", calls.counter_call());
        note("average_call", calls.average.map(|_| PowerCall::Average.as_str()));
        note("sample_buffer", said.as_deref());
        Self {
            columns: Columns {
                watts: power.watts,
                average_watts: power.average_watts,
                counter: power.counter,
                samples: samples.is_some(),
                ..state.columns()
            },
            handle,
            device,
            calls,
            gaps: GapPolicy::default(),
            state,
            samples,
        }
    }
}

impl Sensor for NvmlGpu {
    fn device(&self) -> &Device {
        &self.device
    }

    fn columns(&self) -> Columns {
        self.columns
    }

    fn state_period(&self) -> Option<Duration> {
        Some(state::PERIOD)
    }

    fn read_power(&mut self) -> Result<PowerReading, ReadError> {
        let (reading, failure) = self.calls.read(&self.handle);
        if reading == PowerReading::default() {
            // Nothing came; without a status, every figure was zero.
            let error = failure.unwrap_or(NvmlError::NoData);
            return Err(self.gaps.failure(Instant::now(), &error));
        }
        if let Some(error) = failure.filter(is_gone) {
            return Err(ReadError::Gone(error.to_string()));
        }
        self.gaps.success();
        Ok(reading)
    }

    fn sample_buffer(&self) -> Option<SampleBuffer> {
        buffer::look(&self.handle)
    }

    fn sample_period(&self) -> Option<Duration> {
        self.samples.as_ref()?.period()
    }

    fn read_samples(&mut self) -> SampleBatch {
        match &mut self.samples {
            Some(samples) => samples.read(&self.handle),
            None => SampleBatch::nothing(SampleOutcome::Failed),
        }
    }

    fn read_state(&mut self) -> Result<StateReading, ReadError> {
        self.state.read(&self.handle)
    }
}
