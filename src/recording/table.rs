//! Reading a table: columns of equal length, whatever the recorder was doing when it was killed.
//!
//! A recorder that dies while it writes leaves some columns longer than others, and at worst rows whose place is there and
//! whose values are not. Both are cut: a table ends where its shortest column ends, and before the first row whose time, or a
//! text that every row has, was never written. What was flushed is complete by then, so only rows younger than the last flush
//! can go this way.
//!
//! Rows that are damaged are another matter: they are an error, or, in a table that is salvaged, not given.

use std::ops::Range;

use hdf5::types::FixedUnicode;
use hdf5::{Dataset, Group};

use super::cell::{Cell, NO_ROW, NO_TIME};
use super::error::Fault;
use super::lost::Lost;
use super::schema::ColumnSpec;
use crate::model::sample::Times;
use crate::model::time::Timestamp;

/// A table opened for reading.
pub(super) struct TableReader<'a> {
    parent: &'a Group,
    rows: usize,
    /// Where rows are told of that cannot be read; without it they are an error.
    lost: Option<&'a Lost>,
}

impl<'a> TableReader<'a> {
    /// The table of these columns below `parent`. Columns that are not there do not count; with none of them, no rows.
    pub(super) fn open(parent: &'a Group, columns: &[ColumnSpec]) -> Result<Self, Fault> {
        Self::of(parent, columns, None)
    }

    /// The same, where rows that cannot be read are not given, and told to `lost`.
    pub(super) fn salvage(parent: &'a Group, columns: &[ColumnSpec], lost: &'a Lost) -> Result<Self, Fault> {
        Self::of(parent, columns, Some(lost))
    }

    fn of(parent: &'a Group, columns: &[ColumnSpec], lost: Option<&'a Lost>) -> Result<Self, Fault> {
        let mut rows = None;
        for spec in columns {
            match (dataset(parent, spec), lost) {
                (Ok(None), _) => {}
                (Ok(Some(dataset)), _) => {
                    let length = dataset.size();
                    rows = Some(rows.map_or(length, |shortest: usize| shortest.min(length)));
                }
                (Err(fault), Some(lost)) => note(lost, parent, spec, (0..0, 0), fault),
                (Err(fault), None) => return Err(fault),
            }
        }
        Ok(Self {
            parent,
            rows: rows.unwrap_or(0),
            lost,
        })
    }

    /// The same rows, of which each must be there.
    pub(super) fn strictly(&self) -> Self {
        Self { lost: None, ..*self }
    }

    /// Times of readings, and which of the table's rows are some: one of which the time cannot be read is none. `None`: all of them.
    pub(super) fn read_times(
        &self,
        t: &ColumnSpec,
        half_width: &ColumnSpec,
    ) -> Result<(Times, Option<Vec<bool>>), Fault> {
        let (mut t, mut half_width): (Vec<i64>, Vec<u32>) = (self.read(t)?, self.read(half_width)?);
        let usable = |(t, half): (&i64, &u32)| *t != NO_TIME && *half != NO_ROW;
        let kept = self.kept(t.iter().zip(&half_width).map(usable));
        if let Some(kept) = &kept {
            keep(&mut t, kept);
            keep(&mut half_width, kept);
        }
        let times = Times {
            t: t.into_iter().map(Timestamp::from_nanos).collect(),
            half_width_ns: half_width,
        };
        Ok((times, kept))
    }

    /// Whether each row can be used, by what was read of it; `None` where all was read.
    pub(super) fn kept(&self, usable: impl Iterator<Item = bool>) -> Option<Vec<bool>> {
        self.lost.filter(|lost| !lost.is_empty()).map(|_| usable.collect())
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

    /// The rows that were `kept` of a column that must be there.
    pub(super) fn read_kept<T: Cell>(&self, spec: &ColumnSpec, kept: Option<&[bool]>) -> Result<Vec<T>, Fault> {
        let mut rows = self.read(spec)?;
        if let Some(kept) = kept {
            keep(&mut rows, kept);
        }
        Ok(rows)
    }

    /// The same, or nothing where the file has no such column.
    pub(super) fn read_kept_if_there<T: Cell>(
        &self,
        spec: &ColumnSpec,
        kept: Option<&[bool]>,
    ) -> Result<Vec<T>, Fault> {
        let is_there = match self.lost {
            Some(lost) => present(self.parent, spec, lost),
            None => is_there(self.parent, spec)?,
        };
        if is_there {
            self.read_kept(spec, kept)
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
        let Some(lost) = self.lost else {
            let rows = typed::<T>(self.parent, spec).and_then(|dataset| rows(&dataset, from..to));
            return rows.map_err(|fault| located(self.parent, spec, fault));
        };
        let salvaged = typed::<T>(self.parent, spec).map(|dataset| {
            rows(&dataset, from..to).unwrap_or_else(|_| {
                by_block(&dataset, from..to, |stretch, fault| {
                    note(lost, self.parent, spec, (stretch, self.rows), fault);
                })
            })
        });
        Ok(salvaged.unwrap_or_else(|fault| {
            note(lost, self.parent, spec, (0..0, 0), fault);
            vec![T::missing(); to - from]
        }))
    }
}

/// A column that must be there, and hold what it should.
fn typed<T: Cell>(parent: &Group, spec: &ColumnSpec) -> Result<Dataset, Fault> {
    let dataset = dataset(parent, spec)?.ok_or_else(|| Fault::Content(format!("column {} is missing", spec.path)))?;
    // HDF5 would speak of its folder of plugins.
    if let Some(filter) = dataset.filters().iter().find(|filter| !filter.is_available()) {
        let id = filter.id();
        return Err(Fault::Content(format!(
            "it needs the HDF5 filter {id}, which is not built in"
        )));
    }
    let stored = dataset.dtype()?.to_descriptor()?;
    if stored != T::type_descriptor() {
        return Err(Fault::Content(format!(
            "column {} holds {stored}, and not {}",
            spec.path,
            T::type_descriptor()
        )));
    }
    Ok(dataset)
}

fn rows<T: Cell>(dataset: &Dataset, rows: Range<usize>) -> Result<Vec<T>, Fault> {
    Ok(dataset.read_slice_1d::<T, _>(rows)?.to_vec())
}

/// Rows as far as their blocks can be read; of those that cannot, `lose` hears.
fn by_block<T: Cell>(dataset: &Dataset, wanted: Range<usize>, mut lose: impl FnMut(Range<usize>, Fault)) -> Vec<T> {
    let block = dataset.chunk().and_then(|rows| rows.first().copied());
    let block = block.unwrap_or(wanted.len()).max(1);
    let mut all = Vec::with_capacity(wanted.len());
    let mut from = wanted.start;
    while from < wanted.end {
        let to = ((from / block + 1) * block).min(wanted.end);
        match rows::<T>(dataset, from..to) {
            Ok(read) => all.extend(read),
            Err(fault) => {
                lose(from..to, fault);
                all.resize(all.len() + (to - from), T::missing());
            }
        }
        from = to;
    }
    all
}

/// Leave out the rows that were not kept.
pub(super) fn keep<T>(rows: &mut Vec<T>, kept: &[bool]) {
    let mut kept = kept.iter();
    rows.retain(|_| kept.next().copied().unwrap_or(true));
}

/// Where a column or group stands in the file.
pub(super) fn place(parent: &Group, path: &str) -> String {
    format!("{}/{path}", parent.name()).trim_start_matches('/').to_owned()
}

/// A fault with the place of its column, if it has none.
fn located(parent: &Group, spec: &ColumnSpec, fault: Fault) -> Fault {
    match fault {
        Fault::At { .. } => fault,
        other => other.at(place(parent, spec.path)),
    }
}

fn note(lost: &Lost, parent: &Group, spec: &ColumnSpec, (stretch, rows): (Range<usize>, usize), fault: Fault) {
    match located(parent, spec, fault) {
        Fault::At { place, why } => lost.note(&place, stretch, rows, &why),
        other => lost.note(spec.path, stretch, rows, &other),
    }
}

/// The dataset of a column, if the file has it.
pub(super) fn dataset(parent: &Group, spec: &ColumnSpec) -> Result<Option<Dataset>, Fault> {
    if !is_there(parent, spec)? {
        return Ok(None);
    }
    let dataset = parent.dataset(spec.path);
    let dataset = dataset.map_err(|e| Fault::from(e).at(place(parent, spec.path)))?;
    if dataset.ndim() != 1 {
        return Err(Fault::Content(format!(
            "column {} has {} dimensions",
            spec.path,
            dataset.ndim()
        )));
    }
    Ok(Some(dataset))
}

/// Whether the file has the column, readable or not. A group that does not open is an error.
fn is_there(parent: &Group, spec: &ColumnSpec) -> Result<bool, Fault> {
    // HDF5 cannot ask for `a/b` where there is no `a`, and what it cannot look into it takes for empty.
    let Some((group, name)) = spec.path.split_once('/') else {
        return Ok(parent.link_exists(spec.path));
    };
    if !parent.link_exists(group) {
        return Ok(false);
    }
    let opened = parent.group(group);
    let opened = opened.map_err(|e| Fault::from(e).at(place(parent, group)))?;
    Ok(opened.link_exists(name))
}

/// The same where a group that does not open is told to `lost`, and has no columns.
pub(super) fn present(parent: &Group, spec: &ColumnSpec, lost: &Lost) -> bool {
    is_there(parent, spec).unwrap_or_else(|fault| {
        note(lost, parent, spec, (0..0, 0), fault);
        false
    })
}
