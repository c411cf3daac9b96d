//! A SentencePiece unigram vocabulary from spiece.model, as BigBird-Pegasus's repositories hold it.
//!
//! Pipeline of transformers 4.11 (`convert_slow_tokenizer.PegasusConverter` with offset 0): SentencePiece's own character map,
//! runs of spaces to one, a split at white space, `▁` before every word, then the most likely pieces. It differs from
//! SentencePiece itself, as transformers does, in two things: a special token written out in a text is found as such, and the
//! character map is applied to clusters of a letter and its marks, where SentencePiece takes the longest entry from any character
//! on (one in eleven of the test's odd texts).

use std::path::Path;

use sentencepiece_model::{ModelType, SentencePieceModel};
use serde::Deserialize;
use tokenizers::{
    models::unigram::Unigram,
    normalizers::{self, NormalizerWrapper, Precompiled, Replace, replace::ReplacePattern},
    pre_tokenizers::{
        PreTokenizerWrapper,
        metaspace::{Metaspace, PrependScheme},
        sequence::Sequence,
        whitespace::WhitespaceSplit,
    },
};

use super::{Parts, TokenizerError, fingerprint, malformed, read, special};

/// The one setting of tokenizer_config.json that moves ids.
#[derive(Default, Deserialize)]
struct Settings {
    #[serde(default)]
    offset: i64,
}

pub(super) fn load(dir: &Path) -> Result<Parts, TokenizerError> {
    let path = dir.join("spiece.model");
    let bytes = read(&path)?;
    check_offset(dir)?;
    let parsed = SentencePieceModel::from_slice(&bytes).map_err(|error| malformed(&path, error))?;
    let trained = parsed
        .trainer()
        .ok_or_else(|| malformed(&path, "no trainer settings, so no id for unknown pieces"))?;
    if trained.model_type() != ModelType::Unigram {
        return Err(malformed(
            &path,
            format!("a {:?} vocabulary, expected Unigram", trained.model_type()),
        ));
    }
    let unknown = usize::try_from(trained.unk_id()).map_err(|_| malformed(&path, "no id for unknown pieces"))?;
    let pieces = parsed
        .pieces()
        .iter()
        .map(|piece| (piece.piece().to_owned(), f64::from(piece.score())))
        .collect();
    let unknown_piece = trained.unk_piece().to_owned();
    let model = Unigram::from(pieces, Some(unknown), false).map_err(|error| malformed(&path, error))?;
    let mut tokenizer = tokenizers::Tokenizer::new(model);

    let mut normalize: Vec<NormalizerWrapper> = Vec::new();
    if let Some(map) = parsed
        .normalizer()
        .map(|spec| spec.precompiled_charsmap())
        .filter(|map| !map.is_empty())
    {
        normalize.push(
            Precompiled::from(map)
                .map_err(|error| malformed(&path, format!("character map: {error:?}")))?
                .into(),
        );
    }
    let spaces = Replace::new(ReplacePattern::Regex(" {2,}".into()), " ").map_err(|error| malformed(&path, error))?;
    normalize.push(spaces.into());
    let normalize = normalizers::Sequence::new(normalize);
    tokenizer
        .with_normalizer(Some(normalize))
        .map_err(|error| malformed(&path, error))?;

    let words = Metaspace::new('▁', PrependScheme::Always, true);
    let split: Vec<PreTokenizerWrapper> = vec![WhitespaceSplit.into(), words.clone().into()];
    tokenizer
        .with_pre_tokenizer(Some(Sequence::new(split)))
        .with_decoder(Some(words));
    let tokens = [special("<pad>"), special("</s>"), special(&unknown_piece)];
    tokenizer
        .add_special_tokens(tokens)
        .map_err(|error| malformed(&path, error))?;
    Ok(Parts {
        tokenizer,
        path,
        fingerprint: fingerprint([&bytes[..]]),
    })
}

/// Pegasus proper moves its pieces up by 103; BigBird-Pegasus's model file has the gap built in (96,103 pieces) and says 0.
fn check_offset(dir: &Path) -> Result<(), TokenizerError> {
    let path = dir.join("tokenizer_config.json");
    if !path.is_file() {
        return Ok(());
    }
    let settings: Settings = serde_json::from_slice(&read(&path)?).map_err(|error| malformed(&path, error))?;
    match settings.offset {
        0 => Ok(()),
        offset => Err(malformed(
            &path,
            format!("offset {offset} is Pegasus's own; BigBird-Pegasus has 0"),
        )),
    }
}
