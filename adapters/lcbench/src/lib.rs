//! lcbench: see README.

pub mod data;
pub mod metrics;
pub mod tokenizer;
