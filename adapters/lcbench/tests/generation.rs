//! Greedy generation against transformers' `generate`, token for token (tests/goldens/generation.json, made by
//! goldens/generation.py): rows that end at different lengths, rows that never do, padding, and each limit.

use std::{fs, path::PathBuf};

use lcbench::{
    generate::{Limits, greedy},
    models::{
        bigbird::RandomBlocks,
        family::Config,
        input::{Globals, Source},
        params::Builder,
    },
    setup,
};
use serde::Deserialize;
use tch::{Device, no_grad};

#[derive(Deserialize)]
struct Goldens {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    family: String,
    ids: Vec<Vec<i64>>,
    lengths: Vec<usize>,
    /// Added to the end token's.
    bias: f64,
    max_length: i64,
    min_length: i64,
    no_repeat_ngram_size: i64,
    expected: Vec<Vec<i64>>,
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/goldens")
}

fn cases() -> Vec<Case> {
    let text = fs::read_to_string(folder().join("generation.json")).unwrap();
    serde_json::from_str::<Goldens>(&text).unwrap().cases
}

fn generated(case: &Case, limits: Limits) -> Vec<Vec<i64>> {
    let dir = folder().join(&case.family);
    let (config, globals) = match case.family.as_str() {
        "led" => (Config::read_led(&dir).unwrap(), Globals::First),
        _ => (Config::read_bigbird(&dir).unwrap(), Globals::None),
    };
    let mut builder = Builder::new();
    let model = config.build(&mut builder, RandomBlocks::TrainOnly);
    let params = builder.finish(Device::Cpu);
    setup::load(&params, &dir, Device::Cpu).unwrap();
    let named = params.named();
    let (_, bias) = named.iter().find(|(name, _)| *name == "final_logits_bias").unwrap();
    no_grad(|| _ = bias.narrow(0, config.eos(), 1).g_add_scalar_(case.bias));
    let source = Source::new(&case.ids.concat(), &case.lengths, globals, Device::Cpu);
    greedy(&model, &config, &source, limits)
}

fn limits(case: &Case) -> Limits {
    Limits {
        max_length: case.max_length,
        min_length: case.min_length,
        no_repeat_ngram_size: case.no_repeat_ngram_size,
    }
}

#[test]
fn token_for_token_as_transformers_generates() {
    let cases = cases();
    assert!(cases.len() >= 6);
    for (n, case) in cases.iter().enumerate() {
        assert_eq!(
            generated(case, limits(case)),
            case.expected,
            "case {n}, {}",
            case.family
        );
    }
}

#[test]
fn every_limit_shows_in_the_goldens() {
    let changed = |change: fn(&mut Limits)| {
        cases().iter().any(|case| {
            let mut limits = limits(case);
            change(&mut limits);
            generated(case, limits) != case.expected
        })
    };
    assert!(changed(|limits| limits.max_length -= 1));
    assert!(changed(|limits| limits.min_length = 0));
    assert!(changed(|limits| limits.no_repeat_ngram_size = 0));
}
