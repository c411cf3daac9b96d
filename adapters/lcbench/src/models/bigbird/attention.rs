//! BigBird's encoder self-attention, exact.
//!
//! *On a CPU*, one kernel of our own that reads key blocks where they lie (`shim/block_attention.cpp`). *Elsewhere*, fused attention
//! kernels: three calls a layer, one for each kind of query block (`blocks`), on gathered key blocks. A mask exists only where a
//! row is padded, or block 0 counts several times.

use tch::Tensor;

use super::{
    blocks::{Keys, Pattern},
    config::BigBirdConfig,
};
use crate::{
    models::{
        attention::Shape,
        layers::{Linear, Mode},
        params::Builder,
    },
    shim,
};

/// Who sees whom in one layer.
#[derive(Debug, Clone, Copy)]
pub enum Sight<'a> {
    All,
    Blocks(&'a Pattern),
}

#[derive(Debug)]
pub struct BlockAttention {
    qkv: Linear,
    output: Linear,
    heads: i64,
    dropout: f64,
}

impl BlockAttention {
    pub fn new(p: &mut Builder, prefix: &str, config: &BigBirdConfig) -> Self {
        let names = ["query", "key", "value"].map(|name| format!("{prefix}.self.{name}"));
        let shape = Shape {
            width: config.d_model,
            heads: config.encoder_attention_heads,
            bias: config.use_bias,
            std: config.init_std,
            dropout: config.attention_dropout,
        };
        Self {
            qkv: shape.linear(p, &names),
            output: shape.linear(p, &[format!("{prefix}.output")]),
            heads: shape.heads,
            dropout: shape.dropout,
        }
    }

    /// (B, S, E) to (B, S, E). `padding` is (B, S), added to the scores of each key. Blocks want S to be whole blocks.
    pub fn forward(&self, h: &Tensor, sight: Sight<'_>, padding: Option<&Tensor>, mode: Mode) -> Tensor {
        let qkv = self.qkv.forward(h).unflatten(2, [3, self.heads, -1]); // (B, S, 3, H, D)
        if let Sight::Blocks(Pattern { lists: Some(lists), .. }) = sight {
            let o = shim::block_attention(&qkv, lists, padding); // (B, S, H, D)
            return self.output.forward(&o.flatten(2, 3));
        }
        let qkv = qkv.permute([2, 0, 3, 1, 4]); // (3, B, H, S, D)
        let o = match sight {
            Sight::All => {
                let [q, k, v] = parts(&qkv);
                let mask = padding.map(|padding| padding.unsqueeze(1).unsqueeze(1));
                let p = mode.probability(self.dropout);
                Tensor::scaled_dot_product_attention(&q, &k, &v, mask.as_ref(), p, false, None, false)
            }
            Sight::Blocks(pattern) => {
                let [q, k, v] = parts(&qkv.contiguous()); // so that a block is one run of memory
                by_blocks(&q, &k, &v, pattern, padding)
            }
        };
        self.output.forward(&o.transpose(1, 2).flatten(2, 3)) // (B, S, E)
    }
}

/// q, k and v (B, H, S, D).
fn parts(qkv: &Tensor) -> [Tensor; 3] {
    <[Tensor; 3]>::try_from(qkv.unbind(0)).expect("qkv has three parts")
}

/// q, k, v (B, H, S, D) to (B, H, S, D).
fn by_blocks(q: &Tensor, k: &Tensor, v: &Tensor, pattern: &Pattern, padding: Option<&Tensor>) -> Tensor {
    let Pattern { block, blocks, .. } = *pattern;
    let rows = |from: i64, count: i64| q.narrow(2, from * block, count * block);
    let pair = |first: i64, last: i64| Tensor::cat(&[rows(first, 1), rows(last, 1)], 2); // (B, H, 2·block, D)

    let mask = padding.map(|padding| padding.unsqueeze(1).unsqueeze(1)); // (B, 1, 1, S)
    let ends = attend(&pair(0, blocks - 1), k, v, mask.as_ref());
    let near = gathered(&pair(1, blocks - 2), k, v, &pattern.near, pattern, padding);
    let middle = rows(2, blocks - 4);
    let middle = gathered(&middle, k, v, &pattern.middle, pattern, padding);

    let half = |x: &Tensor, i: i64| x.narrow(2, i * block, block);
    Tensor::cat(
        &[half(&ends, 0), half(&near, 0), middle, half(&near, 1), half(&ends, 1)],
        2,
    )
}

/// Queries (B, H, G·block, D), each block against key blocks of its own: (B, H, G·block, D).
fn gathered(q: &Tensor, k: &Tensor, v: &Tensor, keys: &Keys, pattern: &Pattern, padding: Option<&Tensor>) -> Tensor {
    let (b, h, s, d) = k.size4().expect("keys are (B, H, S, D)");
    let Pattern { block, blocks, .. } = *pattern;
    let Keys { queries, seen, .. } = *keys;
    let strips = |x: &Tensor| {
        x.reshape([b, h * blocks, block * d])
            .index_select(1, &keys.flat) // (B, H·G·M, block·D)
            .view([b, h * queries, seen * block, d])
    };
    let padding = padding.map(|padding| {
        padding
            .view([b, s / block, block])
            .index_select(1, &keys.blocks) // (B, H·G·M, block)
            .view([b, h * queries, 1, seen * block])
    });
    let mask = match (padding, &keys.bias) {
        (Some(padding), Some(bias)) => Some(padding + bias),
        (Some(padding), None) => Some(padding),
        (None, bias) => bias.as_ref().map(Tensor::shallow_clone),
    };
    let q = q.reshape([b, h * queries, block, d]);
    attend(&q, &strips(k), &strips(v), mask.as_ref()).reshape([b, h, queries * block, d])
}

/// No dropout of probabilities: transformers has none here.
fn attend(q: &Tensor, k: &Tensor, v: &Tensor, mask: Option<&Tensor>) -> Tensor {
    Tensor::scaled_dot_product_attention(q, k, v, mask, 0.0, false, None, false)
}
