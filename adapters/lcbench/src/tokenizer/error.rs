//! What can be wrong with a vocabulary.

use std::{io, path::PathBuf};

#[derive(Debug, thiserror::Error)]
pub enum TokenizerError {
    #[error("no vocabulary in {}\nhint: put tokenizer.json there, or vocab.json and merges.txt, or spiece.model; or give --tokenizer bytes to weights that were trained on bytes", dir.display())]
    NoVocabulary { dir: PathBuf },
    #[error("cannot read {}: {source}\nhint: copy the vocabulary files again from where the checkpoint came from", path.display())]
    Unreadable { path: PathBuf, source: io::Error },
    #[error("{}: {problem}\nhint: copy the vocabulary files again from where the checkpoint came from", path.display())]
    Malformed { path: PathBuf, problem: String },
    #[error("{}: special token {token} {problem}\nhint: the vocabulary belongs to another kind of model", path.display())]
    WrongSpecial {
        path: PathBuf,
        token: &'static str,
        problem: String,
    },
    #[error(
        "cannot tokenize a text of {bytes} bytes: {problem}\nhint: the vocabulary lacks a token for unknown characters"
    )]
    Encode { bytes: usize, problem: String },
    #[error("cannot decode {ids} ids: {problem}\nhint: the vocabulary's decoder does not fit its model")]
    Decode { ids: usize, problem: String },
    #[error("cannot make a vocabulary in {}: {problem}\nhint: check that the folder can be written and the texts are not empty", dir.display())]
    Training { dir: PathBuf, problem: String },
}
