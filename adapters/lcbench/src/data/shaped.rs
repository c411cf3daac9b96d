//! Stand-ins for the four SCROLLS sets of the study, where they cannot be had: as many rows, as long, in the same form, of words
//! that mean nothing. What they cost to train on is what the real ones cost; what a model scores on them says nothing.
//!
//! Counts and mean lengths in words: Shaham et al. (EMNLP 2022), tables 1 and 3. Only means are published: the spread (0.4 to 2.8
//! times the mean, skewed to the long side) is an assumption. Words follow Zipf's law over 8,191 made-up words.
//! The same shape, share and seed give the same set on any machine: integers and exactly rounded arithmetic only.

use super::{Dataset, Example, Split, random::SplitMix64};

/// The four SCROLLS sets of the study.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, clap::ValueEnum)]
pub enum Published {
    /// Summaries of government reports
    #[value(name = "gov_report")]
    GovReport,
    /// Recaps of television episodes
    #[value(name = "summ_screen_fd")]
    SummScreenFd,
    /// Query-based summaries of meetings
    #[value(name = "qmsum")]
    QmSum,
    /// Questions on papers
    Qasper,
}

struct Statistics {
    /// Rows of train, validation and test.
    rows: [usize; 3],
    input_words: usize,
    output_words: usize,
    /// Whether a query stands before the document.
    asks: bool,
}

impl Published {
    pub const ALL: [Self; 4] = [Self::GovReport, Self::SummScreenFd, Self::QmSum, Self::Qasper];

    /// SCROLLS' own name of the set.
    pub fn name(self) -> &'static str {
        match self {
            Self::GovReport => "gov_report",
            Self::SummScreenFd => "summ_screen_fd",
            Self::QmSum => "qmsum",
            Self::Qasper => "qasper",
        }
    }

    fn statistics(self) -> Statistics {
        let of = |rows, input_words, output_words, asks| Statistics {
            rows,
            input_words,
            output_words,
            asks,
        };
        match self {
            Self::GovReport => of([17_457, 972, 973], 7_886, 493, false),
            Self::SummScreenFd => of([3_673, 338, 337], 5_598, 100, false),
            Self::QmSum => of([1_257, 272, 281], 9_497, 70, true),
            Self::Qasper => of([2_567, 1_726, 1_399], 3_629, 12, true),
        }
    }
}

/// `share` of the rows (at least one a split), each of full length.
pub(super) fn generate(shape: Published, share: f64, seed: u64) -> Dataset {
    let statistics = shape.statistics();
    let words = Words::new();
    let split = |split: Split, rows: usize| {
        let rows = ((rows as f64 * share.clamp(0.0, 1.0)).round() as usize).max(1);
        (0..rows)
            .map(|row| example(&statistics, &words, split, row, seed))
            .collect()
    };
    let [train, validation, test] = statistics.rows;
    Dataset {
        name: format!("shaped-{}", shape.name()),
        train: split(Split::Train, train),
        validation: split(Split::Validation, validation),
        test: split(Split::Test, test),
    }
}

fn example(statistics: &Statistics, words: &Words, split: Split, row: usize, seed: u64) -> Example {
    let mut rng = SplitMix64::derived(seed, (split as u64 + 1) << 48 | row as u64);
    let mut input = String::new();
    let mut left = length(&mut rng, statistics.input_words);
    if statistics.asks {
        let n = 5 + rng.below(10);
        input.push_str("What of ");
        words.append(&mut rng, n, &mut input);
        input.push_str("?\n\n");
        left = left.saturating_sub(n + 2);
    }
    while left > 0 {
        let n = (8 + rng.below(20)).min(left);
        words.append_sentence(&mut rng, n, &mut input);
        left -= n;
    }
    let mut output = String::new();
    let n = length(&mut rng, statistics.output_words);
    words.append_sentence(&mut rng, n, &mut output);
    let id = format!("{}-{row}", split.name());
    let output = (split != Split::Test).then_some(output);
    Example {
        pid: format!("{id}-0"),
        id,
        input,
        output,
    }
}

/// Mean `mean`, from 0.4 to 2.8 of it: a product of two uniform numbers (mean 1/4) leans to the short side, its tail is long.
fn length(rng: &mut SplitMix64, mean: usize) -> usize {
    const STEPS: usize = 1 << 20;
    let product = (rng.below(STEPS) + 1) as f64 / STEPS as f64 * ((rng.below(STEPS) + 1) as f64 / STEPS as f64);
    ((mean as f64 * (0.4 + 2.4 * product)).round() as usize).max(1)
}

/// Made-up words by rank, frequent ones shorter.
struct Words(Vec<String>);

/// Ranks 2^k..2^(k+1) are drawn equally often for each k below this: Zipf's law with exponent 1, in integers.
const OCTAVES: usize = 13;

impl Words {
    fn new() -> Self {
        const ONSETS: [&str; 16] = [
            "t", "n", "s", "r", "l", "d", "c", "m", "p", "b", "f", "g", "h", "v", "st", "tr",
        ];
        const NUCLEI: [&str; 8] = ["e", "a", "i", "o", "u", "ea", "io", "er"];
        let word = |rank: usize| {
            let (mut rest, mut word) = (rank, String::new());
            while rest > 0 {
                word.push_str(ONSETS[rest % 16]);
                word.push_str(NUCLEI[rest / 16 % 8]);
                rest /= 128;
            }
            word
        };
        Self((1..1 << OCTAVES).map(word).collect())
    }

    fn draw(&self, rng: &mut SplitMix64) -> &str {
        let octave = rng.below(OCTAVES);
        &self.0[(1 << octave) + rng.below(1 << octave) - 1]
    }

    fn append(&self, rng: &mut SplitMix64, n: usize, onto: &mut String) {
        for i in 0..n {
            if i > 0 {
                onto.push(' ');
            }
            onto.push_str(self.draw(rng));
        }
    }

    fn append_sentence(&self, rng: &mut SplitMix64, n: usize, onto: &mut String) {
        if !onto.is_empty() && !onto.ends_with('\n') {
            onto.push(' ');
        }
        let start = onto.len();
        self.append(rng, n, onto);
        onto[start..]
            .get_mut(..1)
            .map(str::make_ascii_uppercase)
            .unwrap_or_default();
        onto.push('.');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn means_and_forms_are_the_published_ones() {
        for shape in Published::ALL {
            let statistics = shape.statistics();
            let share = 400.0 / statistics.rows[0] as f64;
            let set = generate(shape, share, 1);
            assert_eq!(set.train.len(), 400);
            let mean = |text: &dyn Fn(&Example) -> usize| set.train.iter().map(text).sum::<usize>() as f64 / 400.0;
            let input = mean(&|row| row.input.split_whitespace().count());
            let output = mean(&|row| row.output.as_ref().unwrap().split_whitespace().count());
            // The spread is 0.53 of the mean, so the mean of 400 lies within 4 standard errors (0.106) of it.
            assert!(
                (input / statistics.input_words as f64 - 1.0).abs() < 0.11,
                "{shape:?}: {input}"
            );
            assert!(
                (output / statistics.output_words as f64 - 1.0).abs() < 0.16,
                "{shape:?}: {output}"
            );
            assert_eq!(set.train.iter().all(|row| row.input.contains("\n\n")), statistics.asks);
            assert!(set.test.iter().all(|row| row.output.is_none()));
        }
    }

    #[test]
    fn whole_sets_have_the_published_number_of_rows() {
        let set = generate(Published::Qasper, 1.0, 1);
        assert_eq!(
            (set.train.len(), set.validation.len(), set.test.len()),
            (2_567, 1_726, 1_399)
        );
        assert_eq!(generate(Published::QmSum, 0.0, 1).train.len(), 1);
    }

    #[test]
    fn words_differ_and_a_seed_repeats() {
        let words = Words::new().0;
        assert_eq!(
            words.iter().collect::<std::collections::HashSet<_>>().len(),
            words.len()
        );
        assert_eq!(words.len(), (1 << OCTAVES) - 1);
        let set = |seed| generate(Published::QmSum, 0.01, seed);
        assert_eq!(set(3), set(3));
        assert_ne!(set(3).train[0], set(4).train[0]);
    }
}
