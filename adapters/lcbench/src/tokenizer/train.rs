//! Makes a byte-level BPE vocabulary in LED's form from texts, for trying real documents where no published one is at hand.

use std::{fs, path::Path};

use tokenizers::{
    AddedToken, Model,
    models::{
        TrainerWrapper,
        bpe::{BPE, BpeTrainer},
    },
    pre_tokenizers::byte_level::ByteLevel,
};

use super::TokenizerError;

/// Writes `dir/vocab.json` and `dir/merges.txt` of at most `size` tokens; ids of special tokens as in LED, `<mask>` among them.
/// The same texts in the same order give the same files.
pub fn train_bpe<'a>(
    texts: impl Iterator<Item = &'a str> + Send,
    size: usize,
    dir: &Path,
) -> Result<(), TokenizerError> {
    let failed = |problem: String| TokenizerError::Training {
        dir: dir.to_owned(),
        problem,
    };
    let mut trainer: TrainerWrapper = BpeTrainer::builder()
        .vocab_size(size)
        .min_frequency(2)
        .show_progress(false)
        .initial_alphabet(ByteLevel::alphabet().into_iter().collect())
        .special_tokens(
            ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
                .map(|token| AddedToken::from(token, true))
                .to_vec(),
        )
        .build()
        .into();
    let mut tokenizer = tokenizers::Tokenizer::new(BPE::default());
    tokenizer.with_pre_tokenizer(Some(ByteLevel::new(false, true, true)));
    tokenizer
        .train(&mut trainer, texts)
        .map_err(|error| failed(error.to_string()))?;
    fs::create_dir_all(dir).map_err(|error| failed(error.to_string()))?;
    tokenizer
        .get_model()
        .save(dir, None)
        .map_err(|error| failed(error.to_string()))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tokenizer::{Family, Tokenizer};

    #[test]
    fn a_trained_vocabulary_loads_repeats_and_shortens_text() {
        let texts = [
            "the house by the shore",
            "the road by the house",
            "naïve \u{1f9ea} houses\n\n",
        ];
        let (a, b) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        train_bpe(texts.into_iter(), 300, a.path()).unwrap();
        train_bpe(texts.into_iter(), 300, b.path()).unwrap();
        let load = |dir: &Path| Tokenizer::load(dir, Family::Led).unwrap();
        let tokenizer = load(a.path());
        assert_eq!(tokenizer.fingerprint(), load(b.path()).fingerprint());
        for text in texts {
            let ids = tokenizer.encode_source(text, 1000).unwrap();
            assert_eq!(tokenizer.decode(&ids).unwrap(), text);
            assert!(ids.iter().all(|&id| (id as usize) < tokenizer.vocab_size()));
        }
        assert!(tokenizer.ids(texts[0]).unwrap().len() < texts[0].len() / 2);
    }
}
