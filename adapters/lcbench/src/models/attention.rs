//! Attention of a decoder: to itself, and to the encoder's output. The encoders have attentions of their own.

use tch::Tensor;

use super::{
    input::Source,
    layers::{Linear, Mode, additive},
    params::Builder,
};

/// What an attention's projections have in common.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    pub width: i64,
    pub heads: i64,
    pub bias: bool,
    /// Of the initial weights.
    pub std: f64,
    /// Of the probabilities.
    pub dropout: f64,
}

impl Shape {
    /// One product for all of `names`.
    pub fn linear(self, p: &mut Builder, names: &[String]) -> Linear {
        Linear::declare(p, names, self.width, self.width, self.std, self.bias)
    }
}

/// (B, 1, 1, S), or nothing where no row is padded. Padding of the decoder's own side is not masked: it follows every real
/// token, so the causal order hides it already.
pub fn source_mask(source: &Source) -> Option<Tensor> {
    source
        .is_padded()
        .then(|| additive(&source.real()).unsqueeze(1).unsqueeze(1))
}

/// Causal attention of the decoder to itself; one product for query, key and value.
#[derive(Debug)]
pub struct SelfAttention {
    qkv: Linear,
    out: Linear,
    heads: i64,
    dropout: f64,
}

impl SelfAttention {
    pub fn new(p: &mut Builder, prefix: &str, shape: Shape) -> Self {
        let names = ["q_proj", "k_proj", "v_proj"].map(|name| format!("{prefix}.{name}"));
        Self {
            qkv: shape.linear(p, &names),
            out: shape.linear(p, &[format!("{prefix}.out_proj")]),
            heads: shape.heads,
            dropout: shape.dropout,
        }
    }

    pub fn forward(&self, h: &Tensor, mode: Mode) -> Tensor {
        let qkv = self.qkv.forward(h).unflatten(2, [3, self.heads, -1]).transpose(1, 3); // (B, H, 3, T, D)
        let [q, k, v] = [0, 1, 2].map(|i| qkv.select(2, i)); // (B, H, T, D)
        let p = mode.probability(self.dropout);
        let o = Tensor::scaled_dot_product_attention::<Tensor>(&q, &k, &v, None, p, true, None, false);
        self.out.forward(&o.transpose(1, 2).flatten(2, 3)) // (B, T, E)
    }
}

/// Attention of the decoder to the encoder's output; one product for key and value.
#[derive(Debug)]
pub struct CrossAttention {
    q: Linear,
    kv: Linear,
    out: Linear,
    heads: i64,
    dropout: f64,
}

impl CrossAttention {
    pub fn new(p: &mut Builder, prefix: &str, shape: Shape) -> Self {
        let names = ["k_proj", "v_proj"].map(|name| format!("{prefix}.{name}"));
        Self {
            q: shape.linear(p, &[format!("{prefix}.q_proj")]),
            kv: shape.linear(p, &names),
            out: shape.linear(p, &[format!("{prefix}.out_proj")]),
            heads: shape.heads,
            dropout: shape.dropout,
        }
    }

    pub fn forward(&self, h: &Tensor, memory: &Tensor, mask: Option<&Tensor>, mode: Mode) -> Tensor {
        let q = self.q.forward(h).unflatten(2, [self.heads, -1]).transpose(1, 2); // (B, H, T, D)
        let kv = self
            .kv
            .forward(memory)
            .unflatten(2, [2, self.heads, -1])
            .transpose(1, 3); // (B, H, 2, S, D)
        let [k, v] = [0, 1].map(|i| kv.select(2, i)); // (B, H, S, D)
        let p = mode.probability(self.dropout);
        let o = Tensor::scaled_dot_product_attention(&q, &k, &v, mask, p, false, None, false);
        self.out.forward(&o.transpose(1, 2).flatten(2, 3)) // (B, T, E)
    }
}
