//! BigBird-Pegasus's decoder: Pegasus's, pre-norm, with full attention to itself (causal) and to the encoder's real positions, and a
//! norm at the end (called `layernorm_embedding` all the same).

use tch::Tensor;

use super::config::BigBirdConfig;
use crate::models::{
    attention::{CrossAttention, Decoding, KeyValues, Past, SelfAttention, Shape, source_mask},
    input::Source,
    layers::{Activation, FeedForward, LayerNorm, Mode},
    params::{Builder, Init},
};

#[derive(Debug)]
pub struct Decoder {
    positions: Tensor,
    layers: Vec<Layer>,
    norm: LayerNorm,
    dropout: f64,
}

impl Decoder {
    pub fn new(p: &mut Builder, config: &BigBirdConfig, activation: Activation) -> Self {
        let table = Init::Table {
            std: config.init_std,
            pad: None,
        };
        let shape = [config.max_position_embeddings, config.d_model];
        Self {
            positions: p.param(
                &["model.decoder.embed_positions.weight".to_owned()],
                &shape,
                true,
                table,
            ),
            layers: (0..config.decoder_layers)
                .map(|n| Layer::new(p, config, n, activation))
                .collect(),
            norm: LayerNorm::new(p, "model.decoder.layernorm_embedding", config.d_model),
            dropout: config.dropout,
        }
    }

    /// Token embeddings (B, T, E) and the encoder's output (B, S, E) to (B, T, E).
    pub fn forward(&self, tokens: &Tensor, memory: &Tensor, source: &Source, mode: Mode) -> Tensor {
        let positions = self.positions.narrow(0, 0, tokens.size()[1]);
        let mut h = mode.dropout(tokens + positions, self.dropout);
        let mask = source_mask(source);
        for layer in &self.layers {
            h = layer.forward(&h, &layer.cross.project(memory), mask.as_ref(), mode);
        }
        self.norm.forward(&h)
    }

    /// Before the first of at most `room` tokens: everything that is the same for all of them, from the encoder's output.
    pub fn start(&self, memory: &Tensor, source: &Source, room: i64) -> Decoding {
        let rows = source.rows();
        let layers = self.layers.iter();
        Decoding {
            layers: layers
                .map(|layer| (layer.own.past(rows, room), layer.cross.project(memory)))
                .collect(),
            mask: source_mask(source),
            position: 0,
        }
    }

    /// The next token's embedding (B, 1, E) to (B, 1, E).
    pub fn step(&self, token: &Tensor, decoding: &mut Decoding) -> Tensor {
        let mut h = token + self.positions.narrow(0, decoding.position, 1);
        for (layer, (past, memory)) in self.layers.iter().zip(&mut decoding.layers) {
            h = layer.step(&h, past, memory, decoding.mask.as_ref());
        }
        decoding.position += 1;
        self.norm.forward(&h)
    }
}

#[derive(Debug)]
struct Layer {
    own_norm: LayerNorm,
    own: SelfAttention,
    cross_norm: LayerNorm,
    cross: CrossAttention,
    final_norm: LayerNorm,
    feed_forward: FeedForward,
    dropout: f64,
}

impl Layer {
    fn new(p: &mut Builder, config: &BigBirdConfig, n: usize, activation: Activation) -> Self {
        let prefix = format!("model.decoder.layers.{n}");
        let (width, inner, std) = (config.d_model, config.decoder_ffn_dim, config.init_std);
        let shape = Shape {
            width,
            heads: config.decoder_attention_heads,
            bias: config.use_bias,
            std,
            dropout: config.attention_dropout,
        };
        Self {
            own: SelfAttention::new(p, &format!("{prefix}.self_attn"), shape),
            own_norm: LayerNorm::new(p, &format!("{prefix}.self_attn_layer_norm"), width),
            cross: CrossAttention::new(p, &format!("{prefix}.encoder_attn"), shape),
            cross_norm: LayerNorm::new(p, &format!("{prefix}.encoder_attn_layer_norm"), width),
            feed_forward: FeedForward::new(p, &prefix, width, inner, std, activation, config.activation_dropout),
            final_norm: LayerNorm::new(p, &format!("{prefix}.final_layer_norm"), width),
            dropout: config.dropout,
        }
    }

    fn forward(&self, h: &Tensor, memory: &KeyValues, mask: Option<&Tensor>, mode: Mode) -> Tensor {
        let own = self.own.forward(&self.own_norm.forward(h), mode);
        self.after_own(h + mode.dropout(own, self.dropout), memory, mask, mode)
    }

    fn step(&self, h: &Tensor, past: &mut Past, memory: &KeyValues, mask: Option<&Tensor>) -> Tensor {
        let own = self.own.step(&self.own_norm.forward(h), past);
        self.after_own(h + own, memory, mask, Mode::Eval)
    }

    fn after_own(&self, h: Tensor, memory: &KeyValues, mask: Option<&Tensor>, mode: Mode) -> Tensor {
        let cross = self.cross.forward(&self.cross_norm.forward(&h), memory, mask, mode);
        let h = h + mode.dropout(cross, self.dropout);
        let fed = self.feed_forward.forward(&self.final_norm.forward(&h), mode);
        h + mode.dropout(fed, self.dropout)
    }
}
