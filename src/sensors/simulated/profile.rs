//! Which sensor is played: the timing of a real board's, by name.
//!
//! Timings as in [`crate::sensors::nvml::timing`], with the same source; limits from the makers' data sheets.

use std::str::FromStr;

use crate::model::units::Watts;

/// A board's sensor.
#[derive(Debug, Clone, PartialEq)]
pub struct Profile {
    /// As `--simulate` takes it.
    pub word: &'static str,
    pub name: &'static str,
    pub architecture: &'static str,
    pub limit: Watts,
    /// Time between publications of power.
    pub period_ms: f64,
    /// What each averages.
    pub window_ms: f64,
    /// End of the window to its publication.
    pub delay_ms: f64,
    pub counter_period_ms: f64,
}

/// Share of the limit that an idle GPU draws.
const IDLE: f64 = 0.13;

impl Profile {
    /// Power with nothing to do.
    pub fn idle(&self) -> Watts {
        self.limit * IDLE
    }
}

/// Every profile.
pub const PROFILES: &[Profile] = &[
    Profile {
        word: "v100",
        name: "Tesla V100-SXM2-32GB",
        architecture: "Volta",
        limit: Watts(300.0),
        period_ms: 20.0,
        window_ms: 10.0,
        delay_ms: 1.0,
        counter_period_ms: 20.0,
    },
    Profile {
        word: "a100",
        name: "NVIDIA A100-SXM4-80GB",
        architecture: "Ampere",
        limit: Watts(400.0),
        period_ms: 100.0,
        window_ms: 25.0,
        delay_ms: 1.0,
        counter_period_ms: 100.0,
    },
    Profile {
        word: "h100",
        name: "NVIDIA H100 80GB HBM3",
        architecture: "Hopper",
        limit: Watts(700.0),
        period_ms: 100.0,
        window_ms: 25.0,
        delay_ms: 1.0,
        counter_period_ms: 100.0,
    },
    Profile {
        word: "ga102",
        name: "NVIDIA GeForce RTX 3090",
        architecture: "Ampere",
        limit: Watts(350.0),
        period_ms: 100.0,
        window_ms: 100.0,
        delay_ms: 2.0,
        counter_period_ms: 100.0,
    },
    Profile {
        word: "ada",
        name: "NVIDIA GeForce RTX 4090",
        architecture: "Ada",
        limit: Watts(450.0),
        period_ms: 100.0,
        window_ms: 100.0,
        delay_ms: 7.0,
        counter_period_ms: 106.0,
    },
];

/// What `--simulate` asks for: a profile, and how many of them.
#[derive(Debug, Clone, PartialEq)]
pub struct Simulation {
    pub profile: &'static Profile,
    pub gpus: usize,
}

/// More simulated GPUs than any one machine holds.
const MOST_GPUS: usize = 16;

/// A text that names no simulation.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no simulation `{0}`\nhint: one of {words}, with a number of GPUs behind it if you like: `h100x8`, at most {MOST_GPUS}", words = words())]
pub struct UnknownSimulation(String);

fn words() -> String {
    PROFILES.iter().map(|p| p.word).collect::<Vec<_>>().join(", ")
}

impl std::fmt::Display for Simulation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.gpus {
            1 => f.write_str(self.profile.word),
            n => write!(f, "{}x{n}", self.profile.word),
        }
    }
}

impl FromStr for Simulation {
    type Err = UnknownSimulation;

    /// `a100`, `h100x8`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let unknown = || UnknownSimulation(text.to_owned());
        let lower = text.to_ascii_lowercase();
        let profile = PROFILES
            .iter()
            .find(|p| lower.starts_with(p.word))
            .ok_or_else(unknown)?;
        let gpus = match &lower[profile.word.len()..] {
            "" => 1,
            rest => rest
                .strip_prefix('x')
                .and_then(|n| n.parse().ok())
                .filter(|n| (1..=MOST_GPUS).contains(n))
                .ok_or_else(unknown)?,
        };
        Ok(Self { profile, gpus })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_with_and_without_a_number() {
        for text in ["v100", "a100", "h100", "ga102", "ada", "h100x8", "ADAx2"] {
            let simulation: Simulation = text.parse().expect("a profile");
            assert_eq!(simulation.to_string(), text.to_ascii_lowercase());
        }
    }

    #[test]
    fn anything_else_is_refused_with_the_choice() {
        for text in ["", "h1000", "h100x0", "h100x99", "h100x", "tpu"] {
            let error = text.parse::<Simulation>().expect_err("no such thing");
            assert!(error.to_string().contains("v100, a100, h100, ga102, ada"), "{error}");
        }
    }
}
