//! From what was typed to what will be done: configuration files merged in, values checked, names chosen.
//!
//! Precedence: flag, then `POWERPROF_*` (both through clap), then `./powerprof.toml`, then the user's own file.

pub mod config;
pub mod naming;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use crate::cli::{PollingChoice, RecordArgs};
use crate::model::units::Watts;
use crate::recording::{self, RecordingError};
use crate::sampler::Polling;
use crate::sensors::discover::{GpuSelection, Request};
use crate::sensors::simulated::profile::UnknownSimulation;
use config::{Config, ConfigError};

/// Between readings of the fast sensors, unless asked otherwise.
pub const DEFAULT_INTERVAL: Duration = Duration::from_millis(10);
/// Faster than this the calls themselves disturb what they measure (`docs/measurement.md`).
pub const SHORTEST_INTERVAL: Duration = Duration::from_millis(1);
/// Slower than this nothing is sampled in most runs.
pub const LONGEST_INTERVAL: Duration = Duration::from_secs(60);

/// A baseline shorter than this holds a few updates of the slowest sensors, and says little.
pub const SHORTEST_BASELINE: Duration = Duration::from_secs(1);
pub const LONGEST_BASELINE: Duration = Duration::from_secs(3600);

/// What is wrong with a request.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    #[error("--interval {} is out of range\nhint: between 1ms and 60s", humantime::format_duration(*.0))]
    Interval(Duration),
    #[error("--idle-baseline {} is out of range\nhint: between 1s and 1h; 10s tells a watt", humantime::format_duration(*.0))]
    IdleBaseline(Duration),
    #[error("--cpu-tdp {0} is not a power\nhint: the processor's thermal design power in watts, as in --cpu-tdp 225")]
    CpuTdp(f64),
    #[error(
        "--gpus {0:?} is not a list of GPUs\nhint: indices or UUIDs with commas between them, as in --gpus 0,1; or all, or none"
    )]
    Gpus(String),
    #[error("--simulate: {0}")]
    Simulate(#[from] UnknownSimulation),
    #[error("--label {0} is not KEY=VALUE\nhint: --label batch=16")]
    Label(String),
    #[error(transparent)]
    Output(#[from] RecordingError),
    #[error("the folder {} does not exist\nhint: make it first, or choose another -o", .0.display())]
    NoFolder(PathBuf),
    #[error(transparent)]
    Config(#[from] ConfigError),
}

/// A recording that can be started.
#[derive(Debug)]
pub struct RecordPlan {
    pub command: Vec<OsString>,
    pub output: PathBuf,
    /// Whether somebody asked for that name; if nobody did, another will do.
    pub named: bool,
    pub force: bool,
    pub interval: Duration,
    pub polling: Polling,
    /// How long the machine is watched before the command runs.
    pub idle_baseline: Option<Duration>,
    pub strict: bool,
    /// Which sensors to look for.
    pub request: Request,
    pub labels: BTreeMap<String, String>,
    pub quiet: bool,
    pub config: Config,
}

/// Check a request and fill in what it left open. `now_ns`: nanoseconds since 1970, for the default name.
pub fn record(args: RecordArgs, now_ns: i64) -> Result<RecordPlan, PlanError> {
    let config = Config::load()?;
    let interval = match args.interval {
        Some(interval) => interval,
        None => config.record.interval.unwrap_or(DEFAULT_INTERVAL),
    };
    if !(SHORTEST_INTERVAL..=LONGEST_INTERVAL).contains(&interval) {
        return Err(PlanError::Interval(interval));
    }
    let polling = match args.polling.or(config.record.polling) {
        Some(PollingChoice::Steady) => Polling::Steady,
        Some(PollingChoice::Adaptive) | None => Polling::Adaptive,
    };
    let asked = match args.idle_baseline {
        Some(length) => Some(length),
        None => config.record.idle_baseline,
    };
    let idle_baseline = asked.filter(|length| !length.is_zero());
    if let Some(length) = idle_baseline.filter(|length| !(SHORTEST_BASELINE..=LONGEST_BASELINE).contains(length)) {
        return Err(PlanError::IdleBaseline(length));
    }
    let cpu_tdp = args.cpu_tdp.or(config.record.cpu_tdp);
    if let Some(watts) = cpu_tdp.filter(|w| !w.is_finite() || *w <= 0.0 || *w > 100_000.0) {
        return Err(PlanError::CpuTdp(watts));
    }
    let labels = labels(&args.labels)?;
    let asked = args.output.or_else(|| config.record.output.clone());
    let named = asked.is_some();
    let output = asked.unwrap_or_else(|| naming::free_name(&args.command, now_ns));
    // A free name needs no force; with it, two that begin in the same second would take it from each other.
    let force = args.force && named;
    if named {
        recording::vacant(&output, force)?;
    }
    if let Some(folder) = output
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty() && !folder.is_dir())
    {
        return Err(PlanError::NoFolder(folder.to_owned()));
    }
    let simulate = args.simulate.as_ref().or(config.record.simulate.as_ref());
    let request = Request {
        gpus: gpus(args.gpus.as_deref().or(config.record.gpus.as_deref()))?,
        cpu_tdp: cpu_tdp.map(Watts),
        simulate: simulate.map(|word| word.parse()).transpose()?,
        ..Request::default()
    };
    Ok(RecordPlan {
        command: args.command,
        output,
        named,
        force,
        interval,
        polling,
        idle_baseline,
        strict: args.strict.or(config.record.strict).unwrap_or(false),
        request,
        labels,
        quiet: args.quiet.or(config.record.quiet).unwrap_or(false),
        config,
    })
}

/// `--label KEY=VALUE`, each.
pub fn labels(typed: &[String]) -> Result<BTreeMap<String, String>, PlanError> {
    let split = typed.iter().map(|label| match label.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err(PlanError::Label(label.clone())),
    });
    split.collect()
}

/// `--gpus` as a selection: what was listed, else what CUDA will see, else all.
pub fn gpus(listed: Option<&str>) -> Result<GpuSelection, PlanError> {
    let Some(listed) = listed else {
        return Ok(std::env::var("CUDA_VISIBLE_DEVICES").map_or(GpuSelection::All, GpuSelection::Visible));
    };
    let words: Vec<String> = listed.split(',').map(|word| word.trim().to_owned()).collect();
    match listed.trim() {
        "all" => Ok(GpuSelection::All),
        "none" => Ok(GpuSelection::Listed(Vec::new())),
        _ if words.iter().any(String::is_empty) => Err(PlanError::Gpus(listed.to_owned())),
        _ => Ok(GpuSelection::Listed(words)),
    }
}
