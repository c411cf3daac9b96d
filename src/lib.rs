//! powerprof
