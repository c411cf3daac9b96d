//! Writing a recording while it happens.
//!
//! The file has every table in it when it appears under its name, which is at once unless another recording stood there, and is in
//! single-writer mode from then on: HDF5 orders its writes so that whatever a [`Writer::flush`] returned from can be read again, though
//! the process be killed at any later instant. Rows gather in memory between flushes; the caller decides when to flush, and loses at most what came after.
//!
//! Invariants: groups, columns and attributes are all made before single-writer mode begins; the end of the run is a row like
//! any other; an error leaves the rows pending, so that a later flush may succeed (a disk that was full for a while).
//! A file that grows is one of pages ([`PAGE`]), so that a kill in the middle of a write breaks nothing.
//! A file that could not be written is never closed: closing it would take its mark off, and leave a file that claims to be
//! longer than it is.

use std::mem::ManuallyDrop;
use std::path::{Path, PathBuf};

use hdf5::File;
use hdf5::file::{FileSpaceStrategy, LibraryVersion};

use super::baseline::BaselineTable;
use super::column::{Append, Storage};
use super::draft::{Claim, draft, vacant};
use super::error::{Fault, RecordingError};
use super::journal::{ClockTable, EndTable, EventTable, HostTable, StartTable, SweepTable, WarningTable};
use super::markers::{FaultTable, MarkerTable};
use super::open::{LOCKING, close_on_exec};
use super::run::Origin;
use super::samples::SampleTables;
use super::streams::{PowerTable, StateTable};
use super::{device, run};
use crate::model::device::Device;
use crate::model::recording::{Chunk, RunEnd, RunInfo};
use crate::model::sample::Columns;

/// Rows of one column that may wait in memory: a flood of markers between two flushes must not fill it.
const MOST_PENDING: usize = 1 << 14;

/// Linux ends a `write` between two pages of its cache where the process is being killed (`generic_perform_write`, mm/filemap.c):
/// what lies in two pages may then be half new and half old. A block of metadata fails its checksum, a compressed block that was
/// written in its old place cannot be unpacked. What lies within a page is written as a whole or not at all. All page sizes of Linux
/// are multiples of this one.
const PAGE: u64 = 4096;
/// In a file of pages nothing that is shorter than a page crosses the end of one.
const IN_PAGES: FileSpaceStrategy = FileSpaceStrategy::FreeSpaceManager {
    paged: true,
    persist: false,
    threshold: 1,
};

/// A recording being written.
pub struct Writer {
    open: ManuallyDrop<Open>,
    path: PathBuf,
    /// Whether the last attempt to write failed.
    failed: bool,
}

/// The open file. Tables before the file: HDF5 closes it when its last handle goes.
struct Open {
    tables: Tables,
    file: File,
}

/// Everything that gets rows.
struct Tables {
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

impl Writer {
    /// Begin a recording at `path`, which must not exist unless `force` is set. `ended`, `exit` and `complete` of `run` are
    /// not looked at: [`finish`](Self::finish) says them.
    pub fn create(
        path: &Path,
        run: &RunInfo,
        devices: &[(Device, Columns)],
        force: bool,
    ) -> Result<Self, RecordingError> {
        let (writer, claim) = Self::begin(path, run, devices, force)?;
        match claim.keep() {
            Ok(()) => Ok(writer),
            Err(error) => Err(RecordingError::Create {
                path: path.to_path_buf(),
                detail: error.to_string(),
            }),
        }
    }

    /// The same for one that may come to nothing: the file goes away again, and what stood there stays, unless the claim is kept.
    pub fn begin(
        path: &Path,
        run: &RunInfo,
        devices: &[(Device, Columns)],
        force: bool,
    ) -> Result<(Self, Claim), RecordingError> {
        vacant(path, force)?;
        let draft = draft(path)?;
        let storage = Storage::live(run.interval_ns);
        let made = Self::create_at(&draft, run, devices, storage, Origin::default());
        let mut writer = made.and_then(Self::start).map_err(|e| e.of_draft(path))?;
        writer.path = path.to_path_buf();
        Ok((writer, Claim::stake(draft, path, force)?))
    }

    /// From here on in single-writer mode.
    fn start(mut self) -> Result<Self, RecordingError> {
        let file = &self.open.file;
        let started = file.start_swmr().and_then(|()| file.flush());
        self.wrote(started.map_err(Fault::from))?;
        Ok(self)
    }

    /// Make the file with all its tables, not in single-writer mode.
    pub(super) fn create_at(
        path: &Path,
        run: &RunInfo,
        devices: &[(Device, Columns)],
        storage: Storage,
        origin: Origin,
    ) -> Result<Self, RecordingError> {
        device::check_ids(devices.iter().map(|(device, _)| device))?;
        let create = |detail: String| RecordingError::Create {
            path: path.to_path_buf(),
            detail,
        };
        let mut builder = File::with_options();
        // The layout that single-writer mode needs and that HDF5 1.10 and later read. Not `latest`: older tools fail on that.
        builder.with_fapl(|p| {
            p.libver_bounds(LibraryVersion::V110, LibraryVersion::V110)
                .file_locking(LOCKING)
        });
        if storage.grows() {
            builder.with_fcpl(|p| p.file_space_page_size(PAGE).file_space_strategy(IN_PAGES));
        }
        let file = builder.create(path).map_err(|e| create(e.to_string()))?;
        close_on_exec(path).map_err(|e| create(e.to_string()))?;
        let tables = match Tables::create(&file, run, devices, storage, origin) {
            Ok(tables) => tables,
            Err(fault) => {
                // Closing it would write, and fail again.
                std::mem::forget(file);
                return Err(fault.writing(path));
            }
        };
        Ok(Self {
            open: ManuallyDrop::new(Open { tables, file }),
            path: path.to_path_buf(),
            failed: false,
        })
    }

    /// Where it is being written.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Take rows. They are safe after the next [`flush`](Self::flush).
    pub fn append(&mut self, chunk: &Chunk) -> Result<(), RecordingError> {
        let tables = &mut self.open.tables;
        tables.push(chunk).map_err(|e| e.writing(&self.path))?;
        if tables.columns().iter().any(|column| column.pending() >= MOST_PENDING) {
            let written = tables.write();
            return self.wrote(written);
        }
        Ok(())
    }

    /// Hand every row to the operating system, in an order that survives the death of this process.
    pub fn flush(&mut self) -> Result<(), RecordingError> {
        let Open { tables, file } = &mut *self.open;
        let written = tables.write().and_then(|()| Ok(file.flush()?));
        self.wrote(written)
    }

    /// Say how the run ended, and close the file. Killed at any moment of it, the file opens, complete or not.
    pub fn finish(mut self, end: RunEnd) -> Result<(), RecordingError> {
        // The rows first: a file that says it is complete has all of them.
        self.flush()?;
        self.open.tables.end.push(&end);
        self.flush()?;
        self.close()
    }

    /// Close the file as it is: the recording stays cut off.
    pub(super) fn close(self) -> Result<(), RecordingError> {
        let file = self.open.file.clone();
        let path = self.path.clone();
        drop(self);
        file.close().map_err(|e| Fault::from(e).writing(&path))
    }

    fn wrote(&mut self, written: Result<(), Fault>) -> Result<(), RecordingError> {
        self.failed = written.is_err();
        written.map_err(|e| e.writing(&self.path))
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        if self.failed {
            return;
        }
        // SAFETY: `open` is touched nowhere after this, the only place that drops it.
        unsafe { ManuallyDrop::drop(&mut self.open) }
    }
}

impl Tables {
    fn create(
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

    fn push(&mut self, chunk: &Chunk) -> Result<(), Fault> {
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

    fn columns(&mut self) -> Vec<&mut dyn Append> {
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

    fn write(&mut self) -> Result<(), Fault> {
        self.columns().into_iter().try_for_each(Append::write)
    }
}
