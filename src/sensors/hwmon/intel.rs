//! Intel GPUs: the energy counters of `i915` and `xe` (Documentation/ABI/testing/sysfs-driver-intel-i915-hwmon, `-xe-hwmon`).
//!
//! Channel 1 is the card. `xe` numbers the chip's own package as channel 2, and older kernels show that alone.

use super::tree::Chip;
use super::{Files, optional};

/// The drivers' names. `i915_gt0` and the like are parts of the card, and left out.
pub const DRIVERS: [&str; 2] = ["i915", "xe"];

/// What the counter covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    Card,
    Package,
}

impl Scope {
    /// The word of the device's property.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Card => "card",
            Self::Package => "package",
        }
    }
}

/// The counter of a chip of these drivers.
pub fn open(chip: &Chip) -> Option<(Files, Scope)> {
    let (energy, scope) = match optional(&chip.folder, "energy1_input") {
        Some(energy) => (energy, Scope::Card),
        None => (optional(&chip.folder, "energy2_input")?, Scope::Package),
    };
    let files = Files {
        energy: Some(energy),
        ..Files::default()
    };
    Some((files, scope))
}

/// The most it may draw, microwatts: a limit of zero is one that is switched off.
pub fn limit_uw(chip: &Chip) -> Option<u64> {
    let limits = ["power1_max", "power1_rated_max", "power2_max", "power2_rated_max"];
    limits.iter().find_map(|file| chip.number(file).filter(|&uw| uw > 0))
}

/// Hwmon knows no name; the PCI address tells cards apart.
pub fn name(chip: &Chip) -> String {
    format!("Intel GPU at {}", chip.address)
}
