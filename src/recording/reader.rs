//! Reading a recording: finished, still growing, or cut off.

use std::path::{Path, PathBuf};

use hdf5::{File, Group};

use super::error::{Fault, RecordingError};
use super::open::open;
use super::{baseline, device, journal, markers, run, samples, streams, version};
use crate::model::device::Device;
use crate::model::recording::{Chunk, DeviceStreams, Recording, RunEnd, RunInfo};
use crate::model::sample::Columns;
use crate::model::time::{ClockAnchor, Timestamp};

/// A recording opened for reading. It sees what was in the file when it was opened.
#[derive(Debug)]
pub struct Reader {
    file: File,
    path: PathBuf,
    /// What is left out because the file is newer than this program.
    notice: Option<String>,
}

impl Reader {
    /// Open `path`, if it is a recording that this program reads.
    pub fn open(path: &Path) -> Result<Self, RecordingError> {
        let file = open(path)?;
        let found = run::version(&file).map_err(|e| e.reading(path))?;
        let found = found.ok_or_else(|| RecordingError::Foreign {
            path: path.to_path_buf(),
        })?;
        let notice = version::check_readable(found).map_err(|reason| RecordingError::Version {
            path: path.to_path_buf(),
            reason,
        })?;
        Ok(Self {
            file,
            path: path.to_path_buf(),
            notice,
        })
    }

    /// Everything but the devices' readings.
    pub fn recording(&self) -> Result<Recording, RecordingError> {
        let devices = self.devices()?;
        let mut run = self.run()?;
        let (end, imported) = (self.end()?, self.imported()?);
        run.ended = end.map(|end| end.ended);
        run.exit = end.map(|end| end.exit).filter(|_| !imported);
        run.complete = end.is_some();
        let common = self.common()?;
        if let Some(released) = common.released {
            run.started_realtime_ns = realtime_at(released, &run, &common.anchors);
            run.started = released;
        }
        let last_seen = self.last_seen(&run, &common, &devices)?;
        let warnings = common
            .warnings
            .into_iter()
            .map(|(_, text)| text)
            .chain(self.notice.clone())
            .collect();
        Ok(Recording {
            run,
            anchors: common.anchors,
            devices,
            markers: common.markers,
            marker_faults: common.marker_faults.unwrap_or_default(),
            host: common.host,
            sweeps: common.sweeps,
            events: common.events,
            warnings,
            last_seen,
            baseline: common.baseline,
        })
    }

    /// All readings of one device of this recording.
    pub fn streams(&self, device: &Device) -> Result<DeviceStreams, RecordingError> {
        self.with_group(device, |group| {
            Ok(DeviceStreams {
                power: streams::read_power(group)?,
                state: streams::read_state(group)?,
                samples: samples::read(group)?,
            })
        })
    }

    /// Which columns a device of this recording has.
    pub fn columns(&self, device: &Device) -> Result<Columns, RecordingError> {
        self.with_group(device, streams::read_columns)
    }

    /// Whether `import` made this file from a log.
    pub fn imported(&self) -> Result<bool, RecordingError> {
        self.read(run::imported(&self.file))
    }

    /// Whether `recover` made this file from one that was cut off.
    pub fn recovered(&self) -> Result<bool, RecordingError> {
        self.read(run::recovered(&self.file))
    }

    pub(super) fn run(&self) -> Result<RunInfo, RecordingError> {
        self.read(run::read(&self.file))
    }

    pub(super) fn devices(&self) -> Result<Vec<Device>, RecordingError> {
        self.read(device::read_all(&self.file))
    }

    pub(super) fn end(&self) -> Result<Option<RunEnd>, RecordingError> {
        self.read(journal::read_end(&self.file))
    }

    /// Everything that comes in pieces, but for the devices' readings.
    pub(super) fn common(&self) -> Result<Chunk, RecordingError> {
        self.read(read_common(&self.file))
    }

    /// The latest time in the file. Rows are in the order of time, so the last of each table will do; markers count by
    /// their arrival, because their own stamp is whatever their writer made of it.
    fn last_seen(&self, run: &RunInfo, common: &Chunk, devices: &[Device]) -> Result<Timestamp, RecordingError> {
        let mut last = [
            Some(run.started),
            run.ended,
            common.host.times.t.last().copied(),
            common.sweeps.due.last().copied(),
            common.anchors.last().map(|a| a.monotonic),
            common.markers.last().map(|m| m.arrival),
            common.events.last().map(|e| e.t),
            common.warnings.last().map(|w| w.0),
        ]
        .into_iter()
        .flatten()
        .fold(run.started, Timestamp::max);
        for device in devices {
            last = last.max(self.with_group(device, streams::last_seen)?.unwrap_or(last));
        }
        Ok(last)
    }

    fn with_group<T>(&self, device: &Device, read: impl Fn(&Group) -> Result<T, Fault>) -> Result<T, RecordingError> {
        let group = self.file.group(&device::group_path(&device.id)).map_err(Fault::from);
        self.read(group.and_then(|group| read(&group)))
    }

    fn read<T>(&self, result: Result<T, Fault>) -> Result<T, RecordingError> {
        result.map_err(|e| e.reading(&self.path))
    }
}

/// The wall-clock time of an instant, by the anchor nearest to it, or else by the attributes of the run.
fn realtime_at(t: Timestamp, run: &RunInfo, anchors: &[ClockAnchor]) -> i64 {
    let nearest = anchors.iter().min_by_key(|anchor| (anchor.monotonic - t).abs());
    nearest.map_or(run.started_realtime_ns + (t - run.started), |anchor| {
        anchor.realtime_ns + (t - anchor.monotonic)
    })
}

fn read_common(root: &Group) -> Result<Chunk, Fault> {
    Ok(Chunk {
        released: journal::read_start(root)?,
        baseline: baseline::read(root)?,
        devices: Vec::new(),
        host: journal::read_host(root)?,
        sweeps: journal::read_sweeps(root)?,
        anchors: journal::read_anchors(root)?,
        markers: markers::read(root)?,
        marker_faults: Some(markers::read_faults(root)?),
        events: journal::read_events(root)?,
        warnings: journal::read_warnings(root)?,
    })
}
