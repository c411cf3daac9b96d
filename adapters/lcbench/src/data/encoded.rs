//! A split as token ids, without special tokens: tokenized once, sliced for any sequence length.
//!
//! Rows lie end to end in one array with their offsets before it (`layout`), in memory or mapped from a file that an earlier run
//! left (`cache`). Special tokens are put round a row when it is cut to a length ([`Frame`](crate::tokenizer::Frame)), so one
//! cache serves every sequence length up to the one it was made for.

mod cache;
mod layout;

pub use cache::{CacheUse, default_folder};

use std::{num::NonZero, path::Path, thread};

use memmap2::Mmap;

use super::{Dataset, Example, Split};
use crate::tokenizer::{Tokenizer, TokenizerError};

/// Sources and targets of one split.
#[derive(Debug)]
pub struct Encoded {
    words: Words,
    rows: usize,
}

/// The layout's words, wherever they lie.
#[derive(Debug)]
enum Words {
    Memory(Vec<u32>),
    File(Mmap),
}

impl Encoded {
    /// Keeps at most `max_source` and `max_target` ids of a row: the longest that will be asked for.
    pub fn encode(
        examples: &[Example],
        tokenizer: &Tokenizer,
        max_source: usize,
        max_target: usize,
    ) -> Result<Self, TokenizerError> {
        let ids = |text: &str, max: usize| {
            let mut ids = tokenizer.ids(text)?;
            ids.truncate(max);
            Ok(ids)
        };
        let encode = |example: &Example| {
            let target = example
                .output
                .as_deref()
                .map(|output| ids(output, max_target))
                .transpose()?;
            Ok((ids(&example.input, max_source)?, target))
        };
        let threads = thread::available_parallelism().map_or(1, NonZero::get);
        let rows = in_parallel(examples, threads, encode)?;
        Ok(Self {
            rows: rows.len(),
            words: Words::Memory(layout::build(&rows, [0; 8])),
        })
    }

    /// As [`Encoded::encode`], from `folder` where an earlier run left the ids, and left there for the next one.
    /// A folder that cannot be used costs time, not the run: the second value says what happened.
    pub fn cached(
        folder: &Path,
        dataset: &Dataset,
        split: Split,
        tokenizer: &Tokenizer,
        max_source: usize,
        max_target: usize,
    ) -> Result<(Self, CacheUse), TokenizerError> {
        cache::open_or_encode(folder, dataset, split, tokenizer, max_source, max_target)
    }

    pub fn len(&self) -> usize {
        self.rows
    }

    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    pub fn source(&self, row: usize) -> &[u32] {
        layout::source(self.words(), self.rows, row)
    }

    /// `None` where the row has no output.
    pub fn target(&self, row: usize) -> Option<&[u32]> {
        layout::target(self.words(), self.rows, row)
    }

    fn words(&self) -> &[u32] {
        match &self.words {
            Words::Memory(words) => words,
            Words::File(map) => layout::words_of(map),
        }
    }
}

impl PartialEq for Encoded {
    fn eq(&self, other: &Self) -> bool {
        let all = |encoded: &Self, row| (encoded.source(row).to_vec(), encoded.target(row).map(<[u32]>::to_vec));
        self.rows == other.rows && (0..self.rows).all(|row| all(self, row) == all(other, row))
    }
}

/// `f` of each item, in order; the first error wins. Tokenizing is the only slow step before training starts.
fn in_parallel<T: Sync, R: Send, E: Send>(
    items: &[T],
    threads: usize,
    f: impl Fn(&T) -> Result<R, E> + Sync,
) -> Result<Vec<R>, E> {
    let share = items.len().div_ceil(threads).max(1);
    let done: Vec<Result<Vec<R>, E>> = thread::scope(|scope| {
        let parts: Vec<_> = items
            .chunks(share)
            .map(|part| scope.spawn(|| part.iter().map(&f).collect()))
            .collect();
        parts
            .into_iter()
            .map(|part| part.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    });
    let mut all = Vec::with_capacity(items.len());
    for part in done {
        all.extend(part?);
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{data::Builtin, tokenizer::Family};

    #[test]
    fn rows_come_back_cut_and_in_order() {
        let mut set = Dataset::builtin(&Builtin {
            train: 50,
            ..Builtin::default()
        });
        set.train[7].output = None;
        set.train[8].output = Some(String::new());
        let tokenizer = Tokenizer::bytes(Family::Led);
        let encoded = Encoded::encode(&set.train, &tokenizer, 300, 2).unwrap();
        assert_eq!(encoded.len(), 50);
        for (row, example) in set.train.iter().enumerate() {
            assert_eq!(encoded.source(row), &tokenizer.ids(&example.input).unwrap()[..300]);
            let target = example.output.as_ref().map(|output| tokenizer.ids(output).unwrap());
            assert_eq!(
                encoded.target(row),
                target.as_ref().map(|ids| &ids[..ids.len().min(2)]),
                "{row}"
            );
        }
        assert_eq!((encoded.target(7), encoded.target(8)), (None, Some(&[][..])));
    }
}
