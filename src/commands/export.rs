//! `powerprof export RUN.h5 --to csv|parquet|perfetto`: the readings for other programs, and for a viewer of traces the markers too.

use std::io::{BufWriter, Write};

use super::output::{self, Outcome};
use crate::cli::{ExportArgs, ExportFormat};
use crate::energy;
use crate::model::device::Device;
use crate::model::recording::DeviceStreams;
use crate::recording::Reader;
use crate::report::{parquet, perfetto, readings};

pub fn run(args: &ExportArgs) -> Outcome {
    let reader = Reader::open(&args.recording)?;
    let recording = reader.recording()?;
    let streams = |device: &Device| -> anyhow::Result<DeviceStreams> {
        let streams = reader.streams(device)?;
        streams
            .unreadable
            .iter()
            .for_each(|what| output::say(&format!("warning: {what}")));
        Ok(streams)
    };
    let mut out = BufWriter::new(output::destination(args.output.as_deref(), args.force)?);
    let written = match args.to {
        ExportFormat::Csv => readings::write(&mut out, &recording, streams),
        ExportFormat::Parquet => parquet::write(&mut out, &recording, streams),
        ExportFormat::Perfetto => {
            let spans = energy::spans(&recording.markers, recording.interval());
            perfetto::write(&mut out, &recording, &spans, streams)
        }
    };
    output::settle(written.and_then(|()| Ok(out.flush()?)))?;
    Ok(0)
}
