//! The command line as it was typed. Defaults that depend on the machine, and everything that can be wrong, are `plan`'s.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::sensors::nvml::timing::PowerCall;

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
    /// Give every reading and marker to other programs
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

    /// Fail with 125 if a sensor cannot be read, instead of warning
    #[arg(long, env = "POWERPROF_STRICT")]
    pub strict: bool,

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
    #[arg(short, long, env = "POWERPROF_QUIET")]
    pub quiet: bool,

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

#[derive(Debug, Args)]
pub struct ReportArgs {
    /// The recording
    #[arg(required = true, value_name = "RUN.h5")]
    pub recordings: Vec<PathBuf>,

    #[arg(long, value_enum, default_value = "text")]
    pub format: ReportFormat,

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
    /// The recording
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

/// What a logged power is the mean of, where the log's header does not say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum PowerCallChoice {
    /// The shortest average of the board (NVML field 186)
    Instant,
    /// One second (NVML field 185)
    Average,
    /// `power.draw`: one or the other, by chip and driver
    Draw,
}

impl From<PowerCallChoice> for PowerCall {
    fn from(choice: PowerCallChoice) -> Self {
        match choice {
            PowerCallChoice::Instant => Self::Instant,
            PowerCallChoice::Average => Self::Average,
            PowerCallChoice::Draw => Self::Usage,
        }
    }
}

const IMPORT_FORMS: &str = "\
Readings: the CSV of `nvidia-smi --query-gpu=timestamp,index,uuid,name,power.draw.instant,... --format=csv` (with or without units),
the text of `dcgmi dmon -e 155,156,157`, tables with DCGM_FI_* columns, and plain tables: t_ms or t_s, and watts, energy_j, energy_mj.
Phases: name,start_ms,end_ms[,samples,tokens,index,rank], or a list of edges t_ms,name. Times are on the readings' axis; where the
readings have calendar stamps, stamps of the same kind or milliseconds since the first reading. See docs/import.md.";

#[derive(Debug, Args)]
#[command(after_help = IMPORT_FORMS)]
pub struct ImportArgs {
    /// The power log
    #[arg(long, value_name = "LOG.csv")]
    pub readings: PathBuf,

    /// When which phase ran
    #[arg(long, value_name = "PHASES.csv")]
    pub phases: Option<PathBuf>,

    /// Names that take turns between the edges of --phases, where that has a column of times alone
    #[arg(long, value_name = "NAME,NAME", requires = "phases")]
    pub phase_names: Option<String>,

    /// The recording to write
    #[arg(short, long, value_name = "RUN.h5")]
    pub output: PathBuf,

    /// Overwrite the recording if it exists
    #[arg(long)]
    pub force: bool,

    /// The device's name, as in \"NVIDIA A100-PCIE-40GB\": says what is known of its sensor [default: the log's]
    #[arg(long, visible_alias = "name", value_name = "NAME")]
    pub gpu_name: Option<String>,

    /// What was measured: gpu, cpu, dram, module or platform [default: gpu]
    #[arg(long, value_name = "KIND")]
    pub kind: Option<String>,

    /// The most the board may draw, in watts [default: the log's]
    #[arg(long, value_name = "WATTS", allow_negative_numbers = true)]
    pub power_limit: Option<f64>,

    /// Calibration of the board: reading = GAIN * true + OFFSET [default: powerprof.toml's, by UUID]
    #[arg(long, value_name = "GAIN", allow_negative_numbers = true)]
    pub gain: Option<f64>,

    /// The same, in watts
    #[arg(long, value_name = "WATTS", allow_negative_numbers = true)]
    pub offset: Option<f64>,

    /// What the logged power is the mean of [default: what the column's name says]
    #[arg(long, value_enum, value_name = "CALL")]
    pub power_call: Option<PowerCallChoice>,

    /// The columns of a log without a header
    #[arg(long, value_name = "NAME,NAME")]
    pub columns: Option<String>,

    /// Time between the rows of one device, for a log without times
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub every: Option<Duration>,

    /// How far the log's clock is ahead of UTC, as in +01:00
    #[arg(long, value_name = "OFFSET", allow_hyphen_values = true)]
    pub utc_offset: Option<String>,

    /// Where the run begins on the readings' axis [default: the first reading]
    #[arg(long, value_name = "WHEN", allow_hyphen_values = true)]
    pub from: Option<String>,

    /// Where it ends [default: the last reading]
    #[arg(long, value_name = "WHEN", allow_hyphen_values = true)]
    pub to: Option<String>,

    /// Keep KEY=VALUE with the recording (may be repeated)
    #[arg(long = "label", value_name = "KEY=VALUE")]
    pub labels: Vec<String>,
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

const LOADS: &str = "\
The load draws much power when told `on` and little when told `off`: one word a line on its standard input, and the end of the input
means it should go. Where it answers with `on T` or `off T` on its standard output (T: CLOCK_MONOTONIC in nanoseconds), these times
count instead of those of the telling. examples/square_wave.py does so on a GPU with torch. With --drive stop the load is any program
that draws power while it runs: it is stopped and continued by signals. Without a load the processors are kept busy.";

#[derive(Debug, Args)]
#[command(after_help = LOADS)]
pub struct CalibrateArgs {
    /// GPUs to calibrate, as in recording
    #[arg(long, value_name = "LIST", env = "POWERPROF_GPUS")]
    pub gpus: Option<String>,

    /// The raw recording [default: a name from the date]
    #[arg(short, long, value_name = "RUN.h5")]
    pub output: Option<PathBuf>,

    /// Overwrite the recording if it exists
    #[arg(long)]
    pub force: bool,

    /// How long each of the five square waves lasts [default: 8s]
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub each: Option<Duration>,

    /// How the load is told
    #[arg(long, value_enum, default_value = "lines")]
    pub drive: Drive,

    /// Keep the result for later recordings: in this file, or in your own powerprof.toml
    #[arg(long, value_name = "FILE", num_args = 0..=1, require_equals = true)]
    pub write: Option<Option<PathBuf>>,

    #[arg(long, value_enum, default_value = "text")]
    pub format: DoctorFormat,

    /// The load, after `--` [default: keep the processors busy]
    #[arg(last = true, value_name = "LOAD")]
    pub load: Vec<OsString>,
}

/// How a load is switched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Drive {
    /// `on` and `off` on its standard input
    Lines,
    /// SIGCONT and SIGSTOP
    Stop,
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
