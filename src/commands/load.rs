//! From files to everything that can be said about them: what `report`, `plot` and the end of `record` share.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use crate::energy::{self, Node, Options};
use crate::model::analysis::Analysis;
use crate::model::device::{Device, DeviceId};
use crate::model::recording::{DeviceStreams, Recording};
use crate::model::span::Spans;
use crate::recording::{Reader, RecordingError};

/// A run, read and analysed: one recording, or those of its nodes.
pub struct Loaded {
    pub nodes: Vec<LoadedNode>,
    /// Of all nodes, on the first one's clock.
    pub spans: Spans,
    pub analysis: Analysis,
}

/// One recording of a run.
pub struct LoadedNode {
    reader: Reader,
    pub recording: Recording,
    /// The devices' names in the file; those of several nodes are shown with their host's in front.
    in_file: Vec<DeviceId>,
}

impl LoadedNode {
    fn open(path: &Path) -> Result<Self, RecordingError> {
        let reader = Reader::open(path)?;
        let recording = reader.recording()?;
        let in_file = recording.devices.iter().map(|device| device.id.clone()).collect();
        Ok(Self {
            reader,
            recording,
            in_file,
        })
    }

    /// The readings of a device of this node.
    pub fn streams(&self, device: &Device) -> Result<DeviceStreams, RecordingError> {
        let place = self.recording.devices.iter().position(|other| other.id == device.id);
        let id = place.map_or_else(|| device.id.clone(), |at| self.in_file[at].clone());
        self.reader.streams(&Device { id, ..device.clone() })
    }
}

/// Read and analyse one recording.
pub fn load(path: &Path) -> anyhow::Result<Loaded> {
    load_run(&[path.to_owned()])
}

/// Read and analyse the recordings of the nodes of one run.
pub fn load_run(paths: &[PathBuf]) -> anyhow::Result<Loaded> {
    let nodes: Result<Vec<_>, _> = paths.iter().map(|path| LoadedNode::open(path)).collect();
    let mut nodes = nodes?;
    let mut recordings: Vec<&mut Recording> = nodes.iter_mut().map(|node| &mut node.recording).collect();
    energy::name_devices(&mut recordings)?;
    let mut own: Vec<Spans> = nodes.iter().map(|node| spans(&node.recording)).collect();
    let parts: Vec<Node<'_>> = nodes
        .iter()
        .zip(&own)
        .map(|(node, spans)| Node {
            recording: &node.recording,
            spans,
        })
        .collect();
    let together = energy::together(&parts);
    let options = Options::default();
    let mut analysis = energy::analyze_nodes(&parts, &together, &options, |n, device| nodes[n].streams(device))?;
    if let [only] = parts.as_slice() {
        let net = energy::net_of_idle(only.recording, only.spans, &analysis, |device| nodes[0].streams(device));
        analysis.idle = net?;
    }
    let all = match together.spans {
        Cow::Owned(all) => Some(all),
        Cow::Borrowed(_) => None,
    };
    let spans = all.unwrap_or_else(|| own.swap_remove(0));
    Ok(Loaded { nodes, spans, analysis })
}

fn spans(recording: &Recording) -> Spans {
    energy::spans(&recording.markers, recording.interval())
}
