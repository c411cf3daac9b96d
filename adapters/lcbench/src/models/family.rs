//! Either model, for those who need not know which.

use std::path::Path;

use tch::Tensor;

use super::{
    attention::Decoding,
    bigbird::{BigBird, Kernel, RandomBlocks, config::BigBirdConfig},
    config::{ConfigError, LedConfig},
    input::{Source, Target},
    layers::Mode,
    led::{Led, Tiling},
    params::Builder,
};

#[derive(Debug, Clone, PartialEq)]
pub enum Config {
    Led(LedConfig),
    BigBird(BigBirdConfig),
}

impl Config {
    pub fn read_led(dir: &Path) -> Result<Self, ConfigError> {
        LedConfig::read(dir).map(Self::Led)
    }

    pub fn read_bigbird(dir: &Path) -> Result<Self, ConfigError> {
        BigBirdConfig::read(dir).map(Self::BigBird)
    }

    pub fn check(&self, origin: &str) -> Result<(), ConfigError> {
        match self {
            Self::Led(config) => config.check(origin),
            Self::BigBird(config) => config.check(origin),
        }
    }

    pub fn set_dropout(&mut self, p: f64) {
        match self {
            Self::Led(config) => config.dropout = p,
            Self::BigBird(config) => config.dropout = p,
        }
    }

    pub fn vocab_size(&self) -> i64 {
        match self {
            Self::Led(config) => config.vocab_size,
            Self::BigBird(config) => config.vocab_size,
        }
    }

    /// Most source tokens, most target tokens.
    pub fn positions(&self) -> (i64, i64) {
        match self {
            Self::Led(config) => (
                config.max_encoder_position_embeddings,
                config.max_decoder_position_embeddings,
            ),
            Self::BigBird(config) => (config.max_position_embeddings, config.max_position_embeddings),
        }
    }

    pub fn pad(&self) -> i64 {
        match self {
            Self::Led(config) => config.pad_token_id,
            Self::BigBird(config) => config.pad_token_id,
        }
    }

    pub fn eos(&self) -> i64 {
        match self {
            Self::Led(config) => config.eos_token_id,
            Self::BigBird(config) => config.eos_token_id,
        }
    }

    pub fn decoder_start(&self) -> i64 {
        match self {
            Self::Led(config) => config.decoder_start_token_id,
            Self::BigBird(config) => config.decoder_start_token_id,
        }
    }

    /// Declares the model's parameters. `random` concerns BigBird only.
    pub fn build(&self, p: &mut Builder, random: RandomBlocks) -> Model {
        match self {
            Self::Led(config) => Model::Led(Led::new(p, config, Tiling::default())),
            Self::BigBird(config) => Model::BigBird(Box::new(BigBird::new(p, config, random, Kernel::default()))),
        }
    }
}

#[derive(Debug)]
pub enum Model {
    Led(Led),
    BigBird(Box<BigBird>),
}

impl Model {
    /// (B, S, E)
    pub fn encode(&self, source: &Source, mode: Mode) -> Tensor {
        match self {
            Self::Led(model) => model.encode(source, mode),
            Self::BigBird(model) => model.encode(source, mode),
        }
    }

    /// (B, T, E) from decoder input ids (B, T) and the encoder's output.
    pub fn decode(&self, ids: &Tensor, memory: &Tensor, source: &Source, mode: Mode) -> Tensor {
        match self {
            Self::Led(model) => model.decode(ids, memory, source, mode),
            Self::BigBird(model) => model.decode(ids, memory, source, mode),
        }
    }

    /// Makes ready to decode at most `room` tokens one by one.
    pub fn start(&self, memory: &Tensor, source: &Source, room: i64) -> Decoding {
        match self {
            Self::Led(model) => model.start(memory, source, room),
            Self::BigBird(model) => model.start(memory, source, room),
        }
    }

    /// (B, 1, E) from the next decoder input ids (B, 1).
    pub fn step(&self, ids: &Tensor, decoding: &mut Decoding) -> Tensor {
        match self {
            Self::Led(model) => model.step(ids, decoding),
            Self::BigBird(model) => model.step(ids, decoding),
        }
    }

    /// (..., V) from (..., E)
    pub fn logits(&self, hidden: &Tensor) -> Tensor {
        match self {
            Self::Led(model) => model.logits(hidden),
            Self::BigBird(model) => model.logits(hidden),
        }
    }

    /// Mean cross-entropy over the labels that count.
    pub fn loss(&self, source: &Source, target: &Target, mode: Mode) -> Tensor {
        match self {
            Self::Led(model) => model.loss(source, target, mode),
            Self::BigBird(model) => model.loss(source, target, mode),
        }
    }

    /// As `loss`, from the encoder's output.
    pub fn loss_from(&self, memory: &Tensor, source: &Source, target: &Target, mode: Mode) -> Tensor {
        match self {
            Self::Led(model) => model.loss_from(memory, source, target, mode),
            Self::BigBird(model) => model.loss_from(memory, source, target, mode),
        }
    }
}
