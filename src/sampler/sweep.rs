//! One sweep: every fast sensor that is due, then the slow figures of at most one device, and the driver's buffer of at most one.

use std::sync::mpsc::{Sender, SyncSender, TrySendError};
use std::time::Duration;

use super::rhythm::Rhythm;
use super::{HAND_OVER, Polling};
use crate::model::recording::{Chunk, DeviceStreams};
use crate::model::sample::{Columns, PowerReading, PowerStream, SensorEvent, SensorEventKind, StateReading};
use crate::model::time::Timestamp;
use crate::sensors::clock;
use crate::sensors::interface::{ReadError, Sensor};

/// Clock anchors are taken this far apart.
const ANCHOR_NS: i64 = 1_000_000_000;
/// If the file's thread cannot keep up, this many sweeps are kept before the oldest piece is given up.
const MOST_SWEEPS_HELD: usize = 200_000;

pub struct Sweeper {
    devices: Vec<Polled>,
    /// Device whose slow figures are looked at next.
    turn: usize,
    /// Device whose buffer is emptied next.
    samples_turn: usize,
    chunk: Chunk,
    sink: SyncSender<Chunk>,
    /// Hears of devices that are lost.
    lost: Sender<String>,
    handed_over: Timestamp,
    anchored: Timestamp,
}

/// A sensor and what the sampler knows of it.
struct Polled {
    sensor: Box<dyn Sensor>,
    columns: Columns,
    power_due: Option<Timestamp>,
    /// When it is expected to say something new; without one, always.
    rhythm: Option<Rhythm>,
    state_due: Option<Timestamp>,
    /// When the driver's own buffer is emptied next.
    samples_due: Option<Timestamp>,
    failing: bool,
}

impl Polled {
    /// From `now` on, when power and counter should be read.
    fn power_wanted(&mut self, now: Timestamp) -> Option<Timestamp> {
        let due = self.power_due?;
        let rhythm = self.rhythm.as_mut();
        let expected = rhythm.map_or(due, |rhythm| Timestamp::from_nanos(rhythm.next(now.as_nanos())));
        Some(due.max(expected))
    }
}

impl Sweeper {
    pub fn new(
        sensors: Vec<Box<dyn Sensor>>,
        interval: Duration,
        polling: Polling,
        sink: SyncSender<Chunk>,
        lost: Sender<String>,
    ) -> Self {
        let now = clock::now();
        let devices: Vec<Polled> = sensors
            .into_iter()
            .map(|sensor| Polled {
                columns: sensor.columns(),
                power_due: Some(now),
                rhythm: (polling == Polling::Adaptive)
                    .then(|| Rhythm::new(interval.max(sensor.power_period()).as_nanos() as i64)),
                state_due: sensor.state_period().map(|_| now),
                samples_due: sensor.sample_period().map(|_| now),
                failing: false,
                sensor,
            })
            .collect();
        let chunk = empty(&devices);
        Self {
            devices,
            turn: 0,
            samples_turn: 0,
            chunk,
            sink,
            lost,
            handed_over: now,
            anchored: now.plus_nanos(-ANCHOR_NS),
        }
    }

    /// Read everything now: the first and the last reading of a run.
    pub fn sweep_all(&mut self) {
        for index in 0..self.devices.len() {
            self.read_power(index);
            self.read_state(index);
            self.read_samples(index);
        }
        self.anchor();
    }

    /// When a device next wants to be asked: sweeps before that would ask nobody.
    pub fn next(&mut self) -> Timestamp {
        let now = clock::now();
        let latest = self.handed_over.plus_nanos(HAND_OVER.as_nanos() as i64);
        let wanted = self
            .devices
            .iter_mut()
            .flat_map(|polled| [polled.power_wanted(now), polled.state_due, polled.samples_due]);
        wanted.flatten().fold(latest, Timestamp::min)
    }

    /// The sweep that was due at `due`.
    pub fn sweep(&mut self, due: Timestamp) {
        let start = clock::now();
        for index in 0..self.devices.len() {
            if self.devices[index].power_wanted(due).is_some_and(|at| at <= due) {
                self.read_power(index);
            }
        }
        self.read_one_state(due);
        self.read_some_samples(due);
        let end = clock::now();
        self.chunk.sweeps.due.push(due);
        self.chunk.sweeps.late_ns.push(saturating(start - due));
        self.chunk.sweeps.busy_ns.push(saturating(end - start));
        if end - self.anchored >= ANCHOR_NS {
            self.anchor();
        }
        if end - self.handed_over >= HAND_OVER.as_nanos() as i64 {
            self.hand_over();
        }
    }

    /// The last reading, and everything that is still here.
    pub fn finish(&mut self) {
        self.sweep_all();
        let last = std::mem::take(&mut self.chunk);
        // Here waiting is right: nothing is left to be late for.
        let _ = self.sink.send(last);
    }

    fn anchor(&mut self) {
        let anchor = clock::anchor();
        self.anchored = anchor.monotonic;
        self.chunk.anchors.push(anchor);
    }

    fn hand_over(&mut self) {
        self.handed_over = clock::now();
        let full = std::mem::replace(&mut self.chunk, empty(&self.devices));
        if let Err(TrySendError::Full(back)) = self.sink.try_send(full) {
            let held = back.sweeps.due.len();
            if held < MOST_SWEEPS_HELD {
                self.chunk = back;
            } else {
                let lost = format!("the disk was too slow: {held} sweeps of readings were given up");
                self.chunk.warnings.push((self.handed_over, lost));
            }
        }
    }

    fn read_power(&mut self, index: usize) {
        let polled = &mut self.devices[index];
        let Some(due) = polled.power_due else { return };
        let before = clock::now();
        let result = polled.sensor.read_power();
        let after = clock::now();
        let period = polled.sensor.power_period().as_nanos() as i64;
        polled.power_due = Some(if after - due > period {
            after.plus_nanos(period)
        } else {
            due.plus_nanos(period)
        });
        let half = saturating((after - before) / 2);
        let reading = match result {
            Ok(reading) => {
                if let Some(rhythm) = &mut polled.rhythm {
                    rhythm.take(before.midpoint(after).as_nanos(), reading.watts, reading.counter);
                }
                if std::mem::take(&mut polled.failing) {
                    self.event(index, after, SensorEventKind::Back, "answers again".into());
                }
                reading
            }
            Err(error) => {
                self.failed(index, after, error);
                PowerReading::default()
            }
        };
        let columns = self.devices[index].columns;
        if let Some(streams) = self.chunk.devices.get_mut(index) {
            streams.power.push(&columns, before.midpoint(after), half, &reading);
        }
    }

    /// Slow figures take turns, so that no sweep carries more than one device's.
    fn read_one_state(&mut self, due: Timestamp) {
        for offset in 0..self.devices.len() {
            let index = (self.turn + offset) % self.devices.len();
            if self.devices[index].state_due.is_some_and(|at| at <= due) {
                self.turn = index + 1;
                self.read_state(index);
                return;
            }
        }
    }

    fn read_state(&mut self, index: usize) {
        let polled = &mut self.devices[index];
        if polled.state_due.is_none() {
            return;
        }
        let Some(period) = polled.sensor.state_period() else {
            return;
        };
        let before = clock::now();
        let result = polled.sensor.read_state();
        let after = clock::now();
        polled.state_due = Some(after + period);
        let half = saturating((after - before) / 2);
        let reading = match result {
            Ok(reading) => reading,
            Err(ReadError::Retry(_)) => StateReading::default(),
            Err(error) => {
                self.devices[index].state_due = None;
                if let ReadError::Gone(_) = error {
                    self.failed(index, after, error);
                }
                StateReading::default()
            }
        };
        let columns = self.devices[index].columns;
        if let Some(streams) = self.chunk.devices.get_mut(index) {
            streams.state.push(&columns, before.midpoint(after), half, &reading);
        }
    }

    /// Buffers take turns too.
    fn read_some_samples(&mut self, due: Timestamp) {
        let devices = self.devices.len();
        let mut turns = (0..devices).map(|offset| (self.samples_turn + offset) % devices);
        if let Some(index) = turns.find(|&index| self.devices[index].samples_due.is_some_and(|at| at <= due)) {
            self.samples_turn = index + 1;
            self.read_samples(index);
        }
    }

    fn read_samples(&mut self, index: usize) {
        let polled = &mut self.devices[index];
        if polled.samples_due.is_none() {
            return;
        }
        let before = clock::now();
        let batch = polled.sensor.read_samples();
        let after = clock::now();
        polled.samples_due = polled.sensor.sample_period().map(|period| after + period);
        let half = saturating((after - before) / 2);
        if let Some(streams) = self.chunk.devices.get_mut(index) {
            streams.samples.push(before.midpoint(after), half, &batch);
        }
    }

    fn failed(&mut self, index: usize, t: Timestamp, error: ReadError) {
        let polled = &mut self.devices[index];
        let kind = match error {
            ReadError::Retry(_) => SensorEventKind::Gap,
            ReadError::Gone(_) | ReadError::Fatal(_) => {
                polled.power_due = None;
                polled.state_due = None;
                polled.samples_due = None;
                // Nobody may want to know.
                let _ = self.lost.send(format!("{}: {error}", polled.sensor.device().id));
                SensorEventKind::Lost
            }
        };
        if kind == SensorEventKind::Lost || !std::mem::replace(&mut polled.failing, true) {
            self.event(index, t, kind, error.to_string());
        }
    }

    fn event(&mut self, index: usize, t: Timestamp, kind: SensorEventKind, detail: String) {
        let device = self.devices[index].sensor.device().id.to_string();
        self.chunk.events.push(SensorEvent {
            t,
            device,
            kind,
            detail,
        });
    }
}

fn empty(devices: &[Polled]) -> Chunk {
    let streams = devices.iter().map(|polled| DeviceStreams {
        power: PowerStream::with_columns(&polled.columns),
        ..DeviceStreams::default()
    });
    Chunk {
        devices: streams.collect(),
        ..Chunk::default()
    }
}

fn saturating(nanos: i64) -> u32 {
    u32::try_from(nanos.max(0)).unwrap_or(u32::MAX)
}
