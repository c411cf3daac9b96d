//! Text to token ids and back, as the published checkpoints expect it.
//!
//! Owns the choice of a vocabulary and the special tokens round a text. The merging itself is the `tokenizers` crate's (the same
//! code that transformers' fast tokenizers run), or nothing at all: bytes are ids. Ids are `u32` inside a text and `i64` in
//! model inputs. Knows neither batches nor libtorch.

mod bytes;
mod cleanup;
mod error;
mod frame;
mod hub;
mod train;

pub use error::TokenizerError;
pub use frame::{Family, Frame};
pub use train::train_bpe;

use std::{fmt::Write as _, path::Path};

/// A vocabulary with its special tokens.
pub struct Tokenizer {
    family: Family,
    special: Special,
    vocabulary: Vocabulary,
    fingerprint: [u8; 32],
}

enum Vocabulary {
    Bytes,
    Hub(Box<hub::Hub>),
}

/// Ids with a meaning of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Special {
    pad: u32,
    bos: u32,
    eos: u32,
    /// What a decoder is fed first.
    decoder_start: u32,
}

impl Special {
    /// Ids of the published checkpoints (their config.json): LED's are BART's.
    const fn of(family: Family) -> Self {
        match family {
            Family::Led => Self {
                pad: 1,
                bos: 0,
                eos: 2,
                decoder_start: 2,
            },
            Family::BigBirdPegasus => Self {
                pad: 0,
                bos: 2,
                eos: 1,
                decoder_start: 2,
            },
        }
    }
}

impl Tokenizer {
    /// One id a byte, for models without a published vocabulary: ids 0 to 3 are the family's special tokens (of which 3 is
    /// `<unk>` and never produced), id 4 + b is byte b; 260 in all.
    pub fn bytes(family: Family) -> Self {
        let mut fingerprint = *b"bytes of utf-8, 4 specials first";
        // The special tokens differ by family, and with them the meaning of cached ids does not: ids of texts are the same.
        fingerprint[31] = bytes::SPECIALS as u8;
        Self {
            family,
            special: Special::of(family),
            vocabulary: Vocabulary::Bytes,
            fingerprint,
        }
    }

    /// Reads the vocabulary that lies beside a checkpoint.
    pub fn load(dir: &Path, family: Family) -> Result<Self, TokenizerError> {
        let hub = hub::Hub::load(dir, family)?;
        let fingerprint = hub.fingerprint();
        Ok(Self {
            family,
            special: hub.special(),
            vocabulary: Vocabulary::Hub(Box::new(hub)),
            fingerprint,
        })
    }

    /// Ids of a text alone: no special tokens, no truncation.
    pub fn ids(&self, text: &str) -> Result<Vec<u32>, TokenizerError> {
        match &self.vocabulary {
            Vocabulary::Bytes => Ok(bytes::encode(text)),
            Vocabulary::Hub(hub) => hub.encode(text),
        }
    }

    /// A source as the encoder takes it: at most `max` ids, of which the special tokens survive truncation. Not padded.
    pub fn encode_source(&self, text: &str, max: usize) -> Result<Vec<i64>, TokenizerError> {
        let mut framed = Vec::new();
        self.frame().append_source(&self.ids(text)?, max, &mut framed);
        Ok(framed)
    }

    /// A target as the labels take it. Not padded.
    pub fn encode_target(&self, text: &str, max: usize) -> Result<Vec<i64>, TokenizerError> {
        let mut framed = Vec::new();
        self.frame().append_target(&self.ids(text)?, max, &mut framed);
        Ok(framed)
    }

    /// Text of ids, without special tokens; ids that are not in the vocabulary (padding rows of a model) are left out.
    pub fn decode(&self, ids: &[i64]) -> Result<String, TokenizerError> {
        let ids: Vec<u32> = ids.iter().filter_map(|&id| u32::try_from(id).ok()).collect();
        match &self.vocabulary {
            Vocabulary::Bytes => Ok(bytes::decode(&ids)),
            Vocabulary::Hub(hub) => hub.decode(&ids).map(|text| cleanup::clean_up(&text)),
        }
    }

    /// The special tokens that go round a text, for whoever cuts ids to a length.
    pub fn frame(&self) -> Frame {
        let bos = (self.family == Family::Led).then_some(i64::from(self.special.bos));
        Frame {
            bos,
            eos: i64::from(self.special.eos),
            pad: i64::from(self.special.pad),
        }
    }

    pub fn family(&self) -> Family {
        self.family
    }

    /// Rows of the embedding table that this vocabulary needs.
    pub fn vocab_size(&self) -> usize {
        match &self.vocabulary {
            Vocabulary::Bytes => bytes::SIZE,
            Vocabulary::Hub(hub) => hub.vocab_size(),
        }
    }

    pub fn pad(&self) -> i64 {
        self.special.pad.into()
    }

    pub fn bos(&self) -> i64 {
        self.special.bos.into()
    }

    pub fn eos(&self) -> i64 {
        self.special.eos.into()
    }

    pub fn decoder_start(&self) -> i64 {
        self.special.decoder_start.into()
    }

    /// Changes with whatever changes the ids of a text: the key of a cache of ids.
    pub fn fingerprint(&self) -> [u8; 32] {
        self.fingerprint
    }
}

impl std::fmt::Debug for Tokenizer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut hash = String::new();
        for byte in &self.fingerprint[..8] {
            write!(hash, "{byte:02x}")?;
        }
        f.debug_struct("Tokenizer")
            .field("family", &self.family)
            .field("vocab_size", &self.vocab_size())
            .field("fingerprint", &hash)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_framed_and_truncated_as_the_family_wants() {
        let led = Tokenizer::bytes(Family::Led);
        assert_eq!(led.encode_source("ab", 10).unwrap(), [0, 4 + 97, 4 + 98, 2]);
        assert_eq!(led.encode_source("abcdef", 4).unwrap(), [0, 4 + 97, 4 + 98, 2]);
        assert_eq!(led.encode_target("", 10).unwrap(), [0, 2]);
        let bigbird = Tokenizer::bytes(Family::BigBirdPegasus);
        assert_eq!(bigbird.encode_source("abcdef", 4).unwrap(), [4 + 97, 4 + 98, 4 + 99, 1]);
        assert_eq!(
            (bigbird.pad(), bigbird.bos(), bigbird.eos(), bigbird.decoder_start()),
            (0, 2, 1, 2)
        );
        assert_eq!((led.pad(), led.bos(), led.eos(), led.decoder_start()), (1, 0, 2, 2));
    }

    #[test]
    fn bytes_come_back_without_specials_and_foreign_ids() {
        for family in [Family::Led, Family::BigBirdPegasus] {
            let tokenizer = Tokenizer::bytes(family);
            let text = "naïve \u{1f9ea} text\n\nwith lines";
            let mut ids = tokenizer.encode_source(text, 100).unwrap();
            ids.extend([-100, tokenizer.pad(), 260, 5000]);
            assert_eq!(tokenizer.decode(&ids).unwrap(), text);
            assert!(
                ids.iter()
                    .filter(|&&id| (0..260).contains(&id))
                    .all(|&id| (id as usize) < tokenizer.vocab_size())
            );
        }
    }
}
