//! `powerprof recover RUN.h5`: a recording that was cut off -> a plainly closed file.

use super::output::{Outcome, say};
use crate::cli::RecoverArgs;
use crate::model::wording::counted;
use crate::recording::recover;

pub fn run(args: &RecoverArgs) -> Outcome {
    let saved = recover(&args.recording, args.output.as_deref(), args.force)?;
    saved
        .unreadable
        .iter()
        .for_each(|what| say(&format!("warning: {what}")));
    let end = if saved.complete {
        "its end is known"
    } else {
        "it was cut off: reports say INCOMPLETE"
    };
    let path = saved.path.display();
    say(&format!(
        "{path}: {} and {}, plainly closed; {end}",
        counted(saved.readings, "reading", "readings"),
        counted(saved.markers, "marker", "markers"),
    ));
    Ok(0)
}
