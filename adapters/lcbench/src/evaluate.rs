//! Running the model on documents it was not trained on: loss, and scores.
//!
//! *Teacher-forced*, as in the study: argmax of one forward pass that is fed the gold labels, at every position. The study's
//! scores read the whole prediction, also what the model says after the label's end, where nothing taught it anything; the label
//! figures beside them look at the labelled positions only. References are the labels, cut as they were for training.
//!
//! *Generate*, as SCROLLS ranks: each question once, text the model writes by itself, against the best of the uncut references.
//! There is no loss then: nothing is fed to the model that it could be right about.

use std::time::Instant;

use tch::{Device, Reduction, Tensor, no_grad};

use crate::{
    data::{
        Example,
        batch::{Batch, Batcher},
        questions,
    },
    generate,
    metrics::{self, Scoring, Summary},
    models::{
        input::{IGNORED, Source, Target},
        layers::Mode,
    },
    phases::{Phases, Work},
    plan::Plan,
    progress::Progress,
    setup::Trainee,
    tokenizer::{Tokenizer, TokenizerError},
};

/// The rows of a split that are evaluated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// In the order of the file.
    pub rows: Vec<usize>,
    /// What generated texts are compared with, for each of `rows`; empty where the labels are.
    references: Vec<Vec<String>>,
}

impl Asked {
    /// The first `most` rows, or under [`Scoring::Generate`] the first `most` questions with all that was answered to each.
    pub fn new(scoring: Scoring, examples: &[Example], most: Option<usize>) -> Self {
        let most = most.unwrap_or(usize::MAX);
        match scoring {
            Scoring::TeacherForced => Self {
                rows: (0..examples.len().min(most)).collect(),
                references: Vec::new(),
            },
            Scoring::Generate => {
                let all = questions(examples).into_iter().take(most);
                let (rows, references) = all.map(|question| (question.row, question.references)).unzip();
                Self { rows, references }
            }
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
pub struct Evaluation {
    pub work: Work,
    pub seconds: f64,
    /// Mean over all label tokens; `None` where no document has an output.
    pub loss: Option<f64>,
    pub scores: Option<Summary>,
    pub labels: Option<LabelScores>,
}

/// Right predictions at labelled positions, in per cent.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LabelScores {
    /// Of all label tokens.
    pub tokens: f64,
    /// Documents without a wrong one.
    pub documents: f64,
}

/// Goes once through `batches`, which are `asked`'s rows in their order, as phase `name`.
pub fn evaluate(
    name: &'static str,
    plan: &Plan,
    trainee: &Trainee,
    tokenizer: &Tokenizer,
    batches: &Batcher<'_>,
    asked: &Asked,
    phases: &Phases,
) -> Result<Evaluation, TokenizerError> {
    let device = trainee.params.device();
    let progress = Progress::new(name, batches.batches() as u64);
    let started = Instant::now();
    let phase = phases.begin(name);
    let mut all = Work::default();
    let mut labels = LabelCounts::default();
    let (mut predictions, mut references) = (Vec::new(), Vec::new());
    for batch in batches.epoch(0) {
        let step = phases.begin("step");
        let source = Source::new(&batch.source, &batch.lengths, plan.globals(), device);
        match plan.scoring {
            Scoring::TeacherForced => {
                for (predicted, gold) in labels.forced(trainee, &source, &batch, device) {
                    predictions.push(tokenizer.decode(&predicted)?);
                    references.push(vec![tokenizer.decode(&gold)?]);
                }
            }
            Scoring::Generate => {
                for ids in generate::greedy(&trainee.model, &trainee.config, &source, plan.limits) {
                    references.push(asked.references[predictions.len()].clone());
                    predictions.push(tokenizer.decode(&ids)?);
                }
            }
        }
        let work = Work::of(&batch);
        all += work;
        step.end_with(work);
        progress.advance();
    }
    let pairs = predictions
        .iter()
        .map(String::as_str)
        .zip(references.iter().map(Vec::as_slice));
    let known = match plan.scoring {
        Scoring::TeacherForced => labels.count > 0,
        Scoring::Generate => references.iter().any(|answers| !answers.is_empty()),
    };
    let scores = if known {
        metrics::evaluate(plan.scoring, pairs)
    } else {
        None
    };
    phase.end();
    let done = Evaluation {
        work: all,
        seconds: started.elapsed().as_secs_f64(),
        loss: (labels.count > 0).then(|| labels.loss / labels.count as f64),
        scores,
        labels: (labels.count > 0).then(|| LabelScores {
            tokens: 100.0 * labels.right as f64 / labels.count as f64,
            documents: 100.0 * labels.whole as f64 / all.samples as f64,
        }),
    };
    report(name, plan.scoring, &done, phases);
    progress.finish(&done.to_string());
    Ok(done)
}

/// What teacher-forced passes add up to.
#[derive(Debug, Default)]
struct LabelCounts {
    /// Summed over label tokens.
    loss: f64,
    count: usize,
    right: usize,
    /// Documents with all label tokens right.
    whole: usize,
}

impl LabelCounts {
    /// One pass: the predicted ids of each row at every position, and its labels.
    fn forced(
        &mut self,
        trainee: &Trainee,
        source: &Source,
        batch: &Batch,
        device: Device,
    ) -> Vec<(Vec<i64>, Vec<i64>)> {
        let (start, pad) = (trainee.config.decoder_start(), trainee.config.pad());
        let target = Target::new(&batch.labels, batch.len(), start, pad, device);
        let (loss, predicted) = no_grad(|| forward(trainee, source, &target, &batch.labels, device));
        self.loss += loss;
        self.count += target.count;
        let predicted = Vec::<i64>::try_from(predicted.view([-1])).unwrap_or_default();
        let rows = predicted
            .chunks(batch.target_len)
            .zip(batch.labels.chunks(batch.target_len));
        rows.map(|(row, gold)| {
            let hits = row.iter().zip(gold).filter(|(id, label)| id == label).count();
            let gold: Vec<i64> = gold.iter().copied().filter(|id| *id != IGNORED).collect();
            self.right += hits;
            self.whole += usize::from(hits == gold.len());
            (row.to_vec(), gold)
        })
        .collect()
    }
}

/// The summed loss over the labels that count, and the most likely token at every position (B, T).
pub fn forward(trainee: &Trainee, source: &Source, target: &Target, labels: &[i64], device: Device) -> (f64, Tensor) {
    let memory = trainee.model.encode(source, Mode::Eval);
    let hidden = trainee.model.decode(&target.decoder_ids, &memory, source, Mode::Eval);
    let logits = trainee.model.logits(&hidden).flatten(0, 1); // (B·T, V)
    let labels = Tensor::from_slice(labels).to_device(device);
    let loss = logits.cross_entropy_loss::<Tensor>(&labels, None, Reduction::Sum, IGNORED, 0.0);
    (
        loss.double_value(&[]),
        logits.argmax(-1, false).view_as(&target.decoder_ids),
    )
}

fn report(name: &str, scoring: Scoring, done: &Evaluation, phases: &Phases) {
    let scores = done.scores.as_ref();
    let scored = |metric: &str| format!("{}_{metric}", scoring.name());
    let values = [
        ("loss".to_owned(), done.loss),
        (scored("f1"), scores.map(|s| s.f1)),
        (scored("rouge_mean"), scores.map(|s| s.rouge_mean)),
        (scored("exact_match"), scores.map(|s| s.exact_match)),
        ("label_tokens".to_owned(), done.labels.map(|l| l.tokens)),
        ("label_documents".to_owned(), done.labels.map(|l| l.documents)),
    ];
    for (metric, value) in values {
        if let Some(value) = value {
            phases.metric(&format!("{name}_{metric}"), value);
        }
    }
}

impl std::fmt::Display for Evaluation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let speed = self.work.samples as f64 / self.seconds;
        write!(
            f,
            "{} documents in {:.1} s, {speed:.2} samples/s",
            self.work.samples, self.seconds
        )?;
        if let Some(loss) = self.loss {
            write!(f, ", loss {loss:.4}")?;
        }
        if let Some(l) = &self.labels {
            write!(
                f,
                ", labels right: {:.1} % of tokens, {:.1} % of documents",
                l.tokens, l.documents
            )?;
        }
        if let Some(s) = &self.scores {
            write!(
                f,
                "; {} F1 {:.1}, ROUGE mean {:.1}, exact {:.1}",
                match s.scoring {
                    Scoring::TeacherForced => "teacher-forced",
                    Scoring::Generate => "generated:",
                },
                s.f1,
                s.rouge_mean,
                s.exact_match
            )?;
        }
        Ok(())
    }
}
