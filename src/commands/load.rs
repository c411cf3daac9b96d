//! From a file to everything that can be said about it: what `report`, `plot` and the end of `record` share.

use std::path::{Path, PathBuf};

use anyhow::bail;

use crate::energy::{self, Options};
use crate::model::analysis::Analysis;
use crate::model::recording::Recording;
use crate::model::span::Spans;
use crate::recording::Reader;

/// A recording, read and analysed.
pub struct Loaded {
    pub reader: Reader,
    pub recording: Recording,
    pub spans: Spans,
    pub analysis: Analysis,
}

/// Read and analyse one recording.
pub fn load(path: &Path) -> anyhow::Result<Loaded> {
    let reader = Reader::open(path)?;
    let recording = reader.recording()?;
    let spans = energy::spans(&recording.markers, recording.interval());
    let mut analysis = energy::analyze(&recording, &spans, &Options::default(), |device| reader.streams(device))?;
    analysis.idle = energy::net_of_idle(&recording, &spans, &analysis, |device| reader.streams(device))?;
    Ok(Loaded {
        reader,
        recording,
        spans,
        analysis,
    })
}

/// The one recording of a command that was given several.
pub fn only(recordings: &[PathBuf]) -> anyhow::Result<&Path> {
    match recordings {
        [one] => Ok(one),
        _ => bail!(
            "{} recordings were given\nhint: merging the nodes of one run is not part of this version; give one file",
            recordings.len()
        ),
    }
}
