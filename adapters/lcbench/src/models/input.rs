//! One batch as the models take it: device tensors, and what the host knows of them without asking the device.

use tch::{Device, Kind, Tensor};

/// Which source tokens see, and are seen by, every token (LED).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Globals {
    /// No token is global: plain sliding windows.
    None,
    /// The first token of every row: what the study and all published recipes for these data use.
    First,
    /// Positions for each row, in any number.
    Rows(Vec<Vec<usize>>),
}

/// The encoder's side.
#[derive(Debug)]
pub struct Source {
    /// (B, S), padded to the right.
    pub ids: Tensor,
    /// (B, 1): real tokens in each row, 1..=S.
    lengths: Tensor,
    padded: bool,
    /// Positions that are listed are real ones.
    pub globals: Globals,
}

impl Source {
    /// `ids` is row-major with `lengths.len()` rows. A global token on a padded position does not exist: padding wins, as in
    /// transformers.
    pub fn new(ids: &[i64], lengths: &[usize], globals: Globals, device: Device) -> Self {
        let ids = Tensor::from_slice(ids)
            .view([lengths.len() as i64, -1])
            .to_device(device);
        let positions = ids.size()[1];
        let globals = match globals {
            Globals::Rows(rows) => {
                let real = |(at, n): (&Vec<usize>, &usize)| at.iter().copied().filter(|p| p < n).collect();
                Globals::Rows(rows.iter().zip(lengths).map(real).collect())
            }
            same => same,
        };
        Self {
            ids,
            lengths: column(lengths).to_device(device),
            padded: lengths.iter().any(|length| (*length as i64) < positions),
            globals,
        }
    }

    /// Room for batches of `rows` times `positions`, loaded one after the other ([`Source::load`]). What is computed from it is the
    /// same work for each of them, whatever their padding.
    pub fn room(rows: usize, positions: usize, globals: Globals, device: Device) -> Self {
        assert!(
            !matches!(globals, Globals::Rows(_)),
            "the positions would be those of one batch"
        );
        let full = vec![positions; rows];
        Self {
            padded: true,
            ..Self::new(&vec![0; rows * positions], &full, globals, device)
        }
    }

    /// Another batch of the same shape into the same memory.
    pub fn load(&mut self, ids: &[i64], lengths: &[usize]) {
        fill(&mut self.ids, &Tensor::from_slice(ids));
        fill(&mut self.lengths, &column(lengths));
    }

    pub fn rows(&self) -> i64 {
        self.ids.size()[0]
    }

    pub fn positions(&self) -> i64 {
        self.ids.size()[1]
    }

    /// (B, S): true where a token is real.
    pub fn real(&self) -> Tensor {
        Tensor::arange(self.positions(), (Kind::Int64, self.ids.device())).lt_tensor(&self.lengths)
    }

    /// Whether any row is, or may come to be, shorter than S.
    pub fn is_padded(&self) -> bool {
        self.padded
    }
}

fn column(lengths: &[usize]) -> Tensor {
    let lengths: Vec<i64> = lengths.iter().map(|length| *length as i64).collect();
    Tensor::from_slice(&lengths).unsqueeze(1)
}

/// `place` keeps its memory; `values` has as many elements.
fn fill(place: &mut Tensor, values: &Tensor) {
    let values = values.view_as(place);
    place.copy_(&values);
}

/// The decoder's side: what it is fed, and the rows of its output that are scored.
#[derive(Debug)]
pub struct Target {
    /// (B, T): the labels shifted right behind the start token, with -100 as padding.
    pub decoder_ids: Tensor,
    pub scored: Scored,
    /// One label for each row that is scored.
    pub labels: Tensor,
    /// How many labels count.
    pub count: usize,
}

/// Which of the decoder's B·T rows the loss is made of.
#[derive(Debug)]
pub enum Scored {
    All,
    /// Flat positions of those whose label counts.
    Rows(Tensor),
    /// All of them, with the weight that each has in the mean: 0, or one over the number that count.
    Weighted(Tensor),
}

/// Label value that takes no part in the loss (torch's `ignore_index`).
pub const IGNORED: i64 = -100;

impl Target {
    /// `labels` is row-major with `rows` rows. At least one label must count, else the loss is undefined.
    pub fn new(labels: &[i64], rows: usize, start: i64, pad: i64, device: Device) -> Self {
        let scored: Vec<i64> = (0..labels.len() as i64)
            .filter(|i| labels[*i as usize] != IGNORED)
            .collect();
        let kept: Vec<i64> = scored.iter().map(|i| labels[*i as usize]).collect();
        let all = scored.len() == labels.len();
        Self {
            decoder_ids: shifted(labels, rows, start, pad)
                .view([rows as i64, -1])
                .to_device(device),
            scored: if all {
                Scored::All
            } else {
                Scored::Rows(Tensor::from_slice(&scored).to_device(device))
            },
            labels: Tensor::from_slice(&kept).to_device(device),
            count: kept.len(),
        }
    }

    /// Room for batches of `rows` times `width` labels ([`Target::load`]): the same work for each of them, however many count.
    pub fn room(rows: usize, width: usize, device: Device) -> Self {
        let shape = [rows as i64, width as i64];
        let each = rows * width;
        Self {
            decoder_ids: Tensor::zeros(shape, (Kind::Int64, device)),
            scored: Scored::Weighted(Tensor::zeros([each as i64], (Kind::Float, device))),
            labels: Tensor::zeros([each as i64], (Kind::Int64, device)),
            count: 0,
        }
    }

    /// Another batch of the same shape into the room.
    pub fn load(&mut self, labels: &[i64], start: i64, pad: i64) {
        let Scored::Weighted(weights) = &mut self.scored else {
            panic!("only room can be loaded");
        };
        let counts = |id: &&i64| **id != IGNORED;
        self.count = labels.iter().filter(counts).count();
        let share = 1.0 / self.count as f32;
        let weight = |id: &i64| if *id == IGNORED { 0.0 } else { share };
        fill(
            weights,
            &Tensor::from_slice(&labels.iter().map(weight).collect::<Vec<f32>>()),
        );
        let shifted = shifted(labels, self.decoder_ids.size()[0] as usize, start, pad);
        fill(&mut self.decoder_ids, &shifted);
        // Any label will do where none counts.
        let any: Vec<i64> = labels.iter().map(|id| (*id).max(0)).collect();
        fill(&mut self.labels, &Tensor::from_slice(&any));
    }
}

/// What the decoder is fed: each row's labels one place further, behind the start token (flat).
fn shifted(labels: &[i64], rows: usize, start: i64, pad: i64) -> Tensor {
    let width = labels.len() / rows;
    let shifted = labels.chunks(width).flat_map(|row| {
        let before = row[..width - 1].iter().map(|id| if *id == IGNORED { pad } else { *id });
        std::iter::once(start).chain(before)
    });
    Tensor::from_slice(&shifted.collect::<Vec<i64>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(tensor: &Tensor) -> Vec<i64> {
        Vec::<i64>::try_from(tensor.view([-1])).unwrap()
    }

    #[test]
    fn labels_are_shifted_and_the_ignored_left_out() {
        let target = Target::new(&[5, 6, -100, 7, 8, 9], 2, 2, 1, Device::Cpu);
        assert_eq!(values(&target.decoder_ids), [2, 5, 6, 2, 7, 8]);
        let Scored::Rows(rows) = &target.scored else {
            panic!("{target:?}");
        };
        assert_eq!(values(rows), [0, 1, 3, 4, 5]);
        assert_eq!(values(&target.labels), [5, 6, 7, 8, 9]);
        assert_eq!(target.count, 5);
        assert!(matches!(Target::new(&[5, 6], 1, 2, 1, Device::Cpu).scored, Scored::All));
    }

    #[test]
    fn room_holds_one_batch_after_another_in_the_same_memory() {
        let mut target = Target::room(2, 3, Device::Cpu);
        let place = target.labels.data_ptr();
        for labels in [[5, 6, -100, 7, 8, 9], [5, -100, -100, 7, -100, -100]] {
            target.load(&labels, 2, 1);
            let fresh = Target::new(&labels, 2, 2, 1, Device::Cpu);
            assert_eq!(values(&target.decoder_ids), values(&fresh.decoder_ids));
            let Scored::Weighted(weights) = &target.scored else {
                panic!("{target:?}");
            };
            let weights = Vec::<f32>::try_from(weights).unwrap();
            let counted: Vec<bool> = labels.iter().map(|id| *id != IGNORED).collect();
            assert_eq!(weights.iter().map(|w| *w > 0.0).collect::<Vec<_>>(), counted);
            assert!((weights.iter().sum::<f32>() - 1.0).abs() < 1e-6);
            assert_eq!(target.count, fresh.count);
        }
        assert_eq!(target.labels.data_ptr(), place);
    }

    #[test]
    fn rooms_padding_is_that_of_the_batch_in_it() {
        let mut source = Source::room(2, 3, Globals::First, Device::Cpu);
        let real = |source: &Source| values(&source.real().to_kind(Kind::Int64));
        assert!(source.is_padded());
        for lengths in [[3, 1], [2, 3], [3, 3]] {
            source.load(&[1, 2, 3, 4, 5, 6], &lengths);
            let fresh = Source::new(&[1, 2, 3, 4, 5, 6], &lengths, Globals::First, Device::Cpu);
            assert_eq!(real(&source), real(&fresh));
            assert_eq!(values(&source.ids), values(&fresh.ids));
        }
        let fresh = Source::new(&[1, 2, 3], &[2], Globals::Rows(vec![vec![0, 1, 2]]), Device::Cpu);
        assert_eq!(fresh.globals, Globals::Rows(vec![vec![0, 1]]), "padding wins");
    }
}
