//! Which key blocks each query block sees, as indices on the device; drawn once for a length and kept.
//!
//! A source of N blocks (N > 5: shorter ones are attended to in full) has three kinds of query blocks:
//!
//! ```text
//! block      0   1   2 ... N-3   N-2  N-1
//! kind      end near   middle    near end
//!
//! end      sees all blocks
//! near     sees its two neighbours and itself (one of them global), the other global block, and R random ones
//! middle   sees its two neighbours and itself, both global blocks (0 and N-1), and R random ones
//! ```
//!
//! A block that is drawn twice, or drawn besides being seen anyway, counts that often, as in transformers. Since version 4.30
//! transformers draws only while training; else all R are block 0, which then counts 1 + R times: the same as one block 0 with
//! ln(1 + R) added to its scores, and nothing to gather.

use std::{cell::RefCell, collections::BTreeMap, rc::Rc};

use tch::{Device, Kind, Tensor};

use super::config::BigBirdConfig;
use crate::shim::BlockLists;

/// What stands for the random blocks when the model is not training.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum RandomBlocks {
    /// The same as in training (transformers before 4.30, and the study).
    #[default]
    Fixed,
    /// Block 0, again and again (transformers from 4.30 on).
    TrainOnly,
}

/// How attention by blocks is computed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Kernel {
    /// On a CPU our own, which reads key blocks where they lie; elsewhere as [`Kernel::Gathered`].
    #[default]
    Auto,
    /// Fused attention of libtorch on copies of the key blocks, on any device.
    Gathered,
}

/// The key blocks of a group of G query blocks in each of H heads.
#[derive(Debug)]
pub struct Keys {
    /// (H·G·M): block numbers, 0..N.
    pub blocks: Tensor,
    /// (H·G·M): the same among the blocks of all heads, 0..H·N.
    pub flat: Tensor,
    /// (1, 1, 1, M·block): what is added to the scores; nothing where all keys count once.
    pub bias: Option<Tensor>,
    /// G: query blocks in a head.
    pub queries: i64,
    /// M: key blocks that each of them sees.
    pub seen: i64,
}

#[derive(Debug)]
pub struct Pattern {
    pub block: i64,
    /// N
    pub blocks: i64,
    /// Query blocks 1 and N-2.
    pub near: Keys,
    /// Query blocks 2..N-2.
    pub middle: Keys,
    /// The same for all query blocks, where one kernel does all: on a CPU.
    pub lists: Option<BlockLists>,
}

impl Pattern {
    /// `drawn` are the random blocks (H, N-2, R), or nothing where block 0 counts for them.
    fn new(config: &BigBirdConfig, blocks: i64, drawn: Option<&[i64]>, device: Device, kernel: Kernel) -> Self {
        let rows = blocks - 2;
        let heads = config.encoder_attention_heads;
        let r = if drawn.is_some() { config.num_random_blocks } else { 0 };
        let random = |head: i64, row: i64| {
            let at = ((head * rows + row - 1) * r) as usize;
            drawn.map_or(&[][..], |drawn| &drawn[at..at + r as usize])
        };
        let keys = |queries: &[i64], own: &dyn Fn(i64) -> Vec<i64>| {
            let mut list = Vec::new();
            let mut seen = 0;
            for head in 0..heads {
                for &row in queries {
                    let all = [&own(row)[..], random(head, row)].concat();
                    seen = all.len() as i64;
                    list.extend(all);
                }
            }
            let group = queries.len() as i64;
            let block_numbers = Tensor::from_slice(&list).to_device(device);
            let offsets = Tensor::arange(heads, (Kind::Int64, device)) * blocks;
            let flat = (block_numbers.view([heads, -1]) + offsets.unsqueeze(1)).view([-1]);
            Keys {
                flat,
                blocks: block_numbers,
                bias: drawn.is_none().then(|| repeated_first(config, seen, device)),
                queries: group,
                seen,
            }
        };
        let middle: Vec<i64> = (2..blocks - 2).collect();
        // Block 0 comes first in both: `repeated_first` counts on it.
        let near = |row| match row {
            1 => vec![0, 1, 2, blocks - 1],
            _ => vec![0, blocks - 3, blocks - 2, blocks - 1],
        };
        let far = |row| vec![0, row - 1, row, row + 1, blocks - 1];
        let lists = || {
            let (mut from, mut at) = (vec![0], Vec::new());
            for head in 0..heads {
                for row in 0..blocks {
                    match row {
                        _ if row == 0 || row == blocks - 1 => at.extend(0..blocks),
                        _ if row == 1 || row == blocks - 2 => at.extend([&near(row)[..], random(head, row)].concat()),
                        _ => at.extend([&far(row)[..], random(head, row)].concat()),
                    }
                    from.push(at.len() as i64);
                }
            }
            BlockLists {
                from: Tensor::from_slice(&from),
                at: Tensor::from_slice(&at),
                block: config.block_size,
                first: if drawn.is_none() { times_first(config).ln() } else { 0.0 },
            }
        };
        Self {
            block: config.block_size,
            blocks,
            near: keys(&[1, blocks - 2], &near),
            middle: keys(&middle, &far),
            lists: (device == Device::Cpu && kernel == Kernel::Auto).then(lists),
        }
    }
}

/// How often block 0 counts where it stands for the random blocks.
fn times_first(config: &BigBirdConfig) -> f64 {
    (1 + config.num_random_blocks) as f64
}

/// (1, 1, 1, M·block): ln(1 + R) on the keys of the first block.
fn repeated_first(config: &BigBirdConfig, seen: i64, device: Device) -> Tensor {
    let first = Tensor::full([config.block_size], times_first(config).ln(), (Kind::Float, device));
    first
        .constant_pad_nd([0, (seen - 1) * config.block_size])
        .view([1, 1, 1, -1])
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    /// Whose random blocks; all layers share the pattern without any.
    layer: Option<usize>,
    blocks: i64,
}

/// All patterns made so far. They stay on the device of their first use.
#[derive(Debug, Default)]
pub struct Patterns {
    kernel: Kernel,
    made: RefCell<BTreeMap<Key, Rc<Pattern>>>,
}

impl Patterns {
    pub fn new(kernel: Kernel) -> Self {
        Self {
            kernel,
            ..Self::default()
        }
    }

    /// The pattern of `layer` for a source of `positions`, with random blocks or without.
    pub fn get(
        &self,
        config: &BigBirdConfig,
        layer: usize,
        positions: i64,
        random: bool,
        device: Device,
    ) -> Rc<Pattern> {
        let blocks = (positions + config.block_size - 1) / config.block_size;
        let key = Key {
            layer: random.then_some(layer),
            blocks,
        };
        let mut made = self.made.borrow_mut();
        let make = || {
            let drawn = random.then(|| config.draw(positions)).flatten();
            let drawn = drawn.map(|draw| {
                draw.layer(layer)
                    .expect("Config::check_length has refused what cannot be drawn")
            });
            Rc::new(Pattern::new(config, blocks, drawn.as_deref(), device, self.kernel))
        };
        Rc::clone(made.entry(key).or_insert_with(make))
    }
}
