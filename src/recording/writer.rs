//! Writing a recording while it happens.
//!
//! The file has every table in it when it appears under its name, which is at once unless another recording stood there, and is in
//! single-writer mode from then on: HDF5 orders its writes so that whatever a [`Writer::flush`] returned from can be read again, though
//! the process be killed at any later instant. Rows gather in memory between flushes; the caller decides when to flush, and loses at most what came after.
//!
//! Invariants: groups, columns and attributes are all made before single-writer mode begins; the end of the run is a row like
//! any other. A full disk is met before HDF5 writes ([`Room`]), and leaves the rows pending; after an error of HDF5 itself nothing is promised.
//! A file that grows is one of pages ([`PAGE`]), so that a kill in the middle of a write breaks nothing.
//! A file that could not be written is never closed: closing it would take its mark off, and leave a file that claims to be
//! longer than it is.

use std::mem::ManuallyDrop;
use std::path::{Path, PathBuf};

use hdf5::File;
use hdf5::file::{FileSpaceStrategy, LibraryVersion};

use super::column::Storage;
use super::device;
use super::draft::{Claim, draft, vacant};
use super::error::{Fault, RecordingError, plain_error};
use super::open::{LOCKING, close_on_exec};
use super::room::Room;
use super::run::Origin;
use super::tables::Tables;
use crate::model::device::Device;
use crate::model::recording::{Chunk, RunEnd, RunInfo};
use crate::model::sample::Columns;

/// Rows of one column that may wait in memory: a flood of markers between two flushes must not fill it.
const MOST_PENDING: usize = 1 << 14;
/// So many of them are written at once where there is room, and fewer where there is little.
const PORTIONS: [usize; 3] = [MOST_PENDING, MOST_PENDING >> 4, MOST_PENDING >> 8];

/// Linux ends a `write` between two pages of its cache where the process is being killed (`generic_perform_write`, mm/filemap.c):
/// what lies in two pages may then be half new and half old. A block of metadata fails its checksum, a compressed block that was
/// written in its old place cannot be unpacked. What lies within a page is written as a whole or not at all. All page sizes of Linux
/// are multiples of this one.
const PAGE: u64 = 4096;
/// A file without rows, and what each device adds to it.
const EMPTY: u64 = 1 << 16;
const EMPTY_DEVICE: u64 = 1 << 14;
/// For what closing the file writes.
const SPARE: u64 = 1 << 16;
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
    /// Where the file grows.
    room: Option<Room>,
    /// Ids.
    devices: Vec<String>,
}

/// Why rows were not written.
#[derive(Debug)]
pub enum Unwritten {
    /// There is no room for them. Nothing was touched, and the same call may be made again.
    Full(RecordingError),
    /// Writing failed: the file is best left as it is.
    Broken(RecordingError),
}

/// The open file. Tables before the file: HDF5 closes it when its last handle goes.
struct Open {
    tables: Tables,
    file: File,
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
        let empty = EMPTY + EMPTY_DEVICE * devices.len() as u64;
        if let Some(Err(error)) = Room::of(&draft).map(|room| room.reserve(empty)) {
            return Err(RecordingError::NotMade {
                path: path.to_path_buf(),
                detail: plain_error(&error),
            });
        }
        let storage = Storage::live(run.interval_ns);
        let made = Self::create_at(&draft, run, devices, storage, Origin::default());
        let mut writer = made.and_then(Self::start).map_err(|e| e.of_draft(path))?;
        writer.path = path.to_path_buf();
        writer.room = Room::of(&draft);
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
            room: None,
            devices: devices.iter().map(|(device, _)| device.id.to_string()).collect(),
        })
    }

    /// The ids of its devices.
    pub(super) fn devices(&self) -> &[String] {
        &self.devices
    }

    /// Where it is being written.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Take rows. They are safe after the next [`flush`](Self::flush).
    pub fn append(&mut self, chunk: &Chunk) -> Result<(), RecordingError> {
        self.take(chunk)?;
        if self.is_heavy() {
            let written = self.open.tables.write(usize::MAX);
            return self.wrote(written);
        }
        Ok(())
    }

    /// Take rows, and only that.
    pub(super) fn take(&mut self, chunk: &Chunk) -> Result<(), RecordingError> {
        self.open.tables.push(chunk).map_err(|e| e.writing(&self.path))
    }

    /// Whether more rows wait than should.
    pub(super) fn is_heavy(&mut self) -> bool {
        let columns = self.open.tables.columns();
        columns.iter().any(|column| column.pending() >= MOST_PENDING)
    }

    /// How many bytes of rows wait.
    pub(super) fn waiting(&mut self) -> usize {
        let columns = self.open.tables.columns();
        columns.iter().map(|column| column.pending_bytes()).sum()
    }

    /// [`flush`](Self::flush) as far as there is room, in portions: what waited for long may need more at once than there is.
    pub(super) fn flush_in_room(&mut self) -> Result<(), Unwritten> {
        loop {
            let most = self.reserve()?;
            let Open { tables, file } = &mut *self.open;
            let written = tables.write(most).and_then(|()| Ok(file.flush()?));
            self.wrote(written).map_err(Unwritten::Broken)?;
            if self.waiting() == 0 {
                return Ok(());
            }
        }
    }

    /// Of how many rows of each column there is room for.
    fn reserve(&mut self) -> Result<usize, Unwritten> {
        let Some(room) = &self.room else {
            return Ok(MOST_PENDING);
        };
        let columns = self.open.tables.columns();
        let mut fits = Ok(MOST_PENDING);
        for most in PORTIONS {
            let growth: u64 = columns.iter().map(|column| column.growth(most)).sum();
            fits = match growth {
                0 => Ok(()),
                growth => room.reserve(growth + SPARE),
            }
            .map(|()| most);
            if fits.is_ok() {
                break;
            }
        }
        fits.map_err(|error| {
            Unwritten::Full(RecordingError::Full {
                path: self.path.clone(),
                detail: plain_error(&error),
            })
        })
    }

    /// Hand every row to the operating system, in an order that survives the death of this process.
    pub fn flush(&mut self) -> Result<(), RecordingError> {
        let Open { tables, file } = &mut *self.open;
        let written = tables.write(usize::MAX).and_then(|()| Ok(file.flush()?));
        self.wrote(written)
    }

    /// Say how the run ended, and close the file. Killed at any moment of it, the file opens, complete or not.
    pub fn finish(mut self, end: RunEnd) -> Result<(), RecordingError> {
        // The rows first: a file that says it is complete has all of them.
        self.flush()?;
        self.open.tables.end(&end);
        if let Err(Unwritten::Full(error) | Unwritten::Broken(error)) = self.reserve() {
            self.failed = true;
            return Err(error);
        }
        self.flush()?;
        self.close()
    }

    /// Leave the file as it was last flushed, and what waits with it: closing it would write.
    pub(super) fn abandon(mut self) {
        self.failed = true;
    }

    /// Close the file as it is: the recording stays cut off.
    pub(super) fn close(mut self) -> Result<(), RecordingError> {
        let file = self.open.file.clone();
        let path = self.path.clone();
        // Given back when nothing is written any more.
        let _room = self.room.take();
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
