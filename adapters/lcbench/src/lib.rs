//! lcbench: a trainer of long-context encoder-decoder models (LED and BigBird-Pegasus) on libtorch, made to be measured: it says through
//! powerprof's markers which phase it is in and how much work each step finished.
//!
//! Modules in dependency order; `run` is the program's table of contents.

pub mod checkpoint;
pub mod data;
pub mod metrics;
pub mod tokenizer;

pub mod device;
pub mod shim;

pub mod models;
pub mod optim;

pub mod generate;

pub mod cli;
pub mod phases;
pub mod plan;
pub mod progress;

pub mod setup;

pub mod evaluate;
pub mod train;

pub mod search;
pub mod summary;
pub mod trial;

pub mod run;
