//! The models: configuration, parameters, layers, and LED and BigBird-Pegasus on them. Knows nothing of data sets, command line
//! or logging.
//!
//! Shapes are named once: B rows, S source positions, T target positions, E model width, H heads, D = E / H, V vocabulary.

pub mod attention;
pub mod bigbird;
pub mod config;
pub mod family;
pub mod input;
pub mod layers;
pub mod led;
pub mod params;
pub mod vocabulary;
