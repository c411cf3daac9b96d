//! Greedy generation, token for token what transformers' `generate` gives with `num_beams=1`: its limits on length and on repeated
//! n-grams, finished rows filled up while others go on.
//!
//! Everything stays on the device: the host asks every `CHECK_EVERY` tokens whether all rows have ended, and reads ids once,
//! at the end. What was generated in vain between two such questions is cut off, so the answer does not depend on them.

use tch::{Device, Kind, Tensor, no_grad};

use crate::models::{
    family::{Config, Model},
    input::Source,
    layers::Mode,
};

/// Tokens between two looks at whether all rows have ended. On a CPU nothing is queued, so that looking costs nothing.
const CHECK_EVERY: i64 = 16;

/// transformers' options of the same names. Lengths count the decoder's start token, as there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// At least 1; the model's positions are the most.
    pub max_length: i64,
    /// No end before a row has this length.
    pub min_length: i64,
    /// No n-gram of this size occurs twice in a row's output; 0 allows all.
    pub no_repeat_ngram_size: i64,
}

/// Generated ids of each row, without the start token, up to and including the end token if there is one.
pub fn greedy(model: &Model, config: &Config, source: &Source, limits: Limits) -> Vec<Vec<i64>> {
    let (pad, eos) = (config.pad(), config.eos());
    let sequences = no_grad(|| generate(model, config, source, limits));
    let width = sequences.size()[1] as usize;
    let ids = Vec::<i64>::try_from(sequences.reshape([-1])).expect("ids are 64-bit integers");
    let row = |row: &[i64]| {
        let end = row[1..].iter().position(|id| *id == eos);
        row[1..].iter().copied().take(end.map_or(width, |at| at + 1)).collect()
    };
    debug_assert_ne!(pad, eos);
    ids.chunks(width).map(row).collect()
}

/// (B, L) with the start token first and padding behind the end; L is `max_length` or less, but may exceed the longest row.
fn generate(model: &Model, config: &Config, source: &Source, limits: Limits) -> Tensor {
    let (rows, device) = (source.rows(), source.ids.device());
    let memory = model.encode(source, Mode::Eval);
    let mut decoding = model.start(&memory, source, limits.max_length);
    drop(memory); // each layer has its own projection of it

    let sequences = Tensor::full([rows, limits.max_length], config.pad(), (Kind::Int64, device));
    let column = |at: i64| sequences.narrow(1, at, 1); // (B, 1)
    let _ = column(0).fill_(config.decoder_start());
    let mut ended = Tensor::zeros([rows, 1], (Kind::Bool, device));
    let check_every = if device == Device::Cpu { 1 } else { CHECK_EVERY };
    for length in 1..limits.max_length {
        let hidden = model.step(&column(length - 1), &mut decoding);
        let mut logits = model.logits(&hidden.squeeze_dim(1)); // (B, V)
        forbid_repetition(
            &mut logits,
            &sequences.narrow(1, 0, length),
            limits.no_repeat_ngram_size,
        );
        if length < limits.min_length {
            let _ = logits.narrow(1, config.eos(), 1).fill_(f64::NEG_INFINITY);
        }
        let next = logits.argmax(-1, true).masked_fill(&ended, config.pad()); // (B, 1)
        column(length).copy_(&next);
        let _ = ended.logical_or_(&next.eq(config.eos()));
        if length % check_every == 0 && ended.all().int64_value(&[]) != 0 {
            return sequences.narrow(1, 0, length + 1);
        }
    }
    sequences
}

/// Takes every token that would complete an n-gram that `so_far` (B, L) already has.
fn forbid_repetition(logits: &mut Tensor, so_far: &Tensor, n: i64) {
    let length = so_far.size()[1];
    if n == 0 || length < n {
        return;
    }
    let grams = so_far.unfold(1, n, 1); // (B, L-n+1, n)
    let last = so_far.narrow(1, length + 1 - n, n - 1).unsqueeze(1); // (B, 1, n-1)
    let same = grams.narrow(2, 0, n - 1).eq_tensor(&last).all_dim(2, false); // (B, L-n+1)
    // Added, not written: one n-gram's "allowed" must not undo another's "forbidden".
    let penalty = Tensor::zeros(same.size(), (logits.kind(), logits.device())).masked_fill(&same, f64::NEG_INFINITY);
    let _ = logits.scatter_add_(1, &grams.select(2, n - 1), &penalty);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(so_far: &[i64], n: i64) -> Vec<i64> {
        let mut logits = Tensor::zeros([1, 6], (Kind::Float, Device::Cpu));
        forbid_repetition(&mut logits, &Tensor::from_slice(so_far).unsqueeze(0), n);
        (0..6).filter(|id| logits.double_value(&[0, *id]).is_finite()).collect()
    }

    #[test]
    fn what_would_repeat_an_n_gram_is_forbidden() {
        assert_eq!(allowed(&[2, 3, 4, 3, 5, 3], 2), [0, 1, 2, 3]); // 3 4 and 3 5 are there
        assert_eq!(allowed(&[2, 3, 4, 2, 3], 3), [0, 1, 2, 3, 5]);
        assert_eq!(allowed(&[2, 3], 3), [0, 1, 2, 3, 4, 5]); // no 3-gram yet
        assert_eq!(allowed(&[2, 3, 3], 1), [0, 1, 4, 5]);
        assert_eq!(allowed(&[2, 3, 3], 0), [0, 1, 2, 3, 4, 5]);
    }
}
