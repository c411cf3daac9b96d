//! One trial of `--batch-size auto`, in a process of its own: does a step of so many documents fit, and their validation?
//!
//! Documents are as long as the flags allow and every label counts, so that no batch of the data can need more. Memory is what
//! is tried: weights are random ones of the same shapes, and two steps are taken, because the optimizer's moments and the pieces
//! that an allocator keeps are there from the second one on only.

use tch::{Device, no_grad};

use crate::{
    cli::Bytes,
    data::batch::Batch,
    device,
    models::{
        input::{Source, Target},
        layers::Mode,
    },
    optim::AdamW,
    plan::Plan,
    setup::{self, Trainee},
    train::{Gradients, Passes},
};

const STEPS: usize = 2;

pub fn run(plan: &Plan, documents: usize) -> anyhow::Result<()> {
    device::go_first_when_memory_runs_out();
    let device = setup::prepare_device(plan)?;
    if let Some(limit) = limit(plan, device) {
        device::limit_memory(limit)?;
    }
    let tokenizer = setup::tokenizer(plan)?;
    let trainee = setup::model(plan, &tokenizer, plan.cli.weights.as_deref(), device)?;
    let mut optimizer = AdamW::new(&trainee.params, plan.adamw);
    // Any id will do; this one is in every vocabulary and is no special token.
    let batch = Batch {
        source: vec![3; documents * plan.cli.seq_len],
        lengths: vec![plan.cli.seq_len; documents],
        labels: vec![3; documents * plan.target_len],
        rows: (0..documents).collect(),
        seq_len: plan.cli.seq_len,
        target_len: plan.target_len,
    };
    let mut passes = Passes::new(plan, &trainee, device);
    if plan.cli.cuda_graph {
        passes.record(&batch)?;
    }
    for _ in 0..STEPS {
        step(plan, &trainee, &mut passes, &mut optimizer, &batch)?;
    }
    let source = Source::new(&batch.source, &batch.lengths, plan.globals(), device);
    let (start, pad) = (trainee.config.decoder_start(), trainee.config.pad());
    let target = Target::new(&batch.labels, documents, start, pad, device);
    let largest = no_grad(|| {
        let memory = trainee.model.encode(&source, Mode::Eval);
        let hidden = trainee.model.decode(&target.decoder_ids, &memory, &source, Mode::Eval);
        let logits = trainee.model.logits(&hidden).flatten(0, 1);
        let loss = logits.log_softmax(-1, None);
        (loss.max(), logits.argmax(-1, false))
    });
    // Waits for the device: an allocation that fails there fails before.
    let _ = largest.0.double_value(&[]);
    device::synchronize(device);
    Ok(())
}

/// Host memory that the trial may take: what the run may, less what the data take there, less a share for all that a run does
/// and a trial does not. On a GPU the host's memory is not what runs out.
fn limit(plan: &Plan, device: Device) -> Option<u64> {
    let whole = match (plan.cli.memory_limit, device) {
        (Some(Bytes(limit)), _) => limit.saturating_sub(plan.cli.held),
        // The data are in memory already.
        (None, Device::Cpu) => device::free_memory()?,
        (None, _) => return None,
    };
    Some(whole - whole / 32)
}

fn step(
    plan: &Plan,
    trainee: &Trainee,
    passes: &mut Passes<'_>,
    optimizer: &mut AdamW,
    batch: &Batch,
) -> anyhow::Result<()> {
    let mut gradients = Gradients::default();
    // With accumulation the sum so far lies beside the gradients of the next batch.
    for _ in 0..plan.accumulate.min(2) {
        let inputs = passes.load(batch)?;
        let loss = passes.forward(&inputs)?;
        gradients.add(passes.backward(&inputs, &loss)?);
    }
    let _norm = optimizer.step(&trainee.params, &gradients.take(), 0.0)?;
    Ok(())
}
