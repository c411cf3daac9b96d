//! A recording as a trace that ui.perfetto.dev and chrome://tracing open: phases as slices and marks as instants, one track per rank,
//! metrics as counters, and above them the power, utilization and memory of each device as counters.
//!
//! What devices told of themselves (gaps, losses) are instants among them. So are metrics that are no number.
//!
//! The format is Trace Event Format (JSON), "Complete" (`X`), "Counter" (`C`), "Instant" (`i`) and "Metadata" (`M`) events, times in
//! microseconds since the start of the command. A counter keeps its value until the next one, so repetitions are left out.

use std::io::{Error, Write};

use serde_json::{Value, json};

use super::format;
use crate::model::device::Device;
use crate::model::marker::MarkerVerb;
use crate::model::recording::{DeviceStreams, Recording};
use crate::model::span::{Metric, Spans};
use crate::model::time::Timestamp;

/// Tracks are ordered by process: devices first.
const DEVICES: u32 = 1;
const PHASES: u32 = 2;

/// Write `recording` to `out`; `streams` gives the readings of one device at a time.
pub fn write<E: From<Error>>(
    out: &mut dyn Write,
    recording: &Recording,
    spans: &Spans,
    mut streams: impl FnMut(&Device) -> Result<DeviceStreams, E>,
) -> Result<(), E> {
    let origin = recording.run.started;
    let mut events = Events { out, first: true };
    events.open()?;
    events.name("process_name", DEVICES, 0, "devices")?;
    events.name("process_name", PHASES, 0, "phases")?;
    for rank in &spans.ranks {
        events.name("thread_name", PHASES, rank.rank, &format!("rank {}", rank.rank))?;
    }
    for span in &spans.instances {
        let phase = &spans.phases[span.phase.0];
        events.put(&json!({
            "ph": "X", "pid": PHASES, "tid": span.rank, "name": phase.name,
            "ts": micros(span.interval.start, origin), "dur": span.interval.nanos() as f64 * 1e-3,
            "args": { "path": phase.path, "index": span.index, "samples": span.samples, "tokens": span.tokens, "closed": span.closed },
        }))?;
    }
    events.marks(recording)?;
    events.metrics(origin, spans)?;
    for event in &recording.events {
        events.put(&json!({
            "ph": "i", "s": "p", "pid": DEVICES, "tid": 0, "name": format!("{} {}", event.device, event.kind.as_str()),
            "ts": micros(event.t, origin), "args": { "detail": event.detail },
        }))?;
    }
    for device in &recording.devices {
        let DeviceStreams { power, state, .. } = streams(device)?;
        let id = &device.id.0;
        events.counter(
            origin,
            &format!("{id} power"),
            "W",
            &power.times.t,
            power.watts.iter().copied(),
        )?;
        let utilization = state.utilization_pct.iter().copied();
        events.counter(
            origin,
            &format!("{id} utilization"),
            "percent",
            &state.times.t,
            utilization,
        )?;
        let memory = state
            .memory_used_bytes
            .iter()
            .map(|m| m.map_or(f64::NAN, |bytes| bytes as f64));
        events.counter(origin, &format!("{id} memory"), "bytes", &state.times.t, memory)?;
    }
    Ok(events.close()?)
}

fn micros(t: Timestamp, origin: Timestamp) -> f64 {
    (t - origin) as f64 * 1e-3
}

/// The array of events, written one by one.
struct Events<'a> {
    out: &'a mut dyn Write,
    first: bool,
}

impl Events<'_> {
    fn open(&mut self) -> Result<(), Error> {
        self.out.write_all(b"{\"displayTimeUnit\":\"ms\",\"traceEvents\":[\n")
    }

    fn put(&mut self, event: &Value) -> Result<(), Error> {
        if !std::mem::take(&mut self.first) {
            self.out.write_all(b",\n")?;
        }
        Ok(serde_json::to_writer(&mut *self.out, event)?)
    }

    fn name(&mut self, what: &str, process: u32, thread: u32, name: &str) -> Result<(), Error> {
        self.put(&json!({ "ph": "M", "pid": process, "tid": thread, "name": what, "args": { "name": name } }))
    }

    /// Marks, where they were made.
    fn marks(&mut self, recording: &Recording) -> Result<(), Error> {
        for mark in recording
            .markers
            .iter()
            .filter(|marker| marker.verb == MarkerVerb::Mark)
        {
            self.put(&json!({
                "ph": "i", "s": "t", "pid": PHASES, "tid": mark.rank, "name": mark.name,
                "ts": micros(mark.t, recording.run.started), "args": { "samples": mark.samples, "tokens": mark.tokens },
            }))?;
        }
        Ok(())
    }

    /// A counter for each metric, and rank where there are several: counters have no thread.
    fn metrics(&mut self, origin: Timestamp, spans: &Spans) -> Result<(), Error> {
        for Metric {
            name, value, t, rank, ..
        } in &spans.metrics
        {
            let track = match spans.ranks.len() {
                0 | 1 => name.clone(),
                _ => format!("rank {rank} {name}"),
            };
            let ts = micros(*t, origin);
            self.put(&match format::not_finite(*value) {
                None => json!({ "ph": "C", "pid": PHASES, "name": track, "ts": ts, "args": { "value": value } }),
                Some(word) => json!({
                    "ph": "i", "s": "t", "pid": PHASES, "tid": rank, "name": format!("{name} {word}"), "ts": ts, "args": {},
                }),
            })?;
        }
        Ok(())
    }

    /// One counter track. A value that was not given breaks nothing: the one before it holds.
    fn counter(
        &mut self,
        origin: Timestamp,
        name: &str,
        unit: &str,
        times: &[Timestamp],
        values: impl Iterator<Item = f64>,
    ) -> Result<(), Error> {
        let mut shown = None;
        for (&t, value) in times.iter().zip(values) {
            if value.is_nan() || shown == Some(value) {
                continue;
            }
            shown = Some(value);
            self.put(&json!({
                "ph": "C", "pid": DEVICES, "name": name, "ts": micros(t, origin), "args": { unit: value },
            }))?;
        }
        Ok(())
    }

    fn close(&mut self) -> Result<(), Error> {
        self.out.write_all(b"\n]}\n")
    }
}
