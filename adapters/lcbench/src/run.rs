//! One run, from top to bottom: data, ids, batch size, model, train, validate, infer, summary.

use anyhow::Context;
use serde_json::{Map, Value, json};
use tch::Device;

use crate::{
    cli::{BatchSize, Cli, Precision},
    data::{
        Dataset, Published, Split,
        batch::{Batcher, Order},
    },
    device,
    evaluate::{Asked, evaluate},
    phases::Phases,
    plan::Plan,
    search,
    setup::{self, Trainee},
    summary::Summary,
    tokenizer::Tokenizer,
    train::{About, Budget, Job, Saves, State, last, read_state, train},
    trial,
};

pub fn run(cli: Cli) -> anyhow::Result<()> {
    let mut plan = Plan::new(cli)?;
    if let Some(documents) = plan.cli.trial {
        return trial::run(&plan, documents);
    }
    let resumed = plan.cli.resume.as_deref().map(read_state).transpose()?;
    // The model comes after the search: its trials shall have the device to themselves.
    let phases = Phases::new(Device::Cpu);
    let bare = device::data_memory();
    let load = phases.begin("load");
    let tokenizer = setup::tokenizer(&plan)?;
    let data = setup::dataset(&plan)?;
    load.end();

    let tokenize = phases.begin("tokenize");
    let asked = Asked::new(plan.scoring, data.split(Split::Validation), plan.cli.max_eval);
    let held_out = asked.rows.last().map_or(0, |last| last + 1);
    let trains = plan.max_steps != Some(0);
    let learnt = if trains { data.train.len() } else { 0 };
    let (learn, cached) = setup::encode(&plan, &data, Split::Train, learnt, &tokenizer)?;
    let (held_out_ids, _) = setup::encode(&plan, &data, Split::Validation, held_out, &tokenizer)?;
    tokenize.end();

    let held = device::data_memory()
        .zip(bare)
        .map(|(now, bare)| now.saturating_sub(bare));
    let search = choose_batch_size(&mut plan, resumed.as_ref(), held.unwrap_or(0), &phases)?;

    let device = setup::prepare_device(&plan)?;
    let phases = phases.on(device);
    let load = phases.begin("load");
    let saved = plan.cli.resume.as_deref().map(last);
    let from = saved.as_deref().or(plan.cli.weights.as_deref());
    let trainee = setup::trainee(&plan, &tokenizer, from, device)?;
    load.end();
    eprintln!(
        "{}: {:.1} M parameters on {device:?}; {}: {} documents to train on, {} to validate on",
        plan.cli.model.name(),
        trainee.params.count() as f64 / 1e6,
        data.name,
        data.train.len(),
        data.validation.len()
    );

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
    let examine = |name, size| {
        let batches = batches(&held_out_ids, size, Order::File).only(asked.rows.clone());
        evaluate(name, &plan, &trainee, &tokenizer, &batches, &asked, &phases)
    };
    let mut summary = Summary::new(&plan, &data, &trainee, device);
    summary.search = search;
    summary.token_cache = cached.map(|how| how.name());
    if trains {
        let order = Order::Shuffled { seed: plan.seed };
        let batches = batches(&learn, plan.batch_size(), order);
        let budget = Budget::new(batches.batches(), plan.accumulate, plan.max_steps, plan.max_epochs);
        say(&plan, budget, device);
        let settings = settings(&plan, budget, &data, &tokenizer, &trainee);
        plan.check_resumed(resumed.as_ref().and_then(|state| state.differs(&settings)))?;
        let about = About {
            config: setup::config_json(&trainee.config, from),
            vocabulary: setup::vocabulary_files(&plan),
        };
        let saves = match (&plan.cli.save, &plan.cli.resume) {
            (Some(dir), _) => Some(Saves::create(dir, about)?),
            (None, Some(dir)) => Some(Saves::of(dir, about)),
            (None, None) => None,
        };
        let job = Job {
            plan: &plan,
            trainee: &trainee,
            batches: &batches,
            budget,
            phases: &phases,
            device,
            saves: saves.as_ref(),
            settings,
        };
        summary.train = Some(train(&job, resumed, &mut || examine("validate", plan.batch_size()))?);
    }
    if held_out == 0 {
        eprintln!("note: the data set has no validation documents: nothing to validate or infer on");
    } else {
        for (name, size) in [("validate", plan.batch_size()), ("infer", plan.infer_batch_size)] {
            summary.add(name, &examine(name, size)?);
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

/// What a step is, and where it is not what the study's was.
fn say(plan: &Plan, budget: Budget, device: Device) {
    let (batch, accumulate) = (plan.batch_size(), plan.accumulate);
    let Budget { total, per_epoch } = budget;
    eprintln!("train: {total} steps of {accumulate} x {batch} documents, {per_epoch} in an epoch");
    if plan.recipe.is_some() && plan.set == Some(Published::Qasper) {
        eprintln!(
            "note: the study trained on Qasper with 8 GPUs and 4 batches each; one device takes them one after the other: the \
             same total batch, and not the same speed"
        );
    }
    if plan.precision == Precision::Tf32 && !device.is_cuda() {
        eprintln!("note: --precision tf32 changes nothing on a CPU: it computes in fp32");
    }
}

/// `--batch-size auto`, as a phase of its own; a resumed training keeps what it had. `held`: bytes of host memory that the data
/// take beside the model.
fn choose_batch_size(
    plan: &mut Plan,
    resumed: Option<&State>,
    held: u64,
    phases: &Phases,
) -> anyhow::Result<Option<search::Search>> {
    if plan.batch_size != BatchSize::Auto {
        return Ok(None);
    }
    if let Some(size) = resumed.and_then(|state| state.settings.get("batch_size")?.as_u64()) {
        plan.batch_size = BatchSize::Documents(size as usize);
        return Ok(None);
    }
    let phase = phases.begin("search");
    let found = search::run(plan.cli.max_batch_size, held)?;
    phase.end();
    plan.batch_size = BatchSize::Documents(found.chosen);
    Ok(Some(found))
}

/// What decides the numbers of a training: a resumed one must agree in all of it.
fn settings(
    plan: &Plan,
    budget: Budget,
    data: &Dataset,
    tokenizer: &Tokenizer,
    trainee: &Trainee,
) -> Map<String, Value> {
    let hex = |bytes: [u8; 32]| {
        bytes
            .iter()
            .take(8)
            .map(|byte| format!("{byte:02x}"))
            .collect::<String>()
    };
    let kept = plan.cli.save.is_some() || plan.cli.resume.is_some();
    // Hashing gigabytes of text is for those who save.
    let texts = |split| kept.then(|| hex(data.fingerprint(split)));
    let all = json!({
        "model": plan.cli.model.name(),
        "config": setup::config_json(&trainee.config, None),
        "train_texts": texts(Split::Train),
        "validation_texts": texts(Split::Validation),
        "vocabulary": hex(tokenizer.fingerprint()),
        "seq_len": plan.cli.seq_len,
        "target_len": plan.target_len,
        "batch_size": plan.batch_size(),
        "accumulate": plan.accumulate,
        "steps": budget.total,
        "eval_every": plan.eval_every,
        "patience": plan.patience,
        "best_by": plan.best_by,
        "max_eval": plan.cli.max_eval,
        "score": plan.cli.score,
        "generate": [plan.limits.max_length, plan.limits.min_length, plan.limits.no_repeat_ngram_size],
        "log_every": plan.cli.log_every,
        "lr": plan.lr,
        "warmup_ratio": plan.warmup_ratio,
        "adamw": plan.adamw.variant,
        "betas": [plan.adamw.betas.0, plan.adamw.betas.1],
        "adam_eps": plan.adamw.eps,
        "weight_decay": plan.adamw.weight_decay,
        "max_grad_norm": plan.adamw.max_norm,
        "bigbird_rand": plan.bigbird_rand,
        "precision": plan.precision,
        "cuda_graph": plan.cli.cuda_graph.then_some(true),
        "seed": plan.seed,
    });
    match all {
        Value::Object(all) => all,
        _ => Map::new(),
    }
}
