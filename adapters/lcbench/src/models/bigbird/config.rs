//! BigBird-Pegasus's configuration as HuggingFace's `config.json` writes it, and the presets that need no file.
//!
//! Only what changes the arithmetic is kept. A value that this implementation would not honour is an error, never ignored.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::random::{self, DrawError};
use crate::models::{
    config::{
        ConfigError,
        check::{self, Check},
    },
    layers::Activation,
};

/// How the encoder attends where the source is long enough for blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AttentionType {
    BlockSparse,
    /// All to all, at any length.
    OriginalFull,
}

/// Field names and class defaults of `transformers.BigBirdPegasusConfig`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct BigBirdConfig {
    pub model_type: String,
    pub vocab_size: i64,
    pub d_model: i64,
    pub encoder_layers: usize,
    pub decoder_layers: usize,
    pub encoder_attention_heads: i64,
    pub decoder_attention_heads: i64,
    pub encoder_ffn_dim: i64,
    pub decoder_ffn_dim: i64,
    pub max_position_embeddings: i64,
    pub attention_type: AttentionType,
    pub block_size: i64,
    pub num_random_blocks: i64,
    /// Of the projections of all attentions.
    pub use_bias: bool,
    /// Multiplies embeddings by √d_model.
    pub scale_embedding: bool,
    pub activation_function: String,
    pub dropout: f64,
    /// Of the decoder, and of the encoder where it attends to all: block-sparse attention has none.
    pub attention_dropout: f64,
    /// Of the decoder: the encoder has none.
    pub activation_dropout: f64,
    pub encoder_layerdrop: f64,
    pub decoder_layerdrop: f64,
    pub init_std: f64,
    pub pad_token_id: i64,
    pub bos_token_id: i64,
    pub eos_token_id: i64,
    pub decoder_start_token_id: i64,
}

impl Default for BigBirdConfig {
    fn default() -> Self {
        Self {
            model_type: "bigbird_pegasus".into(),
            vocab_size: 96103,
            d_model: 1024,
            encoder_layers: 16,
            decoder_layers: 16,
            encoder_attention_heads: 16,
            decoder_attention_heads: 16,
            encoder_ffn_dim: 4096,
            decoder_ffn_dim: 4096,
            max_position_embeddings: 4096,
            attention_type: AttentionType::BlockSparse,
            block_size: 64,
            num_random_blocks: 3,
            use_bias: false,
            scale_embedding: true,
            activation_function: "gelu_new".into(),
            dropout: 0.1,
            attention_dropout: 0.0,
            activation_dropout: 0.0,
            encoder_layerdrop: 0.0,
            decoder_layerdrop: 0.0,
            init_std: 0.02,
            pad_token_id: 0,
            bos_token_id: 2,
            eos_token_id: 1,
            decoder_start_token_id: 2,
        }
    }
}

impl BigBirdConfig {
    /// google/bigbird-pegasus-large-pubmed: the class defaults.
    pub fn large() -> Self {
        Self::default()
    }

    /// Small enough for two CPU cores, with every mechanism of its elder. No published weights exist for it.
    pub fn tiny(vocab_size: i64) -> Self {
        Self {
            vocab_size,
            d_model: 64,
            encoder_layers: 2,
            decoder_layers: 2,
            encoder_attention_heads: 4,
            decoder_attention_heads: 4,
            encoder_ffn_dim: 256,
            decoder_ffn_dim: 256,
            block_size: 16,
            ..Self::default()
        }
    }

    pub fn read(dir: &Path) -> Result<Self, ConfigError> {
        let (config, shown): (Self, _) = check::read(dir, "BigBird-Pegasus")?;
        config.check(&shown)?;
        Ok(config)
    }

    pub fn activation(&self) -> Option<Activation> {
        Activation::from_name(&self.activation_function)
    }

    pub fn embedding_scale(&self) -> f64 {
        if self.scale_embedding {
            (self.d_model as f64).sqrt()
        } else {
            1.0
        }
    }

    /// The longest source that is attended to in full: two global blocks, three of the window, and room for twice the random ones.
    pub fn longest_full(&self) -> i64 {
        (5 + 2 * self.num_random_blocks) * self.block_size
    }

    /// How the random blocks are drawn for a source of `positions`; `None` where there are none to draw.
    pub fn draw(&self, positions: i64) -> Option<random::Draw> {
        if self.attention_type == AttentionType::OriginalFull || positions <= self.longest_full() {
            return None;
        }
        Some(random::Draw {
            heads: self.encoder_attention_heads as usize,
            block: self.block_size as usize,
            blocks: positions.div_euclid(self.block_size) as usize + usize::from(positions % self.block_size != 0),
            random: self.num_random_blocks as usize,
            positions: self.max_position_embeddings as usize,
        })
    }

    /// Refuses a source length whose random blocks cannot be drawn.
    pub fn check_length(&self, positions: i64) -> Result<(), DrawError> {
        self.draw(positions).map_or(Ok(()), |draw| draw.layer(0).map(|_| ()))
    }

    /// Refuses what the model could not compute as written. `origin` says where the values came from.
    pub fn check(&self, origin: &str) -> Result<(), ConfigError> {
        let check = Check { origin };
        check.model_type(&self.model_type, "bigbird_pegasus")?;
        check.activation(&self.activation_function)?;
        let heads = [
            ("encoder_attention_heads", self.encoder_attention_heads),
            ("decoder_attention_heads", self.decoder_attention_heads),
        ];
        check.positive(&heads)?;
        check.positive(&[
            ("vocab_size", self.vocab_size),
            ("d_model", self.d_model),
            ("encoder_ffn_dim", self.encoder_ffn_dim),
            ("decoder_ffn_dim", self.decoder_ffn_dim),
            ("max_position_embeddings", self.max_position_embeddings),
            ("block_size", self.block_size),
            ("num_random_blocks", self.num_random_blocks),
        ])?;
        check.heads_divide(self.d_model, &heads)?;
        check.no_layerdrop(self.encoder_layerdrop, self.decoder_layerdrop)?;
        check.probabilities(&[
            ("dropout", self.dropout),
            ("attention_dropout", self.attention_dropout),
            ("activation_dropout", self.activation_dropout),
        ])?;
        check.tokens(
            self.vocab_size,
            &[
                ("pad_token_id", self.pad_token_id),
                ("eos_token_id", self.eos_token_id),
                ("decoder_start_token_id", self.decoder_start_token_id),
            ],
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn presets_are_valid_and_draw_at_every_length_of_the_study() {
        for config in [BigBirdConfig::large(), BigBirdConfig::tiny(260)] {
            config.check("preset").unwrap();
            for positions in [1024, 2048, 3072, 4096] {
                config.check_length(positions).unwrap();
                assert!(config.draw(positions).is_some());
            }
        }
    }

    #[test]
    fn short_sources_are_attended_to_in_full() {
        let config = BigBirdConfig::large();
        assert_eq!(config.longest_full(), 704);
        assert!(config.draw(704).is_none());
        assert_eq!(config.draw(705).unwrap().blocks, 12);
    }

    #[test]
    fn what_cannot_be_honoured_is_refused_by_name() {
        type Spoil = fn(&mut BigBirdConfig);
        let cases: [(Spoil, &str); 5] = [
            (|c| c.activation_function = "swish9".into(), "activation_function"),
            (|c| c.block_size = 0, "block_size"),
            (|c| c.num_random_blocks = -1, "num_random_blocks"),
            (|c| c.encoder_attention_heads = 5, "encoder_attention_heads"),
            (|c| c.model_type = "led".into(), "model_type"),
        ];
        for (spoil, field) in cases {
            let mut config = BigBirdConfig::large();
            spoil(&mut config);
            let message = config.check("x.json").unwrap_err().to_string();
            assert!(message.contains(field) && message.contains("x.json"), "{message}");
        }
        let unknown = serde_json::from_str::<BigBirdConfig>(r#"{"attention_type": "flash"}"#).unwrap_err();
        assert!(unknown.to_string().contains("original_full"), "{unknown}");
    }
}
