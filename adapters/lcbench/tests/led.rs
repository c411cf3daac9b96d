//! LED against HuggingFace transformers on committed vectors (made by `goldens/led.py`): encoder output, logits, loss, every
//! gradient, and training. Dropout is 0. Each case runs in the dense and in the blocked layout, with blocks that divide the
//! source and blocks that do not.

use std::{collections::HashMap, fs, path::PathBuf};

use lcbench::{
    models::{
        config::{LedConfig, Windows},
        input::{Globals, Source, Target},
        layers::Mode,
        led::{Led, Tiling},
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

const TILINGS: [Tiling; 3] = [Tiling::Dense, Tiling::Blocks(16), Tiling::Blocks(24)];

struct Golden(HashMap<String, Tensor>);

impl Golden {
    fn read(name: &str) -> Self {
        Self(
            Tensor::read_safetensors(folder().join(format!("{name}.safetensors")))
                .unwrap()
                .into_iter()
                .collect(),
        )
    }

    fn tensor(&self, name: &str) -> &Tensor {
        &self.0[name]
    }

    fn integers(&self, name: &str) -> Vec<i64> {
        Vec::try_from(self.tensor(name).to_kind(Kind::Int64).view([-1])).unwrap()
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
        let width = ids.len() / self.rows();
        let at = |row: &[i64]| (0..row.len()).filter(|i| row[*i] == 1).collect::<Vec<_>>();
        let mask = self.integers("global_attention_mask");
        let globals: Vec<Vec<usize>> = mask.chunks(width).map(at).collect();
        let globals = match globals.iter().flatten().max() {
            None => Globals::None,
            Some(0) => Globals::First,
            Some(_) => Globals::Rows(globals),
        };
        Source::new(&ids, &self.lengths(), globals, Device::Cpu)
    }

    fn target(&self, config: &LedConfig) -> Target {
        let labels = self.integers("labels");
        Target::new(
            &labels,
            self.rows(),
            config.decoder_start_token_id,
            config.pad_token_id,
            Device::Cpu,
        )
    }
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/goldens/led")
}

fn model(config: &LedConfig, tiling: Tiling) -> (Led, Params) {
    let mut builder = Builder::new();
    let led = Led::new(&mut builder, config, tiling);
    let params = builder.finish(Device::Cpu);
    let weights = Golden::read("model").0;
    for (name, value) in &weights {
        params.assign(name, value).unwrap();
    }
    let missing: Vec<_> = params
        .named()
        .into_iter()
        .filter(|(name, _)| !weights.contains_key(*name))
        .collect();
    assert!(missing.is_empty(), "not in the golden checkpoint: {missing:?}");
    (led, params)
}

fn config(golden: &Golden) -> LedConfig {
    let windows = golden.integers("window");
    let windows = if windows.len() == 1 {
        Windows::Same(windows[0])
    } else {
        Windows::PerLayer(windows)
    };
    LedConfig {
        attention_window: windows,
        ..LedConfig::read(&folder()).unwrap()
    }
}

fn largest(t: &Tensor) -> f64 {
    t.abs().max().double_value(&[])
}

fn case(name: &str) {
    let golden = Golden::read(name);
    let config = config(&golden);
    for tiling in TILINGS {
        let context = format!("{name}, {tiling:?}");
        let (led, params) = model(&config, tiling);
        let (source, target) = (golden.source(), golden.target(&config));

        let memory = led.encode(&source, Mode::Train);
        for (row, length) in golden.lengths().iter().enumerate() {
            let valid = |t: &Tensor| t.get(row as i64).narrow(0, 0, *length as i64);
            let off = largest(&(valid(&memory) - valid(golden.tensor("encoder"))));
            assert!(off < LOGITS, "{context}: encoder row {row} is off by {off:e}");
        }
        let logits = led.logits(&led.decode(&target.decoder_ids, &memory, &source, Mode::Train));
        let off = largest(&(logits - golden.tensor("logits")));
        assert!(off < LOGITS, "{context}: logits are off by {off:e}");

        let loss = led.loss(&source, &target, Mode::Train);
        let (ours, theirs) = (loss.double_value(&[]), golden.tensor("loss").double_value(&[0]));
        assert!(
            (ours - theirs).abs() < LOSS * theirs,
            "{context}: loss {ours} is not {theirs}"
        );

        let gradients = params.gradients(&loss);
        let gradients: HashMap<_, _> = params.name_gradients(&gradients).into_iter().collect();
        let theirs: Vec<_> = golden
            .0
            .iter()
            .filter_map(|(k, v)| Some((k.strip_prefix("grad.")?, v)))
            .collect();
        assert!(theirs.len() > 60, "{context}: only {} golden gradients", theirs.len());
        let floor = NOISE * theirs.iter().map(|(_, g)| largest(g)).fold(0.0, f64::max);
        for (key, theirs) in theirs {
            let off = match gradients.get(key) {
                Some(ours) => largest(&(ours - theirs)),
                None => largest(theirs), // a gradient that is exactly 0 is not computed
            };
            let allowed = (GRADIENT * largest(theirs)).max(floor);
            assert!(
                off < allowed,
                "{context}: gradient of {key} is off by {off:e}, allowed {allowed:e}"
            );
        }
    }
}

#[test]
fn whole_blocks_without_padding() {
    case("full");
}

#[test]
fn padding_and_ignored_labels() {
    case("padded");
}

#[test]
fn source_no_multiple_of_the_window() {
    case("ragged");
}

#[test]
fn a_window_for_each_layer() {
    case("windows");
}

#[test]
fn several_global_tokens() {
    case("global");
}

#[test]
fn no_global_token() {
    case("local");
}

#[test]
fn what_stands_in_the_padding_changes_nothing() {
    let golden = Golden::read("padded");
    let config = config(&golden);
    let (led, _params) = model(&config, TILINGS[1]);
    let target = golden.target(&config);
    let mut ids = golden.integers("input_ids");
    let width = ids.len() / golden.rows();
    let lengths = golden.lengths();
    let loss = |ids: &[i64]| {
        let source = Source::new(ids, &lengths, Globals::First, Device::Cpu);
        led.loss(&source, &target, Mode::Eval).double_value(&[])
    };
    let before = loss(&ids);
    let padding = width + lengths[1]..2 * width;
    assert!(!padding.is_empty());
    ids[padding].fill(33);
    assert_eq!(loss(&ids), before);
    ids[width] = 34; // a real token, to see that this test can fail
    assert_ne!(loss(&ids), before);
}

fn training(variant: Variant, key: &str) {
    let text = fs::read_to_string(folder().join("training.json")).unwrap();
    let golden: serde_json::Value = serde_json::from_str(&text).unwrap();
    let golden = &golden[key];
    let number = |name: &str| golden[name].as_f64().unwrap();
    let batch = Golden::read("padded");
    let config = config(&batch);
    let (led, params) = model(&config, Tiling::default());
    let (source, target) = (batch.source(), batch.target(&config));
    let schedule = LinearSchedule {
        peak: number("lr"),
        warmup: number("warmup") as u64,
        total: number("steps") as u64,
    };
    let mut optimizer = AdamW::new(
        &params,
        AdamWConfig {
            variant,
            betas: (
                golden["betas"][0].as_f64().unwrap(),
                golden["betas"][1].as_f64().unwrap(),
            ),
            eps: number("eps"),
            weight_decay: number("weight_decay"),
            max_norm: 1.0,
        },
    );
    let losses = golden["losses"].as_array().unwrap();
    for (step, wanted) in losses.iter().enumerate() {
        let loss = led.loss(&source, &target, Mode::Train);
        let (ours, theirs) = (loss.double_value(&[]), wanted.as_f64().unwrap());
        assert!(
            (ours - theirs).abs() < FIVE_STEPS * theirs,
            "{key}, step {step}: loss {ours} is not {theirs}"
        );
        let gradients = params.gradients(&loss);
        let norm = optimizer
            .step(&params, &gradients, schedule.rate(step as u64))
            .unwrap()
            .double_value(&[]);
        let theirs = golden["grad_norms"][step].as_f64().unwrap();
        assert!(
            (norm - theirs).abs() < FIVE_STEPS * theirs,
            "{key}, step {step}: norm {norm} is not {theirs}"
        );
    }
    assert!(losses.len() == 6 && losses[5].as_f64() < losses[0].as_f64());
}

#[test]
fn the_two_variants_differ_by_more_than_the_tolerance() {
    let text = fs::read_to_string(folder().join("training.json")).unwrap();
    let golden: serde_json::Value = serde_json::from_str(&text).unwrap();
    let [torch, hf411] = ["torch", "hf411"].map(|key| golden[key]["losses"][5].as_f64().unwrap());
    assert!(
        (torch - hf411).abs() > 10.0 * FIVE_STEPS * torch,
        "{torch} {hf411}: these goldens could not tell them apart"
    );
}

#[test]
fn five_steps_with_torch_adamw() {
    training(Variant::Torch, "torch");
}

#[test]
fn five_steps_with_the_adamw_of_transformers_4_11() {
    training(Variant::Hf411, "hf411");
}
