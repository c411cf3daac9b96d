//! What is believed about a GPU's sensor before its data are looked at.
//!
//! The power figures are medians from the measurements of Yang, Adamek and Armour, "Part-time Power Measurements: nvidia-smi's Lack
//! of Attention" (SC24, doi 10.1109/SC41406.2024.00028; data: github.com/JimZeyuYang/GPU_Power_Benchmark, `Overall_Results.xlsx`),
//! drivers 520 to 535, each checked there against an external meter. The energy counter's period is what several projects report of
//! single boards (Zeus and ML.ENERGY about 100 ms on data-centre parts, about 106 ms on an RTX 4090, about 10 ms on a GTX 1650).
//!
//! *Limits of validity.* Priors, never truth: boards of one architecture differ (Quadro RTX 8000: 20 ms window where other Turings
//! have 100), and nothing is published for Blackwell and newer. Unknown stays `None`, so that an analysis cannot mistake a guess for
//! knowledge. A window shorter than the period means that the sensor sees only part of the time.

use crate::model::device::SensorTiming;

use super::chip::Chip;

/// Which call a power reading comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PowerCall {
    /// Field 186, the shortest average of the board.
    Instant,
    /// Field 185, one second.
    Average,
    /// `nvmlDeviceGetPowerUsage`, which is one or the other by chip and driver.
    Usage,
}

impl PowerCall {
    /// The words of the device's property.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Instant => "field 186 (POWER_INSTANT)",
            Self::Average => "field 185 (POWER_AVERAGE)",
            Self::Usage => "nvmlDeviceGetPowerUsage",
        }
    }
}

/// Milliseconds between publications, and averaged in each.
const fn timing(update: f64, window: f64) -> SensorTiming {
    SensorTiming {
        update_period_ms: Some(update),
        window_ms: Some(window),
        delay_ms: None,
    }
}

/// Nothing is known.
const UNKNOWN: SensorTiming = SensorTiming {
    update_period_ms: None,
    window_ms: None,
    delay_ms: None,
};

/// The prior for this chip's power readings by this call, under a driver of this branch (`535` of `535.104.05`).
pub fn power_prior(chip: Chip, call: PowerCall, driver_branch: Option<u32>) -> SensorTiming {
    match call {
        PowerCall::Average => match chip {
            Chip::Ga10x | Chip::Ada | Chip::Hopper | Chip::Blackwell | Chip::Rubin => timing(100.0, 1000.0),
            _ => UNKNOWN,
        },
        PowerCall::Instant => match chip {
            Chip::Pascal | Chip::Volta => timing(20.0, 10.0),
            Chip::Ga100 | Chip::Hopper => timing(100.0, 25.0),
            Chip::Turing | Chip::Ga10x | Chip::Ada => timing(100.0, 100.0),
            // Maxwell and Kepler answer with a slow low-pass, not a window; newer chips have not been measured.
            Chip::Maxwell | Chip::Kepler | Chip::Blackwell | Chip::Rubin | Chip::Unknown => UNKNOWN,
        },
        PowerCall::Usage => match chip {
            Chip::Pascal | Chip::Volta => timing(20.0, 10.0),
            Chip::Ga100 => timing(100.0, 25.0),
            Chip::Turing => timing(100.0, 100.0),
            // Branch 530 alone gave the short average here.
            Chip::Ga10x | Chip::Ada if driver_branch == Some(530) => timing(100.0, 100.0),
            Chip::Ga10x | Chip::Ada | Chip::Hopper => timing(100.0, 1000.0),
            // "On Ampere (except GA100) or newer GPUs, the API returns power averaged over 1 sec interval" (nvml.h).
            Chip::Blackwell | Chip::Rubin => timing(100.0, 1000.0),
            Chip::Maxwell | Chip::Kepler | Chip::Unknown => UNKNOWN,
        },
    }
}

/// The prior for this chip's energy counter. It has no window: whether it counts all time is found in the data.
pub fn counter_prior(chip: Chip) -> SensorTiming {
    SensorTiming {
        update_period_ms: match chip {
            Chip::Ga100 | Chip::Ga10x | Chip::Ada | Chip::Hopper => Some(100.0),
            _ => None,
        },
        ..UNKNOWN
    }
}

/// `535` of `535.104.05`.
pub fn driver_branch(version: &str) -> Option<u32> {
    version.split('.').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn power_usage_is_the_long_average_exactly_where_the_header_says_so() {
        for chip in [Chip::Ga10x, Chip::Ada, Chip::Hopper, Chip::Blackwell] {
            assert_eq!(
                power_prior(chip, PowerCall::Usage, Some(550)).window_ms,
                Some(1000.0),
                "{chip:?}"
            );
        }
        assert_eq!(
            power_prior(Chip::Ga100, PowerCall::Usage, Some(550)).window_ms,
            Some(25.0)
        );
        assert_eq!(
            power_prior(Chip::Ada, PowerCall::Usage, Some(530)).window_ms,
            Some(100.0)
        );
    }

    #[test]
    fn no_window_is_longer_than_its_source_allows_and_unknown_chips_claim_nothing() {
        assert_eq!(power_prior(Chip::Unknown, PowerCall::Instant, None), UNKNOWN);
        assert_eq!(power_prior(Chip::Blackwell, PowerCall::Instant, Some(580)), UNKNOWN);
        assert_eq!(counter_prior(Chip::Unknown).update_period_ms, None);
    }

    #[test]
    fn the_branch_is_the_first_number() {
        assert_eq!(driver_branch("535.104.05"), Some(535));
        assert_eq!(driver_branch("rolling"), None);
    }
}
