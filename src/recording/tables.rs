//! All tables of a recording that is being written.

use hdf5::File;

use super::baseline::BaselineTable;
use super::column::{Append, Storage};
use super::error::Fault;
use super::journal::{ClockTable, EndTable, EventTable, HostTable, StartTable, SweepTable, WarningTable};
use super::markers::{FaultTable, MarkerTable};
use super::run::Origin;
use super::samples::SampleTables;
use super::streams::{PowerTable, StateTable};
use super::{device, run};
use crate::model::device::Device;
use crate::model::recording::{Chunk, RunEnd, RunInfo};
use crate::model::sample::Columns;

/// Everything that gets rows.
pub(super) struct Tables {
    devices: Vec<(PowerTable, Option<StateTable>, Option<SampleTables>)>,
    host: HostTable,
    sweeps: SweepTable,
    anchors: ClockTable,
    markers: MarkerTable,
    faults: FaultTable,
    events: EventTable,
    warnings: WarningTable,
    start: StartTable,
    baseline: BaselineTable,
    end: EndTable,
}

impl Tables {
    pub(super) fn create(
        file: &File,
        info: &RunInfo,
        devices: &[(Device, Columns)],
        storage: Storage,
        origin: Origin,
    ) -> Result<Self, Fault> {
        run::write(file, info, origin)?;
        device::write_order(file, devices.iter().map(|(device, _)| device))?;
        let devices = devices
            .iter()
            .map(|(device, columns)| {
                let group = device::write(file, device)?;
                Ok((
                    PowerTable::create(&group, columns, storage)?,
                    StateTable::create(&group, columns, storage)?,
                    SampleTables::create(&group, columns, storage)?,
                ))
            })
            .collect::<Result<_, Fault>>()?;
        Ok(Self {
            devices,
            host: HostTable::create(file, storage)?,
            sweeps: SweepTable::create(file, storage)?,
            anchors: ClockTable::create(file, storage)?,
            markers: MarkerTable::create(file, storage)?,
            faults: FaultTable::create(file, storage)?,
            events: EventTable::create(file, storage)?,
            warnings: WarningTable::create(file, storage)?,
            start: StartTable::create(file, storage)?,
            baseline: BaselineTable::create(file, storage)?,
            end: EndTable::create(file, storage)?,
        })
    }

    pub(super) fn push(&mut self, chunk: &Chunk) -> Result<(), Fault> {
        if !chunk.devices.is_empty() && chunk.devices.len() != self.devices.len() {
            return Err(Fault::Shape(format!(
                "{} devices, and not {}",
                chunk.devices.len(),
                self.devices.len()
            )));
        }
        for ((power, state, samples), streams) in self.devices.iter_mut().zip(&chunk.devices) {
            if !streams.power.times.is_empty() {
                power.push(&streams.power)?;
            }
            if let Some(state) = state
                && !streams.state.times.is_empty()
            {
                state.push(&streams.state)?;
            }
            if let Some(samples) = samples {
                samples.push(&streams.samples)?;
            }
        }
        chunk.released.iter().for_each(|t| self.start.push(*t));
        chunk.baseline.iter().for_each(|interval| self.baseline.push(*interval));
        self.host.push(&chunk.host)?;
        self.sweeps.push(&chunk.sweeps)?;
        chunk.anchors.iter().for_each(|anchor| self.anchors.push(anchor));
        chunk.markers.iter().try_for_each(|event| self.markers.push(event))?;
        if let Some(faults) = &chunk.marker_faults {
            self.faults.push(faults)?;
        }
        chunk.events.iter().for_each(|event| self.events.push(event));
        chunk
            .warnings
            .iter()
            .for_each(|(t, warning)| self.warnings.push(*t, warning));
        Ok(())
    }

    pub(super) fn columns(&mut self) -> Vec<&mut dyn Append> {
        let mut all = Vec::new();
        for (power, state, samples) in &mut self.devices {
            all.extend(power.columns());
            all.extend(state.iter_mut().flat_map(StateTable::columns));
            all.extend(samples.iter_mut().flat_map(SampleTables::columns));
        }
        all.extend(self.host.columns());
        all.extend(self.sweeps.columns());
        all.extend(self.anchors.columns());
        all.extend(self.markers.columns());
        all.extend(self.faults.columns());
        all.extend(self.events.columns());
        all.extend(self.warnings.columns());
        all.extend(self.start.columns());
        all.extend(self.baseline.columns());
        all.extend(self.end.columns());
        all
    }

    pub(super) fn write(&mut self, most: usize) -> Result<(), Fault> {
        self.columns().into_iter().try_for_each(|column| column.write(most))
    }

    /// The end of the run.
    pub(super) fn end(&mut self, end: &RunEnd) {
        self.end.push(end);
    }
}
