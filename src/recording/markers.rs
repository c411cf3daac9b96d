//! Markers, the device lists some of them name, and what went wrong on their pipe.
//!
//! Texts of any length stand in tables of their own and are referred to by row; a row that refers to a text the recorder did
//! not get to write any more is cut, with everything after it.

use std::collections::HashMap;

use hdf5::Group;

use super::cell::{NO_ROW, Name, Text, Word, count, fixed, given, text};
use super::column::{Append, Column, Storage};
use super::error::Fault;
use super::lost::Lost;
use super::schema::{Pace, bad_lines, device_lists, marker_faults, markers};
use super::table::TableReader;
use crate::model::marker::{MarkerEvent, MarkerFaults, MarkerVerb};
use crate::model::time::Timestamp;

const VERBS: [MarkerVerb; 4] = [MarkerVerb::Begin, MarkerVerb::End, MarkerVerb::Mark, MarkerVerb::Metric];

fn row(rows: usize) -> Result<u32, Fault> {
    u32::try_from(rows)
        .ok()
        .filter(|&r| r != NO_ROW)
        .ok_or_else(|| Fault::Shape(format!("{rows} texts in one table")))
}

/// Markers on their way to the file.
pub(super) struct MarkerTable {
    t: Column<i64>,
    arrival: Column<i64>,
    stamped: Column<bool>,
    verb: Column<Word>,
    name: Column<Name>,
    rank: Column<u32>,
    index: Column<u64>,
    samples: Column<u64>,
    tokens: Column<u64>,
    value: Column<f64>,
    devices: Column<u32>,
    lists: Column<Text>,
    /// Rows of `lists`, by text: ranks name the same few lists again and again.
    known: HashMap<String, u32>,
}

impl MarkerTable {
    pub(super) fn create(root: &Group, storage: Storage) -> Result<Self, Fault> {
        const PACE: Pace = Pace::Burst;
        Ok(Self {
            t: Column::create(root, &markers::T, PACE, storage)?,
            arrival: Column::create(root, &markers::ARRIVAL, PACE, storage)?,
            stamped: Column::create(root, &markers::STAMPED, PACE, storage)?,
            verb: Column::create(root, &markers::VERB, PACE, storage)?,
            name: Column::create(root, &markers::NAME, PACE, storage)?,
            rank: Column::create(root, &markers::RANK, PACE, storage)?,
            index: Column::create(root, &markers::INDEX, PACE, storage)?,
            samples: Column::create(root, &markers::SAMPLES, PACE, storage)?,
            tokens: Column::create(root, &markers::TOKENS, PACE, storage)?,
            value: Column::create(root, &markers::VALUE, PACE, storage)?,
            devices: Column::create(root, &markers::DEVICES, PACE, storage)?,
            lists: Column::create(root, &device_lists::TEXT, Pace::Rare, storage)?,
            known: HashMap::new(),
        })
    }

    pub(super) fn push(&mut self, event: &MarkerEvent) -> Result<(), Fault> {
        let devices = event.devices.as_deref().map_or(Ok(NO_ROW), |list| self.list(list))?;
        self.t.push(event.t.as_nanos());
        self.arrival.push(event.arrival.as_nanos());
        self.stamped.push(event.stamped);
        self.verb.push(fixed(event.verb.as_str()));
        self.name.push(fixed(&event.name));
        self.rank.push(event.rank);
        self.index.push(count(event.index));
        self.samples.push(count(event.samples));
        self.tokens.push(count(event.tokens));
        self.value.push(event.value.unwrap_or(f64::NAN));
        self.devices.push(devices);
        Ok(())
    }

    fn list(&mut self, list: &str) -> Result<u32, Fault> {
        if let Some(&row) = self.known.get(list) {
            return Ok(row);
        }
        let row = row(self.lists.rows())?;
        self.lists.push(fixed(list));
        self.known.insert(list.to_owned(), row);
        Ok(row)
    }

    pub(super) fn columns(&mut self) -> Vec<&mut dyn Append> {
        vec![
            &mut self.lists,
            &mut self.t,
            &mut self.arrival,
            &mut self.stamped,
            &mut self.verb,
            &mut self.name,
            &mut self.rank,
            &mut self.index,
            &mut self.samples,
            &mut self.tokens,
            &mut self.value,
            &mut self.devices,
        ]
    }
}

/// All markers, in the order in which they were heard. Without their numbers they still are markers; without anything else they are none.
pub(super) fn read(root: &Group, lost: &Lost) -> Result<Vec<MarkerEvent>, Fault> {
    let mut numbers = TableReader::salvage(root, markers::ALL, lost)?;
    let mut table = numbers
        .strictly()
        .cut_by(&markers::ARRIVAL)?
        .cut_by(&markers::T)?
        .cut_at_blank::<8>(&markers::VERB)?
        .cut_at_blank::<64>(&markers::NAME)?;
    let lists: Vec<Text> = TableReader::open(root, device_lists::ALL)?.read(&device_lists::TEXT)?;
    let devices: Vec<u32> = table.read(&markers::DEVICES)?;
    if let Some(dangling) = devices
        .iter()
        .position(|&row| row != NO_ROW && row as usize >= lists.len())
    {
        table.truncate(dangling);
    }
    let verbs: Vec<Word> = table.read(&markers::VERB)?;
    let t: Vec<i64> = table.read(&markers::T)?;
    let arrival: Vec<i64> = table.read(&markers::ARRIVAL)?;
    let stamped: Vec<bool> = table.read(&markers::STAMPED)?;
    let name: Vec<Name> = table.read(&markers::NAME)?;
    let rank: Vec<u32> = table.read(&markers::RANK)?;
    numbers.truncate(table.rows());
    let value: Vec<f64> = numbers.read(&markers::VALUE)?;
    // A metric has its number always, and NaN is one, unless there may be some that cannot be read.
    let always_given = !lost.has(markers::VALUE.path);
    let index: Vec<u64> = numbers.read(&markers::INDEX)?;
    let samples: Vec<u64> = numbers.read(&markers::SAMPLES)?;
    let tokens: Vec<u64> = numbers.read(&markers::TOKENS)?;
    (0..table.rows())
        .map(|i| {
            let verb = verb(&verbs[i])?;
            let is_given = verb == MarkerVerb::Metric && always_given || !value[i].is_nan();
            Ok(MarkerEvent {
                t: Timestamp::from_nanos(t[i]),
                arrival: Timestamp::from_nanos(arrival[i]),
                stamped: stamped[i],
                verb,
                rank: rank[i],
                name: text(&name[i]),
                index: given(index[i]),
                samples: given(samples[i]),
                tokens: given(tokens[i]),
                value: is_given.then_some(value[i]),
                devices: lists.get(devices[i] as usize).map(text),
            })
        })
        .collect()
}

fn verb(cell: &Word) -> Result<MarkerVerb, Fault> {
    let word = text(cell);
    VERBS
        .into_iter()
        .find(|verb| verb.as_str() == word)
        .ok_or_else(|| Fault::Content(format!("unknown verb of a marker `{word}`")))
}

/// The counts of faults on their way to the file.
pub(super) struct FaultTable {
    bad_lines: Column<u64>,
    dropped: Column<u64>,
    first_example: Column<u32>,
    examples: Column<u32>,
    texts: Column<Text>,
    /// The examples of the last row, and the row of the first of them.
    latest: (u32, Vec<String>),
}

impl FaultTable {
    pub(super) fn create(root: &Group, storage: Storage) -> Result<Self, Fault> {
        const PACE: Pace = Pace::Slow;
        Ok(Self {
            bad_lines: Column::create(root, &marker_faults::BAD_LINES, PACE, storage)?,
            dropped: Column::create(root, &marker_faults::DROPPED, PACE, storage)?,
            first_example: Column::create(root, &marker_faults::FIRST_EXAMPLE, PACE, storage)?,
            examples: Column::create(root, &marker_faults::EXAMPLES, PACE, storage)?,
            texts: Column::create(root, &bad_lines::TEXT, Pace::Rare, storage)?,
            latest: (0, Vec::new()),
        })
    }

    /// The counts as they are now. Examples that only grew add only what is new.
    pub(super) fn push(&mut self, faults: &MarkerFaults) -> Result<(), Fault> {
        let (first, known) = &self.latest;
        let (first, fresh) = match faults.examples.strip_prefix(known.as_slice()) {
            Some(fresh) if !known.is_empty() => (*first, fresh),
            _ => (row(self.texts.rows())?, faults.examples.as_slice()),
        };
        self.texts.extend(fresh.iter().map(|line| fixed(line)));
        self.bad_lines.push(faults.bad_lines);
        self.dropped.push(faults.dropped);
        self.first_example.push(first);
        self.examples.push(row(faults.examples.len())?);
        self.latest = (first, faults.examples.clone());
        Ok(())
    }

    pub(super) fn columns(&mut self) -> Vec<&mut dyn Append> {
        vec![
            &mut self.texts,
            &mut self.bad_lines,
            &mut self.dropped,
            &mut self.first_example,
            &mut self.examples,
        ]
    }
}

/// The last counts; those of a quiet pipe where there are none.
pub(super) fn read_faults(root: &Group, lost: &Lost) -> Result<MarkerFaults, Fault> {
    let table = TableReader::salvage(root, marker_faults::ALL, lost)?;
    let texts: Vec<Text> = TableReader::salvage(root, bad_lines::ALL, lost)?.read(&bad_lines::TEXT)?;
    let last = |spec| Ok::<_, Fault>(table.last(spec)?.and_then(given));
    let (Some(bad_lines), Some(dropped)) = (last(&marker_faults::BAD_LINES)?, last(&marker_faults::DROPPED)?) else {
        return Ok(MarkerFaults::default());
    };
    let first = table.last(&marker_faults::FIRST_EXAMPLE)?.unwrap_or(0u32) as usize;
    let examples = table.last(&marker_faults::EXAMPLES)?.unwrap_or(0u32) as usize;
    Ok(MarkerFaults {
        bad_lines,
        dropped,
        examples: texts
            .iter()
            .skip(first)
            .take(examples)
            .map(text)
            .filter(|text| !text.is_empty())
            .collect(),
    })
}
