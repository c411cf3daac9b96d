//! LED's decoder: BART's, with full attention to itself (causal) and to the encoder's real positions.

use tch::Tensor;

use crate::models::{
    config::LedConfig,
    input::Source,
    layers::{Activation, FeedForward, LayerNorm, Linear, Mode, additive},
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

/// (B, 1, 1, S), or nothing where no row is padded. Padding of the decoder's own side is not masked: it follows every real
/// token, so the causal order hides it already.
fn source_mask(source: &Source) -> Option<Tensor> {
    source
        .is_padded()
        .then(|| additive(&super::mask::real(source)).unsqueeze(1).unsqueeze(1))
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
        Self {
            own: SelfAttention::new(p, &format!("{prefix}.self_attn"), config),
            own_norm: LayerNorm::new(p, &format!("{prefix}.self_attn_layer_norm"), width),
            cross: CrossAttention::new(p, &format!("{prefix}.encoder_attn"), config),
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

/// Causal attention of the decoder to itself; one product for query, key and value.
#[derive(Debug)]
struct SelfAttention {
    qkv: Linear,
    out: Linear,
    heads: i64,
    dropout: f64,
}

impl SelfAttention {
    fn new(p: &mut Builder, prefix: &str, config: &LedConfig) -> Self {
        let names = ["q_proj", "k_proj", "v_proj"].map(|name| format!("{prefix}.{name}"));
        let (width, std) = (config.d_model, config.init_std);
        Self {
            qkv: Linear::fused(p, &names, width, width, std),
            out: Linear::new(p, &format!("{prefix}.out_proj"), width, width, std),
            heads: config.decoder_attention_heads,
            dropout: config.attention_dropout,
        }
    }

    fn forward(&self, h: &Tensor, mode: Mode) -> Tensor {
        let qkv = self.qkv.forward(h).unflatten(2, [3, self.heads, -1]).transpose(1, 3); // (B, H, 3, T, D)
        let [q, k, v] = [0, 1, 2].map(|i| qkv.select(2, i)); // (B, H, T, D)
        let p = mode.probability(self.dropout);
        let o = Tensor::scaled_dot_product_attention::<Tensor>(&q, &k, &v, None, p, true, None, false);
        self.out.forward(&o.transpose(1, 2).flatten(2, 3)) // (B, T, E)
    }
}

/// Attention of the decoder to the encoder's output; one product for key and value.
#[derive(Debug)]
struct CrossAttention {
    q: Linear,
    kv: Linear,
    out: Linear,
    heads: i64,
    dropout: f64,
}

impl CrossAttention {
    fn new(p: &mut Builder, prefix: &str, config: &LedConfig) -> Self {
        let names = ["k_proj", "v_proj"].map(|name| format!("{prefix}.{name}"));
        let (width, std) = (config.d_model, config.init_std);
        Self {
            q: Linear::new(p, &format!("{prefix}.q_proj"), width, width, std),
            kv: Linear::fused(p, &names, width, width, std),
            out: Linear::new(p, &format!("{prefix}.out_proj"), width, width, std),
            heads: config.decoder_attention_heads,
            dropout: config.attention_dropout,
        }
    }

    fn forward(&self, h: &Tensor, memory: &Tensor, mask: Option<&Tensor>, mode: Mode) -> Tensor {
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
