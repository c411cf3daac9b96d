//! `powerprof calibrate` as it was typed.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};

use super::{DoctorFormat, duration};

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
