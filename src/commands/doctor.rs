//! `powerprof doctor`: every family of sensors, found or why not and the fix; what each sensor gives, how often, at what cost; and what
//! precision a phase can expect from it.

mod examined;
mod precision;
pub mod probe;
mod text;

use std::time::Duration;

use super::output::{self, Failure, Outcome};
use crate::cli::{DoctorArgs, DoctorFormat};
use crate::plan;
use crate::plan::config::Config;
use crate::sensors::discover::{self, Request};
use crate::sensors::finding::Status;
use examined::Examined;

/// Long enough for twenty updates of a sensor that has ten a second.
const WATCH: Duration = Duration::from_secs(2);

pub fn run(args: &DoctorArgs) -> Outcome {
    let usage = |error: anyhow::Error| Failure { error, status: 2 };
    let gpus = plan::gpus(args.gpus.as_deref()).map_err(|error| usage(error.into()))?;
    let config = Config::load().map_err(|error| usage(error.into()))?;
    let mut discovery = discover::discover(&Request {
        gpus,
        ..Request::default()
    });
    let watch = args.watch.unwrap_or(WATCH);
    let probes = probe::probe(&mut discovery.sensors, watch);
    let examined: Vec<Examined> = discovery
        .sensors
        .iter()
        .zip(&probes)
        .map(|(sensor, probe)| {
            let mut device = sensor.device().clone();
            config.complete(&mut device);
            Examined::of(device, sensor.as_ref(), probe)
        })
        .collect();
    let data = match args.format {
        DoctorFormat::Text => text::render(&discovery.findings, &examined, watch),
        DoctorFormat::Json => examined::json(&discovery.findings, &examined, watch)?,
    };
    output::deliver(data.as_bytes(), None, false)?;
    let blocked = discovery
        .findings
        .iter()
        .any(|finding| finding.status == Status::Blocked);
    Ok(u8::from(args.strict && (blocked || examined.is_empty())))
}
