//! Why a configuration was refused. Owns the wording.

use std::fmt;
use std::path::PathBuf;

#[derive(Debug)]
pub enum ConfigError {
    /// The file that was named cannot be read.
    Unreadable { path: PathBuf, source: std::io::Error },
    /// Not JSON, or not this schema.
    Syntax { origin: String, source: serde_json::Error },
    /// A value that cannot be simulated.
    Invalid {
        field: String,
        problem: String,
        hint: String,
    },
}

impl ConfigError {
    pub(crate) fn invalid(field: &str, problem: &str, hint: &str) -> Self {
        Self::Invalid {
            field: field.to_owned(),
            problem: problem.to_owned(),
            hint: hint.to_owned(),
        }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable { path, source } => {
                write!(
                    out,
                    "cannot read the configuration {}: {source}\nhint: ",
                    path.display()
                )?;
                write!(out, "{} is a path, or JSON that starts with {{", super::CONFIG_VARIABLE)
            }
            Self::Syntax { origin, source } => {
                write!(
                    out,
                    "{origin} is not a configuration: {source}\nhint: README.md of fake-nvml shows each field"
                )
            }
            Self::Invalid { field, problem, hint } => write!(out, "`{field}` {problem}\nhint: {hint}"),
        }
    }
}

impl std::error::Error for ConfigError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Unreadable { source, .. } => Some(source),
            Self::Syntax { source, .. } => Some(source),
            Self::Invalid { .. } => None,
        }
    }
}
