//! The writer on a thread of its own: pieces come in, are appended, and reach the disk at least once a second.
//!
//! If the file cannot be written any more (disk full), what was flushed stays readable, the trouble is told once, and pieces are
//! taken and dropped from then on: the training goes on.

use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::{RecordingError, Writer};
use crate::model::recording::{Chunk, RunEnd};

/// Pieces that may wait for the disk before their makers are held back.
const PIECES: usize = 64;
/// Between two flushes; with the sampler's own hand-over well under a second.
const FLUSH: Duration = Duration::from_millis(500);

/// Why a file lacks its end.
#[derive(Debug, thiserror::Error)]
pub enum CutOff {
    /// In mid-run; `trouble` has heard why.
    #[error("the recording was cut off")]
    Earlier,
    #[error(transparent)]
    AtItsEnd(#[from] RecordingError),
}

/// A recording being written.
pub struct BackgroundWriter {
    sink: SyncSender<Chunk>,
    thread: JoinHandle<Result<Writer, CutOff>>,
}

impl BackgroundWriter {
    /// Hand `writer` to its thread; `trouble` hears of the first failure at once.
    pub fn start(writer: Writer, trouble: impl Fn(&RecordingError) + Send + 'static) -> std::io::Result<Self> {
        let (sink, source) = sync_channel(PIECES);
        let thread = std::thread::Builder::new()
            .name("writer".into())
            .spawn(move || write_all(writer, &source, trouble))?;
        Ok(Self { sink, thread })
    }

    /// Where pieces go.
    pub const fn sink(&self) -> &SyncSender<Chunk> {
        &self.sink
    }

    /// Write what is still on its way and close the file. Every other sink must be gone by now.
    pub fn finish(self, end: RunEnd) -> Result<(), CutOff> {
        drop(self.sink);
        match self.thread.join() {
            Ok(writer) => Ok(writer?.finish(end)?),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }
}

fn write_all(
    mut writer: Writer,
    source: &Receiver<Chunk>,
    trouble: impl Fn(&RecordingError),
) -> Result<Writer, CutOff> {
    let mut flush_at = Instant::now() + FLUSH;
    loop {
        let step = match source.recv_timeout(flush_at.saturating_duration_since(Instant::now())) {
            Ok(chunk) => writer.append(&chunk),
            Err(RecvTimeoutError::Timeout) => Ok(()),
            Err(RecvTimeoutError::Disconnected) => return Ok(writer.flush().map(|()| writer)?),
        };
        let step = step.and_then(|()| {
            if Instant::now() < flush_at {
                return Ok(());
            }
            flush_at = Instant::now() + FLUSH;
            writer.flush()
        });
        if let Err(error) = step {
            trouble(&error);
            // Makers must not wait for a file that is no longer written.
            while source.recv().is_ok() {}
            return Err(CutOff::Earlier);
        }
    }
}
