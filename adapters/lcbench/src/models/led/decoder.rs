//! LED's decoder: BART's, with full attention to itself (causal) and to the encoder's real positions.

use tch::Tensor;

use crate::models::{
    attention::{CrossAttention, SelfAttention, Shape, source_mask},
    config::LedConfig,
    input::Source,
    layers::{Activation, FeedForward, LayerNorm, Mode},
    params::{Builder, Init},
};

#[derive(Debug)]
pub struct Decoder {
    positions: Tensor,
    norm: LayerNorm,
    layers: Vec<Layer>,
    dropout: f64,
}

impl Decoder {
    pub fn new(p: &mut Builder, config: &LedConfig, activation: Activation) -> Self {
        let table = Init::Table {
            std: config.init_std,
            pad: None,
        };
        let shape = [config.max_decoder_position_embeddings, config.d_model];
        Self {
            positions: p.param(&["led.decoder.embed_positions.weight".to_owned()], &shape, true, table),
            norm: LayerNorm::new(p, "led.decoder.layernorm_embedding", config.d_model),
            layers: (0..config.decoder_layers)
                .map(|n| Layer::new(p, config, n, activation))
                .collect(),
            dropout: config.dropout,
        }
    }

    /// Token embeddings (B, T, E) and the encoder's output (B, S, E) to (B, T, E).
    pub fn forward(&self, tokens: &Tensor, memory: &Tensor, source: &Source, mode: Mode) -> Tensor {
        let positions = self.positions.narrow(0, 0, tokens.size()[1]);
        let mut h = mode.dropout(self.norm.forward(&(tokens + positions)), self.dropout);
        let mask = source_mask(source);
        for layer in &self.layers {
            h = layer.forward(&h, memory, mask.as_ref(), mode);
        }
        h
    }
}

#[derive(Debug)]
struct Layer {
    own: SelfAttention,
    own_norm: LayerNorm,
    cross: CrossAttention,
    cross_norm: LayerNorm,
    feed_forward: FeedForward,
    final_norm: LayerNorm,
    dropout: f64,
}

impl Layer {
    fn new(p: &mut Builder, config: &LedConfig, n: usize, activation: Activation) -> Self {
        let prefix = format!("led.decoder.layers.{n}");
        let (width, inner, std) = (config.d_model, config.decoder_ffn_dim, config.init_std);
        let shape = Shape {
            width,
            heads: config.decoder_attention_heads,
            bias: true,
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

    fn forward(&self, h: &Tensor, memory: &Tensor, mask: Option<&Tensor>, mode: Mode) -> Tensor {
        let own = mode.dropout(self.own.forward(h, mode), self.dropout);
        let h = self.own_norm.forward(&(h + own));
        let cross = mode.dropout(self.cross.forward(&h, memory, mask, mode), self.dropout);
        let h = self.cross_norm.forward(&(h + cross));
        let fed = mode.dropout(self.feed_forward.forward(&h, mode), self.dropout);
        self.final_norm.forward(&(h + fed))
    }
}
