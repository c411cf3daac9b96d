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

/// Keys and values, (B, H, *, D) each.
#[derive(Debug)]
pub struct KeyValues {
    keys: Tensor,
    values: Tensor,
}

/// Keys and values of the tokens decoded so far, at the front of room for all that may come: appending copies one token.
#[derive(Debug)]
pub struct Past {
    room: KeyValues,
    filled: i64,
}

impl Past {
    /// Appends keys and values of the next tokens; gives those of all tokens so far.
    fn append(&mut self, next: &KeyValues) -> KeyValues {
        let new = next.keys.size()[2];
        let all = self.filled + new;
        let place = |room: &Tensor, next: &Tensor| {
            room.narrow(2, self.filled, new).copy_(next);
            room.narrow(2, 0, all)
        };
        let seen = KeyValues {
            keys: place(&self.room.keys, &next.keys),
            values: place(&self.room.values, &next.values),
        };
        self.filled = all;
        seen
    }
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

    /// (B, T, E) to (B, T, E): all positions at once.
    pub fn forward(&self, h: &Tensor, mode: Mode) -> Tensor {
        let (q, own) = self.project(h);
        let p = mode.probability(self.dropout);
        let KeyValues { keys, values } = &own;
        let o = Tensor::scaled_dot_product_attention::<Tensor>(&q, keys, values, None, p, true, None, false);
        self.out.forward(&o.transpose(1, 2).flatten(2, 3)) // (B, T, E)
    }

    /// The next token (B, 1, E) after all in `past`, which it joins: (B, 1, E).
    pub fn step(&self, h: &Tensor, past: &mut Past) -> Tensor {
        let (q, own) = self.project(h);
        let KeyValues { keys, values } = past.append(&own);
        let o = Tensor::scaled_dot_product_attention::<Tensor>(&q, &keys, &values, None, 0.0, false, None, false);
        self.out.forward(&o.transpose(1, 2).flatten(2, 3))
    }

    /// Room for `tokens` of `rows` documents.
    pub fn past(&self, rows: i64, tokens: i64) -> Past {
        let weight = &self.qkv.weight;
        let width = weight.size()[1];
        let room = || {
            Tensor::empty(
                [rows, self.heads, tokens, width / self.heads],
                (weight.kind(), weight.device()),
            )
        };
        Past {
            room: KeyValues {
                keys: room(),
                values: room(),
            },
            filled: 0,
        }
    }

    fn project(&self, h: &Tensor) -> (Tensor, KeyValues) {
        let qkv = self.qkv.forward(h).unflatten(2, [3, self.heads, -1]).transpose(1, 3); // (B, H, 3, T, D)
        let [q, keys, values] = [0, 1, 2].map(|i| qkv.select(2, i)); // (B, H, T, D)
        (q, KeyValues { keys, values })
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

    /// What this layer looks up in the encoder's output (B, S, E): the same for every token that is decoded.
    pub fn project(&self, memory: &Tensor) -> KeyValues {
        let kv = self.kv.forward(memory).unflatten(2, [2, self.heads, -1]); // (B, S, 2, H, D)
        let kv = kv.transpose(1, 3); // (B, H, 2, S, D)
        let [keys, values] = [0, 1].map(|i| kv.select(2, i)); // (B, H, S, D)
        KeyValues { keys, values }
    }

    /// (B, T, E) to (B, T, E).
    pub fn forward(&self, h: &Tensor, memory: &KeyValues, mask: Option<&Tensor>, mode: Mode) -> Tensor {
        let q = self.q.forward(h).unflatten(2, [self.heads, -1]).transpose(1, 2); // (B, H, T, D)
        let KeyValues { keys, values } = memory;
        let p = mode.probability(self.dropout);
        let o = Tensor::scaled_dot_product_attention(&q, keys, values, mask, p, false, None, false);
        self.out.forward(&o.transpose(1, 2).flatten(2, 3)) // (B, T, E)
    }
}

/// A decoder between two tokens: for each layer, its own past and what it looks up in the encoder's output.
#[derive(Debug)]
pub struct Decoding {
    pub layers: Vec<(Past, KeyValues)>,
    /// As [`source_mask`] gives it.
    pub mask: Option<Tensor>,
    /// Tokens decoded so far.
    pub position: i64,
}
