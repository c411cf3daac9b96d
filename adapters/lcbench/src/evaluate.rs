//! Running the model on documents it was not trained on: loss, and the study's scores.
//!
//! Predictions are teacher-forced, as in the study: argmax of one forward pass that is fed the gold labels, at every position.
//! The study's scores read the whole prediction, also what the model says after the label's end, where nothing taught it
//! anything; the label figures beside them look at the labelled positions only.

use std::time::Instant;

use tch::{Device, Reduction, Tensor, no_grad};

use crate::{
    data::batch::Batcher,
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
    train::work,
};

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

/// Goes once through `batches` as phase `name`.
pub fn evaluate(
    name: &'static str,
    plan: &Plan,
    trainee: &Trainee,
    tokenizer: &Tokenizer,
    batches: &Batcher<'_>,
    phases: &Phases,
    device: Device,
) -> Result<Evaluation, TokenizerError> {
    let progress = Progress::new(name, batches.batches() as u64);
    let started = Instant::now();
    let phase = phases.begin(name);
    let mut all = Work::default();
    let (mut loss_sum, mut labels, mut right, mut whole) = (0.0, 0_usize, 0_usize, 0_usize);
    let (mut predictions, mut references) = (Vec::new(), Vec::new());
    for batch in batches.epoch(0) {
        let (start, pad) = (trainee.config.decoder_start(), trainee.config.pad());
        let step = phases.begin("step");
        let source = Source::new(&batch.source, &batch.lengths, plan.globals(), device);
        let target = Target::new(&batch.labels, batch.len(), start, pad, device);
        let (loss, predicted) = no_grad(|| forward(trainee, &source, &target, &batch.labels, device));
        loss_sum += loss;
        labels += target.count;
        let predicted = Vec::<i64>::try_from(predicted.view([-1])).unwrap_or_default();
        for (row, gold) in predicted
            .chunks(batch.target_len)
            .zip(batch.labels.chunks(batch.target_len))
        {
            let hits = row.iter().zip(gold).filter(|(id, label)| id == label).count();
            right += hits;
            whole += usize::from(hits == gold.iter().filter(|label| **label != IGNORED).count());
            let gold: Vec<i64> = gold.iter().copied().filter(|id| *id != IGNORED).collect();
            predictions.push(tokenizer.decode(row)?);
            references.push([tokenizer.decode(&gold)?]);
        }
        let work = work(&batch);
        all += work;
        step.end_with(work);
        progress.advance();
    }
    let pairs = predictions
        .iter()
        .map(String::as_str)
        .zip(references.iter().map(|r| r.as_slice()));
    let scores = if labels > 0 {
        metrics::evaluate(Scoring::TeacherForced, pairs)
    } else {
        None
    };
    phase.end();
    let done = Evaluation {
        work: all,
        seconds: started.elapsed().as_secs_f64(),
        loss: (labels > 0).then(|| loss_sum / labels as f64),
        scores,
        labels: (labels > 0).then(|| LabelScores {
            tokens: 100.0 * right as f64 / labels as f64,
            documents: 100.0 * whole as f64 / all.samples as f64,
        }),
    };
    report(name, &done, phases);
    progress.finish(&done.to_string());
    Ok(done)
}

/// The summed loss over the labels that count, and the most likely token at every position (B, T).
fn forward(trainee: &Trainee, source: &Source, target: &Target, labels: &[i64], device: Device) -> (f64, Tensor) {
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

fn report(name: &str, done: &Evaluation, phases: &Phases) {
    let scores = done.scores.as_ref();
    let values = [
        ("loss", done.loss),
        ("f1", scores.map(|s| s.f1)),
        ("rouge_mean", scores.map(|s| s.rouge_mean)),
        ("exact_match", scores.map(|s| s.exact_match)),
        ("label_tokens", done.labels.map(|l| l.tokens)),
        ("label_documents", done.labels.map(|l| l.documents)),
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
                "; teacher-forced F1 {:.1}, ROUGE mean {:.1}, exact {:.1}",
                s.f1, s.rouge_mean, s.exact_match
            )?;
        }
        Ok(())
    }
}
