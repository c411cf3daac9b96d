//! A recording that is known as a whole before it is written: a log that was imported.
//!
//! Written beside its name as a plain file, compressed at once, and given the name when it is complete.

use std::path::Path;

use super::RecordingError;
use super::column::Storage;
use super::draft::{draft, publish, vacant};
use super::run::Origin;
use super::writer::Writer;
use crate::model::device::Device;
use crate::model::recording::{ChildExit, Chunk, DeviceStreams, RunEnd, RunInfo};
use crate::model::sample::Columns;
use crate::model::time::Timestamp;

/// A device with everything that was read from it.
pub type WholeDevice = (Device, Columns, DeviceStreams);

/// Write an imported recording to `path`. `common` is everything but the devices' streams. Reading it back, its exit is unknown.
pub fn write_whole(
    path: &Path,
    run: &RunInfo,
    devices: Vec<WholeDevice>,
    common: &Chunk,
    ended: Timestamp,
    force: bool,
) -> Result<(), RecordingError> {
    vacant(path, force)?;
    let draft = draft(path)?;
    fill(&draft, run, devices, common, ended).map_err(|e| e.of_draft(path))?;
    publish(draft, path, force).map(drop)
}

fn fill(
    draft: &Path,
    run: &RunInfo,
    devices: Vec<WholeDevice>,
    common: &Chunk,
    ended: Timestamp,
) -> Result<(), RecordingError> {
    let mut described = Vec::with_capacity(devices.len());
    let mut streams = Vec::with_capacity(devices.len());
    for (device, columns, stream) in devices {
        described.push((device, columns));
        streams.push(stream);
    }
    let origin = Origin {
        imported: true,
        ..Origin::default()
    };
    let mut writer = Writer::create_at(draft, run, &described, Storage::AtOnce, origin)?;
    writer.append(common)?;
    writer.append(&Chunk {
        devices: streams,
        ..Chunk::default()
    })?;
    // A program that knows no imports reads an end that says nothing is wrong; this one says that the exit is unknown.
    writer.finish(RunEnd {
        ended,
        exit: ChildExit::Code(0),
    })
}
