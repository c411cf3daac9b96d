//! LED's encoder self-attention, exact, on fused attention kernels.
//!
//! *Local rows.* Queries in blocks against strips of keys (`mask`), one fused kernel call a layer, instead of skewed
//! (S, H, 2·reach + 1) score tensors copied a score of times.
//!
//! *Global rows.* The row of a global token g uses projections of its own: scores q_g · (W_k h_j + b_k) over all real j, output
//! Σ p_j (W_v h_j + b_v). With one query there is no need to project all S tokens:
//! q_g · W_k h_j = (W_kᵀ q_g) · h_j, and q_g · b_k is the same for every j, so the softmax does not see it;
//! Σ p_j W_v h_j = W_v Σ p_j h_j. Two of six S×E×E products per layer vanish, forward and backward.
//! (The gradient of b_k is exactly 0; it gets none.)

use tch::Tensor;

use super::mask::{GlobalTokens, Layout, SourceMasks, Strips};
use crate::models::{
    config::LedConfig,
    layers::{Linear, Mode},
    params::Builder,
};

#[derive(Debug)]
pub struct WindowAttention {
    qkv: Linear,
    global_query: Linear,
    global_key: Linear,
    global_value: Linear,
    output: Linear,
    heads: i64,
    dropout: f64,
}

impl WindowAttention {
    pub fn new(p: &mut Builder, prefix: &str, config: &LedConfig) -> Self {
        let inner = format!("{prefix}.longformer_self_attn");
        let names = ["query", "key", "value"].map(|name| format!("{inner}.{name}"));
        let (width, std) = (config.d_model, config.init_std);
        let mut global = |name: &str| Linear::new(p, &format!("{inner}.{name}"), width, width, std);
        let [global_query, global_key, global_value] = ["query_global", "key_global", "value_global"].map(&mut global);
        Self {
            global_query,
            global_key,
            global_value,
            qkv: Linear::fused(p, &names, width, width, std),
            output: Linear::new(p, &format!("{prefix}.output"), width, width, std),
            heads: config.encoder_attention_heads,
            dropout: config.attention_dropout,
        }
    }

    /// (B, S, E) to (B, S, E).
    pub fn forward(&self, h: &Tensor, masks: &SourceMasks, reach: i64, mode: Mode) -> Tensor {
        let qkv = self.qkv.forward(h).unflatten(2, [3, self.heads, -1]); // (B, S, 3, H, D)
        let [q, k, v] = [0, 1, 2].map(|i| qkv.select(2, i)); // (B, S, H, D)
        let p = mode.probability(self.dropout);
        let local = match masks.layout(reach) {
            Layout::Dense(mask) => dense(&q, &k, &v, mask, p),
            Layout::Blocked(strips) => blocked(&q, &k, &v, strips, &masks.globals, p),
        };
        let local = local.flatten(2, 3); // (B, S, E)
        let all = match &masks.globals {
            GlobalTokens::None => local,
            GlobalTokens::First => {
                let row = self.global_rows(h, &h.narrow(1, 0, 1), masks, mode);
                Tensor::cat(&[row, local.narrow(1, 1, local.size()[1] - 1)], 1)
            }
            GlobalTokens::Gathered { per_row, index, valid } => {
                let tokens = gather(h, index, *per_row);
                let rows = self
                    .global_rows(h, &tokens, masks, mode)
                    .flatten(0, 1)
                    .index_select(0, valid);
                let place = index.index_select(0, valid);
                local
                    .flatten(0, 1)
                    .index_put(&[Some(place)], &rows, false)
                    .view_as(&local)
            }
        };
        self.output.forward(&all)
    }

    /// The rows of global `tokens` (B, G, E) over all of `h` (B, S, E): (B, G, E).
    fn global_rows(&self, h: &Tensor, tokens: &Tensor, masks: &SourceMasks, mode: Mode) -> Tensor {
        let (b, g, e) = tokens.size3().expect("tokens are (B, G, E)");
        let (n, d) = (self.heads, e / self.heads);
        let per_head = |weight: &Tensor| weight.view([n, d, e]);
        let q = self.global_query.forward(tokens) / (d as f64).sqrt();
        let q = q.view([b * g, n, d]).transpose(0, 1); // (H, B·G, D)
        let u = q.bmm(&per_head(&self.global_key.weight)); // (H, B·G, E)
        let u = u.view([n, b, g, e]).permute([1, 0, 2, 3]).reshape([b, n * g, e]);
        let mut scores = u.bmm(&h.transpose(1, 2)); // (B, H·G, S)
        if let Some(padding) = &masks.padding {
            scores += padding;
        }
        let p = mode.dropout(scores.softmax(-1, None), self.dropout);
        let context = p.bmm(h).view([b, n, g, e]).permute([1, 0, 2, 3]).reshape([n, b * g, e]); // (H, B·G, E)
        let out = context.bmm(&per_head(&self.global_value.weight).transpose(1, 2)); // (H, B·G, D)
        let out = out.transpose(0, 1).reshape([b, g, n, d]);
        let bias = self.global_value.bias.as_ref().expect("LED's projections have biases");
        let bias = bias.view([n, d]);
        if mode.drops(self.dropout) {
            // Dropout leaves probabilities that do not add up to 1, so the bias counts by their sum.
            let sum = p
                .sum_dim_intlist([-1_i64].as_slice(), false, None)
                .view([b, n, g])
                .transpose(1, 2);
            return (out + sum.unsqueeze(-1) * bias).flatten(2, 3);
        }
        (out + bias).flatten(2, 3)
    }
}

/// q, k, v (B, S, H, D) to (B, S, H, D) under one mask.
fn dense(q: &Tensor, k: &Tensor, v: &Tensor, mask: &Tensor, p: f64) -> Tensor {
    let [q, k, v] = [q, k, v].map(|x| x.transpose(1, 2)); // (B, H, S, D)
    Tensor::scaled_dot_product_attention(&q, &k, &v, Some(mask), p, false, None, false).transpose(1, 2)
}

/// q, k, v (B, S, H, D) to (B, S, H, D), block by block.
fn blocked(q: &Tensor, k: &Tensor, v: &Tensor, strips: &Strips, globals: &GlobalTokens, p: f64) -> Tensor {
    let (b, s, n, d) = q.size4().expect("q is (B, S, H, D)");
    let Strips {
        mask, blocks, block, ..
    } = strips;
    let queries = q.constant_pad_nd([0, 0, 0, 0, 0, blocks * block - s]);
    let queries = queries.reshape([b * blocks, *block, n, d]).transpose(1, 2); // (B·N, H, Q, D)
    let [keys, values] = [k, v].map(|x| strip_and_slots(x, strips, globals)); // (B·N, H, K, D)
    let o = Tensor::scaled_dot_product_attention(&queries, &keys, &values, Some(mask), p, false, None, false);
    o.transpose(1, 2).reshape([b, blocks * block, n, d]).narrow(1, 0, s)
}

/// Keys (or values) (B, S, H, D) laid out as `mask` draws them: (B·N, H, K, D).
fn strip_and_slots(x: &Tensor, strips: &Strips, globals: &GlobalTokens) -> Tensor {
    let (b, s, n, d) = x.size4().expect("keys are (B, S, H, D)");
    let Strips {
        blocks,
        block,
        reach,
        slots,
        ..
    } = *strips;
    let padded = x.constant_pad_nd([0, 0, 0, 0, reach, blocks * block - s + reach]);
    let strip = padded.unfold(1, block + 2 * reach, block).transpose(3, 4); // (B, N, H, strip, D)
    let tokens = match globals {
        GlobalTokens::None => x.narrow(1, 0, 0),
        GlobalTokens::First => x.narrow(1, 0, 1),
        GlobalTokens::Gathered { per_row, index, .. } => gather(&x.flatten(2, 3), index, *per_row).view([b, -1, n, d]),
    };
    let tokens = tokens.constant_pad_nd([0, 0, 0, 0, 0, slots - globals.per_row()]); // (B, slots, H, D)
    let tokens = tokens
        .transpose(1, 2)
        .unsqueeze(1)
        .expand([-1, blocks, -1, -1, -1], false);
    Tensor::cat(&[strip, tokens], 3).flatten(0, 1)
}

/// Rows of `x` (B, S, E) at flat positions: (B, G, E).
fn gather(x: &Tensor, index: &Tensor, per_row: i64) -> Tensor {
    x.flatten(0, 1).index_select(0, index).unflatten(0, [-1, per_row])
}
