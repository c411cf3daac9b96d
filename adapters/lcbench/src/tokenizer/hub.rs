//! Vocabularies in the forms that checkpoints are published with, all run by the `tokenizers` crate.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use sha2::{Digest, Sha256};

use super::{Family, Special, TokenizerError};

/// A vocabulary from files, with the ids that decoding leaves out.
pub(super) struct Hub {
    tokenizer: tokenizers::Tokenizer,
    special: Special,
    skipped: BTreeSet<u32>,
    vocab_size: usize,
    fingerprint: [u8; 32],
}

impl Hub {
    pub(super) fn load(dir: &Path, family: Family) -> Result<Self, TokenizerError> {
        let path = dir.join("tokenizer.json");
        if !path.is_file() {
            return Err(TokenizerError::NoVocabulary { dir: dir.to_owned() });
        }
        let bytes = read(&path)?;
        let mut tokenizer = tokenizers::Tokenizer::from_bytes(&bytes).map_err(|error| TokenizerError::Malformed {
            path: path.clone(),
            problem: error.to_string(),
        })?;
        // Cutting and padding are ours: settings saved with the file must not do them a first time.
        let _ = tokenizer.with_truncation(None);
        tokenizer.with_padding(None);
        Self::new(tokenizer, family, path, Sha256::digest(&bytes).into())
    }

    fn new(
        tokenizer: tokenizers::Tokenizer,
        family: Family,
        path: PathBuf,
        fingerprint: [u8; 32],
    ) -> Result<Self, TokenizerError> {
        let special = Special::of(family);
        for (token, expected) in [("<pad>", special.pad), ("<s>", special.bos), ("</s>", special.eos)] {
            let problem = match tokenizer.token_to_id(token) {
                Some(id) if id == expected => continue,
                Some(id) => format!("has id {id}, not {expected}"),
                None => "is missing".into(),
            };
            return Err(TokenizerError::WrongSpecial { path, token, problem });
        }
        let skipped = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
            .iter()
            .filter_map(|t| tokenizer.token_to_id(t))
            .collect();
        let vocab = tokenizer.get_vocab(true);
        let vocab_size = vocab.values().max().map_or(0, |&id| id as usize + 1);
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
        let encoding = encoding.map_err(|error| TokenizerError::Encode {
            bytes: text.len(),
            problem: error.to_string(),
        })?;
        Ok(encoding.get_ids().to_vec())
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

fn read(path: &Path) -> Result<Vec<u8>, TokenizerError> {
    fs::read(path).map_err(|source| TokenizerError::Unreadable {
        path: path.to_owned(),
        source,
    })
}
