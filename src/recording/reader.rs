//! Reading a recording: finished, still growing, or cut off.

use std::path::{Path, PathBuf};

use hdf5::{File, Group};

use super::error::{Fault, RecordingError};
use super::lost::Lost;
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
        let lost = Lost::default();
        let devices = self.devices(&lost)?;
        let mut run = self.run()?;
        let (end, imported) = (self.end(&lost)?, self.imported()?);
        run.ended = end.map(|end| end.ended);
        run.exit = end.map(|end| end.exit).filter(|_| !imported);
        run.complete = end.is_some();
        let common = self.common(&lost)?;
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
            .chain(lost.told(&self.path))
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

    /// All readings of one device of this recording that can be read.
    pub fn streams(&self, device: &Device) -> Result<DeviceStreams, RecordingError> {
        self.with_group(device, |group| {
            let lost = Lost::default();
            Ok(DeviceStreams {
                power: streams::read_power(group, &lost)?,
                state: streams::read_state(group, &lost)?,
                samples: samples::read(group, &lost)?,
                unreadable: lost.told(&self.path),
            })
        })
    }

    /// Which columns a device of this recording has.
    pub fn columns(&self, device: &Device) -> Result<Columns, RecordingError> {
        // What of them cannot be read, their readings tell.
        self.with_group(device, |group| Ok(streams::read_columns(group, &Lost::default())))
    }

    /// Whether `import` made this file from a log.
    pub fn imported(&self) -> Result<bool, RecordingError> {
        self.read(run::imported(&self.file))
    }

    /// Whether `recover` made this file from one that was cut off.
    pub fn recovered(&self) -> Result<bool, RecordingError> {
        self.read(run::recovered(&self.file))
    }

    /// When the command was released; an error where that cannot be read.
    pub(super) fn started(&self) -> Result<Option<Timestamp>, RecordingError> {
        let lost = Lost::default();
        let started = self.read(journal::read_start(&self.file, &lost))?;
        match lost.told(&self.path) {
            None => Ok(started),
            Some(detail) => Err(RecordingError::Damaged {
                path: self.path.clone(),
                detail,
            }),
        }
    }

    pub(super) fn run(&self) -> Result<RunInfo, RecordingError> {
        self.read(run::read(&self.file))
    }

    pub(super) fn devices(&self, lost: &Lost) -> Result<Vec<Device>, RecordingError> {
        self.read(device::read_all(&self.file, lost))
    }

    pub(super) fn end(&self, lost: &Lost) -> Result<Option<RunEnd>, RecordingError> {
        self.read(journal::read_end(&self.file, lost))
    }

    /// Everything that comes in pieces, but for the devices' readings.
    pub(super) fn common(&self, lost: &Lost) -> Result<Chunk, RecordingError> {
        self.read(read_common(&self.file, lost))
    }

    /// What `lost` has to say of this file.
    pub(super) fn told(&self, lost: &Lost) -> Option<String> {
        lost.told(&self.path)
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
            // What of them cannot be read, their readings tell.
            let seen = self.with_group(device, |group| streams::last_seen(group, &Lost::default()));
            last = last.max(seen?.unwrap_or(last));
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

fn read_common(root: &Group, lost: &Lost) -> Result<Chunk, Fault> {
    Ok(Chunk {
        markers: markers::read(root, lost)?,
        released: journal::read_start(root, lost)?,
        baseline: baseline::read(root, lost)?,
        devices: Vec::new(),
        host: journal::read_host(root, lost)?,
        sweeps: journal::read_sweeps(root, lost)?,
        anchors: journal::read_anchors(root, lost)?,
        marker_faults: Some(markers::read_faults(root, lost)?),
        events: journal::read_events(root, lost)?,
        warnings: journal::read_warnings(root, lost)?,
    })
}
