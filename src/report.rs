//! An analysis as bytes: text, JSON, CSV, Markdown, HTML, pictures, and the differences between runs.
//!
//! Pure functions: no file names, no terminal, no environment. What a table shows is decided once ([`tables`], [`notes`]) and laid
//! out by [`text`], [`markdown`] and [`html`]; [`json`] and [`csv`] carry the same figures in full precision.

pub mod compare;
pub mod csv;
pub mod format;
pub mod html;
pub mod json;
pub mod markdown;
pub mod notes;
pub mod parquet;
pub mod perfetto;
pub mod plot;
pub mod readings;
pub mod tables;
pub mod text;

#[cfg(test)]
pub mod fixture;

/// Why a report could not be made.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// The JSON writer refused a value.
    #[error("writing JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// The CSV writer refused a row.
    #[error("writing CSV: {0}")]
    Csv(#[from] ::csv::Error),
}
