//! BART's byte-level BPE from vocab.json and merges.txt, as LED's repositories hold them.
//!
//! Pipeline of transformers 4.11 (`convert_slow_tokenizer.RobertaConverter`): GPT-2's regular expression, bytes as printable
//! characters, merges, and five special tokens of which `<mask>` takes the space before it along.

use std::path::Path;

use tokenizers::{models::bpe::BPE, pre_tokenizers::byte_level::ByteLevel};

use super::{Parts, TokenizerError, fingerprint, malformed, read, special};

pub(super) fn load(dir: &Path) -> Result<Parts, TokenizerError> {
    let (vocab, merges) = (dir.join("vocab.json"), dir.join("merges.txt"));
    let hash = fingerprint([&read(&vocab)?[..], &read(&merges)?[..]]);
    let (Some(vocab_name), Some(merges_name)) = (vocab.to_str(), merges.to_str()) else {
        return Err(malformed(&vocab, "the folder's name is not UTF-8"));
    };
    let (words, pairs) = BPE::read_file(vocab_name, merges_name).map_err(|error| malformed(&vocab, error))?;
    let model = BPE::builder()
        .vocab_and_merges(words, pairs)
        .build()
        .map_err(|error| malformed(&merges, error))?;
    let mut tokenizer = tokenizers::Tokenizer::new(model);
    // No space is put before a text's first word, as in BART's own settings.
    let bytes = ByteLevel::new(false, true, true);
    tokenizer.with_pre_tokenizer(Some(bytes)).with_decoder(Some(bytes));
    let tokens = [
        special("<s>"),
        special("<pad>"),
        special("</s>"),
        special("<unk>"),
        special("<mask>").lstrip(true),
    ];
    tokenizer
        .add_special_tokens(tokens)
        .map_err(|error| malformed(&vocab, error))?;
    Ok(Parts {
        tokenizer,
        path: vocab,
        fingerprint: hash,
    })
}
