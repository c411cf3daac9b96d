//! lcbench: see README.
