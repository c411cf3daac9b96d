//! The idle baseline: when the machine was watched before the command ran.

use hdf5::Group;

use super::cell::NO_TIME;
use super::column::{Append, Column, Storage};
use super::error::Fault;
use super::lost::Lost;
use super::schema::{Pace, baseline};
use super::table::TableReader;
use crate::model::time::{Interval, Timestamp};

/// The baseline on its way to the file: one row at most.
pub(super) struct BaselineTable {
    t: Column<i64>,
    end: Column<i64>,
}

impl BaselineTable {
    pub(super) fn create(root: &Group, storage: Storage) -> Result<Self, Fault> {
        Ok(Self {
            t: Column::create(root, &baseline::T, Pace::Slow, storage)?,
            end: Column::create(root, &baseline::END, Pace::Slow, storage)?,
        })
    }

    pub(super) fn push(&mut self, interval: Interval) {
        self.t.push(interval.start.as_nanos());
        self.end.push(interval.end.as_nanos());
    }

    pub(super) fn columns(&mut self) -> Vec<&mut dyn Append> {
        vec![&mut self.t, &mut self.end]
    }
}

/// The baseline, if one was taken and its end was written.
pub(super) fn read(root: &Group, lost: &Lost) -> Result<Option<Interval>, Fault> {
    let table = TableReader::salvage(root, baseline::ALL, lost)?.cut_by(&baseline::END)?;
    let (start, end) = (table.last::<i64>(&baseline::T)?, table.last::<i64>(&baseline::END)?);
    Ok(start
        .filter(|start| *start != NO_TIME)
        .zip(end)
        .map(|(start, end)| Interval::new(Timestamp::from_nanos(start), Timestamp::from_nanos(end))))
}
