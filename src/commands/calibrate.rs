//! `powerprof calibrate [OPTIONS] [-- LOAD]`: a square-wave load of known edges, and what it says of the sensors.

mod keep;
mod load;
mod told;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{anyhow, bail};

use super::doctor::probe;
use super::output::{self, Failure, Outcome, say};
use crate::calibration::{self, SensorResult, Wave};
use crate::cli::{CalibrateArgs, DoctorFormat};
use crate::model::device::{Device, DeviceKind, Source};
use crate::model::marker::{MarkerEvent, MarkerVerb};
use crate::model::recording::{ChildExit, Chunk, RunEnd, RunInfo};
use crate::model::time::Timestamp;
use crate::model::wording::counted;
use crate::plan;
use crate::plan::config::Config;
use crate::recording::background::BackgroundWriter;
use crate::recording::{Reader, Writer};
use crate::sampler::{Polling, Sampler};
use crate::sensors::clock;
use crate::sensors::discover::{self, Request};
use crate::supervisor::surroundings;
use load::Load;

/// The load's periods in periods of the sensor: four that put its windows on all parts of the wave, and one that beats slowly, for the
/// counter's kind (`docs/calibrate.md`).
const RATIOS: [f64; 5] = [2.0 / 3.0, 4.0 / 5.0, 6.0 / 5.0, 4.0 / 3.0, 1.03];
/// How long each lasts.
const EACH: Duration = Duration::from_secs(8);
/// As fine as recording ever is.
const INTERVAL: Duration = Duration::from_millis(1);
/// While the sensors' own rhythm is looked for, the load changes at these distances, which fit no rhythm.
const UNEVEN_MS: [u64; 5] = [137, 211, 89, 173, 251];
const LOOK: Duration = Duration::from_millis(2500);
/// Before the first edge and after the last.
const LEAD: Duration = Duration::from_millis(400);
/// No wave is faster than this: its edges could not be kept.
const FASTEST_HALF_S: f64 = 0.001;

pub fn run(args: CalibrateArgs) -> Outcome {
    let usage = |error: anyhow::Error| Failure { error, status: 2 };
    let gpus = plan::gpus(args.gpus.as_deref()).map_err(|error| usage(error.into()))?;
    let each = args.each.unwrap_or(EACH);
    let path = output_path(&args).map_err(usage)?;
    let mut discovery = discover::discover(&Request {
        gpus,
        ..Request::default()
    });
    let devices: Vec<Device> = discovery.sensors.iter().map(|sensor| sensor.device().clone()).collect();
    let targets = targets(&devices, args.load.is_empty())?;
    let mut load = Load::start(&args.load, args.drive)?;
    say("looking for the sensors' rhythm");
    let (probes, mut load) = std::thread::scope(|scope| {
        let switching = scope.spawn(move || switch_unevenly(&mut load).map(|()| load));
        let probes = probe::probe(&mut discovery.sensors, LOOK);
        switching.join().map_or_else(
            |_| Err(anyhow!("the load could not be switched")),
            |load| Ok((probes, load?)),
        )
    })?;
    let period = targets.iter().find_map(|&i| {
        let seen = probes[i].power_period_ms().or(probes[i].counter_period_ms());
        seen.or(devices[i].power_timing.update_period_ms)
            .or(devices[i].counter_timing.update_period_ms)
    });
    let Some(period_s) = period.map(|ms| ms * 1e-3) else {
        load.end();
        return Err(anyhow!("no sensor says anything new\nhint: `powerprof doctor` shows what each gives").into());
    };
    let recorded: Vec<_> = discovery
        .sensors
        .iter()
        .map(|sensor| {
            let mut device = sensor.device().clone();
            device
                .properties
                .insert("polling".into(), Polling::Steady.as_str().into());
            (device, sensor.columns())
        })
        .collect();
    let (writer, claim) = Writer::begin(&path, &run_info(&args), &recorded, args.force)?;
    let writer = BackgroundWriter::start(writer, |trouble| say(&trouble.to_string()))?;
    let sampler = Sampler::start(discovery.sensors, None, INTERVAL, Polling::Steady, writer.sink())?;
    std::thread::sleep(LEAD);
    let started = clock::now();
    let played = play(&mut load, period_s, each);
    let ended = clock::now();
    std::thread::sleep(LEAD);
    sampler.stop();
    let told = played.as_ref().map(|(edges, _)| load.edges(edges)).unwrap_or_default();
    load.end();
    let (_, waves) = played?;
    claim.keep()?;
    let (edges, answered) = told;
    let _ = writer.sink().send(Chunk {
        released: Some(started),
        markers: markers(&edges, &waves),
        ..Chunk::default()
    });
    writer.finish(RunEnd {
        ended,
        exit: ChildExit::Code(0),
    })?;
    let wave = Wave::new(edges.iter().map(|(t, on)| (t.seconds_since(started), *on)).collect());
    let reader = Reader::open(&path)?;
    let mut results: Vec<(Device, SensorResult)> = Vec::new();
    for &i in &targets {
        let stream = reader.streams(&recorded[i].0)?.power;
        results.push((devices[i].clone(), calibration::measure(&stream, &wave, started)));
    }
    let data = match args.format {
        DoctorFormat::Text => told::text(&results, answered, period_s),
        DoctorFormat::Json => told::json(&results, answered)?,
    };
    output::deliver(data.as_bytes(), None, false)?;
    say(&format!("raw recording in {}", path.display()));
    if let Some(file) = &args.write {
        let file = file.clone().or_else(crate::plan::config::user_file);
        let file = file.ok_or_else(|| anyhow!("there is no home for a powerprof.toml\nhint: --write=FILE"))?;
        let kept = keep::keep(&file, &results)?;
        // What was written must be read again by the next run.
        Config::read(&file)?;
        say(&format!(
            "{} kept in {}",
            counted(kept as u64, "sensor", "sensors"),
            file.display()
        ));
    }
    let measured = results.iter().any(|(_, r)| r.power.is_some() || r.counter.is_some());
    Ok(u8::from(!measured))
}

fn output_path(args: &CalibrateArgs) -> anyhow::Result<PathBuf> {
    let path = match &args.output {
        Some(path) => path.clone(),
        None => plan::naming::free_name(&["calibration".into()], clock::anchor().realtime_ns),
    };
    if path.exists() && !args.force {
        bail!(
            "{} exists\nhint: choose another -o, or add --force to overwrite it",
            path.display()
        );
    }
    Ok(path)
}

/// What the load is expected to drive: GPUs by a program, processors by the built-in one.
fn targets(devices: &[Device], built_in: bool) -> anyhow::Result<Vec<usize>> {
    let wanted = |device: &Device| match device.kind {
        DeviceKind::Gpu | DeviceKind::Module | DeviceKind::GpuMemory => !built_in,
        _ => device.source != Source::Estimate,
    };
    let is_gpu = |i: &usize| devices[*i].kind == DeviceKind::Gpu;
    let mut targets: Vec<usize> = (0..devices.len()).filter(|&i| wanted(&devices[i])).collect();
    // Where there are GPUs, their sensors are the slow ones, and set the pace.
    targets.sort_by_key(|i| !is_gpu(i));
    if !targets.is_empty() {
        return Ok(targets);
    }
    if built_in && devices.iter().any(|d| d.kind == DeviceKind::Gpu) {
        bail!(
            "keeping the processors busy measures no GPU, and no sensor measures the processors\nhint: give a load that runs on the GPU: powerprof calibrate -- python3 examples/square_wave.py"
        );
    }
    bail!("there is no sensor to calibrate\nhint: `powerprof doctor` says which are here and why others are not")
}

fn switch_unevenly(load: &mut Load) -> anyhow::Result<()> {
    let until = clock::now() + LOOK;
    let mut on = false;
    for pause in UNEVEN_MS.iter().cycle() {
        if clock::now() >= until {
            break;
        }
        on = !on;
        load.set(on)?;
        std::thread::sleep(Duration::from_millis(*pause));
    }
    load.set(false)?;
    Ok(())
}

/// Edges as they were told, and when each wave began and ended.
type Played = (Vec<(Timestamp, bool)>, Vec<(Timestamp, Timestamp)>);

fn play(load: &mut Load, period_s: f64, each: Duration) -> anyhow::Result<Played> {
    let (mut edges, mut waves) = (Vec::new(), Vec::new());
    load.forget_answers();
    for (i, ratio) in RATIOS.iter().enumerate() {
        let half_s = (0.5 * ratio * period_s).max(FASTEST_HALF_S);
        say(&format!(
            "wave {} of {}: {:.1} ms on, {:.1} ms off",
            i + 1,
            RATIOS.len(),
            half_s * 1e3,
            half_s * 1e3
        ));
        let begun = clock::now();
        let halves = (each.as_secs_f64() / half_s / 2.0).ceil() as u64 * 2;
        for n in 0..halves {
            let due = begun.plus_nanos((n as f64 * half_s * 1e9) as i64);
            sleep_until(due);
            let on = n % 2 == 0;
            edges.push((load.set(on)?, on));
        }
        sleep_until(begun.plus_nanos((halves as f64 * half_s * 1e9) as i64));
        waves.push((begun, clock::now()));
    }
    Ok((edges, waves))
}

fn sleep_until(due: Timestamp) {
    let left = due - clock::now();
    if left > 0 {
        std::thread::sleep(Duration::from_nanos(left as u64));
    }
}

/// `wave` around `on`, so that the raw recording reads as any other.
fn markers(edges: &[(Timestamp, bool)], waves: &[(Timestamp, Timestamp)]) -> Vec<MarkerEvent> {
    let marker = |t: Timestamp, verb, name: &str, index| MarkerEvent {
        t,
        arrival: t,
        stamped: true,
        verb,
        rank: 0,
        name: name.to_owned(),
        index,
        samples: None,
        tokens: None,
        value: None,
        devices: None,
    };
    let mut events: Vec<MarkerEvent> = Vec::with_capacity(edges.len() + 2 * waves.len());
    for (index, (begun, ended)) in (0..).zip(waves) {
        events.push(marker(*begun, MarkerVerb::Begin, "wave", Some(index)));
        events.push(marker(*ended, MarkerVerb::End, "wave", None));
    }
    for (t, on) in edges {
        let verb = if *on { MarkerVerb::Begin } else { MarkerVerb::End };
        events.push(marker(*t, verb, "on", None));
    }
    events.sort_by_key(|event| event.t);
    events
}

fn run_info(args: &CalibrateArgs) -> RunInfo {
    let anchor = clock::anchor();
    let load = args.load.iter().map(|word| word.to_string_lossy().into_owned());
    RunInfo {
        powerprof_version: env!("CARGO_PKG_VERSION").into(),
        command: ["powerprof".to_owned(), "calibrate".to_owned()]
            .into_iter()
            .chain(load)
            .collect(),
        working_directory: std::env::current_dir()
            .map(|d| d.display().to_string())
            .unwrap_or_default(),
        host: surroundings::host(),
        started_realtime_ns: anchor.realtime_ns,
        started: anchor.monotonic,
        ended: None,
        exit: None,
        complete: false,
        interval_ns: INTERVAL.as_nanos() as i64,
        environment: surroundings::environment(surroundings::variables()),
        git_commit: None,
        simulated: None,
        labels: Default::default(),
    }
}
