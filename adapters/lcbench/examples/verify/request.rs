//! What can be asked. A batch is a safetensors file with `input_ids`, `attention_mask`, `labels` and, for LED, perhaps
//! `global_attention_mask`, as transformers names them.

use std::path::PathBuf;

use serde::Deserialize;

#[derive(Debug, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case", deny_unknown_fields)]
pub enum Request {
    /// Loads a checkpoint as `lcbench-train --weights` does. Answer: `parameters`.
    Load {
        weights: PathBuf,
        /// BigBird's random blocks in training only, as in transformers since 4.30; else always.
        #[serde(default)]
        train_only: bool,
        /// Instead of the configuration's.
        dropout: Option<f64>,
    },
    /// Writes weights and configuration for transformers to load.
    Save { folder: PathBuf },
    /// One pass; writes `encoder`, `logits`, `loss` and, in training mode, `grad.NAME` to `outputs`.
    Forward {
        batch: PathBuf,
        outputs: PathBuf,
        training: bool,
    },
    /// Updates on one batch. Answer: `losses` and `norms`, one more than the schedule's updates.
    Train { batch: PathBuf, recipe: Recipe },
    /// Greedy generation. Answer: `ids`, a list for each row.
    Generate {
        batch: PathBuf,
        max_length: i64,
        min_length: i64,
        no_repeat_ngram_size: i64,
    },
    /// `texts` is a JSON list of strings. Writes a list of `[ids, decoded]` to `outputs`, as sources at most `longest` long.
    Tokenize {
        vocabulary: PathBuf,
        family: FamilyName,
        texts: PathBuf,
        longest: usize,
        outputs: PathBuf,
    },
    /// `pairs` is a JSON list of `[prediction, reference]`. Writes `[paper, official, f1, exact]` for each to `outputs`.
    Score { pairs: PathBuf, outputs: PathBuf },
    /// libtorch's threads and random numbers.
    Prepare { threads: i32, seed: i64 },
    /// One training step of the recipe, timed. Answer: seconds of `encode`, `decode`, `backward`, `optimizer`, `step`; `loss`.
    Step { batch: PathBuf, recipe: Recipe },
    /// One evaluation as the study does it, timed. Answer: `seconds`.
    Evaluate { batch: PathBuf },
    /// Answer: `bytes`, the most main memory this process ever held.
    PeakMemory,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FamilyName {
    Led,
    BigBird,
}

/// Optimizer and schedule.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// transformers 4.11's AdamW instead of torch's.
    #[serde(default)]
    pub hf411: bool,
    pub lr: f64,
    pub betas: (f64, f64),
    pub eps: f64,
    pub weight_decay: f64,
    pub warmup: u64,
    pub steps: u64,
}
