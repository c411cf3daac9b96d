//! Which weights were the best so far, and when there is no more use in going on.

use serde::{Deserialize, Serialize};

use crate::{cli::BestBy, evaluate::Evaluation};

/// A validation while training.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Validation {
    pub step: u64,
    /// What the best weights are chosen by.
    pub score: Option<f64>,
    pub loss: Option<f64>,
    pub f1: Option<f64>,
    pub rouge_mean: Option<f64>,
    pub label_tokens: Option<f64>,
}

impl Validation {
    pub(super) fn new(step: u64, by: BestBy, done: &Evaluation) -> Self {
        let scores = done.scores.as_ref();
        let mut seen = Self {
            step,
            score: None,
            loss: done.loss,
            f1: scores.map(|s| s.f1),
            rouge_mean: scores.map(|s| s.rouge_mean),
            label_tokens: done.labels.map(|l| l.tokens),
        };
        seen.score = match by {
            BestBy::F1 => seen.f1,
            BestBy::RougeMean => seen.rouge_mean,
            BestBy::LabelTokens => seen.label_tokens,
            BestBy::Loss => seen.loss,
        };
        seen
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Best {
    pub step: u64,
    pub score: f64,
}

/// transformers' early stopping with threshold 0: a validation that is not strictly better counts as a miss, a better one starts
/// the count again.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Watch {
    pub best: Option<Best>,
    pub misses: u32,
}

impl Watch {
    /// Whether these weights are the best so far. A score that is no number never is.
    pub(super) fn see(&mut self, by: BestBy, step: u64, score: Option<f64>) -> bool {
        let better = |score: &f64| match self.best {
            None => score.is_finite(),
            Some(best) if by == BestBy::Loss => *score < best.score,
            Some(best) => *score > best.score,
        };
        match score.filter(better) {
            Some(score) => {
                *self = Self {
                    best: Some(Best { step, score }),
                    misses: 0,
                };
                true
            }
            None => {
                self.misses += 1;
                false
            }
        }
    }

    pub(super) fn gives_up(&self, patience: Option<u32>) -> bool {
        patience.is_some_and(|patience| self.misses >= patience)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(by: BestBy, scores: &[f64], patience: u32) -> (Option<Best>, Option<u64>) {
        let mut watch = Watch::default();
        for (step, score) in (1..).zip(scores) {
            watch.see(by, step, Some(*score));
            if watch.gives_up(Some(patience)) {
                return (watch.best, Some(step));
            }
        }
        (watch.best, None)
    }

    #[test]
    fn stops_after_misses_in_a_row_and_keeps_the_best() {
        let best = |step, score| Some(Best { step, score });
        assert_eq!(
            run(BestBy::F1, &[1.0, 3.0, 3.0, 2.0, 1.0, 9.0], 3),
            (best(2, 3.0), Some(5))
        );
        assert_eq!(
            run(BestBy::F1, &[1.0, 0.0, 0.5, 2.0, 1.0, 1.0], 3),
            (best(4, 2.0), None)
        );
        assert_eq!(run(BestBy::Loss, &[3.0, 2.0, 2.5], 1), (best(2, 2.0), Some(3)));
    }

    #[test]
    fn what_is_no_number_is_never_the_best() {
        let mut watch = Watch::default();
        assert!(!watch.see(BestBy::Loss, 1, Some(f64::NAN)) && !watch.see(BestBy::Loss, 2, None));
        assert!(watch.see(BestBy::Loss, 3, Some(5.0)) && !watch.see(BestBy::Loss, 4, Some(f64::NAN)));
        assert_eq!((watch.misses, watch.best.map(|best| best.step)), (1, Some(3)));
        assert!(!watch.gives_up(None) && watch.gives_up(Some(1)));
    }
}
