//! What of a recording cannot be read any more: a damaged block, a filter this build of HDF5 lacks, a header that does not open.
//!
//! Reading goes on, such rows count as not given, and each dataset is named once. What is right without them stays right.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

use super::error::Fault;

/// What could not be read of one dataset.
#[derive(Debug)]
struct Hole {
    /// Stretches of its rows; some may have been asked for twice.
    stretches: Vec<Range<usize>>,
    rows: usize,
    why: String,
}

/// Everything that could not be read, by dataset.
#[derive(Debug, Default)]
pub(super) struct Lost(RefCell<BTreeMap<String, Hole>>);

impl Lost {
    /// Note that these of `rows` rows of the dataset `place` cannot be read. With no rows at all, nothing of it is known.
    pub(super) fn note(&self, place: &str, stretch: Range<usize>, rows: usize, why: &Fault) {
        let mut all = self.0.borrow_mut();
        let hole = all.entry(place.to_owned()).or_insert_with(|| Hole {
            stretches: Vec::new(),
            rows: 0,
            why: why.to_string(),
        });
        hole.rows = hole.rows.max(rows);
        match hole.stretches.last_mut() {
            Some(last) if last.end == stretch.start => last.end = stretch.end,
            _ => hole.stretches.push(stretch),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.borrow().is_empty()
    }

    /// Whether it is a part of this dataset.
    pub(super) fn has(&self, place: &str) -> bool {
        self.0.borrow().contains_key(place)
    }

    /// The same as a warning; `None` where all was read.
    pub(super) fn told(&self, path: &Path) -> Option<String> {
        let all = self.0.borrow();
        let places: Vec<String> = all.iter().map(|(place, hole)| hole.told(place)).collect();
        (!places.is_empty()).then(|| {
            format!(
                "{} is damaged: cannot read {}; it counts as not given\nhint: copy it again from where it was recorded",
                path.display(),
                places.join(", ")
            )
        })
    }
}

impl Hole {
    fn told(&self, place: &str) -> String {
        let lost = self.lost();
        if lost == 0 || lost >= self.rows {
            format!("{place} ({})", self.why)
        } else {
            format!("{lost} of {} rows of {place} ({})", self.rows, self.why)
        }
    }

    /// How many rows, each counted once.
    fn lost(&self) -> usize {
        let mut stretches = self.stretches.clone();
        stretches.sort_by_key(|stretch| stretch.start);
        let (mut lost, mut seen) = (0, 0);
        for stretch in stretches {
            lost += stretch.end.saturating_sub(stretch.start.max(seen));
            seen = seen.max(stretch.end);
        }
        lost
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_that_were_asked_for_twice_are_counted_once() {
        let lost = Lost::default();
        assert!(lost.is_empty() && lost.told(Path::new("run.h5")).is_none());
        let why = Fault::Content("torn".into());
        for stretch in [64..128, 0..100, 500..510] {
            lost.note("host/t", stretch, 1000, &why);
        }
        lost.note("clock/t", 0..0, 0, &why);
        let told = lost.told(Path::new("run.h5")).unwrap();
        assert!(
            told.contains("cannot read clock/t (torn), 138 of 1000 rows of host/t (torn);"),
            "{told}"
        );
    }
}
