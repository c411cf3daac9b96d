//! powerprof: what a training run costs in energy, phase by phase, with an error bar.
//!
//! The modules stand in dependency order: a file imports only modules listed above its own
//! (`tests/architecture.rs` holds them to it).

pub mod model;

pub mod sensors;

pub mod markers;

pub mod import;

pub mod sampler;

pub mod recording;

pub mod energy;

pub mod calibration;

pub mod report;

pub mod supervisor;

pub mod cli;

pub mod plan;

pub mod commands;
