//! `lcbench-train`: parse, run, say what went wrong. Exit status 2 for a mistake on the command line, 1 for any other failure.

use std::{
    panic::{self, AssertUnwindSafe},
    process::ExitCode,
};

use clap::Parser;
use lcbench::{cli::Cli, device::DeviceError, plan::UsageError, run::run};

fn main() -> ExitCode {
    let cli = Cli::parse();
    // tch reports libtorch's exceptions as panics: they become an error message here, and spans still close on the way.
    panic::set_hook(Box::new(|_| {}));
    let outcome = panic::catch_unwind(AssertUnwindSafe(|| run(cli)));
    let error = match outcome {
        Ok(Ok(())) => return ExitCode::SUCCESS,
        Ok(Err(error)) => error,
        Err(payload) => anyhow::anyhow!(explain(payload.as_ref())),
    };
    eprintln!("error: {error:#}");
    let usage = error.is::<UsageError>() || error.is::<DeviceError>();
    ExitCode::from(if usage { 2 } else { 1 })
}

/// The first line of a panic's message (libtorch appends its C++ stack), with the fix where one is known.
fn explain(payload: &(dyn std::any::Any + Send)) -> String {
    let text = payload.downcast_ref::<String>().map(String::as_str);
    let text = text
        .or_else(|| payload.downcast_ref::<&str>().copied())
        .unwrap_or("a panic without a message");
    let text = text.replace("\\n", "\n");
    let first = text.lines().next().unwrap_or_default().to_owned();
    if first.contains("out of memory") || first.contains("can't allocate memory") {
        return first + "\nhint: a smaller --batch-size or --seq-len";
    }
    first
}
