//! One column on its way to the file: rows gather in memory and are written as one block.
//!
//! How a column is stored follows from the pace of its table ([`Storage`]). In single-writer mode HDF5 never reuses the place
//! of a compressed block that was written anew (a reader may still look at it), so a block that is flushed while partly
//! filled costs its size again each time: blocks hold about the rows of one flush, and slow columns are not compressed.
//!
//! A part of a column's index is longer than a page, and may be torn by a kill (see [`writer`](super::writer)), from block 8181 on
//! (`H5EA__hdr_init`: 4 blocks, then 16, 32, 2 x 32, ... 16 x 256): after 2.3 h at 1 kHz, 2.9 h at 100 Hz, 520 000 markers.

use hdf5::{Dataset, Group, H5Type};

use super::attributes;
use super::cell::Cell;
use super::error::Fault;
use super::schema::{ColumnSpec, Dtype, Pace};

/// Where rows per block and compression come from.
#[derive(Debug, Clone, Copy)]
pub(super) enum Storage {
    /// A recording that grows, and is flushed about every second.
    Live { sweeps_per_flush: usize },
    /// A recording that is written at once.
    AtOnce,
}

/// deflate level: 1 to 9 differ by a few percent on such blocks.
const DEFLATE: u8 = 4;
/// Below this many rows a flush, a compressed block would be written too often for what it saves.
const WORTH_COMPRESSING: usize = 32;

impl Storage {
    /// For the given time between two sweeps.
    pub(super) fn live(interval_ns: i64) -> Self {
        let sweeps = 1_000_000_000 / interval_ns.max(1);
        Self::Live {
            sweeps_per_flush: usize::try_from(sweeps).unwrap_or(1),
        }
    }

    /// Whether the file is written while it happens, and may be cut off at any moment.
    pub(super) const fn grows(self) -> bool {
        matches!(self, Self::Live { .. })
    }

    /// Rows per block, and whether it is compressed.
    fn block(self, pace: Pace) -> (usize, bool) {
        match (self, pace) {
            (Self::Live { sweeps_per_flush }, Pace::Sweep) => (
                sweeps_per_flush.next_power_of_two().clamp(64, 4096),
                sweeps_per_flush >= WORTH_COMPRESSING,
            ),
            (Self::Live { .. }, Pace::Slow) => (64, false),
            (Self::Live { .. }, Pace::Burst) => (64, true),
            (Self::AtOnce, Pace::Sweep | Pace::Slow | Pace::Burst) => (4096, true),
            (_, Pace::Rare) => (16, true),
        }
    }
}

/// A column being written.
#[derive(Debug)]
pub(super) struct Column<T> {
    dataset: Dataset,
    /// Rows in the file.
    written: usize,
    pending: Vec<T>,
    /// Rows of a block.
    block: usize,
}

impl<T: Cell> Column<T> {
    /// Make the dataset, empty, with its unit and description.
    pub(super) fn create(parent: &Group, spec: &ColumnSpec, pace: Pace, storage: Storage) -> Result<Self, Fault> {
        if !T::stores(spec.dtype) {
            return Err(Fault::Shape(format!(
                "column {} does not hold {:?}",
                spec.path,
                T::type_descriptor()
            )));
        }
        let (rows, compressed) = storage.block(pace);
        let mut builder = parent.new_dataset_builder();
        if compressed {
            builder = builder.shuffle().deflate(DEFLATE);
        }
        if let Some(fill) = T::fill() {
            builder = builder.fill_value(fill);
        }
        // The default cache of 1 MiB for each of a hundred columns would be the largest thing in the recorder's memory; a
        // writer that only appends needs the block it fills and no other.
        let block_bytes = rows * size_of::<T>();
        let dataset = builder
            .chunk_cache(3, 2 * block_bytes, 1.0)
            .empty::<T>()
            .chunk(rows)
            .shape(0..)
            .create(spec.path)?;
        attributes::set_text(&dataset, "unit", spec.unit)?;
        attributes::set_text(&dataset, "description", spec.description)?;
        if let (Some(fill), Dtype::Figure | Dtype::Count | Dtype::Row) = (T::FILL, spec.dtype) {
            attributes::set(&dataset, "missing", &fill)?;
        }
        Ok(Self {
            dataset,
            written: 0,
            pending: Vec::new(),
            block: rows,
        })
    }

    /// The dataset, for further attributes.
    pub(super) fn dataset(&self) -> &Dataset {
        &self.dataset
    }

    pub(super) fn push(&mut self, value: T) {
        self.pending.push(value);
    }

    pub(super) fn extend(&mut self, values: impl IntoIterator<Item = T>) {
        self.pending.extend(values);
    }

    /// Rows so far, those in memory included.
    pub(super) fn rows(&self) -> usize {
        self.written + self.pending.len()
    }
}

/// What all columns of a table can do, whatever they hold.
pub(super) trait Append {
    /// Rows that are not yet in the file.
    fn pending(&self) -> usize;
    /// Their size in memory.
    fn pending_bytes(&self) -> usize;
    /// By how much the file may grow, at most, when so many of them are written.
    fn growth(&self, most: usize) -> u64;
    /// Write so many of them, the oldest, at most. After an error they are still pending.
    fn write(&mut self, most: usize) -> Result<(), Fault>;
}

/// In a file of pages, a block begins a page where it does not fit into one that was begun.
const PAGE: u64 = 4096;
/// A column's index grows by parts of as many entries as the root of eight times its blocks, of 14 bytes each (`H5EA__hdr_init`).
const INDEX: u64 = 128;

impl<T: Cell + H5Type> Append for Column<T> {
    fn pending(&self) -> usize {
        self.pending.len()
    }

    fn pending_bytes(&self) -> usize {
        self.pending.len() * size_of::<T>()
    }

    fn growth(&self, most: usize) -> u64 {
        let rows = self.pending.len().min(most);
        if rows == 0 {
            return 0;
        }
        // The first and the last are partly filled.
        let blocks = (rows / self.block + 2) as u64;
        let bytes = (self.block * size_of::<T>()) as u64;
        let index = INDEX * ((self.written / self.block) as u64 + blocks).isqrt();
        blocks * bytes.next_multiple_of(PAGE) + PAGE + index
    }

    fn write(&mut self, most: usize) -> Result<(), Fault> {
        let rows = self.pending.len().min(most);
        if rows == 0 {
            return Ok(());
        }
        let end = self.written + rows;
        self.dataset.resize((end,))?;
        self.dataset.write_slice(&self.pending[..rows], self.written..end)?;
        self.written = end;
        self.pending.drain(..rows);
        Ok(())
    }
}
