//! BigBird-Pegasus's encoder: scaled embeddings, learned positions, pre-norm layers with block-sparse attention, a norm at the end
//! (called `layernorm_embedding` all the same).

use std::cell::Cell;

use tch::Tensor;

use super::{
    attention::{BlockAttention, Sight},
    blocks::{Kernel, Patterns, RandomBlocks},
    config::{AttentionType, BigBirdConfig},
};
use crate::models::{
    input::Source,
    layers::{Activation, FeedForward, LayerNorm, Mode, additive},
    params::{Builder, Init},
};

#[derive(Debug)]
pub struct Encoder {
    positions: Tensor,
    layers: Vec<Layer>,
    norm: LayerNorm,
    config: BigBirdConfig,
    random: RandomBlocks,
    patterns: Patterns,
    /// Whether all see all. Once a source was too short for blocks, the model stays so, as in transformers.
    full: Cell<bool>,
}

impl Encoder {
    pub fn new(
        p: &mut Builder,
        config: &BigBirdConfig,
        activation: Activation,
        random: RandomBlocks,
        kernel: Kernel,
    ) -> Self {
        let table = Init::Table {
            std: config.init_std,
            pad: None,
        };
        let shape = [config.max_position_embeddings, config.d_model];
        Self {
            positions: p.param(
                &["model.encoder.embed_positions.weight".to_owned()],
                &shape,
                true,
                table,
            ),
            layers: (0..config.encoder_layers)
                .map(|n| Layer::new(p, config, n, activation))
                .collect(),
            norm: LayerNorm::new(p, "model.encoder.layernorm_embedding", config.d_model),
            config: config.clone(),
            random,
            patterns: Patterns::new(kernel),
            full: Cell::new(config.attention_type == AttentionType::OriginalFull),
        }
    }

    /// Token embeddings (B, S, E) to (B, S, E).
    pub fn forward(&self, tokens: &Tensor, source: &Source, mode: Mode) -> Tensor {
        let length = source.positions();
        if length <= self.config.longest_full() {
            self.full.set(true);
        }
        let missing = if self.full.get() {
            0
        } else {
            (-length).rem_euclid(self.config.block_size)
        };
        let positions = self.positions.narrow(0, 0, length);
        let mut h = mode.dropout(tokens + positions, self.config.dropout);
        let mut padding = source.is_padded().then(|| source.real());
        if missing > 0 {
            // transformers appends embeddings of the padding token here, without positions. No real token sees them, so that
            // zeros, which cost nothing, give the same.
            h = h.constant_pad_nd([0, 0, 0, missing]);
            let real = padding.unwrap_or_else(|| source.real());
            padding = Some(real.constant_pad_nd([0, missing]));
        }
        let padding = padding.map(|real| additive(&real)); // (B, S)
        for (n, layer) in self.layers.iter().enumerate() {
            h = if self.full.get() {
                layer.forward(&h, Sight::All, padding.as_ref(), mode)
            } else {
                let random = mode == Mode::Train || self.random == RandomBlocks::Fixed;
                let pattern = self.patterns.get(&self.config, n, length, random, h.device());
                layer.forward(&h, Sight::Blocks(&pattern), padding.as_ref(), mode)
            };
        }
        self.norm.forward(&h).narrow(1, 0, length)
    }
}

#[derive(Debug)]
struct Layer {
    attention_norm: LayerNorm,
    attention: BlockAttention,
    final_norm: LayerNorm,
    feed_forward: FeedForward,
    dropout: f64,
}

impl Layer {
    fn new(p: &mut Builder, config: &BigBirdConfig, n: usize, activation: Activation) -> Self {
        let prefix = format!("model.encoder.layers.{n}");
        let (width, inner, std) = (config.d_model, config.encoder_ffn_dim, config.init_std);
        Self {
            attention: BlockAttention::new(p, &format!("{prefix}.self_attn"), config),
            attention_norm: LayerNorm::new(p, &format!("{prefix}.self_attn_layer_norm"), width),
            // transformers' encoder leaves config.activation_dropout out.
            feed_forward: FeedForward::new(p, &prefix, width, inner, std, activation, 0.0),
            final_norm: LayerNorm::new(p, &format!("{prefix}.final_layer_norm"), width),
            dropout: config.dropout,
        }
    }

    fn forward(&self, h: &Tensor, sight: Sight<'_>, padding: Option<&Tensor>, mode: Mode) -> Tensor {
        let attended = self
            .attention
            .forward(&self.attention_norm.forward(h), sight, padding, mode);
        let h = h + mode.dropout(attended, self.dropout);
        let fed = self.feed_forward.forward(&self.final_norm.forward(&h), mode);
        h + mode.dropout(fed, self.dropout)
    }
}
