//! Encoded rows cut and padded to rectangles, in a seeded order.
//!
//! As the study's recipe does it: every source is padded to exactly `seq_len` and every target to exactly `target_len`, padding
//! on the right, -100 where a label is padding; each epoch is one permutation of all rows, and the last, short batch is kept.
//! The order depends on (seed, epoch) alone, so a resumed run sees the batches the interrupted one would have seen.

use super::{encoded::Encoded, random::SplitMix64};
use crate::tokenizer::Frame;

/// What cross-entropy ignores.
pub const IGNORED_LABEL: i64 = -100;

/// A rectangle of sources and one of labels; both row-major.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// (B, seq_len), padded with the tokenizer's pad id.
    pub source: Vec<i64>,
    /// Ids of each source that are not padding.
    pub lengths: Vec<usize>,
    /// (B, target_len), padded with [`IGNORED_LABEL`]; all of it where a row has no output.
    pub labels: Vec<i64>,
    /// Which examples of the split these are.
    pub rows: Vec<usize>,
    pub seq_len: usize,
    pub target_len: usize,
}

impl Batch {
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Source ids and labels that are not padding: the work that was asked for.
    pub fn tokens(&self) -> usize {
        self.lengths.iter().sum::<usize>() + self.labels.iter().filter(|&&id| id != IGNORED_LABEL).count()
    }
}

/// The order in which a split is gone through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// As in the file.
    File,
    /// A new permutation each epoch.
    Shuffled { seed: u64 },
}

/// Cuts one split into batches.
#[derive(Clone, Debug)]
pub struct Batcher<'a> {
    encoded: &'a Encoded,
    /// The rows that are gone through; all of them where there is no list.
    rows: Option<Vec<usize>>,
    frame: Frame,
    seq_len: usize,
    target_len: usize,
    batch_size: usize,
    order: Order,
}

impl<'a> Batcher<'a> {
    /// `batch_size` must not be 0, and both lengths must hold the special tokens ([`Frame::SMALLEST`]).
    pub fn new(
        encoded: &'a Encoded,
        frame: Frame,
        seq_len: usize,
        target_len: usize,
        batch_size: usize,
        order: Order,
    ) -> Self {
        assert!(batch_size > 0, "a batch holds at least one row");
        assert!(
            seq_len.min(target_len) >= Frame::SMALLEST,
            "a sequence holds at least the special tokens"
        );
        Self {
            encoded,
            rows: None,
            frame,
            seq_len,
            target_len,
            batch_size,
            order,
        }
    }

    /// Goes through these rows alone; [`Order::File`] then means as listed.
    pub fn only(mut self, rows: Vec<usize>) -> Self {
        self.rows = Some(rows);
        self
    }

    /// Rows in one epoch.
    fn rows(&self) -> usize {
        self.rows.as_ref().map_or(self.encoded.len(), Vec::len)
    }

    /// Batches in one epoch, the short one included.
    pub fn batches(&self) -> usize {
        self.rows().div_ceil(self.batch_size)
    }

    /// The batches of epoch `epoch` (from 0).
    pub fn epoch(&self, epoch: u64) -> Epoch<'_> {
        let order = match self.order {
            Order::File => (0..self.rows()).collect(),
            Order::Shuffled { seed } => SplitMix64::derived(seed, epoch).permutation(self.rows()),
        };
        let rows = match &self.rows {
            None => order,
            Some(listed) => order.into_iter().map(|at| listed[at]).collect(),
        };
        Epoch {
            batcher: self,
            rows,
            next: 0,
        }
    }

    /// The named rows as one batch.
    pub fn batch(&self, rows: &[usize]) -> Batch {
        let (mut source, mut labels) = (Vec::new(), Vec::new());
        let mut lengths = Vec::with_capacity(rows.len());
        source.reserve_exact(rows.len() * self.seq_len);
        labels.reserve_exact(rows.len() * self.target_len);
        for (n, &row) in rows.iter().enumerate() {
            let ids = self.encoded.source(row);
            self.frame.append_source(ids, self.seq_len, &mut source);
            lengths.push(source.len() - n * self.seq_len);
            source.resize((n + 1) * self.seq_len, self.frame.pad);
            let ids = self.encoded.target(row);
            if let Some(ids) = ids {
                self.frame.append_target(ids, self.target_len, &mut labels);
            }
            labels.resize((n + 1) * self.target_len, IGNORED_LABEL);
        }
        Batch {
            source,
            lengths,
            labels,
            rows: rows.to_vec(),
            seq_len: self.seq_len,
            target_len: self.target_len,
        }
    }
}

/// One pass over a split.
#[derive(Clone, Debug)]
pub struct Epoch<'a> {
    batcher: &'a Batcher<'a>,
    rows: Vec<usize>,
    next: usize,
}

impl Epoch<'_> {
    /// Leaves out the first `batches` batches without building them: where a resumed run goes on.
    pub fn starting_at(mut self, batches: usize) -> Self {
        self.next = batches.saturating_mul(self.batcher.batch_size).min(self.rows.len());
        self
    }
}

impl Iterator for Epoch<'_> {
    type Item = Batch;

    fn next(&mut self) -> Option<Batch> {
        let end = (self.next + self.batcher.batch_size).min(self.rows.len());
        let rows = &self.rows[self.next..end];
        self.next = end;
        (!rows.is_empty()).then(|| self.batcher.batch(rows))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = (self.rows.len() - self.next).div_ceil(self.batcher.batch_size);
        (left, Some(left))
    }
}

impl ExactSizeIterator for Epoch<'_> {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        data::{Builtin, Dataset, Example},
        tokenizer::{Family, Tokenizer},
    };

    fn examples(n: usize) -> Vec<Example> {
        Dataset::builtin(&Builtin {
            train: n,
            ..Builtin::default()
        })
        .train
    }

    fn encoded(examples: &[Example]) -> Encoded {
        Encoded::encode(examples, &Tokenizer::bytes(Family::Led), 4096, 128).unwrap()
    }

    #[test]
    fn every_row_is_seen_once_an_epoch_and_the_short_batch_is_kept() {
        let encoded = encoded(&examples(23));
        let frame = Tokenizer::bytes(Family::Led).frame();
        let batcher = Batcher::new(&encoded, frame, 64, 8, 5, Order::Shuffled { seed: 42 });
        let rows = |epoch| batcher.epoch(epoch).flat_map(|batch| batch.rows).collect::<Vec<_>>();
        for epoch in 0..3 {
            let sizes: Vec<usize> = batcher.epoch(epoch).map(|batch| batch.len()).collect();
            assert_eq!(sizes, [5, 5, 5, 5, 3]);
            assert_eq!((batcher.batches(), batcher.epoch(epoch).len()), (5, 5));
            let mut sorted = rows(epoch);
            sorted.sort_unstable();
            assert_eq!(sorted, (0..23).collect::<Vec<_>>());
        }
        assert_eq!(rows(1), rows(1));
        assert_ne!(rows(0), rows(1));
        let in_file_order = Batcher::new(&encoded, frame, 64, 8, 5, Order::File);
        assert_eq!(
            in_file_order.epoch(9).flat_map(|batch| batch.rows).collect::<Vec<_>>(),
            (0..23).collect::<Vec<_>>()
        );
    }

    #[test]
    fn a_list_of_rows_is_gone_through_as_listed() {
        let encoded = encoded(&examples(23));
        let frame = Tokenizer::bytes(Family::Led).frame();
        let listed = |order| Batcher::new(&encoded, frame, 64, 8, 2, order).only(vec![7, 3, 20]);
        let rows = |batcher: &Batcher<'_>| batcher.epoch(0).flat_map(|batch| batch.rows).collect::<Vec<_>>();
        assert_eq!(rows(&listed(Order::File)), [7, 3, 20]);
        assert_eq!(listed(Order::File).batches(), 2);
        let mut shuffled = rows(&listed(Order::Shuffled { seed: 3 }));
        shuffled.sort_unstable();
        assert_eq!(shuffled, [3, 7, 20]);
    }

    #[test]
    fn a_resumed_epoch_goes_on_where_it_was_left() {
        let encoded = encoded(&examples(23));
        let frame = Tokenizer::bytes(Family::Led).frame();
        let batcher = Batcher::new(&encoded, frame, 64, 8, 5, Order::Shuffled { seed: 1 });
        let whole: Vec<Batch> = batcher.epoch(2).collect();
        for done in 0..=6 {
            let rest: Vec<Batch> = batcher.epoch(2).starting_at(done).collect();
            assert_eq!(rest, whole[done.min(5)..]);
        }
    }

    #[test]
    fn sources_and_labels_are_padded_to_exact_rectangles() {
        let row = |input: &str, output: Option<&str>| Example {
            id: "i".into(),
            pid: "p".into(),
            input: input.into(),
            output: output.map(Into::into),
        };
        let rows = [row("ab", Some("c")), row("abcdefgh", Some("vwxyz")), row("", None)];
        for (family, first, second) in [
            (Family::Led, [0, 101, 102, 2, 1, 1], [0, 101, 102, 103, 104, 2]),
            (
                Family::BigBirdPegasus,
                [101, 102, 1, 0, 0, 0],
                [101, 102, 103, 104, 105, 1],
            ),
        ] {
            let frame = Tokenizer::bytes(family).frame();
            let encoded = encoded(&rows);
            let batch = Batcher::new(&encoded, frame, 6, 4, 3, Order::File).batch(&[0, 1, 2]);
            assert_eq!((&batch.source[..6], &batch.source[6..12]), (&first[..], &second[..]));
            assert_eq!(batch.labels[8..], [IGNORED_LABEL; 4]);
            let specials = if family == Family::Led { 2 } else { 1 };
            assert_eq!(batch.lengths, [2 + specials, 6, specials]);
            let labelled = (1 + specials) + 4;
            assert_eq!(batch.tokens(), batch.lengths.iter().sum::<usize>() + labelled);
            assert_eq!((batch.source.len(), batch.labels.len()), (3 * 6, 3 * 4));
        }
    }
}
