//! One run, from top to bottom: load, tokenize, train, validate, infer, summary.

use anyhow::Context;

use crate::{
    cli::Cli,
    data::{
        Split,
        batch::{Batcher, Order},
        encoded::Encoded,
    },
    evaluate::{Asked, evaluate},
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
    let asked = Asked::new(plan.scoring, data.split(Split::Validation), plan.cli.max_eval);
    let held_out = &data.split(Split::Validation)[..asked.rows.last().map_or(0, |last| last + 1)];
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
            let batches = batches(&held_out, size, Order::File).only(asked.rows.clone());
            let done = evaluate(name, &plan, &trainee, &tokenizer, &batches, &asked, &phases)?;
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
