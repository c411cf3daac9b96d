//! What can be wrong with a data set, said so that the reader can go and mend it.

use std::{io, path::PathBuf};

#[derive(Debug, thiserror::Error)]
pub enum DataError {
    #[error("no data set at {}: {source}\nhint: --data takes a folder or zip with train.jsonl and validation.jsonl", path.display())]
    Unreadable { path: PathBuf, source: io::Error },
    #[error("{} holds no {file}\nhint: --data takes a folder or zip with train.jsonl and validation.jsonl", path.display())]
    MissingSplit { path: PathBuf, file: &'static str },
    #[error("{} holds several data sets: {}\nhint: name one of them, as in --data {} (unpack an archive first)", path.display(), found.join(", "), path.join(&found[0]).display())]
    Ambiguous { path: PathBuf, found: Vec<String> },
    #[error(
        "{file}:{line}: {problem}\nhint: each line is one JSON object with the strings `id`, `pid`, `input` and `output`"
    )]
    BadLine {
        file: String,
        line: usize,
        problem: LineProblem,
    },
    #[error(
        "{file} holds no examples\nhint: each line is one JSON object with the strings `id`, `pid`, `input` and `output`"
    )]
    Empty { file: String },
}

/// What is wrong with one line; always names the field where there is one.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum LineProblem {
    #[error("not UTF-8 (byte {0} of the line)")]
    NotUtf8(usize),
    #[error("not JSON: {0}")]
    NotJson(String),
    #[error("expected an object, found {0}")]
    NotAnObject(&'static str),
    #[error("field `{0}` is missing")]
    MissingField(&'static str),
    #[error("field `{field}`: expected a string, found {found}")]
    WrongType { field: &'static str, found: &'static str },
}
