//! The training loop: data, forward, backward, optimizer, each a phase inside `step`.

use std::time::Instant;

use tch::{Device, Kind, Tensor};

use crate::{
    data::batch::{Batch, Batcher},
    models::{
        input::{Source, Target},
        layers::Mode,
    },
    optim::{AdamW, LinearSchedule},
    phases::{Phases, Work},
    plan::Plan,
    progress::Progress,
    setup::Trainee,
};

#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    #[error("the loss is {loss} after step {step}\nhint: a lower --lr, or a longer --warmup-ratio")]
    Diverged { step: u64, loss: f64 },
    #[error(transparent)]
    Libtorch(#[from] crate::shim::ShimError),
    #[error(
        "a training batch has no document with an output\nhint: --data wants a field \"output\" on every line of train.jsonl"
    )]
    NoLabels,
}

/// What training did.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Training {
    pub steps: u64,
    pub work: Work,
    pub seconds: f64,
    /// (step, mean loss since the entry before), about every --log-every steps.
    pub losses: Vec<(u64, f64)>,
}

pub fn train(
    plan: &Plan,
    trainee: &Trainee,
    batches: &Batcher<'_>,
    phases: &Phases,
    device: Device,
) -> Result<Training, TrainError> {
    let Trainee { model, params, config } = trainee;
    let total = plan.cli.max_steps;
    let schedule = LinearSchedule::with_ratio(plan.lr, plan.cli.warmup_ratio, total);
    let mut optimizer = AdamW::new(params, plan.adamw);
    let leaves: Vec<Tensor> = params.leaves().map(|leaf| leaf.tensor.shallow_clone()).collect();
    let mut order = (0..).flat_map(|epoch| batches.epoch(epoch));
    let mut log = LossLog::new(device);
    let mut done = Training {
        steps: 0,
        work: Work::default(),
        seconds: 0.0,
        losses: Vec::new(),
    };
    let progress = Progress::new("train", total);
    let started = Instant::now();
    let train = phases.begin("train");
    for step in 0..total {
        let phase = phases.begin_at("step", step);

        let part = phases.begin("data");
        let batch = order.next().expect("epochs follow one another without end");
        let source = Source::new(&batch.source, &batch.lengths, plan.globals(), device);
        let target = target(&batch, config.decoder_start(), config.pad(), device)?;
        part.end();

        let part = phases.begin("forward");
        let loss = model.loss(&source, &target, Mode::Train);
        part.end();

        let part = phases.begin("backward");
        log.add(&loss);
        let gradients = Tensor::run_backward(&[loss], &leaves, false, false);
        part.end();

        let part = phases.begin("optimizer");
        let _norm = optimizer.step(params, &gradients, schedule.rate(step))?;
        part.end();

        let work = work(&batch);
        done.work += work;
        done.steps = step + 1;
        phase.end_with(work);
        progress.advance();
        if done.steps.is_multiple_of(plan.cli.log_every) || done.steps == total {
            let loss = log.take();
            if !loss.is_finite() {
                return Err(TrainError::Diverged { step: done.steps, loss });
            }
            phases.metric("loss", loss);
            done.losses.push((done.steps, loss));
            let speed = done.work.samples as f64 / started.elapsed().as_secs_f64();
            progress.report(done.steps, &format!("loss {loss:.4}, {speed:.2} samples/s"));
        }
    }
    train.end();
    done.seconds = started.elapsed().as_secs_f64();
    let speed = done.work.samples as f64 / done.seconds;
    progress.finish(&format!(
        "{} steps in {:.1} s, {speed:.2} samples/s",
        done.steps, done.seconds
    ));
    Ok(done)
}

fn target(batch: &Batch, start: i64, pad: i64, device: Device) -> Result<Target, TrainError> {
    let target = Target::new(&batch.labels, batch.len(), start, pad, device);
    if target.count == 0 {
        return Err(TrainError::NoLabels);
    }
    Ok(target)
}

pub fn work(batch: &Batch) -> Work {
    Work {
        samples: batch.len() as u64,
        tokens: batch.tokens() as u64,
    }
}

/// Sums losses on the device, so that a step does not wait for its own number.
#[derive(Debug)]
struct LossLog {
    sum: Tensor,
    count: u32,
}

impl LossLog {
    fn new(device: Device) -> Self {
        Self {
            sum: Tensor::zeros([] as [i64; 0], (Kind::Float, device)),
            count: 0,
        }
    }

    fn add(&mut self, loss: &Tensor) {
        self.sum += loss.detach();
        self.count += 1;
    }

    fn take(&mut self) -> f64 {
        let mean = self.sum.double_value(&[]) / f64::from(self.count);
        let _ = self.sum.zero_();
        self.count = 0;
        mean
    }
}
