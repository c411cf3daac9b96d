//! The run in figures, for scripts: one line of JSON. Unknown is null.

use std::{fs, io, path::Path};

use serde::Serialize;
use tch::Device;

use crate::{
    cli::BestBy,
    data::{Dataset, Published},
    device,
    evaluate::Evaluation,
    metrics::Scoring,
    phases::Work,
    plan::{Applied, Plan},
    search::Search,
    setup::Trainee,
    shim::{self, ShimError},
    train::Training,
};

#[derive(Debug, Serialize)]
pub struct Summary {
    pub schema: &'static str,
    pub model: &'static str,
    /// Whether the weights came from a checkpoint: accuracy means nothing otherwise.
    pub pretrained: bool,
    pub parameters: i64,
    pub device: String,
    pub precision: String,
    /// Whether training replayed recordings of its passes.
    pub cuda_graph: bool,
    pub seq_len: usize,
    pub target_len: usize,
    pub data: Data,
    pub batch_size: usize,
    /// Batches per training step.
    pub accumulate: usize,
    pub infer_batch_size: usize,
    /// How `--batch-size auto` came to its size.
    pub search: Option<Search>,
    pub seed: u64,
    /// What a recipe set, and what flags set in its place.
    pub recipe: Option<Applied>,
    pub best_by: BestBy,
    /// Whether token ids were kept from an earlier run; null where none are kept.
    pub token_cache: Option<&'static str>,
    pub train: Option<Training>,
    pub validate: Option<Evaluated>,
    pub infer: Option<Evaluated>,
    /// Of tensors on a CUDA device, at their peak.
    pub peak_memory_bytes: Option<i64>,
    pub peak_reserved_bytes: Option<i64>,
    /// Of the process in main memory, at its peak.
    pub peak_host_memory_bytes: Option<u64>,
}

#[derive(Debug, Serialize)]
pub struct Data {
    pub name: String,
    /// Which of the study's sets the texts are, or are as long as.
    pub set: Option<&'static str>,
    /// Whether the texts were made by this program: scores say nothing of real ones then.
    pub generated: bool,
    /// To train on, to validate on.
    pub documents: [usize; 2],
}

#[derive(Debug, Serialize)]
pub struct Evaluated {
    pub work: Work,
    pub seconds: f64,
    pub loss: Option<f64>,
    /// Scores of the study's predictions, or of generated ones: never both, and never under one name, for they do not compare.
    pub teacher_forced: Option<Scores>,
    pub generate: Option<Scores>,
    /// Per cent right at labelled positions: of tokens, and documents without a wrong one.
    pub label_tokens: Option<f64>,
    pub label_documents: Option<f64>,
}

/// In per cent.
#[derive(Debug, Serialize)]
pub struct Scores {
    /// Documents, or questions.
    pub examples: usize,
    pub rouge1: f64,
    pub rouge2: f64,
    pub rouge_l: f64,
    pub rouge_mean: f64,
    pub f1: f64,
    pub exact_match: f64,
}

impl Scores {
    fn of(done: &Evaluation, scoring: Scoring) -> Option<Self> {
        let scores = done.scores.as_ref().filter(|scores| scores.scoring == scoring)?;
        Some(Self {
            examples: scores.examples,
            rouge1: scores.rouge1,
            rouge2: scores.rouge2,
            rouge_l: scores.rouge_l,
            rouge_mean: scores.rouge_mean,
            f1: scores.f1,
            exact_match: scores.exact_match,
        })
    }
}

impl Summary {
    pub fn new(plan: &Plan, data: &Dataset, trainee: &Trainee, device: Device) -> Self {
        Self {
            schema: "lcbench.summary/1",
            model: plan.cli.model.name(),
            pretrained: plan.cli.weights.is_some(),
            parameters: trainee.params.count(),
            device: format!("{device:?}").to_lowercase(),
            precision: format!("{:?}", plan.precision).to_lowercase(),
            cuda_graph: plan.cli.cuda_graph,
            seq_len: plan.cli.seq_len,
            target_len: plan.target_len,
            data: Data {
                name: data.name.clone(),
                set: plan.set.map(Published::name),
                generated: plan.cli.data.is_none(),
                documents: [data.train.len(), data.validation.len()],
            },
            batch_size: plan.batch_size(),
            accumulate: plan.accumulate,
            infer_batch_size: plan.infer_batch_size,
            search: None,
            seed: plan.seed,
            recipe: plan.recipe.clone(),
            best_by: plan.best_by,
            token_cache: None,
            train: None,
            validate: None,
            infer: None,
            peak_memory_bytes: None,
            peak_reserved_bytes: None,
            peak_host_memory_bytes: None,
        }
    }

    pub fn add(&mut self, phase: &str, done: &Evaluation) {
        let evaluated = Evaluated {
            work: done.work,
            seconds: done.seconds,
            loss: done.loss,
            teacher_forced: Scores::of(done, Scoring::TeacherForced),
            generate: Scores::of(done, Scoring::Generate),
            label_tokens: done.labels.map(|l| l.tokens),
            label_documents: done.labels.map(|l| l.documents),
        };
        match phase {
            "validate" => self.validate = Some(evaluated),
            _ => self.infer = Some(evaluated),
        }
    }

    /// Reads what is known only at the end.
    pub fn finish(&mut self, device: Device) -> Result<(), ShimError> {
        self.peak_host_memory_bytes = device::peak_host_memory();
        if let Device::Cuda(number) = device {
            let peak = shim::peak_memory(number)?;
            self.peak_memory_bytes = Some(peak.allocated);
            self.peak_reserved_bytes = Some(peak.reserved);
        }
        Ok(())
    }

    pub fn write(&self, path: &Path) -> io::Result<()> {
        let line = serde_json::to_string(self)?;
        fs::write(path, line + "\n")
    }
}
