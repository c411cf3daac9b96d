//! The training loop: data, forward, backward, optimizer, each a phase inside `step`; validation and saving between steps.
//!
//! Semantics are those of transformers 4.11's Trainer: how batches make steps (`stream`), how many steps there are (`budget`),
//! when validation stops the training (`watch`). Dropout is drawn anew from (seed, step, batch) before every forward pass, so a
//! training that was interrupted and resumed drops what the uninterrupted one would have dropped.

mod budget;
mod gradients;
mod pass;
mod saves;
mod state;
mod stream;
mod watch;

use std::time::Instant;

use tch::{Device, Kind, Tensor};

use self::stream::Stream;
pub use self::{
    budget::Budget,
    gradients::Gradients,
    pass::Passes,
    saves::{About, SaveError, Saves, last, read_state},
    state::{SCHEMA, State, Training},
    stream::Place,
    watch::{Best, Validation, Watch},
};
use crate::{
    data::batch::Batcher,
    evaluate::Evaluation,
    optim::{AdamW, LinearSchedule},
    phases::{Phases, Work},
    plan::Plan,
    progress::Progress,
    setup::{self, Trainee},
};

#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    #[error("the loss is {loss} after step {step}\nhint: a lower --lr, or a longer --warmup-ratio")]
    Diverged { step: u64, loss: f64 },
    #[error(transparent)]
    Libtorch(#[from] crate::shim::ShimError),
    #[error("--cuda-graph: the pass of a batch cannot be recorded: {0}\nhint: leave --cuda-graph out")]
    Record(crate::shim::ShimError),
    #[error(
        "a training batch has no document with an output\nhint: --data wants a field \"output\" on every line of train.jsonl"
    )]
    NoLabels,
    #[error("the data set has no documents to train on")]
    NoData,
    #[error(transparent)]
    Validate(#[from] crate::tokenizer::TokenizerError),
    #[error(transparent)]
    Save(#[from] SaveError),
    #[error("the best weights cannot be read back: {0}")]
    Reload(anyhow::Error),
}

/// What a training works on.
#[derive(Debug)]
pub struct Job<'a> {
    pub plan: &'a Plan,
    pub trainee: &'a Trainee,
    pub batches: &'a Batcher<'a>,
    pub budget: Budget,
    pub phases: &'a Phases,
    pub device: Device,
    pub saves: Option<&'a Saves>,
    /// See [`State::settings`].
    pub settings: serde_json::Map<String, serde_json::Value>,
}

/// One validation, as its phase.
pub type Validate<'a> = dyn FnMut() -> Result<Evaluation, crate::tokenizer::TokenizerError> + 'a;

pub fn train(job: &Job<'_>, resumed: Option<State>, validate: &mut Validate<'_>) -> Result<Training, TrainError> {
    let phase = job.phases.begin("train");
    let mut run = Run::new(job, resumed)?;
    run.record()?;
    let progress = Progress::from("train", run.done.steps, run.done.of);
    while !run.done.is_over() {
        run.step()?;
        progress.advance();
        if let Some(loss) = run.log_when_due()? {
            let speed = run.done.work.samples as f64 / run.seconds();
            progress.report(run.done.steps, &format!("loss {loss:.4}, {speed:.2} samples/s"));
        }
        if job
            .plan
            .eval_every
            .is_some_and(|every| run.done.steps.is_multiple_of(every))
        {
            let seen = progress.aside(&mut *validate)?;
            run.judge(&seen);
        }
        if run.is_save_due() {
            progress.aside(|| run.save())?;
        }
    }
    run.reload_best()?;
    phase.end();
    let seconds = run.seconds();
    let mut done = run.done;
    done.seconds = seconds;
    let speed = done.work.samples as f64 / done.seconds;
    let early = if done.stopped_early { ", stopped early" } else { "" };
    let best = done
        .watch
        .best
        .map(|best| format!("; best: {:.2} at step {}", best.score, best.step));
    progress.finish(&format!(
        "{} steps in {:.1} s, {speed:.2} samples/s{early}{}",
        done.steps,
        done.seconds,
        best.unwrap_or_default()
    ));
    Ok(done)
}

struct Run<'a> {
    job: &'a Job<'a>,
    done: Training,
    stream: Stream<'a>,
    schedule: LinearSchedule,
    optimizer: AdamW,
    passes: Passes<'a>,
    gradients: Gradients,
    log: LossLog,
    started: Instant,
    saved_at: Option<u64>,
    /// The best weights in main memory, where there is no folder to keep them in.
    best: Vec<Tensor>,
}

impl<'a> Run<'a> {
    fn new(job: &'a Job<'a>, resumed: Option<State>) -> Result<Self, TrainError> {
        let (plan, params) = (job.plan, &job.trainee.params);
        let total = job.budget.total;
        let mut optimizer = AdamW::new(params, plan.adamw);
        let mut log = LossLog::new(job.device);
        let (mut done, mut place, mut saved_at) = (Training::new(total, plan.scoring), Place::default(), None);
        if let (Some(state), Some(saves)) = (resumed, job.saves) {
            let steps = state.training.steps;
            saves::read_moments(&saves.checkpoint(steps), &mut optimizer, job.trainee, steps)
                .map_err(SaveError::from)?;
            log = LossLog::resumed(state.pending, job.device);
            (done, place, saved_at) = (state.training, state.place, Some(steps));
            done.resumed_at = Some(steps);
        }
        Ok(Self {
            job,
            done,
            stream: Stream::starting_at(place, job.batches, plan.accumulate),
            schedule: LinearSchedule::with_ratio(plan.lr, plan.warmup_ratio, total),
            optimizer,
            passes: Passes::new(plan, job.trainee, job.device),
            gradients: Gradients::default(),
            log,
            started: Instant::now(),
            saved_at,
            best: Vec::new(),
        })
    }

    /// With `--cuda-graph`: the work of one batch, to be replayed for each.
    fn record(&mut self) -> Result<(), TrainError> {
        if self.job.plan.cli.cuda_graph && !self.done.is_over() {
            let part = self.job.phases.begin("record");
            let like = self.job.batches.epoch(0).next().ok_or(TrainError::NoData)?;
            self.passes.record(&like)?;
            part.end();
        }
        Ok(())
    }

    /// One update, from as many batches as it takes.
    fn step(&mut self) -> Result<(), TrainError> {
        let (phases, plan) = (self.job.phases, self.job.plan);
        let step = self.done.steps;
        let phase = phases.begin_at("step", step);
        let mut work = Work::default();
        for number in 0.. {
            let part = phases.begin("data");
            let (batch, last) = self.stream.next().ok_or(TrainError::NoData)?;
            let inputs = self.passes.load(&batch)?;
            tch::manual_seed(dropout_seed(plan.seed, step, number));
            part.end();

            let part = phases.begin("forward");
            let loss = self.passes.forward(&inputs)?;
            part.end();

            let part = phases.begin("backward");
            self.log.add(&loss);
            self.gradients.add(self.passes.backward(&inputs, &loss)?);
            part.end();

            work += Work::of(&batch);
            if last {
                break;
            }
        }
        let part = phases.begin("optimizer");
        let _norm = self.optimizer.step(
            &self.job.trainee.params,
            &self.gradients.take(),
            self.schedule.rate(step),
        )?;
        part.end();
        self.done.work += work;
        self.done.steps = step + 1;
        phase.end_with(work);
        Ok(())
    }

    fn seconds(&self) -> f64 {
        self.done.seconds + self.started.elapsed().as_secs_f64()
    }

    fn log_when_due(&mut self) -> Result<Option<f64>, TrainError> {
        let step = self.done.steps;
        if !step.is_multiple_of(self.job.plan.cli.log_every) && step != self.done.of {
            return Ok(None);
        }
        let loss = self.log.take();
        if !loss.is_finite() {
            return Err(TrainError::Diverged { step, loss });
        }
        self.job.phases.metric("loss", loss);
        self.job.phases.metric("learning_rate", self.schedule.rate(step - 1));
        self.done.losses.push((step, loss));
        Ok(Some(loss))
    }

    fn judge(&mut self, seen: &Evaluation) {
        let (step, by) = (self.done.steps, self.job.plan.best_by);
        let validation = Validation::new(step, by, seen);
        self.done.validations.push(validation);
        let better = self.done.watch.see(by, step, validation.score);
        self.done.stopped_early = self.done.watch.gives_up(self.job.plan.patience);
        if better && self.job.saves.is_none() {
            let part = self.job.phases.begin("save");
            let named = self.job.trainee.params.named().into_iter();
            self.best = named.map(|(_, tensor)| tensor.to_device(Device::Cpu).copy()).collect();
            part.end();
        }
    }

    /// At the cadence, at the end, and whenever the best weights would be lost.
    fn is_save_due(&self) -> bool {
        let step = self.done.steps;
        let due = self.job.plan.save_every.is_some_and(|every| step.is_multiple_of(every));
        let best = self.done.watch.best.is_some_and(|best| best.step == step);
        self.job.saves.is_some() && self.saved_at != Some(step) && (due || best || self.done.is_over())
    }

    fn save(&mut self) -> Result<(), TrainError> {
        let Some(saves) = self.job.saves else {
            return Ok(());
        };
        let part = self.job.phases.begin("save");
        let pending = self.log.pending();
        if !pending.0.is_finite() {
            // Nobody should go on from such weights.
            let (step, loss) = (self.done.steps, pending.0);
            return Err(TrainError::Diverged { step, loss });
        }
        let mut training = self.done.clone();
        training.seconds = self.seconds();
        let state = State {
            schema: SCHEMA.into(),
            training,
            place: self.stream.place(),
            pending,
            settings: self.job.settings.clone(),
        };
        saves.write(self.job.trainee, &self.optimizer, &state)?;
        self.saved_at = Some(self.done.steps);
        part.end();
        Ok(())
    }

    /// The study's runs end with the weights of their best validation, not with the last ones.
    fn reload_best(&mut self) -> Result<(), TrainError> {
        let Some(best) = self.done.watch.best.filter(|best| best.step != self.done.steps) else {
            return Ok(());
        };
        let part = self.job.phases.begin("load");
        let params = &self.job.trainee.params;
        match self.job.saves {
            Some(saves) => {
                setup::load(params, &saves.checkpoint(best.step), self.job.device).map_err(TrainError::Reload)?;
            }
            None => {
                for ((_, mut place), kept) in params.named().into_iter().zip(&self.best) {
                    place.copy_(kept);
                }
            }
        }
        self.done.best_reloaded = true;
        part.end();
        Ok(())
    }
}

/// A seed of its own for each forward pass: the finaliser of MurmurHash3, which no two inputs share.
fn dropout_seed(seed: u64, step: u64, number: u64) -> i64 {
    let mut mixed = seed.rotate_left(40) ^ (step << 16) ^ number;
    for multiplier in [0xff51_afd7_ed55_8ccd_u64, 0xc4ce_b9fe_1a85_ec53] {
        mixed = (mixed ^ (mixed >> 33)).wrapping_mul(multiplier);
    }
    (mixed ^ (mixed >> 33)) as i64
}

/// Sums losses on the device, so that a step does not wait for its own number.
#[derive(Debug)]
struct LossLog {
    sum: Tensor,
    count: u32,
}

impl LossLog {
    fn new(device: Device) -> Self {
        Self::resumed((0.0, 0), device)
    }

    fn resumed((sum, count): (f64, u32), device: Device) -> Self {
        Self {
            sum: Tensor::full([] as [i64; 0], sum, (Kind::Float, device)),
            count,
        }
    }

    fn add(&mut self, loss: &Tensor) {
        self.sum += loss.detach();
        self.count += 1;
    }

    fn pending(&self) -> (f64, u32) {
        (self.sum.double_value(&[]), self.count)
    }

    fn take(&mut self) -> f64 {
        let (sum, count) = self.pending();
        let _ = self.sum.zero_();
        self.count = 0;
        sum / f64::from(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_forward_pass_has_a_seed_of_its_own() {
        let mut seeds = std::collections::HashSet::new();
        for seed in [0, 1, 42] {
            for step in 0..50 {
                seeds.extend((0..40).map(|number| dropout_seed(seed, step, number)));
            }
        }
        assert_eq!(seeds.len(), 3 * 50 * 40);
    }
}
