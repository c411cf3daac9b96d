//! ROUGE-1, ROUGE-2 and ROUGE-L F-measures (Lin, 2004) as Google's `rouge-score` computes them without a stemmer.
//!
//! Scores are in 0..=1. ROUGE-L is over the whole text, not sentence by sentence.

use std::{collections::HashMap, fmt::Write, hash::Hash, ops::Add};

use unicode_properties::{GeneralCategory, UnicodeGeneralCategory};

use super::{Scoring, normalize};

/// F-measures of one pair, or their sum over many.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Rouge {
    pub rouge1: f64,
    pub rouge2: f64,
    pub rouge_l: f64,
}

impl Rouge {
    /// The better of each, which may come from different references.
    pub fn max(self, other: Self) -> Self {
        Self {
            rouge1: self.rouge1.max(other.rouge1),
            rouge2: self.rouge2.max(other.rouge2),
            rouge_l: self.rouge_l.max(other.rouge_l),
        }
    }
}

impl Add for Rouge {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            rouge1: self.rouge1 + other.rouge1,
            rouge2: self.rouge2 + other.rouge2,
            rouge_l: self.rouge_l + other.rouge_l,
        }
    }
}

/// Scores one prediction against one reference by the rules of `scoring`.
pub fn score(scoring: Scoring, prediction: &str, reference: &str) -> Rouge {
    match scoring {
        Scoring::TeacherForced => score_tokens(&normalized_tokens(prediction), &normalized_tokens(reference)),
        Scoring::Generate => score_tokens(&tokens(prediction), &tokens(reference)),
    }
}

fn score_tokens(prediction: &[String], reference: &[String]) -> Rouge {
    let both = |common: usize, n: usize| {
        f_measure(
            common,
            (prediction.len() + 1).saturating_sub(n),
            (reference.len() + 1).saturating_sub(n),
        )
    };
    Rouge {
        rouge1: both(common_windows(prediction, reference, 1), 1),
        rouge2: both(common_windows(prediction, reference, 2), 2),
        rouge_l: both(longest_common_subsequence(prediction, reference), 1),
    }
}

/// `rouge_score.tokenize` without a stemmer: lower case, then the runs of ASCII letters and digits.
fn tokens(text: &str) -> Vec<String> {
    let lower = text.to_lowercase();
    lower
        .split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|run| !run.is_empty())
        .map(str::to_owned)
        .collect()
}

/// What the study's scorer sees: it hands over lists of normalized words, which `datasets` 1.16 turns into text by Python's
/// `str(list)`. That drops nothing that ROUGE keeps, but writes characters that do not print as escapes, whose letters and digits
/// then count.
fn normalized_tokens(text: &str) -> Vec<String> {
    let mut written = String::new();
    for word in normalize::words(text) {
        for c in word.chars() {
            push_as_python_repr(c, &mut written);
        }
        written.push(' ');
    }
    tokens(&written)
}

/// One character inside Python's `repr` of a string. Quotes and backslashes were dropped before: they need no escape here.
fn push_as_python_repr(c: char, onto: &mut String) {
    use GeneralCategory as G;
    let hidden = matches!(
        c.general_category(),
        G::Control
            | G::Format
            | G::Surrogate
            | G::PrivateUse
            | G::Unassigned
            | G::LineSeparator
            | G::ParagraphSeparator
            | G::SpaceSeparator
    );
    let code = u32::from(c);
    // Writing to a String cannot fail.
    let _ = match (hidden && c != ' ', code) {
        (false, _) => onto.write_char(c),
        (true, 0..=0xff) => write!(onto, "\\x{code:02x}"),
        (true, 0x100..=0xffff) => write!(onto, "\\u{code:04x}"),
        (true, _) => write!(onto, "\\U{code:08x}"),
    };
}

/// How many windows of `n` tokens both have, each counted as often as in the poorer of the two.
fn common_windows<T: Eq + Hash>(prediction: &[T], reference: &[T], n: usize) -> usize {
    let mut left: HashMap<&[T], usize> = HashMap::new();
    for window in reference.windows(n) {
        *left.entry(window).or_default() += 1;
    }
    let mut common = 0;
    for window in prediction.windows(n) {
        if let Some(n) = left.get_mut(window).filter(|n| **n > 0) {
            *n -= 1;
            common += 1;
        }
    }
    common
}

/// Length only, so one row of the table is enough.
fn longest_common_subsequence<T: Eq>(prediction: &[T], reference: &[T]) -> usize {
    let mut row = vec![0usize; reference.len() + 1];
    for p in prediction {
        let mut diagonal = 0;
        for (j, r) in reference.iter().enumerate() {
            let above = row[j + 1];
            row[j + 1] = if p == r { diagonal + 1 } else { above.max(row[j]) };
            diagonal = above;
        }
    }
    row[reference.len()]
}

/// From counts: `common` of `predicted` and of `wanted`.
fn f_measure(common: usize, predicted: usize, wanted: usize) -> f64 {
    if common == 0 {
        return 0.0;
    }
    let precision = common as f64 / predicted as f64;
    let recall = common as f64 / wanted as f64;
    2.0 * precision * recall / (precision + recall)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn published_example() {
        // The example in rouge-score's README: P 0.75 and R 2/3 for ROUGE-1, P 0.625 and R 5/9 for ROUGE-L.
        let rouge = score(
            Scoring::Generate,
            "The quick brown dog jumps on the log.",
            "The quick brown fox jumps over the lazy dog",
        );
        let f = |p: f64, r: f64| 2.0 * p * r / (p + r);
        assert!((rouge.rouge1 - f(0.75, 6.0 / 9.0)).abs() < 1e-12, "{rouge:?}");
        assert!((rouge.rouge_l - f(0.625, 5.0 / 9.0)).abs() < 1e-12, "{rouge:?}");
    }

    #[test]
    fn articles_count_only_where_the_text_is_not_normalized() {
        let (prediction, reference) = ("the fox", "the hen");
        assert_eq!(score(Scoring::Generate, prediction, reference).rouge1, 0.5);
        assert_eq!(score(Scoring::TeacherForced, prediction, reference).rouge1, 0.0);
    }

    #[test]
    fn escapes_of_hidden_characters_count_as_the_study_counted_them() {
        assert_eq!(normalized_tokens("soft\u{ad}hyphen"), ["soft", "xadhyphen"]);
        assert_eq!(tokens("soft\u{ad}hyphen"), ["soft", "hyphen"]);
    }

    #[test]
    fn short_texts_have_no_pairs() {
        assert_eq!(
            score(Scoring::Generate, "one", "one"),
            Rouge {
                rouge1: 1.0,
                rouge2: 0.0,
                rouge_l: 1.0
            }
        );
        assert_eq!(score(Scoring::Generate, "", "one"), Rouge::default());
    }
}
