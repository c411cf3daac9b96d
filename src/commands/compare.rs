//! `powerprof compare BASE.h5 OTHER.h5...`: differences with intervals, and a gate for CI.

use super::load;
use super::output::{self, Failure, Outcome, say};
use crate::cli::CompareArgs;
use crate::report::compare::{self, Comparison, Condition, Verdict};
use crate::report::text::TextOptions;

pub fn run(args: &CompareArgs) -> Outcome {
    let conditions = args
        .fail_if
        .iter()
        .map(|text| text.parse::<Condition>())
        .collect::<Result<Vec<_>, _>>();
    let conditions = conditions.map_err(|error| Failure {
        error: anyhow::anyhow!("--fail-if {error}"),
        status: 2,
    })?;
    let base = load::load(&args.base)?.analysis;
    let mut failed = false;
    let mut out = String::new();
    for path in &args.others {
        let other = load::load(path)?.analysis;
        let comparison = Comparison::new(&base, &other);
        let outcomes: Vec<_> = conditions
            .iter()
            .map(|condition| condition.judge(&comparison))
            .collect();
        failed |= outcomes
            .iter()
            .any(|outcome| matches!(outcome.verdict, Verdict::Met | Verdict::Unknown));
        out.push_str(&compare::render(&comparison, &outcomes, &TextOptions { color: false }));
    }
    output::deliver(out.as_bytes(), None, false)?;
    if failed {
        say("a --fail-if condition holds, or cannot be judged from these recordings");
    }
    Ok(u8::from(failed))
}
