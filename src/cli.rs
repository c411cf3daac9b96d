//! The command line as it was typed. Defaults that depend on the machine, and everything that can be wrong, are `plan`'s.

mod calibrate;
mod environment;
mod import;

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};

pub use calibrate::{CalibrateArgs, Drive};
pub use environment::{Switch, read, switch};
pub use import::{ImportArgs, PowerCallChoice};

const EXIT_STATUS: &str = "\
Exit status: the command's own; 128+N where signal N ended it; 127 not found; 126 not executable;
125 powerprof itself failed before the command ran (or a sensor did, under --strict); 2 wrong usage;
1 a recording could not be read, or a --fail-if condition held.

Examples:
  powerprof -- python train.py
  powerprof --interval 5ms --gpus 0,1 -o run.h5 -- torchrun --nproc-per-node 2 train.py
  powerprof report run.h5 --format json
  powerprof --simulate a100 -- sh examples/shell.sh        (no GPU needed; every output says SIMULATED)";

/// What a training run costs in energy, phase by phase, with an error bar.
#[derive(Debug, Parser)]
#[command(name = "powerprof", version, after_help = EXIT_STATUS, max_term_width = 100)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
#[command(
    override_usage = "powerprof [OPTIONS] -- COMMAND [ARGS]...\n       powerprof <report|compare|plot|export|import|recover|doctor|calibrate> ..."
)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Option<Command>,

    #[command(flatten)]
    pub record: RecordArgs,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Record a command (the same as `powerprof [OPTIONS] -- COMMAND`)
    Record(RecordArgs),
    /// Show what a recording says
    Report(ReportArgs),
    /// Draw power over time with the phases, and energy per phase
    Plot(PlotArgs),
    /// Show how runs differ, with intervals; fail on a regression
    Compare(CompareArgs),
    /// Give every reading to other programs, and phases, marks and metrics to a viewer of traces
    Export(ExportArgs),
    /// Make a recording of a power log that someone else recorded
    Import(Box<ImportArgs>),
    /// Turn a recording that was cut off into a plainly closed file
    Recover(RecoverArgs),
    /// Say which sensors are here, what they measure, and how to get at those that are not
    Doctor(DoctorArgs),
    /// Measure period, window and delay of a sensor with a square-wave load
    Calibrate(CalibrateArgs),
}

#[derive(Debug, Args, Default)]
pub struct RecordArgs {
    /// The recording to write [default: a name from the command and the date]
    #[arg(short, long, value_name = "PATH", env = "POWERPROF_OUTPUT")]
    pub output: Option<PathBuf>,

    /// Overwrite the recording if it exists
    #[arg(long)]
    pub force: bool,

    /// Time between two readings of the fast sensors, with its unit [default: 10ms]
    #[arg(long, value_name = "TIME", env = "POWERPROF_INTERVAL", value_parser = duration)]
    pub interval: Option<Duration>,

    /// How the sensors are polled: `adaptive` asks around each expected update, `steady` at every interval [default: adaptive]
    #[arg(long, value_enum, value_name = "HOW", env = "POWERPROF_POLLING")]
    pub polling: Option<PollingChoice>,

    /// Watch the machine for this long before the command runs, and report energies net of that too
    #[arg(long, value_name = "TIME", env = "POWERPROF_IDLE_BASELINE", value_parser = duration)]
    pub idle_baseline: Option<Duration>,

    /// GPUs to record: indices or UUIDs, `all` or `none` [default: CUDA_VISIBLE_DEVICES, else all]
    #[arg(long, value_name = "LIST", env = "POWERPROF_GPUS")]
    pub gpus: Option<String>,

    /// Fail with 125, instead of warning, if a sensor is missing (before the command runs) or is lost (when it has ended)
    #[arg(long, env = "POWERPROF_STRICT", value_parser = switch)]
    #[arg(action = ArgAction::SetTrue, default_value = "")]
    pub strict: Switch,

    /// Power of the CPU at full load in watts, for the estimate where nothing measures it
    #[arg(long, value_name = "WATTS", env = "POWERPROF_CPU_TDP", allow_negative_numbers = true)]
    pub cpu_tdp: Option<f64>,

    /// Play a GPU that follows the markers, measuring nothing: a100, h100, v100, ada, ...
    #[arg(long, value_name = "PROFILE", env = "POWERPROF_SIMULATE")]
    pub simulate: Option<String>,

    /// Keep KEY=VALUE with the recording (may be repeated)
    #[arg(long = "label", value_name = "KEY=VALUE")]
    pub labels: Vec<String>,

    /// No report at the end, only warnings
    #[arg(short, long, env = "POWERPROF_QUIET", value_parser = switch)]
    #[arg(action = ArgAction::SetTrue, default_value = "")]
    pub quiet: Switch,

    /// The command to run, after `--`
    #[arg(last = true, required = true, value_name = "COMMAND")]
    pub command: Vec<OsString>,
}

/// How the fast sensors are polled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum PollingChoice {
    /// At every interval
    Steady,
    /// Around each expected update, once its rhythm is known
    Adaptive,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ReportFormat {
    Text,
    Json,
    Csv,
    Md,
    Html,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum EstimatorChoice {
    Auto,
    Interval,
    Regression,
    All,
}

#[derive(Debug, Args)]
pub struct ReportArgs {
    /// The recording; several are the nodes of one run, and are put together
    #[arg(required = true, value_name = "RUN.h5")]
    pub recordings: Vec<PathBuf>,

    #[arg(long, value_enum, default_value = "text")]
    pub format: ReportFormat,

    /// How phases are estimated: from the readings' sums at their edges, by regression on the sensor model, or whichever is surer;
    /// `all` shows them side by side
    #[arg(long, value_enum, default_value = "auto")]
    pub estimator: EstimatorChoice,

    /// Add the figures of Ang, Dhingra and Wills 2022 by their own formulas, beside the exact ones
    #[arg(long)]
    pub as_paper: bool,

    /// Write to a file instead of standard output
    #[arg(short, long, value_name = "PATH")]
    pub output: Option<PathBuf>,

    /// Overwrite the output if it exists
    #[arg(long)]
    pub force: bool,
}

#[derive(Debug, Args)]
pub struct PlotArgs {
    /// The recording; several are the nodes of one run, and are put together
    #[arg(required = true, value_name = "RUN.h5")]
    pub recordings: Vec<PathBuf>,

    /// The picture: its ending, .svg or .png, says which kind
    #[arg(short, long, value_name = "PATH")]
    pub output: PathBuf,

    /// Overwrite the picture if it exists
    #[arg(long)]
    pub force: bool,
}

#[derive(Debug, Args)]
pub struct CompareArgs {
    /// The recording to compare with
    #[arg(value_name = "BASE.h5")]
    pub base: PathBuf,

    /// The recordings to compare
    #[arg(required = true, value_name = "OTHER.h5")]
    pub others: Vec<PathBuf>,

    /// Exit with 1 if this holds, as in 'j_per_sample>+3%' or 'train/step:wall_s>+5%' (may be repeated)
    #[arg(long, value_name = "CONDITION")]
    pub fail_if: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ExportFormat {
    /// One row per reading
    Csv,
    /// The same rows, typed and compressed
    Parquet,
    /// A trace for ui.perfetto.dev
    Perfetto,
}

#[derive(Debug, Args)]
pub struct ExportArgs {
    /// The recording
    #[arg(value_name = "RUN.h5")]
    pub recording: PathBuf,

    /// The other program's format
    #[arg(long, value_enum)]
    pub to: ExportFormat,

    /// Write to a file instead of standard output
    #[arg(short, long, value_name = "PATH")]
    pub output: Option<PathBuf>,

    /// Overwrite the output if it exists
    #[arg(long)]
    pub force: bool,
}

#[derive(Debug, Args)]
pub struct RecoverArgs {
    /// The recording that was cut off
    #[arg(value_name = "RUN.h5")]
    pub recording: PathBuf,

    /// Write here and leave the recording as it is [default: replace it]
    #[arg(short, long, value_name = "PATH")]
    pub output: Option<PathBuf>,

    /// Overwrite the output if it exists
    #[arg(long)]
    pub force: bool,
}

#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// GPUs to look at, as in recording
    #[arg(long, value_name = "LIST", env = "POWERPROF_GPUS")]
    pub gpus: Option<String>,

    #[arg(long, value_enum, default_value = "text")]
    pub format: DoctorFormat,

    /// How long the sensors are watched; 0s leaves that out [default: 2s]
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub watch: Option<Duration>,

    /// Exit with 1 if a sensor is there and cannot be read, or if there is none at all
    #[arg(long)]
    pub strict: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum DoctorFormat {
    Text,
    Json,
}

/// `10ms`, `1s`, `500us`: a number and its unit.
fn duration(text: &str) -> Result<Duration, String> {
    if text.trim().parse::<f64>().is_ok() {
        return Err(format!("a time needs its unit\nhint: {text}ms, or {text}s"));
    }
    humantime::parse_duration(text).map_err(|error| format!("{error}\nhint: a number with its unit, as in 10ms"))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn what_follows_the_dashes_is_the_command_even_if_it_is_named_like_ours() {
        let cli =
            Cli::try_parse_from(["powerprof", "--interval", "5ms", "--", "report", "--format", "x"]).expect("parses");
        assert!(cli.command.is_none());
        assert_eq!(cli.record.command, ["report", "--format", "x"]);
        assert_eq!(cli.record.interval, Some(Duration::from_millis(5)));
    }

    #[test]
    fn a_time_without_its_unit_is_refused_with_a_hint() {
        assert_eq!(duration("10").map_err(|e| e.contains("10ms")), Err(true));
        assert_eq!(duration("1500us"), Ok(Duration::from_micros(1500)));
    }
}
