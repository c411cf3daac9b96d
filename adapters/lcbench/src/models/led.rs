//! LED, the Longformer encoder-decoder (Beltagy et al. 2020, arXiv:2004.05150), as transformers computes it.
//!
//! Parameter names are HuggingFace's. The arithmetic is exact, the order of work is not HuggingFace's: see `attention`.
//! Padding never influences a real position, so encoder rows of padding are computed but mean nothing.

mod attention;
mod decoder;
mod encoder;
mod mask;

use tch::{Reduction, Tensor};

pub use self::mask::Tiling;
use self::{decoder::Decoder, encoder::Encoder};
use super::{
    config::LedConfig,
    input::{Source, Target},
    layers::{Activation, Mode},
    params::{Builder, Init},
};

/// Other names under which a checkpoint may hold the one table of token embeddings.
pub const TIED: (&str, [&str; 3]) = (
    "led.shared.weight",
    [
        "led.encoder.embed_tokens.weight",
        "led.decoder.embed_tokens.weight",
        "lm_head.weight",
    ],
);

/// May be missing in a checkpoint: zeros then.
pub const OPTIONAL: &str = "final_logits_bias";

#[derive(Debug)]
pub struct Led {
    /// (V, E): token embeddings of both sides and the output projection.
    shared: Tensor,
    /// (V), not trained.
    logits_bias: Tensor,
    encoder: Encoder,
    decoder: Decoder,
    pad: i64,
}

impl Led {
    pub fn new(p: &mut Builder, config: &LedConfig, tiling: Tiling) -> Self {
        let table = Init::Table {
            std: config.init_std,
            pad: Some(config.pad_token_id),
        };
        let activation = config.activation().unwrap_or(Activation::Gelu); // LedConfig::check has refused the unknown
        Self {
            shared: p.param(&[TIED.0.to_owned()], &[config.vocab_size, config.d_model], true, table),
            logits_bias: p.buffer(OPTIONAL, &[config.vocab_size]),
            encoder: Encoder::new(p, config, activation, tiling),
            decoder: Decoder::new(p, config, activation),
            pad: config.pad_token_id,
        }
    }

    /// (B, S, E)
    pub fn encode(&self, source: &Source, mode: Mode) -> Tensor {
        self.encoder.forward(&self.embed(&source.ids), source, mode)
    }

    /// (B, T, E) from decoder input ids (B, T) and the encoder's output.
    pub fn decode(&self, ids: &Tensor, memory: &Tensor, source: &Source, mode: Mode) -> Tensor {
        self.decoder.forward(&self.embed(ids), memory, source, mode)
    }

    /// (..., V) from (..., E)
    pub fn logits(&self, hidden: &Tensor) -> Tensor {
        hidden.linear(&self.shared, Some(&self.logits_bias))
    }

    /// Mean cross-entropy over the labels that count. Only their rows are projected onto the vocabulary.
    pub fn loss(&self, source: &Source, target: &Target, mode: Mode) -> Tensor {
        let memory = self.encode(source, mode);
        let hidden = self.decode(&target.decoder_ids, &memory, source, mode);
        let rows = hidden.flatten(0, 1); // (B·T, E)
        let rows = target
            .scored
            .as_ref()
            .map_or(rows.shallow_clone(), |scored| rows.index_select(0, scored));
        self.logits(&rows)
            .cross_entropy_loss::<Tensor>(&target.labels, None, Reduction::Mean, -100, 0.0)
    }

    fn embed(&self, ids: &Tensor) -> Tensor {
        // The padding row gets no gradient from look-ups, only from the output projection, as in torch's nn.Embedding.
        Tensor::embedding(&self.shared, ids, self.pad, false, false)
    }
}
