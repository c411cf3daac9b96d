//! The study's hyperparameters by name: what `--recipe paper` stands for.
//!
//! Sources: the study's tables 4 and 5 and section 3; its published configuration (learning rate, AdamW's constants, weight decay
//! 1e-3, which the paper's table leaves out, warm-up); the defaults of transformers 4.11 that it ran with (validation every 500
//! steps, clipping at 1, that version's AdamW); and those of torch 1.10, whose matrix products were TF32 unless told otherwise.
//! Dropout is config.json's, as it was for the study.

use super::UsageError;
use crate::{
    cli::{BestBy, Model, Precision, Rand},
    data::Published,
    optim::Variant,
};

/// GPUs that trained on Qasper, and micro-batches that each took per step. One device takes them one after the other: the mean
/// of equal parts' gradients is the same, so the total batch and the steps per epoch are the study's; its speed is not.
const QASPER_GPUS: usize = 8;
const QASPER_ACCUMULATED: usize = 4;

/// The source lengths of table 5, in the order of its columns.
const LENGTHS: [usize; 4] = [1024, 2048, 3072, 4096];

#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Hyperparameters {
    /// Documents per forward pass on one device.
    pub batch_size: usize,
    pub accumulate: usize,
    pub infer_batch_size: usize,
    pub target_len: usize,
    pub max_epochs: f64,
    pub eval_every: u64,
    pub patience: u32,
    pub best_by: BestBy,
    pub lr: f64,
    pub warmup_ratio: f64,
    pub weight_decay: f64,
    pub beta1: f64,
    pub beta2: f64,
    pub adam_eps: f64,
    pub max_grad_norm: f64,
    pub adamw: Variant,
    pub bigbird_rand: Rand,
    pub precision: Precision,
    pub seed: u64,
}

/// What the study ran for this model, set and source length.
pub fn paper(model: Model, set: Option<Published>, seq_len: usize) -> Result<Hyperparameters, UsageError> {
    let refuse = |problem: String, hint: &str| UsageError::Flag {
        flag: "recipe",
        value: "paper".into(),
        problem,
        hint: hint.into(),
    };
    let set = set.ok_or_else(|| {
        let hint = "say which set --data holds with --dataset, or generate its like with --shaped";
        refuse("batch sizes and scores depend on the data set".into(), hint)
    })?;
    let column = LENGTHS.iter().position(|length| *length == seq_len).ok_or_else(|| {
        let problem = format!("the study did not run --seq-len {seq_len}");
        refuse(
            problem,
            "--seq-len 1024, 2048, 3072 or 4096; or no --recipe, and its flags one by one",
        )
    })?;
    let [summaries, questions] = batch_sizes(model).ok_or_else(|| {
        let problem = format!("the study did not train {}", model.name());
        let hint = "--model led-base, led-large or bigbird-large (--weights may hold a smaller one of its kind); or no --recipe";
        refuse(problem, hint)
    })?;
    let asks = set == Published::Qasper;
    Ok(Hyperparameters {
        batch_size: if asks { questions } else { summaries }[column],
        accumulate: if asks { QASPER_GPUS * QASPER_ACCUMULATED } else { 1 },
        infer_batch_size: 16,
        target_len: 128,
        max_epochs: 50.0,
        eval_every: if asks { 10 } else { 500 },
        patience: 3,
        best_by: best_by(set),
        lr: 2e-5,
        warmup_ratio: 0.1,
        weight_decay: 1e-3,
        beta1: 0.9,
        beta2: 0.98,
        adam_eps: 1e-6,
        max_grad_norm: 1.0,
        adamw: Variant::Hf411,
        bigbird_rand: Rand::Fixed,
        precision: Precision::Tf32,
        seed: 42,
    })
}

/// The score by which a published set is judged.
pub fn best_by(set: Published) -> BestBy {
    match set {
        Published::GovReport | Published::SummScreenFd | Published::QmSum => BestBy::RougeMean,
        Published::Qasper => BestBy::F1,
    }
}

/// Table 5 by source length: for summaries on one GPU, and for questions on each of eight.
fn batch_sizes(model: Model) -> Option<[[usize; 4]; 2]> {
    match model {
        Model::LedBase => Some([[24, 12, 8, 6], [22, 11, 7, 5]]),
        Model::LedLarge => Some([[8, 4, 3, 2], [8, 4, 2, 2]]),
        Model::BigBirdLarge => Some([[7, 4, 2, 2], [7, 3, 2, 1]]),
        Model::LedTiny | Model::BigBirdTiny => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::Budget;

    const MODELS: [Model; 3] = [Model::LedBase, Model::LedLarge, Model::BigBirdLarge];

    /// Table 5 as printed: totals over GPUs and accumulation.
    #[test]
    fn total_batches_are_those_of_table_5() {
        let summaries = [[24, 12, 8, 6], [8, 4, 3, 2], [7, 4, 2, 2]];
        let questions = [[704, 352, 224, 160], [256, 128, 64, 64], [224, 96, 64, 32]];
        for (model, (s, q)) in MODELS.into_iter().zip(summaries.into_iter().zip(questions)) {
            for (column, length) in LENGTHS.into_iter().enumerate() {
                let total = |set| {
                    let h = paper(model, Some(set), length).unwrap();
                    h.batch_size * h.accumulate
                };
                for set in [Published::GovReport, Published::SummScreenFd, Published::QmSum] {
                    assert_eq!(total(set), s[column], "{model:?} {set:?} {length}");
                }
                assert_eq!(total(Published::Qasper), q[column], "{model:?} {length}");
            }
        }
    }

    /// Eight ranks with 321 rows each and 4 micro-batches a step make as many steps an epoch as one device with 2,567 and 32.
    #[test]
    fn one_device_makes_as_many_steps_as_eight() {
        for model in MODELS {
            for length in LENGTHS {
                let h = paper(model, Some(Published::Qasper), length).unwrap();
                let ranks = 2_567_usize.div_ceil(8).div_ceil(h.batch_size) / 4;
                let one = Budget::new(
                    2_567_usize.div_ceil(h.batch_size),
                    h.accumulate,
                    None,
                    Some(h.max_epochs),
                );
                assert_eq!(one.per_epoch, ranks as u64, "{model:?} {length}");
            }
        }
    }

    #[test]
    fn sets_differ_in_score_and_cadence() {
        let of = |set| paper(Model::LedBase, Some(set), 1024).unwrap();
        let qasper = of(Published::Qasper);
        assert_eq!((qasper.best_by, qasper.eval_every), (BestBy::F1, 10));
        let summaries = of(Published::QmSum);
        assert_eq!((summaries.best_by, summaries.eval_every), (BestBy::RougeMean, 500));
    }

    #[test]
    fn what_the_study_did_not_run_is_refused_with_the_fix() {
        let said = |model, set, length| paper(model, set, length).unwrap_err().to_string();
        let set = Some(Published::Qasper);
        for (text, parts) in [
            (
                said(Model::LedTiny, set, 1024),
                ["did not train led-tiny", "--model led-base"],
            ),
            (said(Model::LedBase, set, 1000), ["--seq-len 1000", "4096"]),
            (said(Model::LedBase, None, 1024), ["data set", "--dataset"]),
        ] {
            assert!(
                text.starts_with("--recipe paper: ") && parts.iter().all(|part| text.contains(part)),
                "{text}"
            );
        }
    }
}
