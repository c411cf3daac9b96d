//! Answers requests; holds the loaded model and its optimizer between them.

use std::{fs, path::Path, time::Instant};

use anyhow::Context;
use lcbench::{
    checkpoint::save,
    device,
    generate::{Limits, greedy},
    metrics::{Scoring, f1, rouge},
    models::{bigbird::RandomBlocks, family::Config, layers::Mode, params::Builder},
    optim::{AdamW, AdamWConfig, LinearSchedule, Variant},
    setup::{self, Trainee},
    tokenizer::{Family, Tokenizer},
};
use serde_json::{Value, json};
use tch::{Device, Tensor, no_grad};

use crate::{
    batch::Batch,
    request::{FamilyName, Recipe, Request},
};

#[derive(Default)]
pub struct Session {
    loaded: Option<Loaded>,
}

struct Loaded {
    trainee: Trainee,
    /// Of timed steps, with the updates it has made.
    optimizer: Option<(AdamW, u64)>,
    weights: std::path::PathBuf,
}

impl Session {
    pub fn answer(&mut self, request: Request) -> anyhow::Result<Value> {
        match request {
            Request::Load {
                weights,
                train_only,
                dropout,
            } => {
                let loaded = Loaded::open(&weights, train_only, dropout)?;
                let parameters = loaded.trainee.params.count();
                self.loaded = Some(loaded);
                Ok(json!({ "parameters": parameters }))
            }
            Request::Save { folder } => self.loaded()?.save(&folder),
            Request::Forward {
                batch,
                outputs,
                training,
            } => self.loaded()?.forward(&batch, &outputs, training),
            Request::Train { batch, recipe } => self.loaded()?.train(&batch, recipe),
            Request::Generate {
                batch,
                max_length,
                min_length,
                no_repeat_ngram_size,
            } => {
                let limits = Limits {
                    max_length,
                    min_length,
                    no_repeat_ngram_size,
                };
                let Trainee { model, config, .. } = &self.loaded()?.trainee;
                let batch = Batch::read(&batch, config)?;
                Ok(json!({ "ids": greedy(model, config, &batch.source, limits) }))
            }
            Request::Tokenize {
                vocabulary,
                family,
                texts,
                longest,
                outputs,
            } => tokenize(&vocabulary, family, &texts, longest, &outputs),
            Request::Score { pairs, outputs } => score(&pairs, &outputs),
            Request::Prepare { threads, seed } => {
                tch::set_num_threads(threads);
                tch::manual_seed(seed);
                Ok(json!({ "threads": tch::get_num_threads() }))
            }
            Request::Step { batch, recipe } => self.loaded()?.step(&batch, recipe),
            Request::Evaluate { batch } => self.loaded()?.evaluate(&batch),
            Request::PeakMemory => Ok(json!({ "bytes": device::peak_host_memory() })),
        }
    }

    fn loaded(&mut self) -> anyhow::Result<&mut Loaded> {
        self.loaded.as_mut().context("no model is loaded")
    }
}

impl Loaded {
    fn open(weights: &Path, train_only: bool, dropout: Option<f64>) -> anyhow::Result<Self> {
        let text = fs::read_to_string(weights.join("config.json"))?;
        let about: Value = serde_json::from_str(&text)?;
        let mut config = match about["model_type"].as_str() {
            Some("led") => Config::read_led(weights)?,
            Some("bigbird_pegasus") => Config::read_bigbird(weights)?,
            other => anyhow::bail!("model_type {other:?}"),
        };
        if let Some(p) = dropout {
            config.set_dropout(p);
        }
        let random = if train_only {
            RandomBlocks::TrainOnly
        } else {
            RandomBlocks::Fixed
        };
        let mut builder = Builder::new();
        let model = config.build(&mut builder, random);
        let params = builder.finish(Device::Cpu);
        setup::load(&params, weights, Device::Cpu)?;
        Ok(Self {
            trainee: Trainee { model, params, config },
            optimizer: None,
            weights: weights.to_owned(),
        })
    }

    fn save(&self, folder: &Path) -> anyhow::Result<Value> {
        fs::create_dir_all(folder)?;
        let stored = setup::stored(&self.trainee.params);
        let views: Vec<_> = stored.iter().map(|(name, t)| (name.clone(), t)).collect();
        save(folder, &views)?;
        fs::copy(self.weights.join("config.json"), folder.join("config.json"))?;
        Ok(json!({ "tensors": views.len() }))
    }

    fn forward(&self, batch: &Path, outputs: &Path, training: bool) -> anyhow::Result<Value> {
        let Trainee { model, params, config } = &self.trainee;
        let Batch { source, target, .. } = Batch::read(batch, config)?;
        let mode = if training { Mode::Train } else { Mode::Eval };
        let mut out = no_grad(|| {
            let memory = model.encode(&source, mode);
            let logits = model.logits(&model.decode(&target.decoder_ids, &memory, &source, mode));
            vec![
                ("encoder".to_owned(), memory.contiguous()),
                ("logits".to_owned(), logits),
            ]
        });
        let loss = model.loss(&source, &target, mode);
        out.push(("loss".into(), loss.detach().view([1])));
        if training {
            let gradients = params.gradients(&loss);
            for (name, gradient) in params.name_gradients(&gradients) {
                out.push((format!("grad.{name}"), gradient.contiguous()));
            }
        }
        Tensor::write_safetensors(&out, outputs)?;
        Ok(json!({ "tensors": out.len() }))
    }

    fn train(&self, batch: &Path, recipe: Recipe) -> anyhow::Result<Value> {
        let Trainee { model, params, config } = &self.trainee;
        let Batch { source, target, .. } = Batch::read(batch, config)?;
        let mut optimizer = AdamW::new(params, adamw(recipe));
        let (mut losses, mut norms) = (Vec::new(), Vec::new());
        for update in 0..=recipe.steps {
            let loss = model.loss(&source, &target, Mode::Train);
            losses.push(loss.double_value(&[]));
            let gradients = params.gradients(&loss);
            let norm = optimizer.step(params, &gradients, schedule(recipe).rate(update))?;
            norms.push(norm.double_value(&[]));
        }
        Ok(json!({ "losses": losses, "norms": norms }))
    }

    fn step(&mut self, batch: &Path, recipe: Recipe) -> anyhow::Result<Value> {
        let Trainee { model, params, config } = &self.trainee;
        let Batch { source, target, .. } = Batch::read(batch, config)?;
        let (optimizer, updates) = self
            .optimizer
            .get_or_insert_with(|| (AdamW::new(params, adamw(recipe)), 0));
        let start = Instant::now();
        let memory = model.encode(&source, Mode::Train);
        let encoded = Instant::now();
        let loss = model.loss_from(&memory, &source, &target, Mode::Train);
        let decoded = Instant::now();
        drop(memory);
        let value = loss.detach();
        let gradients = params.gradients(&loss);
        let back = Instant::now();
        let _norm = optimizer.step(params, &gradients, schedule(recipe).rate(*updates))?;
        drop(gradients);
        let end = Instant::now();
        *updates += 1;
        Ok(json!({
            "encode": (encoded - start).as_secs_f64(),
            "decode": (decoded - encoded).as_secs_f64(),
            "backward": (back - decoded).as_secs_f64(),
            "optimizer": (end - back).as_secs_f64(),
            "step": (end - start).as_secs_f64(),
            "loss": value.double_value(&[]),
        }))
    }

    fn evaluate(&self, batch: &Path) -> anyhow::Result<Value> {
        let Batch { source, target, labels } = Batch::read(batch, &self.trainee.config)?;
        let start = Instant::now();
        let (_, ids) = no_grad(|| lcbench::evaluate::forward(&self.trainee, &source, &target, &labels, Device::Cpu));
        let ids = Vec::<i64>::try_from(ids.view([-1]))?;
        let seconds = start.elapsed().as_secs_f64();
        Ok(json!({ "seconds": seconds, "ids": ids }))
    }
}

fn adamw(recipe: Recipe) -> AdamWConfig {
    AdamWConfig {
        variant: if recipe.hf411 { Variant::Hf411 } else { Variant::Torch },
        betas: recipe.betas,
        eps: recipe.eps,
        weight_decay: recipe.weight_decay,
        max_norm: 1.0,
    }
}

fn schedule(recipe: Recipe) -> LinearSchedule {
    LinearSchedule {
        peak: recipe.lr,
        warmup: recipe.warmup,
        total: recipe.steps,
    }
}

fn read<T: serde::de::DeserializeOwned>(path: &Path) -> anyhow::Result<T> {
    Ok(serde_json::from_slice(&fs::read(path)?)?)
}

fn tokenize(
    vocabulary: &Path,
    family: FamilyName,
    texts: &Path,
    longest: usize,
    outputs: &Path,
) -> anyhow::Result<Value> {
    let family = match family {
        FamilyName::Led => Family::Led,
        FamilyName::BigBird => Family::BigBirdPegasus,
    };
    let tokenizer = Tokenizer::load(vocabulary, family)?;
    let texts: Vec<String> = read(texts)?;
    let both = |text: &String| {
        let ids = tokenizer.encode_source(text, longest)?;
        let decoded = tokenizer.decode(&ids)?;
        anyhow::Ok((ids, decoded))
    };
    let rows = texts.iter().map(both).collect::<anyhow::Result<Vec<_>>>()?;
    fs::write(outputs, serde_json::to_vec(&rows)?)?;
    Ok(json!({ "texts": rows.len() }))
}

fn score(pairs: &Path, outputs: &Path) -> anyhow::Result<Value> {
    let pairs: Vec<(String, String)> = read(pairs)?;
    let rouge = |scoring, p: &str, r: &str| {
        let scores = rouge::score(scoring, p, r);
        [scores.rouge1, scores.rouge2, scores.rouge_l]
    };
    let rows: Vec<_> = pairs
        .iter()
        .map(|(p, r)| {
            let [paper, official] = [Scoring::TeacherForced, Scoring::Generate].map(|scoring| rouge(scoring, p, r));
            (paper, official, f1::score(p, r), f1::exact_match(p, r))
        })
        .collect();
    fs::write(outputs, serde_json::to_vec(&rows)?)?;
    Ok(json!({ "pairs": rows.len() }))
}
