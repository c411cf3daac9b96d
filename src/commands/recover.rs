//! `powerprof recover RUN.h5`: a recording that was cut off -> a plainly closed file.

use super::output::{Outcome, say};
use crate::cli::RecoverArgs;
use crate::recording::recover::recover;

pub fn run(args: &RecoverArgs) -> Outcome {
    let summary = recover(&args.recording, args.output.as_deref(), args.force)?;
    say(&summary.to_string());
    Ok(0)
}
