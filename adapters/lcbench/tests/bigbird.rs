//! BigBird-Pegasus against HuggingFace transformers on committed vectors (made by `goldens/bigbird.py`): random blocks, encoder
//! output, logits, loss, every gradient, and training. Dropout is 0. Each case runs on the CPU's own kernel and on the one that
//! other devices take.

use std::{collections::HashMap, fs, path::PathBuf};

use lcbench::{
    models::{
        bigbird::{
            BigBird, Kernel, RandomBlocks,
            config::{AttentionType, BigBirdConfig},
        },
        input::{Globals, Source, Target},
        layers::Mode,
        params::{Builder, Params},
    },
    optim::{AdamW, AdamWConfig, LinearSchedule, Variant},
};
use tch::{Device, Kind, Tensor};

const LOGITS: f64 = 2e-5; // absolute
const LOSS: f64 = 1e-6; // relative
const GRADIENT: f64 = 1e-5; // relative to the tensor's largest
/// Gradients that are 0 in exact arithmetic (key biases: a softmax ignores what all keys share) are rounding noise in both
/// programs; they are compared against this share of the largest gradient of all.
const NOISE: f64 = 1e-6;
const FIVE_STEPS: f64 = 1e-5; // relative

struct Golden {
    name: String,
    tensors: HashMap<String, Tensor>,
}

impl Golden {
    fn read(name: &str) -> Self {
        let path = folder().join(format!("{name}.safetensors"));
        Self {
            name: name.to_owned(),
            tensors: Tensor::read_safetensors(path).unwrap().into_iter().collect(),
        }
    }

    fn tensor(&self, name: &str) -> &Tensor {
        &self.tensors[name]
    }

    fn integers(&self, name: &str) -> Vec<i64> {
        integers(self.tensor(name))
    }

    fn rows(&self) -> usize {
        self.tensor("input_ids").size()[0] as usize
    }

    /// Real tokens of each source.
    fn lengths(&self) -> Vec<usize> {
        let mask = self.integers("attention_mask");
        let width = mask.len() / self.rows();
        mask.chunks(width).map(|row| row.iter().sum::<i64>() as usize).collect()
    }

    fn source(&self) -> Source {
        let ids = self.integers("input_ids");
        Source::new(&ids, &self.lengths(), Globals::None, Device::Cpu)
    }

    fn target(&self, config: &BigBirdConfig) -> Target {
        let (start, pad) = (config.decoder_start_token_id, config.pad_token_id);
        Target::new(&self.integers("labels"), self.rows(), start, pad, Device::Cpu)
    }

    /// The configuration of all cases, with what this case changes.
    fn config(&self) -> BigBirdConfig {
        let read = |file: &str| fs::read_to_string(folder().join(file)).unwrap();
        let mut config: serde_json::Value = serde_json::from_str(&read("config.json")).unwrap();
        let changes: serde_json::Value = serde_json::from_str(&read("cases.json")).unwrap();
        for (field, value) in changes[&self.name].as_object().unwrap() {
            config[field] = value.clone();
        }
        let config: BigBirdConfig = serde_json::from_value(config).unwrap();
        config.check(&self.name).unwrap();
        config
    }

    fn model(&self, random: RandomBlocks) -> (BigBird, Params) {
        self.model_of(&self.config(), random, Kernel::Auto)
    }

    fn model_of(&self, config: &BigBirdConfig, random: RandomBlocks, kernel: Kernel) -> (BigBird, Params) {
        let mut builder = Builder::new();
        let bigbird = BigBird::new(&mut builder, config, random, kernel);
        let params = builder.finish(Device::Cpu);
        let shared = Golden::read("model").tensors;
        for (name, place) in params.named() {
            let own = self.tensors.get(&format!("weight.{name}"));
            let value = own
                .or(shared.get(name))
                .unwrap_or_else(|| panic!("{name} is in no golden"));
            let value = if name.contains("embed_positions") {
                value.narrow(0, 0, place.size()[0]) // cases with fewer positions use the first
            } else {
                value.shallow_clone()
            };
            params.assign(name, &value).unwrap();
        }
        (bigbird, params)
    }
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/goldens/bigbird")
}

fn integers(t: &Tensor) -> Vec<i64> {
    Vec::try_from(t.to_kind(Kind::Int64).reshape([-1])).unwrap()
}

fn largest(t: &Tensor) -> f64 {
    t.abs().max().double_value(&[])
}

fn logits(bigbird: &BigBird, source: &Source, target: &Target, mode: Mode) -> Tensor {
    let memory = bigbird.encode(source, mode);
    bigbird.logits(&bigbird.decode(&target.decoder_ids, &memory, source, mode))
}

fn case(name: &str, random: RandomBlocks, mode: Mode) {
    for kernel in [Kernel::Auto, Kernel::Gathered] {
        case_with(name, random, mode, kernel);
    }
}

fn case_with(name: &str, random: RandomBlocks, mode: Mode, kernel: Kernel) {
    let golden = Golden::read(name);
    let config = golden.config();
    let context = format!("{name}, {random:?}, {mode:?}, {kernel:?}");
    let (bigbird, params) = golden.model_of(&config, random, kernel);
    let (source, target) = (golden.source(), golden.target(&config));

    let memory = bigbird.encode(&source, mode);
    assert_eq!(memory.size(), golden.tensor("encoder").size(), "{context}");
    for (row, length) in golden.lengths().iter().enumerate() {
        let valid = |t: &Tensor| t.get(row as i64).narrow(0, 0, *length as i64);
        let off = largest(&(valid(&memory) - valid(golden.tensor("encoder"))));
        assert!(off < LOGITS, "{context}: encoder row {row} is off by {off:e}");
    }
    let off = largest(&(logits(&bigbird, &source, &target, mode) - golden.tensor("logits")));
    assert!(off < LOGITS, "{context}: logits are off by {off:e}");

    let loss = bigbird.loss(&source, &target, mode);
    let (ours, theirs) = (loss.double_value(&[]), golden.tensor("loss").double_value(&[0]));
    assert!(
        (ours - theirs).abs() < LOSS * theirs,
        "{context}: loss {ours} is not {theirs}"
    );

    let gradients = params.gradients(&loss);
    let ours: HashMap<_, _> = params.name_gradients(&gradients).into_iter().collect();
    let theirs: HashMap<_, _> = golden
        .tensors
        .iter()
        .filter_map(|(k, v)| Some((k.strip_prefix("grad.")?, v)))
        .collect();
    assert!(!theirs.is_empty(), "{context}");
    assert_eq!(ours.len(), theirs.len(), "{context}: numbers of gradients");
    let floor = NOISE * theirs.values().map(|g| largest(g)).fold(0.0, f64::max);
    for (key, theirs) in theirs {
        let ours = ours
            .get(key)
            .unwrap_or_else(|| panic!("{context}: {key} has no gradient"));
        let (used, all) = (theirs.size()[0], ours.size()[0]);
        assert!(
            used == all || largest(&ours.narrow(0, used, all - used)) == 0.0,
            "{context}: {key} has gradients behind the text"
        );
        let off = largest(&(ours.narrow(0, 0, used) - theirs));
        let allowed = (GRADIENT * largest(theirs)).max(floor);
        assert!(
            off < allowed,
            "{context}: gradient of {key} is off by {off:e}, allowed {allowed:e}"
        );
    }
}

/// transformers evaluated with the blocks of training until 4.30.
fn training_and_evaluation(name: &str) {
    case(name, RandomBlocks::TrainOnly, Mode::Train);
    case(name, RandomBlocks::Fixed, Mode::Eval);
}

#[test]
fn whole_blocks_without_padding() {
    training_and_evaluation("full");
}

#[test]
fn padding_and_ignored_labels() {
    training_and_evaluation("padded");
}

#[test]
fn source_no_multiple_of_the_block() {
    training_and_evaluation("ragged");
}

#[test]
fn source_too_short_for_blocks() {
    training_and_evaluation("short");
}

#[test]
fn full_attention_by_configuration() {
    training_and_evaluation("dense");
}

#[test]
fn biases_another_activation_and_number_of_random_blocks() {
    training_and_evaluation("biased");
}

#[test]
fn drawn_blocks_that_are_seen_anyway_count_twice() {
    training_and_evaluation("duplicates");
}

#[test]
fn evaluation_without_random_blocks() {
    case("evaluation", RandomBlocks::TrainOnly, Mode::Eval);
    case("whole_evaluation", RandomBlocks::TrainOnly, Mode::Eval);
}

/// The goldens of the two behaviours differ, so that the tests above can fail.
#[test]
fn the_two_evaluations_differ() {
    let [fixed, none] = ["padded", "evaluation"].map(Golden::read);
    assert_eq!(fixed.integers("input_ids"), none.integers("input_ids"));
    assert!(largest(&(fixed.tensor("logits") - none.tensor("logits"))) > 100.0 * LOGITS);
}

#[test]
fn after_a_short_source_attention_stays_full() {
    let (short, long, dense) = (Golden::read("short"), Golden::read("padded"), Golden::read("dense"));
    assert_eq!(long.integers("input_ids"), dense.integers("input_ids"));
    let config = long.config();
    let (bigbird, _params) = long.model(RandomBlocks::Fixed);
    let off = |golden: &Golden| {
        let ours = logits(&bigbird, &long.source(), &long.target(&config), Mode::Train);
        largest(&(ours - golden.tensor("logits")))
    };
    assert!(off(&long) < LOGITS && off(&dense) > LOGITS);
    let _ = bigbird.encode(&short.source(), Mode::Train);
    assert!(off(&dense) < LOGITS && off(&long) > LOGITS);
}

#[test]
fn what_stands_in_the_padding_changes_nothing() {
    let golden = Golden::read("padded");
    let (bigbird, _params) = golden.model(RandomBlocks::Fixed);
    let target = golden.target(&golden.config());
    let mut ids = golden.integers("input_ids");
    let width = ids.len() / golden.rows();
    let lengths = golden.lengths();
    let loss = |ids: &[i64]| {
        let source = Source::new(ids, &lengths, Globals::None, Device::Cpu);
        bigbird.loss(&source, &target, Mode::Eval).double_value(&[])
    };
    let before = loss(&ids);
    let padding = width + lengths[1]..2 * width;
    assert!(!padding.is_empty());
    ids[padding].fill(33);
    assert_eq!(loss(&ids), before);
    ids[width] = if ids[width] == 34 { 35 } else { 34 }; // a real token, to see that this test can fail
    assert_ne!(loss(&ids), before);
}

#[test]
fn random_blocks_are_those_of_transformers() {
    let golden = Golden::read("draws");
    let config = BigBirdConfig::large();
    assert_eq!(config.attention_type, AttentionType::BlockSparse);
    let mut compared = 0;
    for (key, theirs) in &golden.tensors {
        let Some((layer, length)) = key.split_once('.').filter(|(layer, _)| *layer != "permutations") else {
            continue;
        };
        let draw = config.draw(length.parse().unwrap()).unwrap();
        assert_eq!(theirs.size(), [16, draw.blocks as i64 - 2, 3], "{key}");
        assert_eq!(draw.layer(layer.parse().unwrap()).unwrap(), integers(theirs), "{key}");
        compared += 1;
    }
    assert_eq!(compared, 15);
}

#[test]
fn blocks_that_cannot_be_drawn_are_an_error() {
    let config = BigBirdConfig {
        block_size: 256,
        ..BigBirdConfig::large()
    };
    let message = config.check_length(3072).unwrap_err().to_string();
    assert!(message.contains("row 1 can draw from 1 blocks of 256"), "{message}");
    config.check_length(2816).unwrap(); // attended to in full
    let few = BigBirdConfig {
        max_position_embeddings: 1000,
        ..BigBirdConfig::large()
    };
    assert!(few.check_length(1000).is_err());
}

#[test]
fn five_steps_of_training() {
    let text = fs::read_to_string(folder().join("training.json")).unwrap();
    let golden: serde_json::Value = serde_json::from_str(&text).unwrap();
    let golden = &golden["torch"];
    let number = |name: &str| golden[name].as_f64().unwrap();
    let batch = Golden::read("padded");
    let (bigbird, params) = batch.model(RandomBlocks::TrainOnly);
    let (source, target) = (batch.source(), batch.target(&batch.config()));
    let schedule = LinearSchedule {
        peak: number("lr"),
        warmup: number("warmup") as u64,
        total: number("steps") as u64,
    };
    let betas = [0, 1].map(|i: usize| golden["betas"][i].as_f64().unwrap());
    let mut optimizer = AdamW::new(
        &params,
        AdamWConfig {
            variant: Variant::Torch,
            betas: (betas[0], betas[1]),
            eps: number("eps"),
            weight_decay: number("weight_decay"),
            max_norm: 1.0,
        },
    );
    let losses = golden["losses"].as_array().unwrap();
    for (step, wanted) in losses.iter().enumerate() {
        let loss = bigbird.loss(&source, &target, Mode::Train);
        let (ours, theirs) = (loss.double_value(&[]), wanted.as_f64().unwrap());
        assert!(
            (ours - theirs).abs() < FIVE_STEPS * theirs,
            "step {step}: loss {ours} is not {theirs}"
        );
        let gradients = params.gradients(&loss);
        let rate = schedule.rate(step as u64);
        let norm = optimizer.step(&params, &gradients, rate).unwrap().double_value(&[]);
        let theirs = golden["grad_norms"][step].as_f64().unwrap();
        assert!(
            (norm - theirs).abs() < FIVE_STEPS * theirs,
            "step {step}: norm {norm} is not {theirs}"
        );
    }
    assert!(losses.len() == 6 && losses[5].as_f64() < losses[0].as_f64());
}
