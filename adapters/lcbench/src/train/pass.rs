//! One batch, forward and backward: asked of the device kernel by kernel, or as two recordings of it (`--cuda-graph`).
//!
//! A recording is of one shape, and its work may neither wait for the device nor take anything from the host. So batches of that
//! shape are copied to one slot, where masks and weights say on the device what of them is padding: padded rows are masked and
//! every row of labels is projected, whether any are padding or not. That is more arithmetic, in exchange for two launches. A short
//! last batch goes kernel by kernel. The optimizer stays outside: its launches are few, and its numbers change with the step.

use tch::{Device, Tensor};

use super::TrainError;
use crate::{
    data::batch::Batch,
    device,
    models::{
        input::{Source, Target},
        layers::Mode,
    },
    plan::Plan,
    setup::Trainee,
    shim::graph::{Graph, Pool, SideStream},
};

/// Before recording: libraries choose their kernels and take their workspaces.
const WARM_UPS: usize = 3;

/// What a batch is on the device.
#[derive(Debug)]
pub enum Inputs {
    Own(Source, Target),
    /// In the slot that the recordings read.
    Recorded,
}

#[derive(Debug)]
pub struct Passes<'a> {
    plan: &'a Plan,
    trainee: &'a Trainee,
    device: Device,
    recorded: Option<Recorded>,
}

#[derive(Debug)]
struct Recorded {
    slot: Slot,
    forward: Graph,
    backward: Graph,
    loss: Tensor,
    gradients: Vec<Tensor>,
}

/// Where the batches of one shape lie, one after the other.
#[derive(Debug)]
struct Slot {
    source: Source,
    target: Target,
}

impl Slot {
    fn new(like: &Batch, plan: &Plan, device: Device) -> Self {
        let rows = like.len();
        Self {
            source: Source::room(rows, like.seq_len, plan.globals(), device),
            target: Target::room(rows, like.target_len, device),
        }
    }

    fn fits(&self, batch: &Batch) -> bool {
        let Self { source, target } = self;
        let ours = [source.rows(), source.positions(), target.decoder_ids.size()[1]];
        ours == [batch.len(), batch.seq_len, batch.target_len].map(|n| n as i64)
    }

    fn load(&mut self, batch: &Batch, trainee: &Trainee) {
        self.source.load(&batch.source, &batch.lengths);
        let config = &trainee.config;
        self.target.load(&batch.labels, config.decoder_start(), config.pad());
    }
}

impl<'a> Passes<'a> {
    /// Kernel by kernel.
    pub fn new(plan: &'a Plan, trainee: &'a Trainee, device: Device) -> Self {
        Self {
            plan,
            trainee,
            device,
            recorded: None,
        }
    }

    /// Records the pass of batches that have the shape of `like`. The weights are not touched.
    pub fn record(&mut self, like: &Batch) -> Result<(), TrainError> {
        let Device::Cuda(number) = self.device else {
            return Ok(()); // `setup::prepare_device` has refused it
        };
        let Trainee { model, params, .. } = self.trainee;
        let mut slot = Slot::new(like, self.plan, self.device);
        slot.load(like, self.trainee);
        let forward = || model.loss(&slot.source, &slot.target, Mode::Train);
        let backward = |loss: &Tensor| params.gradients(&self.share(loss));
        let side = SideStream::enter(number).map_err(TrainError::Record)?;
        for _ in 0..WARM_UPS {
            let _gradients = backward(&forward());
        }
        device::synchronize(self.device);
        let pool = Pool::new().map_err(TrainError::Record)?;
        let (recorded_forward, loss) = Graph::record(pool, forward).map_err(TrainError::Record)?;
        let (recorded_backward, gradients) = Graph::record(pool, || backward(&loss)).map_err(TrainError::Record)?;
        drop(side);
        self.recorded = Some(Recorded {
            slot,
            forward: recorded_forward,
            backward: recorded_backward,
            loss: loss.detach(),
            gradients,
        });
        Ok(())
    }

    /// Brings a batch to the device.
    pub fn load(&mut self, batch: &Batch) -> Result<Inputs, TrainError> {
        let config = &self.trainee.config;
        let (inputs, count) = match &mut self.recorded {
            Some(recorded) if recorded.slot.fits(batch) => {
                recorded.slot.load(batch, self.trainee);
                (Inputs::Recorded, recorded.slot.target.count)
            }
            _ => {
                let source = Source::new(&batch.source, &batch.lengths, self.plan.globals(), self.device);
                let (start, pad) = (config.decoder_start(), config.pad());
                let target = Target::new(&batch.labels, batch.len(), start, pad, self.device);
                let count = target.count;
                (Inputs::Own(source, target), count)
            }
        };
        if count == 0 {
            return Err(TrainError::NoLabels);
        }
        Ok(inputs)
    }

    /// The batch's loss, on the device. That of a recording is there until the next one.
    pub fn forward(&self, inputs: &Inputs) -> Result<Tensor, TrainError> {
        match (inputs, &self.recorded) {
            (Inputs::Own(source, target), _) => Ok(self.trainee.model.loss(source, target, Mode::Train)),
            (Inputs::Recorded, Some(recorded)) => {
                recorded.forward.replay()?;
                Ok(recorded.loss.shallow_clone())
            }
            (Inputs::Recorded, None) => unreachable!("only a recording's slot is loaded"),
        }
    }

    /// What the batch adds to the step's gradients, from what `forward` gave for it.
    pub fn backward(&self, inputs: &Inputs, loss: &Tensor) -> Result<Vec<Tensor>, TrainError> {
        match (inputs, &self.recorded) {
            (Inputs::Recorded, Some(recorded)) => {
                recorded.backward.replay()?;
                // The next batch of this step would overwrite what it is to be added to.
                let lasting = |g: &Tensor| {
                    if self.plan.accumulate > 1 && g.defined() {
                        g.copy()
                    } else {
                        g.shallow_clone()
                    }
                };
                Ok(recorded.gradients.iter().map(lasting).collect())
            }
            _ => Ok(self.trainee.params.gradients(&self.share(loss))),
        }
    }

    /// Each batch of a step is a mean over its own labels, and they weigh the same, however many labels each has.
    fn share(&self, loss: &Tensor) -> Tensor {
        if self.plan.accumulate > 1 {
            loss / self.plan.accumulate as f64
        } else {
            loss.shallow_clone()
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::{
        cli::CommandLine,
        data::{
            Builtin, Dataset,
            batch::{Batcher, Order},
            encoded::Encoded,
        },
        setup,
    };

    fn plan(model: &str) -> Plan {
        let args = ["lcbench-train", "--model", model, "--device", "cpu", "--cuda-graph"];
        let more = ["--dropout", "0.1", "--seq-len", "448", "--accumulate", "2"];
        Plan::new(CommandLine::parse_from(args.into_iter().chain(more)).train).unwrap()
    }

    fn values(tensor: &Tensor) -> Vec<f32> {
        Vec::<f32>::try_from(tensor.view([-1])).unwrap()
    }

    /// What is recorded on a GPU, done here kernel by kernel: one slot, loaded again and again, gives each batch its own loss and
    /// gradients, dropout included.
    #[test]
    fn a_slot_gives_the_figures_of_the_batch_in_it() {
        for model in ["led-tiny", "bigbird-tiny"] {
            let plan = plan(model);
            let tokenizer = setup::tokenizer(&plan).unwrap();
            tch::manual_seed(3);
            let trainee = setup::model(&plan, &tokenizer, None, Device::Cpu).unwrap();
            // Documents of different lengths, and outputs of different lengths.
            let mut rows = Dataset::builtin(&Builtin {
                train: 12,
                length: 440,
                ..Builtin::default()
            })
            .train;
            for (n, row) in rows.iter_mut().enumerate() {
                row.input.truncate(440 - 37 * (n % 7));
                row.output = Some("abcdefgh"[..1 + n % 8].to_owned());
            }
            let encoded = Encoded::encode(&rows, &tokenizer, 448, 16).unwrap();
            let batches = Batcher::new(&encoded, tokenizer.frame(), 448, 16, 4, Order::File);
            let mut passes = Passes::new(&plan, &trainee, Device::Cpu);
            let all: Vec<Batch> = batches.epoch(0).collect();
            let mut slot = Slot::new(&all[0], &plan, Device::Cpu);
            let mut losses = Vec::new();
            for batch in &all {
                assert!(slot.fits(batch));
                let inputs = passes.load(batch).unwrap();
                tch::manual_seed(7);
                let loss = passes.forward(&inputs).unwrap();
                let gradients = passes.backward(&inputs, &loss).unwrap();

                slot.load(batch, &trainee);
                tch::manual_seed(7);
                let again = trainee.model.loss(&slot.source, &slot.target, Mode::Train);
                let again_gradients = trainee.params.gradients(&passes.share(&again));
                losses.push(loss.double_value(&[]));
                let off = loss.double_value(&[]) - again.double_value(&[]);
                assert!(off.abs() < 1e-5, "{model}: {off}");
                for (one, other) in gradients.iter().zip(&again_gradients) {
                    assert_eq!(one.defined(), other.defined());
                    if one.defined() {
                        let largest = one.abs().max().double_value(&[]);
                        let (one, other) = (values(one), values(other));
                        let off = one.iter().zip(&other).map(|(a, b)| f64::from((a - b).abs()));
                        let off = off.fold(0.0, f64::max);
                        assert!(off <= 2e-5 * largest + 1e-9, "{model}: {off} of {largest}");
                    }
                }
            }
            assert!((losses[0] - losses[1]).abs() > 1e-4, "the batches differ: {losses:?}");
            assert!(!slot.fits(&batches.batch(&[0, 1])), "a short batch goes its own way");
        }
    }

    #[test]
    fn a_batch_without_labels_is_refused_in_either_way() {
        let plan = plan("led-tiny");
        let tokenizer = setup::tokenizer(&plan).unwrap();
        let trainee = setup::model(&plan, &tokenizer, None, Device::Cpu).unwrap();
        let batch = Batch {
            source: vec![3; 448],
            lengths: vec![448],
            labels: vec![crate::models::input::IGNORED; 16],
            rows: vec![0],
            seq_len: 448,
            target_len: 16,
        };
        let error = Passes::new(&plan, &trainee, Device::Cpu).load(&batch).unwrap_err();
        assert!(matches!(error, TrainError::NoLabels));
    }

    #[test]
    fn a_cpu_is_refused_what_only_a_gpu_records() {
        let said = plan("led-tiny").check_device(Device::Cpu).unwrap_err().to_string();
        assert!(said.contains("--cuda-graph") && said.contains("hint:"), "{said}");
    }
}
