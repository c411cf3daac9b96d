//! LED's encoder: learned positions, embedding norm, post-norm layers with windowed attention.

use tch::Tensor;

use super::{
    attention::WindowAttention,
    mask::{SourceMasks, Tiling},
};
use crate::models::{
    config::LedConfig,
    input::Source,
    layers::{Activation, FeedForward, LayerNorm, Mode},
    params::{Builder, Init},
};

#[derive(Debug)]
pub struct Encoder {
    positions: Tensor,
    norm: LayerNorm,
    layers: Vec<Layer>,
    /// One-sided reach of each layer, in tokens.
    reach: Vec<i64>,
    tiling: Tiling,
    dropout: f64,
}

impl Encoder {
    pub fn new(p: &mut Builder, config: &LedConfig, activation: Activation, tiling: Tiling) -> Self {
        let table = Init::Table {
            std: config.init_std,
            pad: None,
        };
        let shape = [config.max_encoder_position_embeddings, config.d_model];
        Self {
            positions: p.param(&["led.encoder.embed_positions.weight".to_owned()], &shape, true, table),
            norm: LayerNorm::new(p, "led.encoder.layernorm_embedding", config.d_model),
            layers: (0..config.encoder_layers)
                .map(|n| Layer::new(p, config, n, activation))
                .collect(),
            reach: config.reach(),
            tiling,
            dropout: config.dropout,
        }
    }

    /// Token embeddings (B, S, E) to (B, S, E).
    pub fn forward(&self, tokens: &Tensor, source: &Source, mode: Mode) -> Tensor {
        let masks = SourceMasks::new(source, &self.reach, self.tiling);
        let positions = self.positions.narrow(0, 0, source.positions());
        let mut h = mode.dropout(self.norm.forward(&(tokens + positions)), self.dropout);
        for (layer, reach) in self.layers.iter().zip(&self.reach) {
            h = layer.forward(&h, &masks, *reach, mode);
        }
        h
    }
}

#[derive(Debug)]
struct Layer {
    attention: WindowAttention,
    attention_norm: LayerNorm,
    feed_forward: FeedForward,
    final_norm: LayerNorm,
    dropout: f64,
}

impl Layer {
    fn new(p: &mut Builder, config: &LedConfig, n: usize, activation: Activation) -> Self {
        let prefix = format!("led.encoder.layers.{n}");
        let (width, inner, std) = (config.d_model, config.encoder_ffn_dim, config.init_std);
        Self {
            attention: WindowAttention::new(p, &format!("{prefix}.self_attn"), config),
            attention_norm: LayerNorm::new(p, &format!("{prefix}.self_attn_layer_norm"), width),
            feed_forward: FeedForward::new(p, &prefix, width, inner, std, activation, config.activation_dropout),
            final_norm: LayerNorm::new(p, &format!("{prefix}.final_layer_norm"), width),
            dropout: config.dropout,
        }
    }

    fn forward(&self, h: &Tensor, masks: &SourceMasks, reach: i64, mode: Mode) -> Tensor {
        let attended = mode.dropout(self.attention.forward(h, masks, reach, mode), self.dropout);
        let h = self.attention_norm.forward(&(h + attended));
        let fed = mode.dropout(self.feed_forward.forward(&h, mode), self.dropout);
        self.final_norm.forward(&(h + fed))
    }
}
