//! report.

pub mod perfetto;
pub mod readings;
