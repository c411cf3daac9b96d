//! The writer on a thread of its own: pieces come in, are appended, and reach the disk at least once a second.
//!
//! A disk that is full is waited for: rows gather in memory, and where they become too many, readings are dropped and counted, markers
//! never. If the file cannot be written any more for another reason, or the markers alone are too many, what was flushed stays readable, and
//! pieces are taken and dropped from then on. In either case the training goes on, and trouble is told once.

use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::writer::Unwritten;
use super::{RecordingError, Writer};
use crate::model::recording::{Chunk, RunEnd};
use crate::model::sample::{SensorEvent, SensorEventKind};
use crate::model::time::Timestamp;
use crate::model::wording::counted;

/// Pieces that may wait for the disk before their makers are held back.
const PIECES: usize = 64;
/// Between two flushes; with the sampler's own hand-over well under a second.
const FLUSH: Duration = Duration::from_millis(500);
/// A full disk is asked again after twice the time before, and at least so often.
const LONGEST_WAIT: Duration = Duration::from_secs(2);
/// At the end of the run it is waited for so long, for all that waits would be lost: what the command leaves behind may go away with it.
const LAST_WAIT: Duration = Duration::from_secs(3);
/// And asked so often.
const LAST_TRIES: u32 = 30;
/// Bytes of rows that wait for a full disk before readings are dropped; four times as many markers end the recording.
const MOST_WAITING: usize = 64 << 20;
/// A disk that is full again and again is told of so often.
const TOLD: u32 = 3;

/// Why a file lacks its end.
#[derive(Debug, thiserror::Error)]
pub enum CutOff {
    /// In mid-run; [`Trouble`] was told.
    #[error("the recording was cut off")]
    Earlier,
    #[error(transparent)]
    AtItsEnd(#[from] RecordingError),
}

/// What happens to a recording while it is written.
#[derive(Debug, thiserror::Error)]
pub enum Trouble {
    /// The disk is full, for now.
    #[error("warning: {0}")]
    Full(RecordingError),
    /// There is room again; what was lost, if anything was.
    #[error("{0}")]
    Over(String),
    /// It ends here.
    #[error("error: {0}")]
    Ended(RecordingError),
}

/// A recording being written.
pub struct BackgroundWriter {
    sink: SyncSender<Chunk>,
    thread: JoinHandle<Result<Writer, CutOff>>,
}

impl BackgroundWriter {
    /// Hand `writer` to its thread; `trouble` hears of failures at once.
    pub fn start(writer: Writer, trouble: impl Fn(&Trouble) + Send + 'static) -> std::io::Result<Self> {
        Self::holding(MOST_WAITING, writer, trouble)
    }

    /// The same, with so many bytes of rows at most that wait for a full disk.
    pub fn holding(most: usize, writer: Writer, trouble: impl Fn(&Trouble) + Send + 'static) -> std::io::Result<Self> {
        let (sink, source) = sync_channel(PIECES);
        let thread = std::thread::Builder::new().name("writer".into()).spawn(move || {
            let mut held = Held {
                writer,
                most,
                shortage: None,
                shortages: 0,
                flushed: Instant::now(),
                trouble,
            };
            match held.write_all(&source) {
                Ok(()) => Ok(held.writer),
                Err(cut_off) => {
                    held.writer.abandon();
                    Err(cut_off)
                }
            }
        })?;
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

/// A writer, and what it waits for.
struct Held<F> {
    writer: Writer,
    most: usize,
    shortage: Option<Shortage>,
    shortages: u32,
    /// When everything was in the file.
    flushed: Instant,
    trouble: F,
}

/// A disk that is full.
#[derive(Default)]
struct Shortage {
    waits: u32,
    /// Readings of devices that were dropped.
    dropped: u64,
    /// When the first and the last of them were due.
    hole: Option<(Timestamp, Timestamp)>,
}

impl<F: Fn(&Trouble)> Held<F> {
    fn write_all(&mut self, source: &Receiver<Chunk>) -> Result<(), CutOff> {
        let mut flush_at = Instant::now() + FLUSH;
        loop {
            let taken = match source.recv_timeout(flush_at.saturating_duration_since(Instant::now())) {
                Ok(chunk) => self.take(chunk),
                Err(RecvTimeoutError::Timeout) => Ok(()),
                Err(RecvTimeoutError::Disconnected) => return self.write_last(),
            };
            let is_due = Instant::now() >= flush_at || self.shortage.is_none() && self.writer.is_heavy();
            let step = match taken {
                Ok(()) if is_due => self.flush(),
                other => other,
            };
            match step {
                Ok(()) if is_due => flush_at = Instant::now() + FLUSH,
                Ok(()) => {}
                Err(Unwritten::Full(error)) => flush_at = Instant::now() + self.wait(error),
                Err(Unwritten::Broken(error)) => {
                    (self.trouble)(&Trouble::Ended(error));
                    // Makers must not wait for a file that is no longer written.
                    while source.recv().is_ok() {}
                    return Err(CutOff::Earlier);
                }
            }
        }
    }

    /// Take a piece; without its readings where too many wait already.
    fn take(&mut self, mut chunk: Chunk) -> Result<(), Unwritten> {
        if let Some(shortage) = &mut self.shortage {
            let waiting = self.writer.waiting();
            if waiting > 4 * self.most {
                let error = RecordingError::Write {
                    path: self.writer.path().to_path_buf(),
                    detail: "the disk is full, and so is the memory that markers may take while they wait for it"
                        .into(),
                };
                return Err(Unwritten::Broken(error));
            }
            if waiting > self.most {
                let began = shortage.hole.is_none();
                shortage.drop_readings(&mut chunk);
                if let Some((first, _)) = shortage.hole.filter(|_| began) {
                    chunk
                        .events
                        .splice(0..0, self.of_all_devices(first, SensorEventKind::Gap));
                }
            }
        }
        self.writer.take(&chunk).map_err(Unwritten::Broken)
    }

    /// Write what waits, and what is to be said of the time in which it had to.
    fn flush(&mut self) -> Result<(), Unwritten> {
        self.writer.flush_in_room()?;
        self.flushed = Instant::now();
        let Some(shortage) = self.shortage.take() else {
            return Ok(());
        };
        let lost = shortage.told();
        if self.shortages <= TOLD || lost.is_some() {
            let path = self.writer.path().display();
            let said = match &lost {
                Some(lost) => format!("warning: there is room for {path} again: {lost}"),
                None => format!("there is room for {path} again: nothing was lost"),
            };
            (self.trouble)(&Trouble::Over(said));
        }
        if let (Some(lost), Some((_, last))) = (lost, shortage.hole) {
            let told = Chunk {
                events: self.of_all_devices(last, SensorEventKind::Back),
                warnings: vec![(last, lost)],
                ..Chunk::default()
            };
            self.writer.take(&told).map_err(Unwritten::Broken)?;
        }
        Ok(())
    }

    /// The hole as the recording tells it: every device has it.
    fn of_all_devices(&self, t: Timestamp, kind: SensorEventKind) -> Vec<SensorEvent> {
        let event = |device: &String| SensorEvent {
            t,
            device: device.clone(),
            kind,
            detail: "the disk was full".into(),
        };
        self.writer.devices().iter().map(event).collect()
    }

    /// For how long, and say so at first.
    fn wait(&mut self, error: RecordingError) -> Duration {
        if self.shortage.is_none() {
            self.shortages += 1;
            if self.shortages <= TOLD {
                (self.trouble)(&Trouble::Full(error));
            }
        }
        let shortage = self.shortage.get_or_insert_default();
        shortage.waits += 1;
        FLUSH.saturating_mul(1 << shortage.waits.min(5)).min(LONGEST_WAIT)
    }

    /// Everything is told; now or never.
    fn write_last(&mut self) -> Result<(), CutOff> {
        let mut flushed = self.flush();
        for _ in 0..LAST_TRIES {
            if !matches!(flushed, Err(Unwritten::Full(_))) {
                break;
            }
            std::thread::sleep(LAST_WAIT / LAST_TRIES);
            flushed = self.flush();
        }
        // Once more for what is to be said of the wait.
        let flushed = flushed.and_then(|()| self.writer.flush_in_room());
        flushed.map_err(|error| {
            CutOff::AtItsEnd(match error {
                Unwritten::Full(RecordingError::Full { path, detail }) => RecordingError::NeverWritten {
                    path,
                    detail,
                    seconds: self.flushed.elapsed().as_secs_f64(),
                },
                Unwritten::Full(error) | Unwritten::Broken(error) => error,
            })
        })
    }
}

impl Shortage {
    fn drop_readings(&mut self, chunk: &mut Chunk) {
        let times = chunk.devices.iter().flat_map(|streams| &streams.power.times.t);
        for &t in times {
            self.dropped += 1;
            let (first, last) = self.hole.unwrap_or((t, t));
            self.hole = Some((first.min(t), last.max(t)));
        }
        chunk.devices = Vec::new();
        chunk.host = Default::default();
        chunk.sweeps = Default::default();
    }

    fn told(&self) -> Option<String> {
        let (first, last) = self.hole?;
        let seconds = last.seconds_since(first);
        let readings = counted(self.dropped, "reading", "readings");
        Some(format!(
            "the disk was full, and {readings} of {seconds:.1} s {} dropped\nhint: keep more space free where recordings are written",
            if self.dropped == 1 { "was" } else { "were" }
        ))
    }
}
