//! `powerprof import --readings LOG.csv [--phases PHASES.csv] -o RUN.h5`: a power log that someone else recorded, as a recording.

use std::path::{Path, PathBuf};

use anyhow::bail;

use super::output::{Failure, Outcome, say};
use crate::cli::ImportArgs;
use crate::import::device::{self, Description};
use crate::import::readings::{self, Log, Told};
use crate::import::{nest, phases, reach, stamp, table};
use crate::model::device::{Calibration, DeviceKind};
use crate::model::marker::MarkerEvent;
use crate::model::recording::{Chunk, HostInfo, RunInfo};
use crate::model::time::{ClockAnchor, Interval, Timestamp};
use crate::model::units::Watts;
use crate::model::wording::counted;
use crate::plan::config::Config;
use crate::plan::{self, PlanError};
use crate::recording::write_whole;

/// What a bare number of `--from` and `--to` counts.
const MILLISECOND_NS: i64 = 1_000_000;

pub fn run(args: ImportArgs) -> Outcome {
    let told = told(&args).map_err(usage)?;
    let described = description(&args).map_err(usage)?;
    let labels = plan::labels(&args.labels).map_err(|error: PlanError| usage(error.into()))?;
    let config = Config::load().map_err(|error| usage(error.into()))?;
    let columns = args
        .columns
        .as_ref()
        .map(|list| list.split(',').map(|c| c.trim().to_owned()).collect::<Vec<_>>());
    let table = table::read(&args.readings, columns.as_deref())?;
    let mut log = readings::read(&table, &args.readings, told)?;
    let interval = interval(&log, &args)?;
    let markers = match &args.phases {
        Some(path) => read_phases(path, &mut log, &args.phase_names, interval)?,
        None => Vec::new(),
    };
    let devices: Vec<_> = log
        .devices
        .iter()
        .zip(0_u32..)
        .map(|(logged, number)| {
            let mut device = device::describe(logged, number, &described);
            let given = device.calibration;
            config.complete(&mut device);
            device.calibration = given.or(device.calibration);
            (device, logged.columns, logged.streams.clone())
        })
        .collect();
    if described.calibration.is_some() && devices.len() > 1 {
        let what = format!("--gain is of one board, and the log has {} devices", devices.len());
        return Err(usage(anyhow::anyhow!(
            "{what}\nhint: give each board its own in powerprof.toml, [calibration.\"GPU-...\"]"
        )));
    }
    if let Some(name) = described.name.as_ref()
        && devices
            .iter()
            .any(|d| d.0.kind == DeviceKind::Gpu && d.0.architecture.is_none())
    {
        log.warnings.push(format!(
            "--gpu-name {name} is no board that is known here: what its sensor does is looked for in the readings alone"
        ));
    }
    let mut info = run_info(&log, interval);
    info.labels = labels;
    let common = Chunk {
        released: Some(interval.start),
        anchors: anchors(&log, interval),
        markers,
        warnings: log.warnings.iter().map(|w| (interval.start, w.clone())).collect(),
        ..Chunk::default()
    };
    let (rows, number) = (
        devices.iter().map(|d| d.2.power.times.len()).sum::<usize>(),
        devices.len(),
    );
    let marked = common.markers.len();
    write_whole(&args.output, &info, devices, &common, interval.end, args.force)?;
    for warning in &log.warnings {
        say(&format!("warning: {warning}"));
    }
    say(&format!(
        "{}: {} of {} over {:.3} s, {}",
        args.output.display(),
        counted(rows as u64, "reading", "readings"),
        counted(number as u64, "device", "devices"),
        interval.seconds(),
        counted(marked as u64, "marker", "markers"),
    ));
    Ok(0)
}

fn usage(error: anyhow::Error) -> Failure {
    Failure { error, status: 2 }
}

fn told(args: &ImportArgs) -> anyhow::Result<Told> {
    let offset_s = match &args.utc_offset {
        None => None,
        Some(text) => match stamp::offset(text) {
            Some(offset) => Some(offset),
            None => bail!(
                "--utc-offset {text} is no zone\nhint: how far the log's clock is ahead of UTC, as in +01:00 or -08:00"
            ),
        },
    };
    Ok(Told {
        every: args.every,
        offset_s,
    })
}

fn description(args: &ImportArgs) -> anyhow::Result<Description> {
    let kind = match &args.kind {
        None => None,
        Some(word) => match DeviceKind::parse(word) {
            Some(kind) => Some(kind),
            None => bail!("--kind {word} is no kind of device\nhint: gpu, cpu, dram, module or platform"),
        },
    };
    let calibration = match (args.gain, args.offset) {
        (None, None) => None,
        (gain, offset) => {
            let (gain, offset) = (gain.unwrap_or(1.0), offset.unwrap_or(0.0));
            if !(0.2..5.0).contains(&gain) || !offset.is_finite() {
                bail!("--gain {gain} is not possible\nhint: reading = gain * true + offset, so gain lies near 1");
            }
            Some(Calibration {
                gain,
                offset: Watts(offset),
            })
        }
    };
    if let Some(watts) = args.power_limit.filter(|w| !w.is_finite() || *w <= 0.0) {
        bail!("--power-limit {watts} is not a power\nhint: the most the board may draw, in watts");
    }
    Ok(Description {
        name: args.gpu_name.clone(),
        kind,
        power_limit: args.power_limit.map(Watts),
        call: args.power_call.map(Into::into),
        calibration,
    })
}

fn read_phases(path: &Path, log: &mut Log, turns: &Option<String>, run: Interval) -> anyhow::Result<Vec<MarkerEvent>> {
    let turns: Vec<String> = turns
        .iter()
        .flat_map(|t| t.split(','))
        .map(|t| t.trim().to_owned())
        .collect();
    let table = table::read(path, None)?;
    let read = phases::read(&table, path, &log.frame, &turns)?;
    let (spans, outside) = reach::within(read.spans, run, &log.frame);
    log.warnings.extend(read.warnings.into_iter().chain(outside));
    Ok(nest::markers(spans, path)?)
}

/// What the total covers: the readings, or what `--from` and `--to` leave of them.
fn interval(log: &Log, args: &ImportArgs) -> anyhow::Result<Interval> {
    let place = |flag: &str, text: &Option<String>, otherwise: i64| match text {
        None => Ok(otherwise),
        Some(text) => log
            .frame
            .place(text, MILLISECOND_NS, false)
            .map_err(|(what, hint)| anyhow::anyhow!("{flag}: {what}\nhint: {hint}")),
    };
    let (start, end) = (
        place("--from", &args.from, log.frame.first)?,
        place("--to", &args.to, log.last)?,
    );
    if end <= start {
        bail!(
            "no time is left between --from and --to\nhint: the readings cover {:.3} s, from {:.3} ms on their axis",
            (log.last - log.frame.first) as f64 * 1e-9,
            log.frame.first as f64 * 1e-6
        );
    }
    Ok(Interval::new(Timestamp::from_nanos(start), Timestamp::from_nanos(end)))
}

fn anchors(log: &Log, interval: Interval) -> Vec<ClockAnchor> {
    let realtime = log.frame.realtime_ns(interval.start.as_nanos());
    realtime
        .map(|realtime_ns| ClockAnchor {
            monotonic: interval.start,
            realtime_ns,
            boottime_ns: interval.start.as_nanos(),
        })
        .into_iter()
        .collect()
}

/// The command that made the file stands for the one that was measured, which nobody told.
fn run_info(log: &Log, interval: Interval) -> RunInfo {
    let words: Vec<PathBuf> = std::env::args_os().map(PathBuf::from).collect();
    let program = words.first().and_then(|p| p.file_name()).unwrap_or_default();
    let command = std::iter::once(program.to_string_lossy().into_owned())
        .chain(words.iter().skip(1).map(|w| w.display().to_string()))
        .collect();
    RunInfo {
        powerprof_version: env!("CARGO_PKG_VERSION").into(),
        command,
        working_directory: String::new(),
        host: HostInfo::default(),
        started_realtime_ns: log.frame.realtime_ns(interval.start.as_nanos()).unwrap_or(0),
        started: interval.start,
        ended: Some(interval.end),
        exit: None,
        complete: true,
        interval_ns: log.interval_ns,
        environment: Default::default(),
        git_commit: None,
        simulated: None,
        labels: Default::default(),
    }
}
