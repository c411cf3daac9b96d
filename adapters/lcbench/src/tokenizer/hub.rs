//! Vocabularies in the forms that checkpoints are published with, all run by the `tokenizers` crate.
//!
//! In order of preference: tokenizer.json, which says everything; vocab.json with merges.txt (`bpe`); spiece.model (`unigram`).
//! The latter two are put together by the rules of transformers 4.11, which the study used.

mod bpe;
mod unigram;

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use sha2::{Digest, Sha256};
use tokenizers::AddedToken;

use super::{Family, Special, TokenizerError};

/// A vocabulary from files, with the ids that decoding leaves out.
pub(super) struct Hub {
    tokenizer: tokenizers::Tokenizer,
    special: Special,
    skipped: BTreeSet<u32>,
    vocab_size: usize,
    fingerprint: [u8; 32],
}

/// What a form of vocabulary reads to: the pipeline, the file to blame, and the bytes that it depends on.
struct Parts {
    tokenizer: tokenizers::Tokenizer,
    path: PathBuf,
    fingerprint: [u8; 32],
}

impl Hub {
    pub(super) fn load(dir: &Path, family: Family) -> Result<Self, TokenizerError> {
        let has = |name: &str| dir.join(name).is_file();
        let parts = if has("tokenizer.json") {
            json(&dir.join("tokenizer.json"))?
        } else if has("vocab.json") && has("merges.txt") {
            bpe::load(dir)?
        } else if has("spiece.model") {
            unigram::load(dir)?
        } else {
            return Err(TokenizerError::NoVocabulary { dir: dir.to_owned() });
        };
        Self::new(parts, family)
    }

    fn new(parts: Parts, family: Family) -> Result<Self, TokenizerError> {
        let Parts {
            mut tokenizer,
            path,
            fingerprint,
        } = parts;
        // Cutting and padding are ours: settings saved with the file must not do them a first time.
        tokenizer
            .with_truncation(None)
            .map_err(|error| TokenizerError::Malformed {
                path: path.clone(),
                problem: error.to_string(),
            })?;
        tokenizer.with_padding(None);
        let special = Special::of(family);
        for (token, expected) in [("<pad>", special.pad), ("<s>", special.bos), ("</s>", special.eos)] {
            let problem = match tokenizer.token_to_id(token) {
                Some(id) if id == expected => continue,
                Some(id) => format!("has id {id}, not {expected}"),
                None => "is missing".into(),
            };
            return Err(TokenizerError::WrongSpecial { path, token, problem });
        }
        let skipped = SPECIAL_TOKENS
            .iter()
            .filter_map(|token| tokenizer.token_to_id(token))
            .collect();
        let vocab_size = tokenizer
            .get_vocab(true)
            .values()
            .max()
            .map_or(0, |&id| id as usize + 1);
        Ok(Self {
            tokenizer,
            special,
            skipped,
            vocab_size,
            fingerprint,
        })
    }

    pub(super) fn encode(&self, text: &str) -> Result<Vec<u32>, TokenizerError> {
        let encoding = self.tokenizer.encode_fast(text, false);
        let failed = |error: tokenizers::Error| TokenizerError::Encode {
            bytes: text.len(),
            problem: error.to_string(),
        };
        Ok(encoding.map_err(failed)?.get_ids().to_vec())
    }

    pub(super) fn decode(&self, ids: &[u32]) -> Result<String, TokenizerError> {
        let ids: Vec<u32> = ids.iter().copied().filter(|id| !self.skipped.contains(id)).collect();
        let text = self.tokenizer.decode(&ids, true);
        text.map_err(|error| TokenizerError::Decode {
            ids: ids.len(),
            problem: error.to_string(),
        })
    }

    pub(super) fn special(&self) -> Special {
        self.special
    }

    pub(super) fn vocab_size(&self) -> usize {
        self.vocab_size
    }

    pub(super) fn fingerprint(&self) -> [u8; 32] {
        self.fingerprint
    }
}

/// Left out of decoded text wherever the vocabulary has them (transformers' `all_special_ids`).
const SPECIAL_TOKENS: [&str; 5] = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"];

fn json(path: &Path) -> Result<Parts, TokenizerError> {
    let bytes = read(path)?;
    let tokenizer = tokenizers::Tokenizer::from_bytes(&bytes).map_err(|error| malformed(path, error))?;
    Ok(Parts {
        tokenizer,
        path: path.to_owned(),
        fingerprint: fingerprint([&bytes[..]]),
    })
}

/// A token that is found in text before anything else looks at it, as transformers' fast tokenizers add them.
fn special(token: &str) -> AddedToken {
    AddedToken::from(token, true)
}

fn read(path: &Path) -> Result<Vec<u8>, TokenizerError> {
    fs::read(path).map_err(|source| TokenizerError::Unreadable {
        path: path.to_owned(),
        source,
    })
}

fn malformed(path: &Path, problem: impl ToString) -> TokenizerError {
    TokenizerError::Malformed {
        path: path.to_owned(),
        problem: problem.to_string(),
    }
}

/// Of files, in order; the version changes when the way of building a pipeline from them does.
fn fingerprint<'a>(files: impl IntoIterator<Item = &'a [u8]>) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(b"pipeline 1");
    for bytes in files {
        hash.update((bytes.len() as u64).to_le_bytes());
        hash.update(bytes);
    }
    hash.finalize().into()
}
