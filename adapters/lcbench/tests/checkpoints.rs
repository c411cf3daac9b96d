//! Checkpoints as transformers and torch write them (tests/data/checkpoints, made by goldens/checkpoints.py): every form reads
//! to the same values, ours is byte for byte what transformers writes, and what does not belong is refused by name.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use lcbench::checkpoint::{CheckpointError, Wanted, Weights, save};
use sha2::{Digest, Sha256};
use tch::{Device, Kind, Tensor};

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data/checkpoints")
        .join(name)
}

/// Shape and SHA-256 of the values as little-endian float32, as the generator writes them.
fn digest(tensor: &Tensor) -> String {
    let values = Vec::<f32>::try_from(tensor.flatten(0, -1)).unwrap();
    let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    let hex: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{:?} {hex}", tensor.size())
}

fn expected(name: &str) -> BTreeMap<String, String> {
    serde_json::from_slice(&fs::read(data(name)).unwrap()).unwrap()
}

fn load(weights: &Weights, name: &str) -> Tensor {
    weights.tensor(name, Kind::Float, Device::Cpu).unwrap()
}

#[test]
fn every_form_reads_to_the_same_values_under_every_name() {
    let expected = expected("led.json");
    for form in [
        "led-safetensors",
        "led-shards",
        "led-zip",
        "led-legacy",
        "led-bin-shards",
    ] {
        let weights = Weights::open(&data(form)).unwrap();
        for (name, digest_of) in &expected {
            assert_eq!(digest(&load(&weights, name)), *digest_of, "{form}: {name}");
        }
        assert!(weights.names().all(|name| expected.contains_key(name)), "{form}");
        weights.expect(&wanted(&expected)).unwrap();
    }
    // safetensors hold a tied tensor once, so the names above were found through the tie.
    let once = Weights::open(&data("led-safetensors")).unwrap();
    assert_eq!(
        once.names()
            .filter(|name| name.contains("embed_tokens") || name.contains("shared"))
            .count(),
        1
    );
    assert_eq!(Weights::open(&data("led-zip")).unwrap().names().count(), expected.len());
}

/// A model asks for each tied tensor once.
fn wanted(expected: &BTreeMap<String, String>) -> Vec<Wanted> {
    let tied = [
        "led.encoder.embed_tokens.weight",
        "led.decoder.embed_tokens.weight",
        "lm_head.weight",
    ];
    let names = expected.keys().filter(|name| !tied.contains(&name.as_str()));
    names
        .map(|name| {
            let shape = expected[name].split_once("] ").unwrap().0.trim_start_matches('[');
            let shape = shape.split(", ").map(|d| d.parse().unwrap()).collect();
            Wanted {
                name: name.clone(),
                shape,
                optional: name == "final_logits_bias",
            }
        })
        .collect()
}

#[test]
fn kinds_strides_offsets_and_odd_shapes_are_kept() {
    for form in ["odd-zip", "odd-legacy"] {
        let weights = Weights::open(&data(form)).unwrap();
        for (name, digest_of) in expected("odd.json") {
            assert_eq!(digest(&load(&weights, &name)), digest_of, "{form}: {name}");
        }
        let half = weights.tensor("transposed", Kind::BFloat16, Device::Cpu).unwrap();
        assert_eq!((half.kind(), half.is_contiguous()), (Kind::BFloat16, true));
        // What float32 cannot hold is not rounded on the way to a wider kind.
        let wide = weights.tensor("double", Kind::Double, Device::Cpu).unwrap();
        assert_eq!(Vec::<f64>::try_from(wide).unwrap(), [0.1, 1e300, f64::INFINITY]);
        let long = weights.tensor("long", Kind::Int64, Device::Cpu).unwrap();
        assert_eq!(Vec::<i64>::try_from(long.flatten(0, -1)).unwrap(), [-1, 1 << 40]);
    }
}

#[test]
fn ours_is_byte_for_byte_what_transformers_writes() {
    let theirs = data("led-safetensors");
    let weights = Weights::open(&theirs).unwrap();
    let tensors: Vec<(String, Tensor)> = weights
        .names()
        .map(|name| (name.to_owned(), load(&weights, name)))
        .collect();
    let borrowed: Vec<(String, &Tensor)> = tensors.iter().map(|(name, tensor)| (name.clone(), tensor)).collect();
    let dir = tempfile::tempdir().unwrap();
    save(dir.path(), &borrowed).unwrap();
    let read = |dir: &Path| fs::read(dir.join("model.safetensors")).unwrap();
    assert!(read(dir.path()) == read(&theirs));
}

#[test]
fn views_and_halves_are_saved_as_they_read() {
    let base = Tensor::arange(6, (Kind::Float, Device::Cpu)).view([2, 3]);
    let tensors = [
        ("t".to_owned(), base.tr()),
        ("half".to_owned(), base.to_kind(Kind::Half)),
        ("none".to_owned(), base.narrow(0, 0, 0)),
    ];
    let dir = tempfile::tempdir().unwrap();
    save(
        dir.path(),
        &tensors.each_ref().map(|(name, tensor)| (name.clone(), tensor)),
    )
    .unwrap();
    let weights = Weights::open(&dir.path().join("model.safetensors")).unwrap();
    for (name, tensor) in &tensors {
        assert!(load(&weights, name).equal(&tensor.to_kind(Kind::Float)), "{name}");
        assert_eq!(weights.shape(name), Some(&tensor.size()[..]));
    }
}

#[test]
fn code_in_a_pickle_is_refused_by_name() {
    for form in ["hostile-zip", "hostile-legacy"] {
        let error = Weights::open(&data(form)).unwrap_err();
        // CPython calls os.system by the module it is defined in.
        assert!(
            matches!(&error, CheckpointError::ForeignGlobal { module, name, .. } if module == "posix" && name == "system"),
            "{form}: {error}"
        );
        assert!(error.to_string().contains("refused to use `posix.system`"), "{error}");
    }
}

#[test]
fn every_tensor_that_does_not_fit_is_named() {
    let weights = Weights::open(&data("led-zip")).unwrap();
    let mut wanted = wanted(&expected("led.json"));
    let fc1 = wanted
        .iter()
        .position(|tensor| tensor.name == "led.encoder.layers.0.fc1.weight")
        .unwrap();
    wanted[fc1].shape = vec![8, 16];
    wanted.retain(|tensor| tensor.name != "led.encoder.layers.0.fc2.bias");
    wanted.push(Wanted {
        name: "led.encoder.layers.1.fc1.bias".into(),
        shape: vec![8],
        optional: false,
    });
    wanted.push(Wanted {
        name: "a_buffer".into(),
        shape: vec![8],
        optional: true,
    });
    let error = weights.expect(&wanted).unwrap_err().to_string();
    let (_, said) = error.split_once(" does not fit the model\n").unwrap();
    assert_eq!(
        said,
        "  1 missing: `led.encoder.layers.1.fc1.bias`\n  \
         1 not in the model: `led.encoder.layers.0.fc2.bias`\n  \
         1 of another shape: `led.encoder.layers.0.fc1.weight` is [8, 8], wanted [8, 16]\n\
         hint: take the config.json that belongs to these weights, and the --model it describes"
    );
    let missing = weights
        .tensor("led.encoder.layers.1.fc1.bias", Kind::Float, Device::Cpu)
        .unwrap_err();
    assert!(
        missing.to_string().contains("missing: `led.encoder.layers.1.fc1.bias`"),
        "{missing}"
    );
    assert!(weights.get("a_buffer", Kind::Float, Device::Cpu).unwrap().is_none());
}

#[test]
fn tied_names_with_different_values_are_an_error() {
    let weights = Weights::open(&data("untied.bin")).unwrap();
    let error = weights.expect(&wanted(&expected("led.json"))).unwrap_err();
    let said = "`led.shared.weight` and `lm_head.weight` are one tensor in this model, but differ";
    assert!(error.to_string().contains(said), "{error}");
}

#[test]
fn a_file_cut_off_anywhere_is_an_error_and_never_a_crash() {
    let dir = tempfile::tempdir().unwrap();
    for (form, file) in [
        ("led-safetensors", "model.safetensors"),
        ("odd-zip", "pytorch_model.bin"),
        ("odd-legacy", "pytorch_model.bin"),
    ] {
        let whole = fs::read(data(form).join(file)).unwrap();
        let path = dir.path().join(file);
        for end in (0..whole.len()).step_by(37) {
            fs::write(&path, &whole[..end]).unwrap();
            let error = Weights::open(&path).expect_err(&format!("{form} cut at {end}"));
            assert!(error.to_string().contains("hint: "), "{error}");
        }
    }
}

#[test]
fn a_folder_without_weights_and_a_shard_elsewhere_say_so() {
    let dir = tempfile::tempdir().unwrap();
    let error = Weights::open(dir.path()).unwrap_err();
    assert!(matches!(error, CheckpointError::NothingFound { .. }), "{error}");
    let index = r#"{"weight_map": {"a": "../model.safetensors"}}"#;
    fs::write(dir.path().join("model.safetensors.index.json"), index).unwrap();
    let error = Weights::open(dir.path()).unwrap_err();
    assert!(error.to_string().contains("is not a file beside the index"), "{error}");
}
