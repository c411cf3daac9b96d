//! The command line of `lcbench-train`: what was typed. `plan` checks it and fills in what depends on other flags.

use std::path::PathBuf;

use clap::{Parser, ValueEnum};

use crate::{metrics::Scoring, models::bigbird::RandomBlocks, optim::Variant, tokenizer::Family};

/// Train, validate and run a long-context encoder-decoder model, for measuring.
///
/// With no flags it trains a tiny model on a built-in task: a question whose answer stands far back in a long text.
/// Under `powerprof -- lcbench-train ...` every phase and step is marked with the work it finished.
#[derive(Debug, Parser)]
#[command(name = "lcbench-train", version, max_term_width = 100)]
pub struct Cli {
    /// Which model: its size, or with --weights, what the weights must be
    #[arg(long, value_enum, default_value = "led-tiny")]
    pub model: Model,

    /// Folder with config.json and weights as transformers saves them; without it the weights are random
    #[arg(long, value_name = "DIR")]
    pub weights: Option<PathBuf>,

    /// Folder with the vocabulary [default: that of --weights, else one token per byte]
    #[arg(long, value_name = "DIR")]
    pub tokenizer: Option<PathBuf>,

    /// Data set in SCROLLS form: a folder with train.jsonl and validation.jsonl [default: the built-in task]
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,

    /// Source tokens: longer texts are cut, shorter ones padded
    #[arg(long, value_name = "TOKENS", default_value_t = 1024)]
    pub seq_len: usize,

    /// Target tokens, likewise [default: 128, and 16 for the built-in task]
    #[arg(long, value_name = "TOKENS")]
    pub target_len: Option<usize>,

    /// Documents per training step
    #[arg(long, value_name = "N", default_value_t = 8)]
    pub batch_size: usize,

    /// Documents per batch when running the model after training
    #[arg(long, value_name = "N", default_value_t = 16)]
    pub infer_batch_size: usize,

    /// Training steps; 0 skips training
    #[arg(long, value_name = "N", default_value_t = 200)]
    pub max_steps: u64,

    /// Documents of the validation set that are used [default: all]
    #[arg(long, value_name = "N")]
    pub max_eval: Option<usize>,

    /// Which predictions are scored: teacher-forced, as the study ran, or generated, as SCROLLS ranks them. The two do not compare
    #[arg(long, value_enum, value_name = "MODE", default_value = "teacher-forced")]
    pub score: Score,

    /// Longest generated text in tokens, the start token included [default: --target-len if given, else 1024, and 16 for the built-in task]
    #[arg(long, value_name = "TOKENS")]
    pub generate_len: Option<usize>,

    /// Generated texts do not end before this many tokens, the start token included
    #[arg(long, value_name = "TOKENS", default_value_t = 3)]
    pub min_length: usize,

    /// No run of this many tokens occurs twice in a generated text; 0 allows all
    #[arg(long, value_name = "N", default_value_t = 2)]
    pub no_repeat_ngram_size: usize,

    /// Peak learning rate [default: 2e-5 with --weights, 2e-3 without]
    #[arg(long, value_name = "RATE")]
    pub lr: Option<f64>,

    /// Share of the steps over which the learning rate rises
    #[arg(long, value_name = "SHARE", default_value_t = 0.1)]
    pub warmup_ratio: f64,

    /// AdamW's decay of weights and embeddings
    #[arg(long, value_name = "RATE", default_value_t = 1e-3)]
    pub weight_decay: f64,

    #[arg(
        long,
        value_name = "BETA",
        default_value_t = 0.9,
        help = "AdamW's decay of the first moment"
    )]
    pub beta1: f64,

    #[arg(
        long,
        value_name = "BETA",
        default_value_t = 0.98,
        help = "AdamW's decay of the second moment"
    )]
    pub beta2: f64,

    /// AdamW's epsilon
    #[arg(long, value_name = "EPS", default_value_t = 1e-6)]
    pub adam_eps: f64,

    /// Gradients are scaled down to this norm
    #[arg(long, value_name = "NORM", default_value_t = 1.0)]
    pub max_grad_norm: f64,

    /// Which AdamW: torch's, or that of transformers 4.11
    #[arg(long, value_enum, default_value = "torch")]
    pub adamw: Variant,

    /// Dropout of hidden states while training [default: the configuration's; 0 for the tiny models]
    #[arg(long, value_name = "P")]
    pub dropout: Option<f64>,

    /// BigBird's random blocks outside of training: fixed, as the study ran, or none of them, as in transformers since 4.30
    #[arg(long, value_enum, value_name = "WHEN", default_value = "fixed")]
    pub bigbird_rand: Rand,

    /// fp32, or tf32: matrix products with 10-bit mantissas on tensor cores, as the study ran
    #[arg(long, value_enum, default_value = "fp32")]
    pub precision: Precision,

    /// auto, cpu, cuda or cuda:N
    #[arg(long, default_value = "auto")]
    pub device: String,

    /// CPU threads [default: libtorch's choice]
    #[arg(long, value_name = "N")]
    pub threads: Option<i32>,

    /// Seed of weights, data order and dropout
    #[arg(long, default_value_t = 42)]
    pub seed: u64,

    /// Steps between two reports of the loss
    #[arg(long, value_name = "N", default_value_t = 10)]
    pub log_every: u64,

    /// Write figures of the run as one line of JSON
    #[arg(long, value_name = "PATH")]
    pub summary: Option<PathBuf>,
}

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

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
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

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
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
pub enum Precision {
    Fp32,
    Tf32,
}
