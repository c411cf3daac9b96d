//! Long-document data sets: examples, their three splits, and where they come from.
//!
//! Owns the nouns [`Example`] and [`Dataset`] and the choice of a source: SCROLLS files (`scrolls`), the built-in task
//! (`builtin`) or sets shaped like the four SCROLLS sets (`shaped`). Turning text into ids is the tokenizer's, cutting ids
//! into rectangles `batch`'s. Nothing here knows libtorch.

pub mod batch;
pub mod builtin;
pub mod encoded;
mod error;
mod random;
mod scrolls;
mod shaped;

pub use builtin::Builtin;
pub use error::DataError;
pub use shaped::Published;

use std::path::Path;

use sha2::{Digest, Sha256};

/// One row of a SCROLLS file, its columns used verbatim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Example {
    /// The question's id: rows that share it are several answers to one question.
    pub id: String,
    /// The row's own id.
    pub pid: String,
    /// A query, a blank line and the document; or the document alone.
    pub input: String,
    /// Absent in published test splits.
    pub output: Option<String>,
}

/// A named set with its three splits; `test` may be empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dataset {
    pub name: String,
    pub train: Vec<Example>,
    pub validation: Vec<Example>,
    pub test: Vec<Example>,
}

/// Which part of a data set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Split {
    Train,
    Validation,
    Test,
}

impl Split {
    pub const ALL: [Self; 3] = [Self::Train, Self::Validation, Self::Test];

    /// The file's stem in a SCROLLS folder.
    pub fn name(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Validation => "validation",
            Self::Test => "test",
        }
    }
}

impl Dataset {
    /// Reads a SCROLLS folder or zip. `test.jsonl` may be missing, and its rows may lack `output`; the other two may not.
    pub fn load(path: &Path) -> Result<Self, DataError> {
        scrolls::load(path)
    }

    /// Writes a SCROLLS folder, for other programs to read.
    pub fn save(&self, dir: &Path) -> std::io::Result<()> {
        scrolls::save(self, dir)
    }

    /// A stand-in with the lengths of a published set.
    pub fn shaped(shape: Published, share: f64, seed: u64) -> Self {
        shaped::generate(shape, share, seed)
    }

    /// The deterministic task that needs no download.
    pub fn builtin(task: &Builtin) -> Self {
        builtin::generate(task)
    }

    pub fn split(&self, split: Split) -> &[Example] {
        match split {
            Split::Train => &self.train,
            Split::Validation => &self.validation,
            Split::Test => &self.test,
        }
    }

    /// SHA-256 over a split's texts in order: the same rows give the same key whatever file they came from.
    pub fn fingerprint(&self, split: Split) -> [u8; 32] {
        let mut hash = Sha256::new();
        for example in self.split(split) {
            for text in [Some(&example.input), example.output.as_ref()] {
                // Length and presence first, so that moving a byte from one text to the next changes the hash.
                hash.update(text.map_or(u64::MAX, |text| text.len() as u64).to_le_bytes());
                hash.update(text.map_or("", String::as_str));
            }
        }
        hash.finalize().into()
    }
}

/// One question with every answer that was given to it, in the order of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    pub id: String,
    /// Index of the first row with this id.
    pub row: usize,
    pub references: Vec<String>,
}

/// The evaluator's view of a split: the first row of each id, later answers appended to its references.
pub fn questions(examples: &[Example]) -> Vec<Question> {
    let mut at = std::collections::HashMap::new();
    let mut questions: Vec<Question> = Vec::new();
    for (row, example) in examples.iter().enumerate() {
        let slot = *at.entry(example.id.as_str()).or_insert_with(|| {
            questions.push(Question {
                id: example.id.clone(),
                row,
                references: Vec::new(),
            });
            questions.len() - 1
        });
        questions[slot].references.extend(example.output.clone());
    }
    questions
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example(id: &str, pid: &str, output: Option<&str>) -> Example {
        Example {
            id: id.into(),
            pid: pid.into(),
            input: format!("text of {id}"),
            output: output.map(Into::into),
        }
    }

    #[test]
    fn answers_to_one_question_are_gathered_in_file_order() {
        let rows = [
            example("a", "a0", Some("one")),
            example("b", "b0", Some("two")),
            example("a", "a1", Some("three")),
            example("c", "c0", None),
        ];
        let questions = questions(&rows);
        let ids: Vec<_> = questions.iter().map(|q| (q.id.as_str(), q.row)).collect();
        assert_eq!(ids, [("a", 0), ("b", 1), ("c", 3)]);
        assert_eq!(questions[0].references, ["one", "three"]);
        assert!(questions[2].references.is_empty());
    }

    #[test]
    fn fingerprint_tells_texts_apart_that_concatenate_alike() {
        let set = |input: &str, output: Option<&str>| {
            let row = Example {
                id: "i".into(),
                pid: "p".into(),
                input: input.into(),
                output: output.map(Into::into),
            };
            Dataset {
                name: "x".into(),
                train: vec![row],
                validation: vec![],
                test: vec![],
            }
            .fingerprint(Split::Train)
        };
        assert_eq!(set("ab", Some("c")), set("ab", Some("c")));
        assert_ne!(set("ab", Some("c")), set("a", Some("bc")));
        assert_ne!(set("ab", Some("")), set("ab", None));
    }
}
