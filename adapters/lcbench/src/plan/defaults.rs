//! What follows from other flags where nothing is typed.

use super::{UsageError, checks::refuse, recipe};
use crate::{
    cli::{BestBy, Cli, Score, Vocabulary},
    data::Published,
};

/// Whole words are scored by F1. Where every byte is a token they are not predicted whole: what a teacher-forced model says
/// behind the end of an answer would join its last word.
pub(super) fn best_by(cli: &Cli, set: Option<Published>) -> BestBy {
    let bytes = matches!(cli.tokenizer, Some(Vocabulary::Bytes)) || (cli.tokenizer.is_none() && cli.weights.is_none());
    match set {
        Some(set) => recipe::best_by(set),
        None if bytes && cli.score == Score::TeacherForced => BestBy::LabelTokens,
        None => BestBy::F1,
    }
}

/// `--dataset`, or what `--shaped` resembles.
pub(super) fn set_of(cli: &Cli) -> Result<Option<Published>, UsageError> {
    match (cli.dataset, &cli.shaped, &cli.data) {
        (Some(set), Some(shaped), _) if set != shaped.set => {
            let problem = format!("--shaped is {}", shaped.set.name());
            Err(refuse("dataset", set.name(), &problem, "leave one of them out"))
        }
        (Some(set), None, None) => {
            let hint = format!(
                "give --data DIR with the set from the SCROLLS benchmark, or --shaped {} for generated texts of its lengths",
                set.name()
            );
            Err(refuse("dataset", set.name(), "no --data to find it in", &hint))
        }
        (set, shaped, _) => Ok(set.or(shaped.map(|shaped| shaped.set))),
    }
}
