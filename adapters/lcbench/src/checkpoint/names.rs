//! The names one tensor may have: transformers ties the two embeddings and the output projection to `shared`, and writes whichever
//! of them it meets first; checkpoints of the bare model lack the prefix.

/// Prefixes of the model inside the model with a head: LED's and BigBird-Pegasus's.
const PREFIXES: [&str; 2] = ["led.", "model."];

const EMBEDDINGS: [&str; 3] = [
    "shared.weight",
    "encoder.embed_tokens.weight",
    "decoder.embed_tokens.weight",
];

const HEAD: &str = "lm_head.weight";

/// `name` first, then its other names in the order in which transformers would prefer them.
pub(super) fn variants(name: &str) -> Vec<String> {
    let mut variants = vec![name.to_owned()];
    let split = PREFIXES
        .iter()
        .find_map(|prefix| Some((*prefix, name.strip_prefix(prefix)?)));
    let (prefixes, bare) = match split {
        Some((prefix, bare)) => (vec![prefix, ""], bare),
        None => (vec!["led.", "model.", ""], name),
    };
    if EMBEDDINGS.contains(&bare) || name == HEAD {
        for prefix in prefixes {
            variants.extend(EMBEDDINGS.iter().map(|bare| format!("{prefix}{bare}")));
        }
        variants.push(HEAD.to_owned());
    } else if split.is_some() {
        variants.push(bare.to_owned());
    }
    let mut seen = std::collections::HashSet::new();
    variants.retain(|variant| seen.insert(variant.clone()));
    variants
}

/// Buffers that hold nothing learnt, which older versions stored.
pub(super) fn is_derived(name: &str) -> bool {
    name.ends_with(".position_ids")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_tied_name_leads_to_the_others() {
        let all = [
            "led.shared.weight",
            "led.encoder.embed_tokens.weight",
            "led.decoder.embed_tokens.weight",
            HEAD,
        ];
        for name in all {
            let variants = variants(name);
            assert_eq!(variants[0], name);
            assert!(
                all.iter().all(|other| variants.iter().any(|v| v == other)),
                "{name}: {variants:?}"
            );
        }
        assert!(!variants("led.shared.weight").contains(&"model.shared.weight".to_owned()));
    }

    #[test]
    fn other_tensors_have_their_name_with_and_without_prefix() {
        assert_eq!(
            variants("model.encoder.layers.0.fc1.bias"),
            ["model.encoder.layers.0.fc1.bias", "encoder.layers.0.fc1.bias"]
        );
        assert_eq!(variants("final_logits_bias"), ["final_logits_bias"]);
    }
}
