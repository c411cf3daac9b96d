//! Everything that stands before the first step: device, tokenizer, data, ids, model.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::Context;
use serde_json::{Map, Value, json};
use tch::{Device, Kind, Tensor};

use crate::{
    checkpoint::{Wanted, Weights},
    cli::{Bytes, MakeTokenizer, Precision, Vocabulary},
    data::{
        Builtin, Dataset, Split,
        encoded::{CacheUse, Encoded, default_folder},
    },
    device,
    models::{
        family::{Config, Model},
        params::{Builder, Params},
        vocabulary::LOGITS_BIAS,
    },
    plan::Plan,
    shim,
    tokenizer::{Family, Frame, Tokenizer, TokenizerError, train_bpe},
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
    // Its libraries take memory and time to load, which a CPU has other uses for.
    let cuda = if plan.cli.device == "cpu" {
        Err("not asked for".to_owned())
    } else {
        device::load_cuda()
    };
    let device = device::choose(&plan.cli.device, &cuda)?;
    plan.check_device(device)?;
    if let Some(threads) = plan.cli.threads {
        tch::set_num_threads(threads);
    }
    if let Some(Bytes(limit)) = plan.cli.memory_limit {
        device::limit_memory(limit).context("--memory-limit")?;
    }
    shim::allow_tf32(plan.precision == Precision::Tf32);
    tch::manual_seed(plan.seed as i64);
    if let Device::Cuda(number) = device {
        tch::Cuda::manual_seed_all(plan.seed);
        shim::reset_peak_memory(number)?;
    }
    Ok(device)
}

/// Where the vocabulary's files are; `None` for bytes.
pub fn vocabulary(plan: &Plan) -> Option<&Path> {
    match (&plan.cli.tokenizer, &plan.cli.weights) {
        (Some(Vocabulary::Folder(dir)), _) | (None, Some(dir)) => Some(dir),
        (Some(Vocabulary::Bytes), _) | (None, None) => None,
    }
}

pub fn tokenizer(plan: &Plan) -> anyhow::Result<Tokenizer> {
    let family = plan.cli.model.family();
    match vocabulary(plan) {
        Some(dir) => Tokenizer::load(dir, family).context("--tokenizer"),
        None => Ok(Tokenizer::bytes(family)),
    }
}

/// `lcbench-train tokenizer`.
pub fn make_tokenizer(wanted: &MakeTokenizer) -> anyhow::Result<()> {
    let data = Dataset::load(&wanted.data).context("--data")?;
    let texts = data
        .train
        .iter()
        .flat_map(|row| [Some(&row.input), row.output.as_ref()]);
    train_bpe(texts.flatten().map(String::as_str), wanted.vocab, &wanted.output)?;
    let made = Tokenizer::load(&wanted.output, Family::Led)?;
    eprintln!(
        "{}: {} tokens, from {} documents of {}",
        wanted.output.display(),
        made.vocab_size(),
        data.train.len(),
        data.name
    );
    Ok(())
}

pub fn dataset(plan: &Plan) -> anyhow::Result<Dataset> {
    if let Some(shaped) = plan.cli.shaped {
        eprintln!(
            "note: --shaped {}: the texts are GENERATED, as many and as long as the set's: speed and energy are like the real \
             set's, scores mean NOTHING",
            shaped.set.name()
        );
        return Ok(Dataset::shaped(shaped.set, shaped.share, plan.seed));
    }
    let Some(dir) = &plan.cli.data else {
        let length = plan.cli.seq_len - Frame::SMALLEST;
        return Ok(Dataset::builtin(&Builtin {
            length,
            seed: plan.seed,
            ..Builtin::default()
        }));
    };
    let data = Dataset::load(&inside(dir, plan)).context("--data")?;
    anyhow::ensure!(
        !data.train.is_empty() || plan.max_steps == Some(0),
        "--data {}: nothing to train on\nhint: put train.jsonl there, or give --max-steps 0",
        dir.display()
    );
    Ok(data)
}

/// The set that --dataset names, where --data is a folder with several of them; else --data itself.
fn inside(dir: &Path, plan: &Plan) -> PathBuf {
    let Some(set) = plan.cli.dataset else {
        return dir.to_owned();
    };
    let (folder, archive) = (dir.join(set.name()), dir.join(format!("{}.zip", set.name())));
    let found = [folder, archive].into_iter().find(|path| path.exists());
    found
        .filter(|_| !dir.join("train.jsonl").is_file())
        .unwrap_or_else(|| dir.to_owned())
}

/// Longest texts that a cache of ids holds: those of the study, so that one cache serves all its lengths.
const CACHED: [usize; 2] = [4096, 128];

/// The first `rows` of a split (or all) as ids, from the cache or for it.
pub fn encode(
    plan: &Plan,
    data: &Dataset,
    split: Split,
    rows: usize,
    tokenizer: &Tokenizer,
) -> Result<(Encoded, Option<CacheUse>), TokenizerError> {
    let lengths = [plan.cli.seq_len, plan.target_len];
    let Some(folder) = cache_folder(plan) else {
        let examples = &data.split(split)[..rows];
        return Ok((Encoded::encode(examples, tokenizer, lengths[0], lengths[1])?, None));
    };
    let [source, target] = [lengths[0].max(CACHED[0]), lengths[1].max(CACHED[1])];
    let (encoded, how) = Encoded::cached(&folder, data, split, tokenizer, source, target)?;
    if let CacheUse::NotKept(path, error) = &how {
        eprintln!("note: token ids are not kept: {}: {error}", path.display());
    }
    Ok((encoded, Some(how)))
}

fn cache_folder(plan: &Plan) -> Option<PathBuf> {
    let cli = &plan.cli;
    match &cli.cache {
        Some(dir) => Some(dir.clone()),
        None if cli.no_cache || cli.data.is_none() => None,
        None => default_folder(),
    }
}

/// The model with random weights, as the plan or the folder `from` describes it.
pub fn model(plan: &Plan, tokenizer: &Tokenizer, from: Option<&Path>, device: Device) -> anyhow::Result<Trainee> {
    let mut config = match from {
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
    if plan.cli.cuda_graph {
        builder = builder.with_dense_look_ups();
    }
    let model = config.build(&mut builder, plan.bigbird_rand.into());
    let params = builder.finish(device);
    Ok(Trainee { model, params, config })
}

/// The model with the weights of `from`.
pub fn trainee(plan: &Plan, tokenizer: &Tokenizer, from: Option<&Path>, device: Device) -> anyhow::Result<Trainee> {
    let trainee = model(plan, tokenizer, from, device)?;
    if let Some(dir) = from {
        load(&trainee.params, dir, device).context("--weights")?;
    }
    if plan.cli.weights.is_none() {
        eprintln!(
            "note: no --weights, so {} starts from RANDOM weights: speed and energy are valid, accuracy is NOT that of the \
             published model",
            plan.cli.model.name()
        );
    }
    Ok(trainee)
}

/// Reads the weights in `dir` into the parameters.
pub fn load(params: &Params, dir: &Path, device: Device) -> anyhow::Result<()> {
    let weights = Weights::open(dir)?;
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

/// config.json of the trained model: what `from`'s said, with what this model computes by, and what transformers asks for.
pub fn config_json(config: &Config, from: Option<&Path>) -> Value {
    let read = from.and_then(|dir| fs::read_to_string(dir.join("config.json")).ok());
    let mut all: Map<String, Value> = read
        .and_then(|text| serde_json::from_str(&text).ok())
        .unwrap_or_default();
    let (ours, class) = match config {
        Config::Led(config) => (json!(config), "LEDForConditionalGeneration"),
        Config::BigBird(config) => (json!(config), "BigBirdPegasusForConditionalGeneration"),
    };
    if let Value::Object(ours) = ours {
        all.extend(ours);
    }
    let more = json!({"architectures": [class], "is_encoder_decoder": true, "tie_word_embeddings": true});
    if let Value::Object(more) = more {
        all.extend(more);
    }
    Value::Object(all)
}

/// The files that make a vocabulary, where they are there.
pub fn vocabulary_files(plan: &Plan) -> Vec<PathBuf> {
    const NAMES: [&str; 6] = [
        "tokenizer.json",
        "tokenizer_config.json",
        "special_tokens_map.json",
        "vocab.json",
        "merges.txt",
        "spiece.model",
    ];
    let dir = vocabulary(plan);
    let files = dir.into_iter().flat_map(|dir| NAMES.map(|name| dir.join(name)));
    files.filter(|path| path.is_file()).collect()
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::config::LedConfig;

    #[test]
    fn a_saved_configuration_keeps_what_others_wrote_and_says_what_this_model_is() {
        let dir = tempfile::tempdir().unwrap();
        let theirs = r#"{"model_type": "led", "d_model": 8, "num_beams": 4, "dropout": 0.1}"#;
        fs::write(dir.path().join("config.json"), theirs).unwrap();
        let config = Config::Led(LedConfig {
            dropout: 0.25,
            ..LedConfig::tiny(300)
        });
        let saved = config_json(&config, Some(dir.path()));
        assert_eq!((&saved["num_beams"], &saved["dropout"]), (&json!(4), &json!(0.25)));
        assert_eq!((&saved["d_model"], &saved["vocab_size"]), (&json!(64), &json!(300)));
        assert_eq!(saved["architectures"], json!(["LEDForConditionalGeneration"]));
        fs::write(dir.path().join("config.json"), saved.to_string()).unwrap();
        assert_eq!(Config::read_led(dir.path()).unwrap(), config);
    }
}
