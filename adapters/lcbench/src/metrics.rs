//! How good predictions are: ROUGE and token F1, by the study's rules and by the SCROLLS evaluator's.
//!
//! Owns texts to scores. Decoding ids is the tokenizer's, saying which predictions they are (fed with the gold labels, or
//! generated) the caller's: a [`Summary`] carries its [`Scoring`], so that no table mixes the two. Scores are per cent.

pub mod f1;
mod normalize;
pub mod rouge;

/// Which predictions are scored, and by whose rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scoring {
    /// The study's: argmax of a forward pass that is fed the gold labels; ROUGE of normalized text; each row by itself.
    TeacherForced,
    /// SCROLLS': generated text; ROUGE of the text as it is; the best reference of each question counts.
    Generate,
}

impl Scoring {
    /// As part of a metric's name: figures of the two modes never share one.
    pub fn name(self) -> &'static str {
        match self {
            Self::TeacherForced => "teacher_forced",
            Self::Generate => "generate",
        }
    }
}

/// Means over examples, in per cent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Summary {
    pub scoring: Scoring,
    pub examples: usize,
    pub rouge1: f64,
    pub rouge2: f64,
    pub rouge_l: f64,
    /// Geometric mean of the three means.
    pub rouge_mean: f64,
    pub f1: f64,
    pub exact_match: f64,
}

/// Scores predictions against their references; `None` where there is nothing to score.
///
/// An example without references counts as 0 under [`Scoring::Generate`], as it would with no prediction right.
pub fn evaluate<'a, R: AsRef<str> + 'a>(
    scoring: Scoring,
    pairs: impl IntoIterator<Item = (&'a str, &'a [R])>,
) -> Option<Summary> {
    let (mut examples, mut rouge, mut f1, mut exact) = (0usize, rouge::Rouge::default(), 0.0, 0.0);
    for (prediction, references) in pairs {
        examples += 1;
        let best = |score: &dyn Fn(&str) -> f64| references.iter().map(|r| score(r.as_ref())).fold(0.0, f64::max);
        let scores: Vec<_> = references
            .iter()
            .map(|r| rouge::score(scoring, prediction, r.as_ref()))
            .collect();
        rouge = rouge + scores.into_iter().fold(rouge::Rouge::default(), rouge::Rouge::max);
        f1 += best(&|reference| f1::score(prediction, reference));
        exact += best(&|reference| f1::exact_match(prediction, reference));
    }
    let mean = |sum: f64| 100.0 * sum / examples as f64;
    let means = [rouge.rouge1, rouge.rouge2, rouge.rouge_l].map(mean);
    (examples > 0).then(|| Summary {
        scoring,
        examples,
        rouge1: means[0],
        rouge2: means[1],
        rouge_l: means[2],
        rouge_mean: geometric_mean(means),
        f1: mean(f1),
        exact_match: mean(exact),
    })
}

fn geometric_mean(values: [f64; 3]) -> f64 {
    values.iter().product::<f64>().cbrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn best_reference_counts_per_score() {
        let references = ["a long and winding road", "red fox"];
        let pairs = [("red fox", &references[..]), ("nothing alike", &references[..])];
        let summary = evaluate(Scoring::Generate, pairs).unwrap();
        assert_eq!(summary.examples, 2);
        assert_eq!((summary.rouge1, summary.f1, summary.exact_match), (50.0, 50.0, 50.0));
        assert!((summary.rouge_mean - 50.0).abs() < 1e-12);
    }

    #[test]
    fn nothing_scored_is_not_zero() {
        assert_eq!(evaluate::<&str>(Scoring::TeacherForced, []), None);
    }
}
