//! Parse, run one command, print what went wrong and what helps, exit.

use std::process::ExitCode;

use powerprof::cli::{self, Command};
use powerprof::commands::{self, output};

fn main() -> ExitCode {
    let cli = cli::read();
    let result = match cli.command {
        None => commands::record::run(cli.record),
        Some(Command::Record(args)) => commands::record::run(args),
        Some(Command::Report(args)) => commands::report::run(&args),
        Some(Command::Plot(args)) => commands::plot::run(&args),
        Some(Command::Compare(args)) => commands::compare::run(&args),
        Some(Command::Export(args)) => commands::export::run(&args),
        Some(Command::Import(args)) => commands::import::run(*args),
        Some(Command::Recover(args)) => commands::recover::run(&args),
        Some(Command::Calibrate(args)) => commands::calibrate::run(args),
        Some(Command::Doctor(args)) => commands::doctor::run(&args),
    };
    match result {
        Ok(status) => ExitCode::from(status),
        Err(failure) => {
            output::complain(&failure.error);
            ExitCode::from(failure.status)
        }
    }
}
