//! LED's configuration as HuggingFace's `config.json` writes it, and the presets that need no file; what can be wrong with any
//! model's configuration.
//!
//! Only what changes the arithmetic is kept. A value that this implementation would not honour is an error, never ignored.

pub(super) mod check;

use std::{io, path::Path};

use serde::{Deserialize, Serialize};

use self::check::Check;
use super::layers::Activation;

#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("cannot read {path}: {source}\nhint: --weights wants a folder that holds config.json beside the weights")]
    Read { path: String, source: io::Error },
    #[error("{path} is not a configuration of {family}: {source}")]
    Parse {
        path: String,
        family: &'static str,
        source: serde_json::Error,
    },
    #[error("{origin}: {field}: {problem}\nhint: {hint}")]
    Invalid {
        origin: String,
        field: &'static str,
        problem: String,
        hint: &'static str,
    },
}

/// One window for all layers, or one for each: both forms occur in published files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Windows {
    Same(i64),
    PerLayer(Vec<i64>),
}

/// Field names and class defaults of `transformers.LEDConfig`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct LedConfig {
    pub model_type: String,
    pub vocab_size: i64,
    pub d_model: i64,
    pub encoder_layers: usize,
    pub decoder_layers: usize,
    pub encoder_attention_heads: i64,
    pub decoder_attention_heads: i64,
    pub encoder_ffn_dim: i64,
    pub decoder_ffn_dim: i64,
    pub max_encoder_position_embeddings: i64,
    pub max_decoder_position_embeddings: i64,
    /// Both sides together: a token sees `window / 2` neighbours on each side.
    pub attention_window: Windows,
    pub activation_function: String,
    pub dropout: f64,
    pub attention_dropout: f64,
    pub activation_dropout: f64,
    pub encoder_layerdrop: f64,
    pub decoder_layerdrop: f64,
    pub init_std: f64,
    pub pad_token_id: i64,
    pub bos_token_id: i64,
    pub eos_token_id: i64,
    pub decoder_start_token_id: i64,
}

impl Default for LedConfig {
    fn default() -> Self {
        Self {
            model_type: "led".into(),
            vocab_size: 50265,
            d_model: 1024,
            encoder_layers: 12,
            decoder_layers: 12,
            encoder_attention_heads: 16,
            decoder_attention_heads: 16,
            encoder_ffn_dim: 4096,
            decoder_ffn_dim: 4096,
            max_encoder_position_embeddings: 16384,
            max_decoder_position_embeddings: 1024,
            attention_window: Windows::Same(512),
            activation_function: "gelu".into(),
            dropout: 0.1,
            attention_dropout: 0.0,
            activation_dropout: 0.0,
            encoder_layerdrop: 0.0,
            decoder_layerdrop: 0.0,
            init_std: 0.02,
            pad_token_id: 1,
            bos_token_id: 0,
            eos_token_id: 2,
            decoder_start_token_id: 2,
        }
    }
}

impl LedConfig {
    /// allenai/led-base-16384: BART-base with windows of 1024.
    pub fn base() -> Self {
        Self {
            d_model: 768,
            encoder_layers: 6,
            decoder_layers: 6,
            encoder_attention_heads: 12,
            decoder_attention_heads: 12,
            encoder_ffn_dim: 3072,
            decoder_ffn_dim: 3072,
            attention_window: Windows::PerLayer(vec![1024; 6]),
            ..Self::default()
        }
    }

    /// allenai/led-large-16384: the class defaults with windows of 1024.
    pub fn large() -> Self {
        Self {
            attention_window: Windows::PerLayer(vec![1024; 12]),
            ..Self::default()
        }
    }

    /// Small enough for two CPU cores, with every mechanism of its elders. No published weights exist for it.
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
            max_encoder_position_embeddings: 16384,
            attention_window: Windows::PerLayer(vec![128; 2]),
            ..Self::default()
        }
    }

    pub fn read(dir: &Path) -> Result<Self, ConfigError> {
        let (config, shown): (Self, _) = check::read(dir, "LED")?;
        config.check(&shown)?;
        Ok(config)
    }

    /// The one-sided reach of each encoder layer, in tokens.
    pub fn reach(&self) -> Vec<i64> {
        match &self.attention_window {
            Windows::Same(window) => vec![window / 2; self.encoder_layers],
            Windows::PerLayer(windows) => windows.iter().map(|window| window / 2).collect(),
        }
    }

    pub fn activation(&self) -> Option<Activation> {
        Activation::from_name(&self.activation_function)
    }

    /// Refuses what the model could not compute as written. `origin` says where the values came from.
    pub fn check(&self, origin: &str) -> Result<(), ConfigError> {
        let check = Check { origin };
        check.model_type(&self.model_type, "led")?;
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
            ("max_encoder_position_embeddings", self.max_encoder_position_embeddings),
            ("max_decoder_position_embeddings", self.max_decoder_position_embeddings),
        ])?;
        check.heads_divide(self.d_model, &heads)?;
        let windows = match &self.attention_window {
            Windows::Same(window) => std::slice::from_ref(window),
            Windows::PerLayer(windows) if windows.len() != self.encoder_layers => {
                let problem = format!("{} windows for {} layers", windows.len(), self.encoder_layers);
                return check.fail(
                    "attention_window",
                    problem,
                    "give one number, or one for each encoder layer",
                );
            }
            Windows::PerLayer(windows) => windows,
        };
        if let Some(window) = windows.iter().find(|window| **window < 2 || **window % 2 != 0) {
            let problem = format!("{window} is not an even number of at least 2");
            return check.fail(
                "attention_window",
                problem,
                "LED's windows are even: half of it lies on each side",
            );
        }
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
    fn presets_are_valid() {
        for config in [LedConfig::base(), LedConfig::large(), LedConfig::tiny(260)] {
            config.check("preset").unwrap();
            assert_eq!(config.reach().len(), config.encoder_layers);
        }
    }

    #[test]
    fn window_is_an_integer_or_a_list() {
        let same: LedConfig = serde_json::from_str(r#"{"attention_window": 32, "encoder_layers": 3}"#).unwrap();
        assert_eq!(same.reach(), [16, 16, 16]);
        let each: LedConfig = serde_json::from_str(r#"{"attention_window": [8, 4], "encoder_layers": 2}"#).unwrap();
        assert_eq!(each.reach(), [4, 2]);
    }

    #[test]
    fn what_cannot_be_honoured_is_refused_by_name() {
        type Spoil = fn(&mut LedConfig);
        let cases: [(Spoil, &str); 5] = [
            (|c| c.activation_function = "swish9".into(), "activation_function"),
            (|c| c.attention_window = Windows::Same(15), "attention_window"),
            (|c| c.attention_window = Windows::PerLayer(vec![16]), "attention_window"),
            (|c| c.encoder_attention_heads = 5, "encoder_attention_heads"),
            (|c| c.model_type = "bart".into(), "model_type"),
        ];
        for (spoil, field) in cases {
            let mut config = LedConfig::base();
            spoil(&mut config);
            let message = config.check("x.json").unwrap_err().to_string();
            assert!(message.contains(field) && message.contains("x.json"), "{message}");
        }
    }
}
