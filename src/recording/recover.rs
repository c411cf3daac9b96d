//! A recording that was cut off -> a plainly closed file that any HDF5 program opens.
//!
//! The rows are copied into a new file, which then takes the name: the original is there, untouched, until the copy is whole.

use std::path::{Path, PathBuf};

use super::RecordingError;
use super::column::Storage;
use super::draft::{draft, publish, vacant};
use super::lost::Lost;
use super::reader::Reader;
use super::run::Origin;
use super::writer::Writer;
use crate::model::device::Device;
use crate::model::recording::{Chunk, DeviceStreams, RunInfo};
use crate::model::sample::Columns;

/// What [`recover`] found, and made of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Recovered {
    /// The plainly closed file.
    pub path: PathBuf,
    /// Whether its end had been recorded (the recorder died while closing).
    pub complete: bool,
    /// Readings of devices that were saved.
    pub readings: u64,
    /// Markers that were saved.
    pub markers: u64,
    /// What could not be read, as warnings: it is not in the new file.
    pub unreadable: Vec<String>,
}

/// Copy what can be read of `path` to `out`, or in its own place where there is no `out`.
pub fn recover(path: &Path, out: Option<&Path>, force: bool) -> Result<Recovered, RecordingError> {
    let target = out.unwrap_or(path);
    let in_place = out.is_none();
    vacant(target, force || in_place)?;
    let reader = Reader::open(path)?;
    let run = reader.run()?;
    let lost = Lost::default();
    let devices: Vec<(Device, Columns)> = reader
        .devices(&lost)?
        .into_iter()
        .map(|device| reader.columns(&device).map(|columns| (device, columns)))
        .collect::<Result<_, _>>()?;
    let draft = draft(target)?;
    let recovered = copy(&reader, &run, &devices, &lost, &draft).map_err(|e| e.of_draft(target))?;
    if in_place && !recovered.unreadable.is_empty() {
        return Err(RecordingError::NotWhole {
            path: path.to_path_buf(),
        });
    }
    publish(draft, target, force || in_place).map(drop)?;
    Ok(Recovered {
        path: target.to_path_buf(),
        ..recovered
    })
}

fn copy(
    reader: &Reader,
    run: &RunInfo,
    devices: &[(Device, Columns)],
    lost: &Lost,
    target: &Path,
) -> Result<Recovered, RecordingError> {
    let origin = Origin {
        recovered: true,
        imported: reader.imported()?,
    };
    let mut writer = Writer::create_at(target, run, devices, Storage::AtOnce, origin)?;
    let common = reader.common(lost)?;
    let markers = common.markers.len() as u64;
    writer.append(&common)?;
    drop(common);
    let (mut readings, mut unreadable) = (0, Vec::new());
    for (position, (device, _)) in devices.iter().enumerate() {
        // One device in memory at a time.
        let mut streams = vec![DeviceStreams::default(); devices.len()];
        streams[position] = reader.streams(device)?;
        readings += streams[position].power.times.len() as u64;
        unreadable.extend(streams[position].unreadable.take());
        writer.append(&Chunk {
            devices: streams,
            ..Chunk::default()
        })?;
        writer.flush()?;
    }
    let end = reader.end(lost)?;
    unreadable.extend(reader.told(lost));
    writer.append(&Chunk {
        warnings: unreadable.iter().map(|what| (run.started, what.clone())).collect(),
        ..Chunk::default()
    })?;
    match end {
        Some(end) => writer.finish(end)?,
        None => {
            writer.flush()?;
            writer.close()?;
        }
    }
    Ok(Recovered {
        path: target.to_path_buf(),
        complete: end.is_some(),
        readings,
        markers,
        unreadable,
    })
}
