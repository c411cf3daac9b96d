//! From what was typed to what will be done: configuration files merged in, values checked, names chosen.
//!
//! Precedence: flag, then `POWERPROF_*` (both through clap), then `./powerprof.toml`, then the user's own file.

pub mod config;
pub mod naming;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use crate::cli::RecordArgs;
use crate::model::units::Watts;
use config::{Config, ConfigError};

/// Between readings of the fast sensors, unless asked otherwise.
pub const DEFAULT_INTERVAL: Duration = Duration::from_millis(10);
/// Faster than this the calls themselves disturb what they measure (`docs/measurement.md`).
pub const SHORTEST_INTERVAL: Duration = Duration::from_millis(1);
/// Slower than this nothing is sampled in most runs.
pub const LONGEST_INTERVAL: Duration = Duration::from_secs(60);

/// What is wrong with a request.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    #[error("--interval {} is out of range\nhint: between 1ms and 60s", humantime::format_duration(*.0))]
    Interval(Duration),
    #[error("--cpu-tdp {0} is not a power\nhint: the processor's thermal design power in watts, as in --cpu-tdp 225")]
    CpuTdp(f64),
    #[error("--label {0} is not KEY=VALUE\nhint: --label batch=16")]
    Label(String),
    #[error("{} exists\nhint: choose another -o, or add --force to overwrite it", .0.display())]
    OutputExists(PathBuf),
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
    pub force: bool,
    pub interval: Duration,
    pub gpus: Option<String>,
    pub strict: bool,
    pub cpu_tdp: Option<Watts>,
    pub simulate: Option<String>,
    pub labels: BTreeMap<String, String>,
    pub quiet: bool,
    pub config: Config,
}

/// Check a request and fill in what it left open. `now_ns`: nanoseconds since 1970, for the default name.
pub fn record(args: RecordArgs, now_ns: i64) -> Result<RecordPlan, PlanError> {
    let config = Config::load()?;
    let interval = match args.interval {
        Some(interval) => interval,
        None => config.interval()?.unwrap_or(DEFAULT_INTERVAL),
    };
    if !(SHORTEST_INTERVAL..=LONGEST_INTERVAL).contains(&interval) {
        return Err(PlanError::Interval(interval));
    }
    let cpu_tdp = args.cpu_tdp.or(config.record.cpu_tdp);
    if let Some(watts) = cpu_tdp.filter(|w| !w.is_finite() || *w <= 0.0 || *w > 100_000.0) {
        return Err(PlanError::CpuTdp(watts));
    }
    let labels = args.labels.iter().map(|label| match label.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err(PlanError::Label(label.clone())),
    });
    let labels = labels.collect::<Result<_, _>>()?;
    let output = match args.output.or_else(|| config.record.output.clone()) {
        Some(path) => path,
        None => naming::free_name(&args.command, now_ns),
    };
    if output.exists() && !args.force {
        return Err(PlanError::OutputExists(output));
    }
    if let Some(folder) = output
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty() && !folder.is_dir())
    {
        return Err(PlanError::NoFolder(folder.to_owned()));
    }
    Ok(RecordPlan {
        command: args.command,
        output,
        force: args.force,
        interval,
        gpus: args.gpus.or_else(|| config.record.gpus.clone()),
        strict: args.strict || config.record.strict.unwrap_or(false),
        cpu_tdp: cpu_tdp.map(Watts),
        simulate: args.simulate.or_else(|| config.record.simulate.clone()),
        labels,
        quiet: args.quiet || config.record.quiet.unwrap_or(false),
        config,
    })
}
