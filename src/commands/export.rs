//! `powerprof export RUN.h5 --to csv|perfetto`: every reading and marker for other programs.

use std::io::{BufWriter, Write};

use super::output::{self, Outcome};
use super::load;
use crate::cli::{ExportArgs, ExportFormat};
use crate::report::{perfetto, readings};

pub fn run(args: &ExportArgs) -> Outcome {
    let loaded = load::load(&args.recording)?;
    let mut data = BufWriter::new(Vec::new());
    let streams = |device: &_| -> anyhow::Result<_> { Ok(loaded.reader.streams(device)?) };
    match args.to {
        ExportFormat::Csv => readings::write(&mut data, &loaded.recording, streams)?,
        ExportFormat::Perfetto => perfetto::write(&mut data, &loaded.recording, &loaded.spans, streams)?,
    }
    data.flush()?;
    output::deliver(data.get_ref(), args.output.as_deref(), args.force)?;
    Ok(0)
}
