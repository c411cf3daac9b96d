//! The built library through the real nvml-wrapper. Each test has an installation of its own, hence a library and a
//! machine of its own, all in one process.

mod accuracy;
mod fake;
mod faults;
mod getters;
mod process;
