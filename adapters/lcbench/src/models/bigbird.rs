//! BigBird-Pegasus (Zaheer et al. 2020, arXiv:2007.14062; Pegasus: Zhang et al. 2020, arXiv:1912.08777), as transformers computes it.
//!
//! Parameter names are HuggingFace's. The arithmetic is exact, the order of work is not HuggingFace's: see `attention` and
//! `blocks`. Padding never influences a real position, so encoder rows of padding are computed but mean nothing.

mod attention;
mod blocks;
mod decoder;
mod encoder;
mod mt19937;

pub mod config;
pub mod random;

use tch::Tensor;

pub use self::blocks::{Kernel, RandomBlocks};
use self::{config::BigBirdConfig, decoder::Decoder, encoder::Encoder};
use super::{
    attention::Decoding,
    input::{Source, Target},
    layers::{Activation, Mode},
    params::Builder,
    vocabulary::Vocabulary,
};

#[derive(Debug)]
pub struct BigBird {
    vocabulary: Vocabulary,
    encoder: Encoder,
    decoder: Decoder,
}

impl BigBird {
    pub fn new(p: &mut Builder, config: &BigBirdConfig, random: RandomBlocks, kernel: Kernel) -> Self {
        let activation = config.activation().unwrap_or(Activation::GeluTanh); // BigBirdConfig::check has refused the unknown
        Self {
            vocabulary: Vocabulary::new(
                p,
                "model.shared.weight",
                [config.vocab_size, config.d_model],
                config.init_std,
                config.pad_token_id,
                config.embedding_scale(),
            ),
            encoder: Encoder::new(p, config, activation, random, kernel),
            decoder: Decoder::new(p, config, activation),
        }
    }

    /// (B, S, E). A source too short for blocks is attended to in full, and from then on so is every other.
    pub fn encode(&self, source: &Source, mode: Mode) -> Tensor {
        self.encoder.forward(&self.vocabulary.embed(&source.ids), source, mode)
    }

    /// (B, T, E) from decoder input ids (B, T) and the encoder's output.
    pub fn decode(&self, ids: &Tensor, memory: &Tensor, source: &Source, mode: Mode) -> Tensor {
        self.decoder.forward(&self.vocabulary.embed(ids), memory, source, mode)
    }

    /// Makes ready to decode at most `room` tokens one by one.
    pub fn start(&self, memory: &Tensor, source: &Source, room: i64) -> Decoding {
        self.decoder.start(memory, source, room)
    }

    /// (B, 1, E) from the next decoder input ids (B, 1).
    pub fn step(&self, ids: &Tensor, decoding: &mut Decoding) -> Tensor {
        self.decoder.step(&self.vocabulary.embed(ids), decoding)
    }

    /// (..., V) from (..., E)
    pub fn logits(&self, hidden: &Tensor) -> Tensor {
        self.vocabulary.logits(hidden)
    }

    /// Mean cross-entropy over the labels that count. Only their rows are projected onto the vocabulary.
    pub fn loss(&self, source: &Source, target: &Target, mode: Mode) -> Tensor {
        self.loss_from(&self.encode(source, mode), source, target, mode)
    }

    /// As `loss`, from the encoder's output.
    pub fn loss_from(&self, memory: &Tensor, source: &Source, target: &Target, mode: Mode) -> Tensor {
        let hidden = self.decode(&target.decoder_ids, memory, source, mode);
        self.vocabulary.loss(&hidden, target)
    }
}
