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
    /// Real tokens in each row, 1..=S.
    pub lengths: Vec<usize>,
    pub globals: Globals,
}

impl Source {
    /// `ids` is row-major with `lengths.len()` rows.
    pub fn new(ids: &[i64], lengths: &[usize], globals: Globals, device: Device) -> Self {
        let rows = lengths.len() as i64;
        let ids = Tensor::from_slice(ids).view([rows, -1]).to_device(device);
        Self {
            ids,
            lengths: lengths.to_vec(),
            globals,
        }
    }

    pub fn rows(&self) -> i64 {
        self.lengths.len() as i64
    }

    pub fn positions(&self) -> i64 {
        self.ids.size()[1]
    }

    /// (B, S): true where a token is real.
    pub fn real(&self) -> Tensor {
        let device = self.ids.device();
        let lengths: Vec<i64> = self.lengths.iter().map(|length| *length as i64).collect();
        let lengths = Tensor::from_slice(&lengths).to_device(device).unsqueeze(1);
        Tensor::arange(self.positions(), (Kind::Int64, device)).lt_tensor(&lengths)
    }

    pub fn is_padded(&self) -> bool {
        self.lengths.iter().any(|length| (*length as i64) < self.positions())
    }
}

/// The decoder's side: what it is fed, and the rows of its output that are scored.
#[derive(Debug)]
pub struct Target {
    /// (B, T): the labels shifted right behind the start token, with -100 as padding.
    pub decoder_ids: Tensor,
    /// Flat positions in B·T whose label counts; `None` where all do.
    pub scored: Option<Tensor>,
    /// The labels at those positions.
    pub labels: Tensor,
    /// How many labels count.
    pub count: usize,
}

/// Label value that takes no part in the loss (torch's `ignore_index`).
pub const IGNORED: i64 = -100;

impl Target {
    /// `labels` is row-major with `rows` rows. At least one label must count, else the loss is undefined.
    pub fn new(labels: &[i64], rows: usize, start: i64, pad: i64, device: Device) -> Self {
        let width = labels.len() / rows;
        let shifted = labels.chunks(width).flat_map(|row| {
            let before = row[..width - 1].iter().map(|id| if *id == IGNORED { pad } else { *id });
            std::iter::once(start).chain(before)
        });
        let shifted: Vec<i64> = shifted.collect();
        let scored: Vec<i64> = (0..labels.len() as i64)
            .filter(|i| labels[*i as usize] != IGNORED)
            .collect();
        let kept: Vec<i64> = scored.iter().map(|i| labels[*i as usize]).collect();
        let all = scored.len() == labels.len();
        Self {
            decoder_ids: Tensor::from_slice(&shifted)
                .view([rows as i64, width as i64])
                .to_device(device),
            scored: (!all).then(|| Tensor::from_slice(&scored).to_device(device)),
            labels: Tensor::from_slice(&kept).to_device(device),
            count: kept.len(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_shifted_and_the_ignored_left_out() {
        let target = Target::new(&[5, 6, -100, 7, 8, 9], 2, 2, 1, Device::Cpu);
        assert_eq!(
            Vec::<i64>::try_from(target.decoder_ids.view([-1])).unwrap(),
            [2, 5, 6, 2, 7, 8]
        );
        assert_eq!(Vec::<i64>::try_from(target.scored.unwrap()).unwrap(), [0, 1, 3, 4, 5]);
        assert_eq!(Vec::<i64>::try_from(target.labels).unwrap(), [5, 6, 7, 8, 9]);
        assert_eq!(target.count, 5);
        assert!(Target::new(&[5, 6], 1, 2, 1, Device::Cpu).scored.is_none());
    }
}
