//! Reading a table: columns of equal length, whatever the recorder was doing when it was killed.
//!
//! A recorder that dies while it writes leaves some columns longer than others, and at worst rows whose place is there and
//! whose values are not. Both are cut: a table ends where its shortest column ends, and before the first row whose time, or a
//! text that every row has, was never written. What was flushed is complete by then, so only rows younger than the last flush
//! can go this way.

use hdf5::types::FixedUnicode;
use hdf5::{Dataset, Group};

use super::cell::{Cell, NO_TIME};
use super::error::Fault;
use super::schema::ColumnSpec;

/// A table opened for reading.
pub(super) struct TableReader<'a> {
    parent: &'a Group,
    rows: usize,
}

impl<'a> TableReader<'a> {
    /// The table of these columns below `parent`. Columns that are not there do not count; with none of them, no rows.
    pub(super) fn open(parent: &'a Group, columns: &[ColumnSpec]) -> Result<Self, Fault> {
        let mut rows = None;
        for spec in columns {
            if let Some(dataset) = dataset(parent, spec)? {
                let length = dataset.size();
                rows = Some(rows.map_or(length, |shortest: usize| shortest.min(length)));
            }
        }
        Ok(Self {
            parent,
            rows: rows.unwrap_or(0),
        })
    }

    /// Cut at the first row whose time was never written.
    pub(super) fn cut_by(mut self, time: &ColumnSpec) -> Result<Self, Fault> {
        // From the end: such rows, if there are any, are the last ones.
        const STEP: usize = 4096;
        while self.rows > 0 {
            let from = self.rows.saturating_sub(STEP);
            let times: Vec<i64> = self.slice(time, from, self.rows)?;
            let kept = times.iter().rposition(|&t| t != NO_TIME).map_or(0, |last| last + 1);
            self.rows = from + kept;
            if kept > 0 {
                break;
            }
        }
        Ok(self)
    }

    /// Cut at the first row without a text in `column`: every row has one there, unless it was never written.
    pub(super) fn cut_at_blank<const N: usize>(mut self, column: &ColumnSpec) -> Result<Self, Fault> {
        let texts: Vec<FixedUnicode<N>> = self.read(column)?;
        if let Some(blank) = texts.iter().position(|text| text.is_empty()) {
            self.truncate(blank);
        }
        Ok(self)
    }

    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    /// End the table before row `rows`.
    pub(super) fn truncate(&mut self, rows: usize) {
        self.rows = self.rows.min(rows);
    }

    /// All rows of a column that must be there.
    pub(super) fn read<T: Cell>(&self, spec: &ColumnSpec) -> Result<Vec<T>, Fault> {
        self.slice(spec, 0, self.rows)
    }

    /// All rows of a column, or nothing where the file has no such column.
    pub(super) fn read_if_there<T: Cell>(&self, spec: &ColumnSpec) -> Result<Vec<T>, Fault> {
        if dataset(self.parent, spec)?.is_some() {
            self.read(spec)
        } else {
            Ok(Vec::new())
        }
    }

    /// The last row of a column.
    pub(super) fn last<T: Cell>(&self, spec: &ColumnSpec) -> Result<Option<T>, Fault> {
        match self.rows {
            0 => Ok(None),
            rows => Ok(self.slice(spec, rows - 1, rows)?.pop()),
        }
    }

    fn slice<T: Cell>(&self, spec: &ColumnSpec, from: usize, to: usize) -> Result<Vec<T>, Fault> {
        if from == to {
            return Ok(Vec::new());
        }
        let dataset =
            dataset(self.parent, spec)?.ok_or_else(|| Fault::Content(format!("column {} is missing", spec.path)))?;
        let stored = dataset.dtype()?.to_descriptor()?;
        if stored != T::type_descriptor() {
            return Err(Fault::Content(format!(
                "column {} holds {stored}, and not {}",
                spec.path,
                T::type_descriptor()
            )));
        }
        Ok(dataset.read_slice_1d::<T, _>(from..to)?.to_vec())
    }
}

/// The dataset of a column, if the file has it.
pub(super) fn dataset(parent: &Group, spec: &ColumnSpec) -> Result<Option<Dataset>, Fault> {
    // HDF5 cannot ask for `a/b` where there is no `a`.
    let present = match spec.path.split_once('/') {
        Some((group, _)) => parent.link_exists(group) && parent.link_exists(spec.path),
        None => parent.link_exists(spec.path),
    };
    if !present {
        return Ok(None);
    }
    let dataset = parent.dataset(spec.path)?;
    if dataset.ndim() != 1 {
        return Err(Fault::Content(format!(
            "column {} has {} dimensions",
            spec.path,
            dataset.ndim()
        )));
    }
    Ok(Some(dataset))
}
