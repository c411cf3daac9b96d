//! The built-in task: a question whose answer stands far back in a long text, made from a seed.
//!
//! An input is `Which metal?`, a blank line, and filler in which four facts (`The metal is tin.`) stand, one per subject, all in
//! the document's second half. The output is the word asked for. A model must read the question at the front and fetch one word
//! thousands of bytes later: the shape of the SCROLLS question sets, small enough to be learnt in minutes on a CPU.
//!
//! The sixteen answers begin with sixteen different letters: only an answer's first byte has to be retrieved, the rest is
//! spelling. Guessing without reading the question is right 1 time in 16, guessing without the document 1 in 4.
//! The same [`Builtin`] gives the same set, on any machine and in any version.

use super::{Dataset, Example, random::SplitMix64};

/// Sizes and seed of the built-in task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Builtin {
    pub train: usize,
    pub validation: usize,
    pub test: usize,
    /// Bytes of an input: each is at most this long and at most one sentence shorter. Take what the sequence holds
    /// (its length less the special tokens), so that truncation never cuts an answer off.
    pub length: usize,
    pub seed: u64,
}

impl Default for Builtin {
    fn default() -> Self {
        Self {
            train: 2048,
            validation: 64,
            test: 64,
            length: 1022,
            seed: 42,
        }
    }
}

/// Each subject with the words it can be answered by.
const SUBJECTS: [(&str, [&str; 4]); 4] = [
    ("colour", ["red", "blue", "green", "pink"]),
    ("animal", ["fox", "cat", "owl", "hen"]),
    ("metal", ["zinc", "iron", "tin", "lead"]),
    ("fruit", ["apple", "kiwi", "mango", "date"]),
];

/// Filler that names no subject and no answer.
const FILLER: [&str; 12] = [
    "We sat for a while by the window. ",
    "No one spoke. ",
    "The rain went on until noon. ",
    "A letter came by the evening post. ",
    "She read it twice, then put it away. ",
    "Nobody knew what to say. ",
    "They walked down to the shore. ",
    "It was a long way back. ",
    "The road ran beside a wall. ",
    "He said that he would wait. ",
    "Later the wind turned. ",
    "So the day passed. ",
];

/// The shortest input in which question and facts still fit with room to spare.
pub const MIN_LENGTH: usize = 256;

pub(super) fn generate(task: &Builtin) -> Dataset {
    let split = |name: &str, purpose, n| (0..n).map(|row| example(task, name, purpose, row)).collect();
    Dataset {
        name: "builtin".into(),
        train: split("train", 1, task.train),
        validation: split("validation", 2, task.validation),
        test: split("test", 3, task.test),
    }
}

fn example(task: &Builtin, split: &str, purpose: u64, row: usize) -> Example {
    let mut rng = SplitMix64::derived(task.seed, (purpose << 48) | row as u64);
    let answers = SUBJECTS.map(|(_, words)| *rng.pick(&words));
    let asked = rng.below(SUBJECTS.len());
    let input = document(&mut rng, task.length.max(MIN_LENGTH), SUBJECTS[asked].0, &answers);
    let id = format!("{split}-{row}");
    Example {
        pid: format!("{id}-0"),
        id,
        input,
        output: Some(answers[asked].into()),
    }
}

fn document(rng: &mut SplitMix64, length: usize, asked: &str, answers: &[&str; 4]) -> String {
    let mut text = format!("Which {asked}?\n\n");
    let order = rng.permutation(SUBJECTS.len());
    let mut facts = order
        .iter()
        .map(|&s| format!("The {} is {}. ", SUBJECTS[s].0, answers[s]))
        .collect::<Vec<_>>();
    let facts_length: usize = facts.iter().map(String::len).sum();
    // Places, in bytes, after which the next fact is due; sorted, so that popping from the back takes the earliest.
    let (first, last) = (length / 2, length - facts_length - longest_filler());
    let mut due: Vec<usize> = facts.iter().map(|_| first + rng.below((last - first).max(1))).collect();
    due.sort_unstable_by(|a, b| b.cmp(a));
    loop {
        let sentence = *rng.pick(&FILLER);
        if due.last().is_some_and(|&place| text.len() >= place) {
            due.pop();
            text.push_str(&facts.pop().unwrap_or_default());
        } else if text.len() + sentence.len() <= length {
            text.push_str(sentence);
        } else {
            break;
        }
    }
    text
}

fn longest_filler() -> usize {
    FILLER.iter().map(|sentence| sentence.len()).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    fn check(example: &Example, length: usize) {
        let answer = example.output.as_deref().unwrap();
        let (question, document) = example.input.split_once("\n\n").unwrap();
        let subject = question.strip_prefix("Which ").unwrap().strip_suffix('?').unwrap();
        let fact = format!("The {subject} is {answer}. ");
        assert_eq!(document.matches(&fact).count(), 1, "{}", example.input);
        assert!(example.input.find(&fact).unwrap() >= length / 2, "{}", example.input);
        assert!(example.input.len() <= length, "{} > {length}", example.input.len());
        assert!(example.input.len() + longest_filler() > length);
        for (other, _) in SUBJECTS {
            assert_eq!(document.matches(&format!("The {other} is ")).count(), 1);
        }
    }

    #[test]
    fn each_answer_stands_once_in_the_second_half() {
        for length in [MIN_LENGTH, 510, 1022, 4094] {
            let set = generate(&Builtin {
                train: 200,
                length,
                ..Builtin::default()
            });
            for example in set.train.iter().chain(&set.validation).chain(&set.test) {
                check(example, length);
            }
        }
    }

    #[test]
    fn splits_and_seeds_differ_and_a_seed_repeats() {
        let task = Builtin::default();
        let set = generate(&task);
        assert_eq!(set, generate(&task));
        let inputs: HashSet<_> = set
            .train
            .iter()
            .chain(&set.validation)
            .chain(&set.test)
            .map(|e| &e.input)
            .collect();
        assert_eq!(
            inputs.len(),
            task.train + task.validation + task.test,
            "no text may stand in two splits"
        );
        assert_ne!(set.train[0], generate(&Builtin { seed: 43, ..task }).train[0]);
    }

    /// The set is data that results refer to: it may not change by accident.
    #[test]
    fn default_set_is_frozen() {
        let hash = generate(&Builtin::default()).fingerprint(crate::data::Split::Train);
        let hex: String = hash.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, "fb402b77e62d81a6");
    }

    #[test]
    fn answers_begin_with_different_letters_and_never_stand_in_filler() {
        let words: Vec<_> = SUBJECTS.iter().flat_map(|(_, words)| words).collect();
        let initials: HashSet<_> = words.iter().map(|word| word.as_bytes()[0]).collect();
        assert_eq!(initials.len(), words.len());
        let filler: HashSet<String> = FILLER
            .concat()
            .split(|c: char| !c.is_alphabetic())
            .map(str::to_lowercase)
            .collect();
        for word in words.iter().copied().chain(SUBJECTS.iter().map(|(name, _)| name)) {
            assert!(!filler.contains(*word), "{word}");
        }
    }
}
