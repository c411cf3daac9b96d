//! Who sees whom in LED's encoder: built once for a batch, shared by all layers of one reach.
//!
//! Query i sees the global tokens, and every real token j with |i - j| <= reach that is not global. Two layouts hold that:
//!
//! ```text
//! dense    one (S, S) mask; a global key is simply allowed in its own column
//!
//! blocked  queries [n·Q, n·Q + Q) against one strip of keys, Q + 2·reach long, and slots for the global tokens:
//!              ... | reach | Q queries' own keys | reach | g0 g1 .. 0 | ...
//!          a global token's own column in the strip is masked, so that it counts once
//! ```

use tch::{Device, Kind, Tensor};

use crate::models::{
    input::{Globals, Source},
    layers::additive,
};

/// How the encoder's attention is cut into products.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Tiling {
    /// Whichever is less work.
    #[default]
    Auto,
    /// One product over all keys, whatever the length.
    Dense,
    /// Strips for blocks of this many queries, whatever the length.
    Blocks(i64),
}

impl Tiling {
    /// Queries in one block; `None` where one dense product is less work.
    ///
    /// A small block wastes fewer scores, a large one fewer copies of keys. Measured on a CPU with LED-base (reach 512): 256 is
    /// the fastest, and strips meet the dense product at 1024 tokens.
    fn block(self, reach: i64, positions: i64) -> Option<i64> {
        match self {
            Self::Dense => None,
            Self::Blocks(block) => Some(block),
            Self::Auto => {
                let block = reach.clamp(64, 256);
                (positions > block + 2 * reach).then_some(block)
            }
        }
    }
}

/// Key counts are rounded up to this, else the fused kernels copy the mask to align it.
const KEY_MULTIPLE: i64 = 16;

#[derive(Debug)]
pub struct SourceMasks {
    /// (B, 1, S): 0, or the lowest number at padding; nothing where no row is padded.
    pub padding: Option<Tensor>,
    pub globals: GlobalTokens,
    /// By reach; as many as there are different windows.
    layouts: Vec<(i64, Layout)>,
}

#[derive(Debug)]
pub enum GlobalTokens {
    None,
    /// Token 0 of every row.
    First,
    /// Up to `per_row` in each row: `index` (B·G) are flat positions in B·S, filled up with the row's token 0; `valid`
    /// lists the entries of B·G that are real.
    Gathered {
        per_row: i64,
        index: Tensor,
        valid: Tensor,
    },
}

impl GlobalTokens {
    pub fn per_row(&self) -> i64 {
        match self {
            Self::None => 0,
            Self::First => 1,
            Self::Gathered { per_row, .. } => *per_row,
        }
    }
}

#[derive(Debug)]
pub enum Layout {
    /// (1 or B, 1, S, S)
    Dense(Tensor),
    Blocked(Strips),
}

#[derive(Debug)]
pub struct Strips {
    /// (B·N, 1, Q, K) with K = Q + 2·reach + slots.
    pub mask: Tensor,
    pub blocks: i64,
    pub block: i64,
    pub reach: i64,
    /// Columns behind the strip: the global tokens, then filling.
    pub slots: i64,
}

impl SourceMasks {
    pub fn new(source: &Source, reach: &[i64], tiling: Tiling) -> Self {
        let marks = Marks::new(source);
        let padding = source.is_padded().then(|| additive(&marks.real).unsqueeze(1));
        let mut layouts: Vec<(i64, Layout)> = Vec::new();
        for &reach in reach {
            if layouts.iter().all(|(have, _)| *have != reach) {
                let block = tiling.block(reach, source.positions());
                layouts.push((
                    reach,
                    block.map_or_else(|| marks.dense(reach), |block| marks.blocked(reach, block)),
                ));
            }
        }
        Self {
            padding,
            globals: marks.globals,
            layouts,
        }
    }

    pub fn layout(&self, reach: i64) -> &Layout {
        let found = self.layouts.iter().find(|(have, _)| *have == reach);
        &found.expect("a layout was built for every layer's reach").1
    }
}

/// What each source token is: the ingredients of both layouts.
struct Marks {
    device: Device,
    rows: i64,
    positions: i64,
    /// (1 or B, S)
    real: Tensor,
    /// (1 or B, S)
    global: Tensor,
    globals: GlobalTokens,
    /// (1 or B, G): which global slots are filled.
    filled: Tensor,
}

impl Marks {
    fn new(source: &Source) -> Self {
        let (device, rows, positions) = (source.ids.device(), source.rows(), source.positions());
        let real = if source.is_padded() {
            source.real()
        } else {
            Tensor::ones([1, positions], (Kind::Bool, device))
        };
        let (global, globals, filled) = match &source.globals {
            Globals::None => (
                Tensor::zeros([1, positions], (Kind::Bool, device)),
                GlobalTokens::None,
                Tensor::empty([1, 0], (Kind::Bool, device)),
            ),
            Globals::First => {
                // Made on the device: a copy from the host cannot be part of a recorded step.
                let first = Tensor::arange(positions, (Kind::Int64, device)).eq(0).unsqueeze(0);
                let filled = Tensor::ones([1, 1], (Kind::Bool, device));
                (first, GlobalTokens::First, filled)
            }
            Globals::Rows(rows) => gathered(rows, source),
        };
        Self {
            device,
            rows,
            positions,
            real,
            global,
            globals,
            filled,
        }
    }

    fn arange(&self, n: i64) -> Tensor {
        Tensor::arange(n, (Kind::Int64, self.device))
    }

    fn dense(&self, reach: i64) -> Layout {
        let at = self.arange(self.positions);
        let near = (at.unsqueeze(1) - at.unsqueeze(0)).abs().le(reach); // (S, S)
        let seen = near.unsqueeze(0).logical_or(&self.global.unsqueeze(1)); // (1 or B, S, S)
        Layout::Dense(additive(&seen.logical_and(&self.real.unsqueeze(1)).unsqueeze(1)))
    }

    fn blocked(&self, reach: i64, block: i64) -> Layout {
        let blocks = (self.positions + block - 1) / block;
        let strip = block + 2 * reach;
        let global = self.globals.per_row();
        let keys = (strip + global + KEY_MULTIPLE - 1) / KEY_MULTIPLE * KEY_MULTIPLE;
        let (q, k) = (self.arange(block).unsqueeze(1), self.arange(strip).unsqueeze(0) - reach);
        let near = (q - k).abs().le(reach).view([1, 1, block, strip]);
        // Local keys: real and not global. Outside of the source there are none.
        let local = self.real.logical_and(&self.global.logical_not()).to_kind(Kind::Uint8); // (1 or B, S)
        let local = local.constant_pad_nd([reach, blocks * block - self.positions + reach]);
        let local = local.unfold(1, strip, block).unsqueeze(2).to_kind(Kind::Bool); // (1 or B, N, 1, strip)
        let local = local.logical_and(&near); // (1 or B, N, Q, strip)
        let filled = self
            .filled
            .to_kind(Kind::Uint8)
            .constant_pad_nd([0, keys - strip - global])
            .to_kind(Kind::Bool);
        let height = local.size()[0].max(filled.size()[0]);
        let filled = filled
            .unsqueeze(1)
            .unsqueeze(1)
            .expand([height, blocks, block, -1], false);
        let seen = Tensor::cat(&[local.expand([height, -1, -1, -1], false), filled], 3);
        let mask = additive(&seen)
            .expand([self.rows, -1, -1, -1], false)
            .reshape([-1, 1, block, keys]);
        Layout::Blocked(Strips {
            mask,
            blocks,
            block,
            reach,
            slots: keys - strip,
        })
    }
}

/// Several global tokens.
fn gathered(rows: &[Vec<usize>], source: &Source) -> (Tensor, GlobalTokens, Tensor) {
    let (device, height, positions) = (source.ids.device(), source.rows(), source.positions() as usize);
    let bools = |values: &[bool]| Tensor::from_slice(values).view([height, -1]).to_device(device);
    let per_row = rows.iter().map(Vec::len).max().unwrap_or(0);
    let mut global = vec![false; rows.len() * positions];
    let (mut index, mut filled) = (Vec::new(), Vec::new());
    for (row, at) in rows.iter().enumerate() {
        for slot in 0..per_row {
            let position = at.get(slot).copied();
            index.push((row * positions + position.unwrap_or(0)) as i64);
            filled.push(position.is_some());
            if let Some(position) = position {
                global[row * positions + position] = true;
            }
        }
    }
    let global = bools(&global);
    if per_row == 0 {
        let none = Tensor::empty([1, 0], (Kind::Bool, device));
        return (global, GlobalTokens::None, none);
    }
    let valid: Vec<i64> = (0..filled.len() as i64).filter(|i| filled[*i as usize]).collect();
    let tokens = GlobalTokens::Gathered {
        per_row: per_row as i64,
        index: Tensor::from_slice(&index).to_device(device),
        valid: Tensor::from_slice(&valid).to_device(device),
    };
    (global, tokens, bools(&filled))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strips_where_they_are_less_work() {
        let auto = |reach, positions| Tiling::Auto.block(reach, positions);
        assert_eq!(
            [auto(512, 1024), auto(512, 2048), auto(512, 4096)],
            [None, Some(256), Some(256)]
        );
        assert_eq!(
            [auto(64, 128), auto(64, 1024), auto(8, 1024)],
            [None, Some(64), Some(64)]
        );
    }
}
