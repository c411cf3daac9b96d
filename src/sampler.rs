//! Sampling: every sensor read on absolute deadlines by one thread that owns them all, the host's figures by another.
//!
//! ```text
//! deadline  |----interval----|----interval----|----interval----|
//! sweep     late→[gpu0][gpu1]  [gpu0][gpu1]     [gpu0][gpu1][state of one device]
//! ```
//! Under adaptive polling, deadlines at which no device is expected to say anything new are passed over (`rhythm`), and the others are
//! spread over their intervals (`pace`).
//! A late sweep never shifts the deadlines after it; those that are already past are skipped. Every reading carries the middle of
//! its own call, so correctness comes from the stamps and not from punctuality. NVML calls serialise on the driver's lock, which is
//! why there is one thread for all devices. Neither thread ever waits for the file.

mod host;
mod pace;
mod rhythm;
mod sweep;

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, channel, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use nix::sys::eventfd::{EfdFlags, EventFd};

use crate::model::recording::Chunk;
use crate::sensors::host::HostSensor;
use crate::sensors::interface::Sensor;
use pace::Pacer;
use sweep::Sweeper;

/// How often a piece goes to the file's thread.
const HAND_OVER: Duration = Duration::from_millis(250);
/// How often the machine and the process tree are looked at.
const HOST_PERIOD: Duration = Duration::from_millis(500);

/// How often the fast sensors are asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Polling {
    /// At every interval.
    Steady,
    /// At every interval until a sensor's rhythm is known, then around each expected update.
    #[default]
    Adaptive,
}

impl Polling {
    /// The word of the command line and of a device's properties.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Steady => "steady",
            Self::Adaptive => "adaptive",
        }
    }
}

/// The running sampler.
pub struct Sampler {
    stop: Arc<EventFd>,
    threads: Vec<JoinHandle<()>>,
    lost: Receiver<String>,
}

impl Sampler {
    /// Start sampling; returns after the first reading of every sensor.
    pub fn start(
        sensors: Vec<Box<dyn Sensor>>,
        host: Option<HostSensor>,
        interval: Duration,
        polling: Polling,
        sink: &SyncSender<Chunk>,
    ) -> std::io::Result<Self> {
        let stop = Arc::new(EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?);
        let (first, first_done) = sync_channel(1);
        let (report, lost) = channel();
        let sweeper = {
            let (stop, sink) = (Arc::clone(&stop), sink.clone());
            spawn("sampler", move || {
                pace::claim_priority();
                let mut sweeper = Sweeper::new(sensors, interval, polling, sink, report);
                sweeper.sweep_all();
                let _ = first.send(());
                let pacer = Pacer::new(interval);
                let mut pacer = match polling {
                    Polling::Steady => pacer,
                    Polling::Adaptive => pacer.spread(),
                };
                while let Some(due) = pacer.wait_until(sweeper.next(), &stop) {
                    sweeper.sweep(due);
                }
                sweeper.finish();
            })?
        };
        let mut threads = vec![sweeper];
        if let Some(host) = host {
            let (stop, sink) = (Arc::clone(&stop), sink.clone());
            threads.push(spawn("host", move || host::watch(host, HOST_PERIOD, &stop, &sink))?);
        }
        wait_for(&first_done);
        Ok(Self { stop, threads, lost })
    }

    /// The devices that were lost since the last call, each with the reason.
    pub fn lost(&self) -> Vec<String> {
        self.lost.try_iter().collect()
    }

    /// Take the last reading of every sensor and stop. What [`lost`](Self::lost) would tell.
    pub fn stop(self) -> Vec<String> {
        let _ = self.stop.write(1);
        for thread in self.threads {
            let _ = thread.join();
        }
        self.lost.try_iter().collect()
    }
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> std::io::Result<JoinHandle<()>> {
    std::thread::Builder::new().name(name.into()).spawn(work)
}

/// A sensor that hangs must not keep the child waiting.
fn wait_for(first_done: &Receiver<()>) {
    let _ = first_done.recv_timeout(Duration::from_secs(2));
}
