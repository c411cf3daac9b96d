//! The smaller tables of a recording: the machine, the sampler's punctuality, clock anchors, what sensors and the recorder
//! had to say, and the end of the run.

use hdf5::Group;

use super::cell::{Cell, NO_TIME, Name, Text, Word, count, fixed, given, text};
use super::column::{Append, Column, Storage};
use super::error::Fault;
use super::lost::Lost;
use super::schema::{Pace, clock, end, events, host, sampler, start, warnings};
use super::table::TableReader;
use crate::model::recording::{ChildExit, RunEnd};
use crate::model::sample::{HostStream, SensorEvent, SensorEventKind, SweepStream};
use crate::model::time::{ClockAnchor, Timestamp};

/// Refuse a stream whose columns differ in length: cut to the shortest, its rows would not fit together any more.
fn equally_long(of: &str, lengths: &[usize]) -> Result<(), Fault> {
    if lengths.iter().all(|l| *l == lengths[0]) {
        Ok(())
    } else {
        Err(Fault::Shape(format!("columns of {of} have {lengths:?} rows")))
    }
}

/// [`HostStream`] on its way to the file.
pub(super) struct HostTable {
    t: Column<i64>,
    half_width: Column<u32>,
    cpu: Column<f64>,
    memory_used: Column<u64>,
    tree_cpu: Column<f64>,
    tree_memory: Column<u64>,
    tree_processes: Column<u64>,
}

impl HostTable {
    pub(super) fn create(root: &Group, storage: Storage) -> Result<Self, Fault> {
        const PACE: Pace = Pace::Slow;
        Ok(Self {
            t: Column::create(root, &host::T, PACE, storage)?,
            half_width: Column::create(root, &host::HALF_WIDTH, PACE, storage)?,
            cpu: Column::create(root, &host::CPU, PACE, storage)?,
            memory_used: Column::create(root, &host::MEMORY_USED, PACE, storage)?,
            tree_cpu: Column::create(root, &host::TREE_CPU, PACE, storage)?,
            tree_memory: Column::create(root, &host::TREE_MEMORY, PACE, storage)?,
            tree_processes: Column::create(root, &host::TREE_PROCESSES, PACE, storage)?,
        })
    }

    pub(super) fn push(&mut self, stream: &HostStream) -> Result<(), Fault> {
        equally_long(
            "host",
            &[
                stream.times.t.len(),
                stream.times.half_width_ns.len(),
                stream.cpu_pct.len(),
                stream.memory_used_bytes.len(),
                stream.tree_cpu_pct.len(),
                stream.tree_memory_bytes.len(),
                stream.tree_processes.len(),
            ],
        )?;
        self.t.extend(stream.times.t.iter().map(|t| t.as_nanos()));
        self.half_width.extend(stream.times.half_width_ns.iter().copied());
        self.cpu.extend(stream.cpu_pct.iter().copied());
        self.memory_used
            .extend(stream.memory_used_bytes.iter().copied().map(count));
        self.tree_cpu.extend(stream.tree_cpu_pct.iter().copied());
        self.tree_memory
            .extend(stream.tree_memory_bytes.iter().copied().map(count));
        self.tree_processes
            .extend(stream.tree_processes.iter().copied().map(count));
        Ok(())
    }

    pub(super) fn columns(&mut self) -> Vec<&mut dyn Append> {
        vec![
            &mut self.t,
            &mut self.half_width,
            &mut self.cpu,
            &mut self.memory_used,
            &mut self.tree_cpu,
            &mut self.tree_memory,
            &mut self.tree_processes,
        ]
    }
}

pub(super) fn read_host(root: &Group, lost: &Lost) -> Result<HostStream, Fault> {
    let table = TableReader::salvage(root, host::ALL, lost)?.cut_by(&host::T)?;
    let (times, kept) = table.read_times(&host::T, &host::HALF_WIDTH)?;
    let figures = |spec| table.read_kept::<f64>(spec, kept.as_deref());
    let counted = |spec| {
        let rows = table.read_kept(spec, kept.as_deref())?;
        Ok::<_, Fault>(rows.into_iter().map(given).collect())
    };
    Ok(HostStream {
        times,
        cpu_pct: figures(&host::CPU)?,
        memory_used_bytes: counted(&host::MEMORY_USED)?,
        tree_cpu_pct: figures(&host::TREE_CPU)?,
        tree_memory_bytes: counted(&host::TREE_MEMORY)?,
        tree_processes: counted(&host::TREE_PROCESSES)?,
    })
}

/// [`SweepStream`] on its way to the file.
pub(super) struct SweepTable {
    due: Column<i64>,
    late: Column<u32>,
    busy: Column<u32>,
}

impl SweepTable {
    pub(super) fn create(root: &Group, storage: Storage) -> Result<Self, Fault> {
        const PACE: Pace = Pace::Sweep;
        Ok(Self {
            due: Column::create(root, &sampler::DUE, PACE, storage)?,
            late: Column::create(root, &sampler::LATE, PACE, storage)?,
            busy: Column::create(root, &sampler::BUSY, PACE, storage)?,
        })
    }

    pub(super) fn push(&mut self, stream: &SweepStream) -> Result<(), Fault> {
        equally_long(
            "sampler",
            &[stream.due.len(), stream.late_ns.len(), stream.busy_ns.len()],
        )?;
        self.due.extend(stream.due.iter().map(|t| t.as_nanos()));
        self.late.extend(stream.late_ns.iter().copied());
        self.busy.extend(stream.busy_ns.iter().copied());
        Ok(())
    }

    pub(super) fn columns(&mut self) -> Vec<&mut dyn Append> {
        vec![&mut self.due, &mut self.late, &mut self.busy]
    }
}

pub(super) fn read_sweeps(root: &Group, lost: &Lost) -> Result<SweepStream, Fault> {
    let table = TableReader::salvage(root, sampler::ALL, lost)?.cut_by(&sampler::DUE)?;
    let (due, kept) = table.read_times(&sampler::DUE, &sampler::LATE)?;
    Ok(SweepStream {
        due: due.t,
        late_ns: due.half_width_ns,
        busy_ns: table.read_kept(&sampler::BUSY, kept.as_deref())?,
    })
}

/// [`ClockAnchor`]s on their way to the file.
pub(super) struct ClockTable {
    monotonic: Column<i64>,
    realtime: Column<i64>,
    boottime: Column<i64>,
}

impl ClockTable {
    pub(super) fn create(root: &Group, storage: Storage) -> Result<Self, Fault> {
        const PACE: Pace = Pace::Slow;
        Ok(Self {
            monotonic: Column::create(root, &clock::MONOTONIC, PACE, storage)?,
            realtime: Column::create(root, &clock::REALTIME, PACE, storage)?,
            boottime: Column::create(root, &clock::BOOTTIME, PACE, storage)?,
        })
    }

    pub(super) fn push(&mut self, anchor: &ClockAnchor) {
        self.monotonic.push(anchor.monotonic.as_nanos());
        self.realtime.push(anchor.realtime_ns);
        self.boottime.push(anchor.boottime_ns);
    }

    pub(super) fn columns(&mut self) -> Vec<&mut dyn Append> {
        vec![&mut self.monotonic, &mut self.realtime, &mut self.boottime]
    }
}

pub(super) fn read_anchors(root: &Group, lost: &Lost) -> Result<Vec<ClockAnchor>, Fault> {
    let table = TableReader::salvage(root, clock::ALL, lost)?.cut_by(&clock::MONOTONIC)?;
    let monotonic: Vec<i64> = table.read(&clock::MONOTONIC)?;
    let realtime: Vec<i64> = table.read(&clock::REALTIME)?;
    let boottime: Vec<i64> = table.read(&clock::BOOTTIME)?;
    let whole = |&i: &usize| [monotonic[i], realtime[i], boottime[i]].iter().all(|t| *t != NO_TIME);
    Ok((0..table.rows())
        .filter(whole)
        .map(|i| ClockAnchor {
            monotonic: Timestamp::from_nanos(monotonic[i]),
            realtime_ns: realtime[i],
            boottime_ns: boottime[i],
        })
        .collect())
}

/// [`SensorEvent`]s on their way to the file.
pub(super) struct EventTable {
    t: Column<i64>,
    device: Column<Name>,
    kind: Column<Word>,
    detail: Column<Text>,
}

impl EventTable {
    pub(super) fn create(root: &Group, storage: Storage) -> Result<Self, Fault> {
        const PACE: Pace = Pace::Rare;
        Ok(Self {
            t: Column::create(root, &events::T, PACE, storage)?,
            device: Column::create(root, &events::DEVICE, PACE, storage)?,
            kind: Column::create(root, &events::KIND, PACE, storage)?,
            detail: Column::create(root, &events::DETAIL, PACE, storage)?,
        })
    }

    pub(super) fn push(&mut self, event: &SensorEvent) {
        self.t.push(event.t.as_nanos());
        self.device.push(fixed(&event.device));
        self.kind.push(fixed(event.kind.as_str()));
        self.detail.push(fixed(&event.detail));
    }

    pub(super) fn columns(&mut self) -> Vec<&mut dyn Append> {
        vec![&mut self.t, &mut self.device, &mut self.kind, &mut self.detail]
    }
}

pub(super) fn read_events(root: &Group, lost: &Lost) -> Result<Vec<SensorEvent>, Fault> {
    let table = TableReader::salvage(root, events::ALL, lost)?.cut_by(&events::T)?;
    let t: Vec<i64> = table.read(&events::T)?;
    let device: Vec<Name> = table.read(&events::DEVICE)?;
    let kind: Vec<Word> = table.read(&events::KIND)?;
    let detail: Vec<Text> = table.read(&events::DETAIL)?;
    (0..table.rows())
        // The place of a row may be there, and its time or text not.
        .filter(|&i| t[i] != NO_TIME && !kind[i].is_empty())
        .map(|i| {
            let word = text(&kind[i]);
            Ok(SensorEvent {
                t: Timestamp::from_nanos(t[i]),
                device: text(&device[i]),
                kind: SensorEventKind::parse(&word)
                    .ok_or_else(|| Fault::Content(format!("unknown kind of event `{word}`")))?,
                detail: text(&detail[i]),
            })
        })
        .collect()
}

/// Warnings on their way to the file.
pub(super) struct WarningTable {
    t: Column<i64>,
    text: Column<Text>,
}

impl WarningTable {
    pub(super) fn create(root: &Group, storage: Storage) -> Result<Self, Fault> {
        const PACE: Pace = Pace::Rare;
        Ok(Self {
            t: Column::create(root, &warnings::T, PACE, storage)?,
            text: Column::create(root, &warnings::TEXT, PACE, storage)?,
        })
    }

    pub(super) fn push(&mut self, t: Timestamp, warning: &str) {
        self.t.push(t.as_nanos());
        self.text.push(fixed(warning));
    }

    pub(super) fn columns(&mut self) -> Vec<&mut dyn Append> {
        vec![&mut self.t, &mut self.text]
    }
}

pub(super) fn read_warnings(root: &Group, lost: &Lost) -> Result<Vec<(Timestamp, String)>, Fault> {
    let table = TableReader::salvage(root, warnings::ALL, lost)?.cut_by(&warnings::T)?;
    let (t, texts): (Vec<i64>, Vec<Text>) = (table.read(&warnings::T)?, table.read(&warnings::TEXT)?);
    let rows = t.into_iter().map(Timestamp::from_nanos).zip(texts.iter().map(text));
    // The place of a row may be there, and its text not.
    Ok(rows.filter(|(_, text)| !text.is_empty()).collect())
}

/// The release of the command: known only when the sensors run already.
pub(super) struct StartTable {
    t: Column<i64>,
}

impl StartTable {
    pub(super) fn create(root: &Group, storage: Storage) -> Result<Self, Fault> {
        Ok(Self {
            t: Column::create(root, &start::T, Pace::Slow, storage)?,
        })
    }

    pub(super) fn push(&mut self, released: Timestamp) {
        self.t.push(released.as_nanos());
    }

    pub(super) fn columns(&mut self) -> Vec<&mut dyn Append> {
        vec![&mut self.t]
    }
}

/// When the command was released; `None` where the recorder was killed before that, or the log is somebody else's.
pub(super) fn read_start(root: &Group, lost: &Lost) -> Result<Option<Timestamp>, Fault> {
    let table = TableReader::salvage(root, start::ALL, lost)?.cut_by(&start::T)?;
    Ok(table.last(&start::T)?.map(Timestamp::from_nanos))
}

/// The end of the run: a row, because single-writer mode adds rows and no attributes, so that a file that is killed while it
/// is being finished is either finished or not.
pub(super) struct EndTable {
    t: Column<i64>,
    kind: Column<Word>,
    value: Column<i32>,
}

impl EndTable {
    pub(super) fn create(root: &Group, storage: Storage) -> Result<Self, Fault> {
        const PACE: Pace = Pace::Slow;
        Ok(Self {
            t: Column::create(root, &end::T, PACE, storage)?,
            kind: Column::create(root, &end::KIND, PACE, storage)?,
            value: Column::create(root, &end::VALUE, PACE, storage)?,
        })
    }

    pub(super) fn push(&mut self, run_end: &RunEnd) {
        let (kind, value) = match run_end.exit {
            ChildExit::Code(code) => ("code", code),
            ChildExit::Signal(signal) => ("signal", signal),
        };
        self.t.push(run_end.ended.as_nanos());
        self.kind.push(fixed(kind));
        self.value.push(value);
    }

    pub(super) fn columns(&mut self) -> Vec<&mut dyn Append> {
        vec![&mut self.t, &mut self.kind, &mut self.value]
    }
}

/// How the run ended; `None` where the recording was cut off.
pub(super) fn read_end(root: &Group, lost: &Lost) -> Result<Option<RunEnd>, Fault> {
    let table = TableReader::salvage(root, end::ALL, lost)?.cut_by(&end::T)?;
    let (Some(t), Some(kind), Some(value)) = (
        table.last::<i64>(&end::T)?,
        table.last::<Word>(&end::KIND)?,
        table.last::<i32>(&end::VALUE)?.filter(|value| *value != i32::missing()),
    ) else {
        return Ok(None);
    };
    let exit = match text(&kind).as_str() {
        "code" => ChildExit::Code(value),
        "signal" => ChildExit::Signal(value),
        // The block was made and not filled: the recorder was killed in between.
        "" => return Ok(None),
        other => return Err(Fault::Content(format!("unknown way to end `{other}`"))),
    };
    Ok(Some(RunEnd {
        ended: Timestamp::from_nanos(t),
        exit,
    }))
}
