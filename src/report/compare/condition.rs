//! Conditions on a comparison, for continuous integration: `[PHASE:]QUANTITY>+3%` or `…<-5%`.
//!
//! A condition is met only if the whole 95 % interval of the change lies beyond the threshold, and is not met only if the
//! whole of it lies on the near side; between the two, the runs cannot tell. A figure that a run lacks is never taken for a pass.

use super::{Change, Comparison, Pair, Quantity};

/// Which side of the threshold is bad.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Beyond {
    Above,
    Below,
}

/// A change that somebody does not want.
#[derive(Debug, Clone, PartialEq)]
pub struct Condition {
    /// As it was written.
    pub text: String,
    /// `None`: `train` where both runs have it, else the whole run.
    phase: Option<String>,
    quantity: Quantity,
    beyond: Beyond,
    /// 0.03 is 3 %.
    threshold: f64,
}

/// Why a condition could not be understood.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ConditionError {
    /// Neither `>` nor `<`.
    #[error("condition `{0}` compares nothing\nhint: write e.g. `j_per_sample>+3%` or `samples_per_s<-5%`")]
    NoComparison(String),
    /// No such figure.
    #[error(
        "condition `{text}` asks for `{word}`, which is no quantity\nhint: one of {}",
        quantities()
    )]
    UnknownQuantity { text: String, word: String },
    /// The threshold is no percentage.
    #[error(
        "condition `{text}` has the threshold `{word}`\nhint: a signed percentage relative to the base, e.g. `+3%`"
    )]
    BadThreshold { text: String, word: String },
}

fn quantities() -> String {
    Quantity::ALL.map(Quantity::as_str).join(", ")
}

impl std::str::FromStr for Condition {
    type Err = ConditionError;

    fn from_str(text: &str) -> Result<Self, ConditionError> {
        let at = text
            .find(['>', '<'])
            .ok_or_else(|| ConditionError::NoComparison(text.to_owned()))?;
        let beyond = if text[at..].starts_with('>') {
            Beyond::Above
        } else {
            Beyond::Below
        };
        let (subject, threshold) = (text[..at].trim(), text[at + 1..].trim());
        let (phase, word) = match subject.rsplit_once(':') {
            Some((phase, word)) => (Some(phase.trim().to_owned()), word.trim()),
            None => (None, subject),
        };
        let quantity = Quantity::parse(word).ok_or_else(|| ConditionError::UnknownQuantity {
            text: text.to_owned(),
            word: word.to_owned(),
        })?;
        let percent = threshold
            .strip_suffix('%')
            .and_then(|t| t.trim().parse::<f64>().ok())
            .filter(|p| p.is_finite());
        let percent = percent.ok_or_else(|| ConditionError::BadThreshold {
            text: text.to_owned(),
            word: threshold.to_owned(),
        })?;
        Ok(Self {
            text: text.to_owned(),
            phase,
            quantity,
            beyond,
            threshold: percent / 100.0,
        })
    }
}

/// What two runs say about a condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The change lies beyond the threshold.
    Met,
    /// It does not.
    NotMet,
    /// The threshold lies within the interval.
    Undecided,
    /// A run lacks the phase or the figure.
    Unknown,
}

/// A condition with its verdict.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    pub condition: Condition,
    pub verdict: Verdict,
    /// Where it was looked up; `None`: the whole run.
    pub phase: Option<String>,
    pub change: Option<Change>,
}

impl Condition {
    /// Look the change up and judge it.
    pub fn judge(&self, comparison: &Comparison) -> Outcome {
        let pair = self.pair(comparison);
        let change = pair.and_then(|p| comparison.change(p, self.quantity));
        Outcome {
            condition: self.clone(),
            verdict: change.map_or(Verdict::Unknown, |c| self.verdict(&c)),
            phase: pair.map_or_else(|| self.phase.clone(), |p| p.path.clone()),
            change,
        }
    }

    fn pair<'a>(&self, comparison: &'a Comparison) -> Option<&'a Pair> {
        let named = |path: Option<&str>| comparison.pairs.iter().find(|p| p.path.as_deref() == path);
        match &self.phase {
            Some(path) => named(Some(path)),
            None => {
                let train = named(Some("train")).filter(|p| comparison.change(p, self.quantity).is_some());
                train.or_else(|| named(None))
            }
        }
    }

    fn verdict(&self, change: &Change) -> Verdict {
        let excess = match self.beyond {
            Beyond::Above => change.relative - self.threshold,
            Beyond::Below => self.threshold - change.relative,
        };
        let half_width = change.half_width.unwrap_or(0.0);
        if excess > half_width {
            Verdict::Met
        } else if excess <= -half_width {
            Verdict::NotMet
        } else {
            Verdict::Undecided
        }
    }
}
