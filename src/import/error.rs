//! What is wrong with a log, where, and what helps.

use std::path::{Path, PathBuf};

/// Why a file cannot be imported.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    #[error("cannot read {}: {source}\nhint: check the name and its permissions", path.display())]
    Read { path: PathBuf, source: std::io::Error },

    #[error("{}: {what}\nhint: {hint}", path.display())]
    File { path: PathBuf, what: String, hint: String },

    #[error("{}:{line}: {what}\nhint: {hint}", path.display())]
    Line {
        path: PathBuf,
        line: u64,
        what: String,
        hint: String,
    },

    #[error("{}:{line}: column `{column}`: {what}\nhint: {hint}", path.display())]
    Cell {
        path: PathBuf,
        line: u64,
        column: String,
        what: String,
        hint: String,
    },
}

impl ImportError {
    /// Something about the file as a whole.
    pub fn file(path: &Path, what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::File {
            path: path.to_owned(),
            what: what.into(),
            hint: hint.into(),
        }
    }

    /// Something about one line.
    pub fn line(path: &Path, line: u64, what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Line {
            path: path.to_owned(),
            line,
            what: what.into(),
            hint: hint.into(),
        }
    }

    /// Something about one cell.
    pub fn cell(path: &Path, line: u64, column: &str, what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Cell {
            path: path.to_owned(),
            line,
            column: column.to_owned(),
            what: what.into(),
            hint: hint.into(),
        }
    }
}
