//! Values of flags that are words or have a syntax of their own.

use std::{fmt, path::PathBuf, str::FromStr};

use clap::ValueEnum;
use serde::Serialize;

use crate::{data::Published, metrics::Scoring, models::bigbird::RandomBlocks, tokenizer::Family};

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Model {
    /// 2+2 layers, 64 wide, window 128: two CPU cores train it in a minute
    LedTiny,
    /// As allenai/led-base-16384
    LedBase,
    /// As allenai/led-large-16384
    LedLarge,
    /// 2+2 layers, 64 wide, blocks of 16: two CPU cores train it in a minute
    #[value(name = "bigbird-tiny")]
    BigBirdTiny,
    /// As google/bigbird-pegasus-large-pubmed
    #[value(name = "bigbird-large")]
    BigBirdLarge,
}

impl Model {
    pub fn name(self) -> &'static str {
        match self {
            Self::LedTiny => "led-tiny",
            Self::LedBase => "led-base",
            Self::LedLarge => "led-large",
            Self::BigBirdTiny => "bigbird-tiny",
            Self::BigBirdLarge => "bigbird-large",
        }
    }

    pub fn family(self) -> Family {
        match self {
            Self::LedTiny | Self::LedBase | Self::LedLarge => Family::Led,
            Self::BigBirdTiny | Self::BigBirdLarge => Family::BigBirdPegasus,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rand {
    /// The same blocks as in training
    Fixed,
    /// Only training has random blocks; else the first block counts in their place
    TrainOnly,
}

impl From<Rand> for RandomBlocks {
    fn from(rand: Rand) -> Self {
        match rand {
            Rand::Fixed => Self::Fixed,
            Rand::TrainOnly => Self::TrainOnly,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    Fp32,
    Tf32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Score {
    /// The most likely token at each position of one pass that is fed the right answer: the study's figures
    TeacherForced,
    /// Text that the model writes by itself, token by token
    Generate,
}

impl From<Score> for Scoring {
    fn from(score: Score) -> Self {
        match score {
            Score::TeacherForced => Self::TeacherForced,
            Score::Generate => Self::Generate,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Recipe {
    /// The study's: Table 5's batch sizes, its AdamW, TF32, validation, early stopping, at most 50 epochs
    Paper,
}

/// What makes weights the best ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum BestBy {
    /// Geometric mean of ROUGE-1, -2 and -L
    RougeMean,
    /// Token F1
    F1,
    /// Share of labels predicted right
    LabelTokens,
    /// The lowest validation loss
    Loss,
}

/// Where a vocabulary comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Vocabulary {
    Bytes,
    Folder(PathBuf),
}

impl FromStr for Vocabulary {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match text {
            "bytes" => Self::Bytes,
            folder => Self::Folder(folder.into()),
        })
    }
}

impl fmt::Display for Vocabulary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bytes => f.write_str("bytes"),
            Self::Folder(dir) => dir.display().fmt(f),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BatchSize {
    /// The largest that fits.
    Auto,
    Documents(usize),
}

impl FromStr for BatchSize {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "auto" => Ok(Self::Auto),
            number => number
                .parse()
                .map(Self::Documents)
                .map_err(|_| "neither a number nor `auto`".to_owned()),
        }
    }
}

/// A set to resemble, and how much of it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Shaped {
    pub set: Published,
    /// Of its rows, in 0..=1.
    pub share: f64,
}

impl FromStr for Shaped {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, share) = text.split_once(':').unwrap_or((text, "1"));
        let names = || Published::ALL.map(Published::name).join(", ");
        let set = Published::ALL.into_iter().find(|set| set.name() == name);
        let share = share.parse().ok().filter(|share| (0.0..=1.0).contains(share));
        Ok(Self {
            set: set.ok_or_else(|| format!("`{name}` is none of {}", names()))?,
            share: share.ok_or("the share after the colon is not a number from 0 to 1")?,
        })
    }
}

/// An amount of memory: a number, alone or with K, M or G (powers of 1024).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bytes(pub u64);

impl FromStr for Bytes {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const WANTED: &str = "not an amount of memory: a number, or one with K, M or G behind it";
        let bare = text.trim_end_matches("iB").trim_end_matches('B');
        let (number, shift) = match bare.chars().last() {
            Some('K') => (&bare[..bare.len() - 1], 10),
            Some('M') => (&bare[..bare.len() - 1], 20),
            Some('G') => (&bare[..bare.len() - 1], 30),
            _ => (bare, 0),
        };
        let number: f64 = number.parse().map_err(|_| WANTED)?;
        if !(number.is_finite() && number >= 0.0) {
            return Err(WANTED);
        }
        Ok(Self((number * f64::from(1u32 << shift)) as u64))
    }
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.2} GiB", self.0 as f64 / f64::from(1u32 << 30))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_of_memory_have_units() {
        for (text, bytes) in [
            ("1000", 1000),
            ("2K", 2048),
            ("1.5G", 3 << 29),
            ("3MiB", 3 << 20),
            ("4GB", 4 << 30),
        ] {
            assert_eq!(text.parse(), Ok(Bytes(bytes)), "{text}");
        }
        for text in ["", "G", "-1", "nan", "1T", "é"] {
            assert!(text.parse::<Bytes>().is_err(), "{text}");
        }
        assert_eq!(Bytes(3 << 29).to_string(), "1.50 GiB");
    }

    #[test]
    fn a_shape_has_a_share_or_is_whole() {
        let of = |set, share| Ok(Shaped { set, share });
        assert_eq!("qasper".parse(), of(Published::Qasper, 1.0));
        assert_eq!("gov_report:0.05".parse(), of(Published::GovReport, 0.05));
        for text in ["quality", "qmsum:2", "qmsum:", "qmsum:x"] {
            assert!(text.parse::<Shaped>().is_err(), "{text}");
        }
        assert!("quality".parse::<Shaped>().unwrap_err().contains("summ_screen_fd"));
    }
}
