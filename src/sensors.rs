//! Hardware -> readings: what can be read on this machine, and reading it.
//!
//! [`discover`] looks for every family and says what it found; the families ([`nvml`], [`rapl`], [`hwmon`], [`estimate`],
//! [`simulated`]) each turn one interface into [`interface::Sensor`]s. [`host`] watches the machine and the process tree, and is
//! no sensor of energy. Never writes a file and never integrates anything.

pub mod clock;
pub mod discover;
pub mod estimate;
pub mod finding;
pub mod host;
pub mod hwmon;
pub mod interface;
pub mod number_file;
pub mod nvml;
pub mod patience;
pub mod rapl;
pub mod scripted;
pub mod simulated;
