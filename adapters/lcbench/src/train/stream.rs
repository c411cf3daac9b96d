//! Batches in the order of training, epoch after epoch, grouped into steps.

use serde::{Deserialize, Serialize};

use crate::data::batch::{Batch, Batcher, Epoch};

/// Where in the data a training stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    pub epoch: u64,
    /// Batches of this epoch that were taken.
    pub batches: u64,
}

#[derive(Debug)]
pub(super) struct Stream<'a> {
    batches: &'a Batcher<'a>,
    accumulate: u64,
    epoch: Epoch<'a>,
    place: Place,
}

impl<'a> Stream<'a> {
    pub(super) fn starting_at(place: Place, batches: &'a Batcher<'a>, accumulate: usize) -> Self {
        Self {
            epoch: batches.epoch(place.epoch).starting_at(place.batches as usize),
            batches,
            accumulate: accumulate as u64,
            place,
        }
    }

    /// The next batch, and whether a step follows it. As in transformers 4.11: every `accumulate`th batch of an epoch ends a step,
    /// and so does the last one of an epoch with fewer. Others left over at an epoch's end join the next epoch's first step.
    pub(super) fn next(&mut self) -> Option<(Batch, bool)> {
        let batch = match self.epoch.next() {
            Some(batch) => batch,
            None => {
                self.place = Place {
                    epoch: self.place.epoch + 1,
                    batches: 0,
                };
                self.epoch = self.batches.epoch(self.place.epoch);
                self.epoch.next()?
            }
        };
        self.place.batches += 1;
        let (taken, all) = (self.place.batches, self.batches.batches() as u64);
        let ends = taken.is_multiple_of(self.accumulate) || (all <= self.accumulate && taken == all);
        Some((batch, ends))
    }

    pub(super) fn place(&self) -> Place {
        self.place
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        data::{Builtin, Dataset, batch::Order, encoded::Encoded},
        tokenizer::{Family, Tokenizer},
    };

    fn rows_and_ends(n: usize, accumulate: usize, from: Place, steps: usize) -> Vec<(Vec<usize>, bool)> {
        let tokenizer = Tokenizer::bytes(Family::Led);
        let task = Builtin {
            train: n,
            ..Builtin::default()
        };
        let encoded = Encoded::encode(&Dataset::builtin(&task).train, &tokenizer, 64, 8).unwrap();
        let batches = Batcher::new(&encoded, tokenizer.frame(), 64, 8, 2, Order::Shuffled { seed: 5 });
        let mut stream = Stream::starting_at(from, &batches, accumulate);
        (0..steps)
            .map(|_| stream.next().map(|(batch, ends)| (batch.rows, ends)).unwrap())
            .collect()
    }

    #[test]
    fn left_over_batches_join_the_next_step() {
        // Seven batches an epoch (13 rows), three a step: one is left over, and the step after it has four.
        let ends: Vec<bool> = rows_and_ends(13, 3, Place::default(), 14)
            .into_iter()
            .map(|(_, ends)| ends)
            .collect();
        let epoch = [false, false, true, false, false, true, false];
        assert_eq!(ends, [epoch, epoch].concat());
        // Two batches an epoch, five a step: each epoch makes one.
        let ends: Vec<bool> = rows_and_ends(3, 5, Place::default(), 4)
            .into_iter()
            .map(|(_, ends)| ends)
            .collect();
        assert_eq!(ends, [false, true, false, true]);
    }

    #[test]
    fn a_resumed_stream_goes_on_where_it_was() {
        let whole = rows_and_ends(13, 2, Place::default(), 20);
        for taken in 0..14 {
            let place = Place {
                epoch: taken / 7,
                batches: taken % 7,
            };
            assert_eq!(rows_and_ends(13, 2, place, 6), whole[taken as usize..][..6], "{taken}");
        }
        let end = Place { epoch: 0, batches: 7 };
        assert_eq!(rows_and_ends(13, 2, end, 6), whole[7..13]);
    }
}
