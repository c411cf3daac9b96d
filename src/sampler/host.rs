//! The machine's and the process tree's figures, on a thread of their own: a walk through `/proc` takes milliseconds, and must not
//! make a sweep late.

use std::sync::mpsc::SyncSender;
use std::time::Duration;

use nix::sys::eventfd::EventFd;

use super::pace::Pacer;
use crate::model::recording::Chunk;
use crate::sensors::clock;
use crate::sensors::host::HostSensor;

pub fn watch(mut sensor: HostSensor, period: Duration, stop: &EventFd, sink: &SyncSender<Chunk>) {
    let mut pacer = Pacer::new(period);
    let mut chunk = Chunk::default();
    loop {
        let stopped = pacer.wait(stop).is_none();
        let before = clock::now();
        let reading = sensor.read();
        let after = clock::now();
        let half = u32::try_from((after - before) / 2).unwrap_or(u32::MAX);
        chunk.host.push(before.midpoint(after), half, &reading);
        if stopped {
            let _ = sink.send(chunk);
            return;
        }
        // While the file is slow, rows wait here; they are few.
        chunk = match sink.try_send(chunk) {
            Ok(()) => Chunk::default(),
            Err(std::sync::mpsc::TrySendError::Full(back) | std::sync::mpsc::TrySendError::Disconnected(back)) => back,
        };
    }
}
