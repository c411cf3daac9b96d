//! `powerprof import` as it was typed.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};

use super::duration;
use crate::sensors::nvml::timing::PowerCall;

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
Phases: name,start_ms,end_ms[,samples,tokens,index,rank] (or duration_ms), or a list of edges t_ms,name. Times are on the readings' axis;
where the readings have calendar stamps, stamps of the same kind or milliseconds since the first reading. See docs/import.md.";

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

    /// The device's name, as in "NVIDIA A100-PCIE-40GB": says what is known of its sensor [default: the log's]
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
