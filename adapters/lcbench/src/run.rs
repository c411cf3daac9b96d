//! One run, from top to bottom: load, tokenize, train, validate, infer, summary.

use anyhow::Context;

use crate::{
    cli::Cli,
    data::{
        Split,
        batch::{Batcher, Order},
        encoded::Encoded,
    },
    evaluate::evaluate,
    phases::Phases,
    plan::Plan,
    setup,
    summary::Summary,
    train::train,
};

pub fn run(cli: Cli) -> anyhow::Result<()> {
    let plan = Plan::new(cli)?;
    let device = setup::prepare_device(&plan)?;
    let phases = Phases::new(device);

    let load = phases.begin("load");
    let tokenizer = setup::tokenizer(&plan)?;
    let data = setup::dataset(&plan)?;
    let trainee = setup::trainee(&plan, &tokenizer, device)?;
    load.end();
    eprintln!(
        "{}: {:.1} M parameters on {device:?}; {}: {} documents to train on, {} to validate on",
        plan.cli.model.name(),
        trainee.params.count() as f64 / 1e6,
        data.name,
        data.train.len(),
        data.validation.len()
    );

    let tokenize = phases.begin("tokenize");
    let held_out = data.split(Split::Validation);
    let held_out = &held_out[..plan.cli.max_eval.unwrap_or(usize::MAX).min(held_out.len())];
    let encode = |examples| Encoded::encode(examples, &tokenizer, plan.cli.seq_len, plan.target_len);
    let (learn, held_out) = (encode(&data.train)?, encode(held_out)?);
    tokenize.end();

    let batches = |encoded, size, order| {
        Batcher::new(
            encoded,
            tokenizer.frame(),
            plan.cli.seq_len,
            plan.target_len,
            size,
            order,
        )
    };
    let mut summary = Summary::new(&plan, &trainee, device);
    if plan.cli.max_steps > 0 {
        let order = Order::Shuffled { seed: plan.cli.seed };
        let batches = batches(&learn, plan.cli.batch_size, order);
        summary.train = Some(train(&plan, &trainee, &batches, &phases, device)?);
    }
    if held_out.is_empty() {
        eprintln!("note: the data set has no validation documents: nothing to validate or infer on");
    } else {
        for (name, size) in [("validate", plan.cli.batch_size), ("infer", plan.cli.infer_batch_size)] {
            let batches = batches(&held_out, size, Order::File);
            let done = evaluate(name, &plan, &trainee, &tokenizer, &batches, &phases, device)?;
            summary.add(name, &done);
        }
    }
    summary.finish(device)?;
    if let Some(path) = &plan.cli.summary {
        summary
            .write(path)
            .with_context(|| format!("--summary {}", path.display()))?;
    }
    Ok(())
}
