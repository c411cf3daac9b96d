//! The command line of `lcbench-train`: what was typed. `plan` checks it and fills in what depends on other flags; a flag that a
//! recipe may set is an `Option` here, so that what was typed can be told from what was not.

mod values;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

pub use self::values::{BatchSize, BestBy, Bytes, Model, Precision, Rand, Recipe, Score, Shaped, Vocabulary};
use crate::{data::Published, optim::Variant};

/// Train, validate and run a long-context encoder-decoder model, for measuring.
///
/// With no flags it trains a tiny model on a built-in task: a question whose answer stands far back in a long text.
/// Under `powerprof -- lcbench-train ...` every phase and step is marked with the work it finished.
#[derive(Debug, Parser)]
#[command(
    name = "lcbench-train",
    version,
    max_term_width = 100,
    args_conflicts_with_subcommands = true
)]
pub struct CommandLine {
    #[command(subcommand)]
    pub other: Option<Other>,

    #[command(flatten)]
    pub train: Cli,
}

/// What is not training.
#[derive(Debug, Subcommand)]
pub enum Other {
    /// Make a vocabulary (byte-level BPE in LED's form) from a data set's training texts
    Tokenizer(MakeTokenizer),
}

#[derive(Debug, Args)]
pub struct MakeTokenizer {
    /// Data set in SCROLLS form
    #[arg(long, value_name = "DIR")]
    pub data: PathBuf,

    /// Tokens in the vocabulary, at most
    #[arg(long, value_name = "N", default_value_t = 4000)]
    pub vocab: usize,

    /// Folder for vocab.json and merges.txt, to be given to --tokenizer
    #[arg(short, long, value_name = "DIR")]
    pub output: PathBuf,
}

#[derive(Debug, Args)]
pub struct Cli {
    /// Which model: its size, or with --weights, what the weights must be
    #[arg(long, value_enum, default_value = "led-tiny")]
    pub model: Model,

    /// Folder with config.json and weights as transformers saves them; without it the weights are random
    #[arg(long, value_name = "DIR")]
    pub weights: Option<PathBuf>,

    /// Folder with the vocabulary, or `bytes`: one token per byte [default: that of --weights, else bytes]
    #[arg(long, value_name = "DIR")]
    pub tokenizer: Option<Vocabulary>,

    /// Data set in SCROLLS form: a folder or zip with train.jsonl and validation.jsonl [default: the built-in task]
    #[arg(long, value_name = "DIR", help_heading = "Data")]
    pub data: Option<PathBuf>,

    /// Which of the study's sets --data holds, or which of several in it to take
    #[arg(long, value_enum, value_name = "SET", help_heading = "Data")]
    pub dataset: Option<Published>,

    /// Instead of --data: GENERATED texts as many and as long as those of a set, or of a share of it (qasper:0.05)
    #[arg(long, value_name = "SET[:SHARE]", conflicts_with = "data", help_heading = "Data")]
    pub shaped: Option<Shaped>,

    /// Source tokens: longer texts are cut, shorter ones padded
    #[arg(long, value_name = "TOKENS", default_value_t = 1024, help_heading = "Data")]
    pub seq_len: usize,

    /// Target tokens, likewise [default: 128, and 16 for the built-in task]
    #[arg(long, value_name = "TOKENS", help_heading = "Data")]
    pub target_len: Option<usize>,

    /// Documents of the validation set that are used [default: all]
    #[arg(long, value_name = "N", help_heading = "Data")]
    pub max_eval: Option<usize>,

    /// Where token ids are kept from run to run [default: ~/.cache/lcbench for --data, else nowhere]
    #[arg(long, value_name = "DIR", help_heading = "Data")]
    pub cache: Option<PathBuf>,

    /// Tokenize in every run
    #[arg(long, conflicts_with = "cache", help_heading = "Data")]
    pub no_cache: bool,

    /// Set every hyperparameter as the study did, for --model, --dataset and --seq-len; flags beside it win
    #[arg(long, value_enum, value_name = "NAME", help_heading = "Training")]
    pub recipe: Option<Recipe>,

    /// Documents per forward pass of training, or `auto`: as many as fit [default: 8]
    #[arg(long, value_name = "N", help_heading = "Training")]
    pub batch_size: Option<BatchSize>,

    /// The most that `--batch-size auto` tries
    #[arg(long, value_name = "N", default_value_t = 64, help_heading = "Training")]
    pub max_batch_size: usize,

    /// Batches whose gradients are added up for one training step [default: 1]
    #[arg(long, value_name = "N", help_heading = "Training")]
    pub accumulate: Option<usize>,

    /// Training steps at most; 0 skips training [default: 200, or what --max-epochs gives]
    #[arg(long, value_name = "N", help_heading = "Training")]
    pub max_steps: Option<u64>,

    /// Times through the training data at most
    #[arg(long, value_name = "N", help_heading = "Training")]
    pub max_epochs: Option<f64>,

    /// Validate every N steps, and keep the best weights [default: only after training]
    #[arg(long, value_name = "N", help_heading = "Training")]
    pub eval_every: Option<u64>,

    /// Stop after N validations without a better score [default: never]
    #[arg(long, value_name = "N", help_heading = "Training")]
    pub patience: Option<u32>,

    /// What makes weights the best ones [default: rouge-mean for the study's summaries, label-tokens where bytes are tokens, else
    /// f1]
    #[arg(long, value_enum, value_name = "SCORE", help_heading = "Training")]
    pub best_by: Option<BestBy>,

    /// Which predictions are scored: teacher-forced, as the study ran, or generated, as SCROLLS ranks them. The two do not compare
    #[arg(
        long,
        value_enum,
        value_name = "MODE",
        default_value = "teacher-forced",
        help_heading = "Scoring"
    )]
    pub score: Score,

    /// Longest generated text in tokens, the start token included [default: --target-len if given, else 1024, and 16 for the built-in task]
    #[arg(long, value_name = "TOKENS", help_heading = "Scoring")]
    pub generate_len: Option<usize>,

    /// Generated texts do not end before this many tokens, the start token included
    #[arg(long, value_name = "TOKENS", default_value_t = 3, help_heading = "Scoring")]
    pub min_length: usize,

    /// No run of this many tokens occurs twice in a generated text; 0 allows all
    #[arg(long, value_name = "N", default_value_t = 2, help_heading = "Scoring")]
    pub no_repeat_ngram_size: usize,

    /// Peak learning rate [default: 2e-5 with --weights, 2e-3 without]
    #[arg(long, value_name = "RATE", help_heading = "Training")]
    pub lr: Option<f64>,

    /// Share of the steps over which the learning rate rises [default: 0.1]
    #[arg(long, value_name = "SHARE", help_heading = "Training")]
    pub warmup_ratio: Option<f64>,

    /// AdamW's decay of weights and embeddings [default: 1e-3]
    #[arg(long, value_name = "RATE", help_heading = "Training")]
    pub weight_decay: Option<f64>,

    /// AdamW's decay of the first moment [default: 0.9]
    #[arg(long, value_name = "BETA", help_heading = "Training")]
    pub beta1: Option<f64>,

    /// AdamW's decay of the second moment [default: 0.98]
    #[arg(long, value_name = "BETA", help_heading = "Training")]
    pub beta2: Option<f64>,

    /// AdamW's epsilon [default: 1e-6]
    #[arg(long, value_name = "EPS", help_heading = "Training")]
    pub adam_eps: Option<f64>,

    /// Gradients are scaled down to this norm [default: 1]
    #[arg(long, value_name = "NORM", help_heading = "Training")]
    pub max_grad_norm: Option<f64>,

    /// Which AdamW: torch's, or that of transformers 4.11 [default: torch]
    #[arg(long, value_enum, help_heading = "Training")]
    pub adamw: Option<Variant>,

    /// Dropout of hidden states while training [default: the configuration's; 0 for the tiny models]
    #[arg(long, value_name = "P", help_heading = "Training")]
    pub dropout: Option<f64>,

    /// Seed of weights, data order and dropout [default: 42]
    #[arg(long, help_heading = "Training")]
    pub seed: Option<u64>,

    /// Keep the last and the best weights here, for transformers and for --resume
    #[arg(long, value_name = "DIR", help_heading = "Saving")]
    pub save: Option<PathBuf>,

    /// Steps between two saves [default: those of --eval-every, else only the end]
    #[arg(long, value_name = "N", help_heading = "Saving")]
    pub save_every: Option<u64>,

    /// Go on with a training that --save DIR left unfinished; repeat its other flags
    #[arg(long, value_name = "DIR", conflicts_with = "save", help_heading = "Saving")]
    pub resume: Option<PathBuf>,

    /// Documents per batch when running the model after training [default: 16]
    #[arg(long, value_name = "N", help_heading = "Machine")]
    pub infer_batch_size: Option<usize>,

    /// BigBird's random blocks outside of training: fixed, as the study ran, or none, as in transformers since 4.30 [default: fixed]
    #[arg(long, value_enum, value_name = "WHEN", help_heading = "Machine")]
    pub bigbird_rand: Option<Rand>,

    /// fp32, or tf32: matrix products with 10-bit mantissas on tensor cores, as the study ran [default: fp32]
    #[arg(long, value_enum, help_heading = "Machine")]
    pub precision: Option<Precision>,

    /// On a GPU: record the forward and backward pass of a batch once and replay it, so that the host launches two graphs a batch
    /// and not thousands of kernels; for small batches, which wait for the host
    #[arg(long, help_heading = "Machine")]
    pub cuda_graph: bool,

    /// auto, cpu, cuda or cuda:N
    #[arg(long, default_value = "auto", help_heading = "Machine")]
    pub device: String,

    /// CPU threads [default: libtorch's choice]
    #[arg(long, value_name = "N", help_heading = "Machine")]
    pub threads: Option<i32>,

    /// Host memory this program may take, like 6G; on a CPU `--batch-size auto` looks for what fits in it
    /// [default: no limit; for the trials of auto, what is free]
    #[arg(long, value_name = "BYTES", help_heading = "Machine")]
    pub memory_limit: Option<Bytes>,

    /// Steps between two reports of the loss
    #[arg(long, value_name = "N", default_value_t = 10, help_heading = "Output")]
    pub log_every: u64,

    /// Write figures of the run as one line of JSON
    #[arg(long, value_name = "PATH", help_heading = "Output")]
    pub summary: Option<PathBuf>,

    /// For `--batch-size auto`, in a process of its own: whether a step of N documents fits
    #[arg(long, value_name = "N", hide = true)]
    pub trial: Option<usize>,

    /// Bytes of host memory that the data take beside a trial
    #[arg(long, value_name = "BYTES", default_value_t = 0, hide = true)]
    pub held: u64,
}
