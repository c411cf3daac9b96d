//! Everything that stands before the first step: device, tokenizer, data, model.

use anyhow::Context;
use tch::{Device, Kind, Tensor};

use crate::{
    checkpoint::{Wanted, Weights},
    cli::Precision,
    data::{Builtin, Dataset},
    device,
    models::{
        family::{Config, Model},
        params::{Builder, Params},
        vocabulary::LOGITS_BIAS,
    },
    plan::Plan,
    shim,
    tokenizer::{Family, Frame, Tokenizer},
};

/// A model with the parameters its layers point at.
#[derive(Debug)]
pub struct Trainee {
    pub model: Model,
    pub params: Params,
    pub config: Config,
}

/// Chooses the device and sets libtorch up for it.
pub fn prepare_device(plan: &Plan) -> anyhow::Result<Device> {
    let cuda = device::load_cuda();
    let device = device::choose(&plan.cli.device, &cuda)?;
    if let Some(threads) = plan.cli.threads {
        tch::set_num_threads(threads);
    }
    shim::allow_tf32(plan.cli.precision == Precision::Tf32);
    tch::manual_seed(plan.cli.seed as i64);
    if device.is_cuda() {
        tch::Cuda::manual_seed_all(plan.cli.seed);
        let Device::Cuda(number) = device else {
            return Ok(device);
        };
        shim::reset_peak_memory(number)?;
    }
    Ok(device)
}

pub fn tokenizer(plan: &Plan) -> anyhow::Result<Tokenizer> {
    let family = plan.cli.model.family();
    match plan.cli.tokenizer.as_ref().or(plan.cli.weights.as_ref()) {
        Some(dir) => Tokenizer::load(dir, family).context("--tokenizer"),
        None => Ok(Tokenizer::bytes(family)),
    }
}

pub fn dataset(plan: &Plan) -> anyhow::Result<Dataset> {
    let Some(dir) = &plan.cli.data else {
        let length = plan.cli.seq_len - Frame::SMALLEST;
        return Ok(Dataset::builtin(&Builtin {
            length,
            seed: plan.cli.seed,
            ..Builtin::default()
        }));
    };
    let data = Dataset::load(dir).context("--data")?;
    anyhow::ensure!(
        !data.train.is_empty() || plan.cli.max_steps == 0,
        "--data {}: nothing to train on\nhint: put train.jsonl there, or give --max-steps 0",
        dir.display()
    );
    Ok(data)
}

pub fn trainee(plan: &Plan, tokenizer: &Tokenizer, device: Device) -> anyhow::Result<Trainee> {
    let weights = plan.cli.weights.as_ref();
    let mut config = match weights {
        Some(dir) => match plan.cli.model.family() {
            Family::Led => Config::read_led(dir),
            Family::BigBirdPegasus => Config::read_bigbird(dir),
        }
        .context("--weights")?,
        None => plan.preset(tokenizer),
    };
    if let Some(p) = plan.cli.dropout {
        config.set_dropout(p);
    }
    config.check("the configuration")?;
    plan.check(&config, tokenizer)?;
    let mut builder = Builder::new();
    let model = config.build(&mut builder, plan.cli.bigbird_rand.into());
    let params = builder.finish(device);
    match weights {
        Some(dir) => load(&params, &Weights::open(dir).context("--weights")?, device).context("--weights")?,
        None => eprintln!(
            "note: no --weights, so {} starts from RANDOM weights: speed and energy are valid, accuracy is NOT that of the \
             published model",
            plan.cli.model.name()
        ),
    }
    Ok(Trainee { model, params, config })
}

/// Reads a checkpoint that must hold exactly what the model wants.
pub fn load(params: &Params, weights: &Weights, device: Device) -> anyhow::Result<()> {
    let wanted = |(name, t): &(&str, Tensor)| Wanted {
        name: (*name).to_owned(),
        // Stored as one row.
        shape: if *name == LOGITS_BIAS {
            [vec![1], t.size()].concat()
        } else {
            t.size()
        },
        optional: *name == LOGITS_BIAS,
    };
    let named = params.named();
    weights.expect(&named.iter().map(wanted).collect::<Vec<_>>())?;
    for (name, _) in &named {
        if let Some(tensor) = weights.get(name, Kind::Float, device)? {
            params.assign(name, &tensor)?;
        }
    }
    Ok(())
}

/// The weights under the names and in the shapes that transformers stores.
pub fn stored(params: &Params) -> Vec<(String, Tensor)> {
    let named = params.named().into_iter();
    named
        .map(|(name, t)| {
            let t = if name == LOGITS_BIAS { t.unsqueeze(0) } else { t };
            (name.to_owned(), t)
        })
        .collect()
}
