//! Vocabularies in the published forms against the originals (tests/data/tokenizers, made by goldens/vocabularies.py): the ids of
//! more than a thousand texts of odd Unicode, and what they decode to.

use std::{
    fs,
    path::{Path, PathBuf},
};

use lcbench::tokenizer::{Family, Tokenizer, TokenizerError};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data/tokenizers")
        .join(name)
}

/// The archive's files in a folder of their own.
fn bigbird() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let archive = fs::File::open(data("bigbird.zip")).unwrap();
    zip::ZipArchive::new(archive).unwrap().extract(dir.path()).unwrap();
    dir
}

/// Text, then for LED and BigBird-Pegasus: number of ids, and beginnings of the SHA-256 of the ids and of the decoded text.
fn vectors() -> Vec<(String, String, String)> {
    serde_json::from_str(include_str!("data/tokenizers/texts.json")).unwrap()
}

fn digest(ids: &[i64], text: &str) -> String {
    let hash = |text: &str| {
        Sha256::digest(text)
            .iter()
            .take(4)
            .map(|byte| format!("{byte:02x}"))
            .collect::<String>()
    };
    let list = ids.iter().map(i64::to_string).collect::<Vec<_>>().join(",");
    format!("{} {} {}", ids.len(), hash(&list), hash(text))
}

fn check(tokenizer: &Tokenizer, expected: impl Fn(&(String, String, String)) -> &str) {
    let vectors = vectors();
    assert!(vectors.len() > 1000);
    for row in &vectors {
        let ids = tokenizer.encode_source(&row.0, 100_000).unwrap();
        let text = tokenizer.decode(&ids).unwrap();
        assert_eq!(
            digest(&ids, &text),
            expected(row),
            "{:?} gave {ids:?} and {text:?}",
            row.0
        );
        assert!(ids.iter().all(|&id| (id as usize) < tokenizer.vocab_size()));
    }
}

#[test]
fn led_from_vocab_and_merges() {
    check(&Tokenizer::load(&data("led"), Family::Led).unwrap(), |row| &row.1);
}

#[test]
fn led_from_tokenizer_json() {
    check(&Tokenizer::load(&data("led-json"), Family::Led).unwrap(), |row| &row.1);
}

#[test]
fn bigbird_pegasus_from_sentencepiece() {
    check(
        &Tokenizer::load(bigbird().path(), Family::BigBirdPegasus).unwrap(),
        |row| &row.2,
    );
}

#[test]
fn forms_of_one_vocabulary_agree_on_its_size() {
    let size = |name| Tokenizer::load(&data(name), Family::Led).unwrap().vocab_size();
    assert_eq!((size("led"), size("led-json")), (621, 621));
    assert_eq!(
        Tokenizer::load(bigbird().path(), Family::BigBirdPegasus)
            .unwrap()
            .vocab_size(),
        700
    );
}

#[test]
fn truncation_keeps_the_special_tokens() {
    let text = "The committee reported that the program had not met its goals.";
    let bigbird = bigbird();
    for (dir, family) in [
        (data("led").as_path(), Family::Led),
        (bigbird.path(), Family::BigBirdPegasus),
    ] {
        let tokenizer = Tokenizer::load(dir, family).unwrap();
        let whole = tokenizer.encode_source(text, 1000).unwrap();
        let cut = tokenizer.encode_source(text, 5).unwrap();
        assert_eq!(cut[..4], whole[..4], "{family:?}");
        assert_eq!((cut.len(), cut[4]), (5, tokenizer.eos()), "{family:?}");
    }
}

#[test]
fn what_does_not_fit_is_said() {
    let error = Tokenizer::load(bigbird().path(), Family::Led).unwrap_err();
    assert!(
        matches!(&error, TokenizerError::WrongSpecial { token: "<pad>", .. }),
        "{error}"
    );
    assert!(
        error
            .to_string()
            .contains("special token <pad> has id 0, not 1\nhint: "),
        "{error}"
    );
    let dir = tempfile::tempdir().unwrap();
    let error = Tokenizer::load(dir.path(), Family::Led).unwrap_err().to_string();
    assert!(error.contains("hint: put tokenizer.json there"), "{error}");
    fs::write(dir.path().join("spiece.model"), "text").unwrap();
    let error = Tokenizer::load(dir.path(), Family::BigBirdPegasus)
        .unwrap_err()
        .to_string();
    assert!(error.contains("spiece.model: "), "{error}");
    fs::copy(bigbird().path().join("spiece.model"), dir.path().join("spiece.model")).unwrap();
    fs::write(dir.path().join("tokenizer_config.json"), r#"{"offset": 103}"#).unwrap();
    let error = Tokenizer::load(dir.path(), Family::BigBirdPegasus)
        .unwrap_err()
        .to_string();
    assert!(error.contains("offset 103 is Pegasus's own"), "{error}");
}
