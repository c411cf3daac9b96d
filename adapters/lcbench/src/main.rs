//! `lcbench-train`: parse, run, say what went wrong. Exit status 2 for a mistake on the command line, 1 for any other failure; a
//! trial of `--batch-size auto` that ran out of memory says so by its own.

use std::{
    panic::{self, AssertUnwindSafe},
    process::ExitCode,
};

use clap::Parser;
use lcbench::{
    cli::{CommandLine, Other},
    device::DeviceError,
    plan::UsageError,
    run::run,
    search::OUT_OF_MEMORY,
    setup::make_tokenizer,
};

fn main() -> ExitCode {
    let CommandLine { other, train } = CommandLine::parse();
    let is_trial = train.trial.is_some();
    // tch reports libtorch's exceptions as panics: they become an error message here, and spans still close on the way.
    panic::set_hook(Box::new(|_| {}));
    let outcome = panic::catch_unwind(AssertUnwindSafe(|| match other {
        Some(Other::Tokenizer(wanted)) => make_tokenizer(&wanted),
        None => run(train),
    }));
    let error = match outcome {
        Ok(Ok(())) => return ExitCode::SUCCESS,
        Ok(Err(error)) => error,
        Err(payload) => anyhow::anyhow!(explain(payload.as_ref())),
    };
    let text = format!("{error:#}");
    if is_trial && ran_out_of_memory(&text) {
        return ExitCode::from(OUT_OF_MEMORY);
    }
    eprintln!("error: {text}");
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
    if ran_out_of_memory(&first) {
        return first + "\nhint: a smaller --batch-size or --seq-len; --batch-size auto finds the largest that fits";
    }
    if first.contains("captur") {
        return first + "\nhint: this cannot be recorded here: leave --cuda-graph out";
    }
    first
}

/// By what libtorch says of a device or of the host.
fn ran_out_of_memory(text: &str) -> bool {
    [
        "out of memory",
        "can't allocate memory",
        "bad_alloc",
        "Cannot allocate memory",
    ]
    .iter()
    .any(|said| text.contains(said))
}
