//! Which chip a GPU is, as far as its power sensor is concerned.
//!
//! NVML's architecture number does not tell GA100 (A100, A30) from the other Amperes, whose sensors differ; the CUDA compute
//! capability does: GA100 is 8.0 (CUDA C Programming Guide, compute capabilities).

/// A family of chips whose power sensors behave alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Chip {
    Kepler,
    Maxwell,
    Pascal,
    Volta,
    Turing,
    /// Ampere's data-centre chip.
    Ga100,
    /// All other Amperes.
    Ga10x,
    Ada,
    Hopper,
    Blackwell,
    Rubin,
    /// Newer than this program, or not told.
    Unknown,
}

impl Chip {
    /// From `nvmlDeviceGetArchitecture` (nvml.h, `NVML_DEVICE_ARCH_*`) and the compute capability, as far as each is known.
    pub fn from_codes(architecture: Option<u32>, capability: Option<(i32, i32)>) -> Self {
        match (architecture, capability) {
            (Some(2), _) => Self::Kepler,
            (Some(3), _) => Self::Maxwell,
            (Some(4), _) => Self::Pascal,
            (Some(5), _) => Self::Volta,
            (Some(6), _) => Self::Turing,
            (Some(7), Some((8, 0))) => Self::Ga100,
            (Some(7), _) => Self::Ga10x,
            (Some(8), _) => Self::Ada,
            (Some(9), _) => Self::Hopper,
            (Some(10), _) => Self::Blackwell,
            (Some(13), _) => Self::Rubin,
            _ => Self::Unknown,
        }
    }

    /// The architecture's name, as NVML's header spells it; none for an unknown one.
    pub const fn architecture(self) -> Option<&'static str> {
        match self {
            Self::Kepler => Some("Kepler"),
            Self::Maxwell => Some("Maxwell"),
            Self::Pascal => Some("Pascal"),
            Self::Volta => Some("Volta"),
            Self::Turing => Some("Turing"),
            Self::Ga100 | Self::Ga10x => Some("Ampere"),
            Self::Ada => Some("Ada"),
            Self::Hopper => Some("Hopper"),
            Self::Blackwell => Some("Blackwell"),
            Self::Rubin => Some("Rubin"),
            Self::Unknown => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a100_and_a40_are_one_architecture_and_two_chips() {
        let a100 = Chip::from_codes(Some(7), Some((8, 0)));
        let a40 = Chip::from_codes(Some(7), Some((8, 6)));
        assert_eq!((a100, a40), (Chip::Ga100, Chip::Ga10x));
        assert_eq!(a100.architecture(), a40.architecture());
    }

    #[test]
    fn an_architecture_from_the_future_is_unknown_and_not_the_last_known() {
        assert_eq!(Chip::from_codes(Some(42), Some((15, 0))), Chip::Unknown);
        assert_eq!(Chip::from_codes(None, None).architecture(), None);
    }
}
