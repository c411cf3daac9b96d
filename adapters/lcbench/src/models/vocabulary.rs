//! The table that the published models use three times: embeddings of source and target tokens, and output projection.

use tch::Tensor;

use super::{
    input::{Scored, Target},
    params::{Builder, Init, Table},
};
use crate::shim;

/// Name of the bias of the logits. A checkpoint may lack it: zeros then.
pub const LOGITS_BIAS: &str = "final_logits_bias";

#[derive(Debug)]
pub struct Vocabulary {
    /// (V, E)
    table: Table,
    /// (V), not trained.
    bias: Tensor,
    pad: i64,
    /// Factor on embeddings, not on the output projection.
    scale: f64,
}

impl Vocabulary {
    /// `shape` is (V, E). A checkpoint may hold the table under other names than `name`: `checkpoint` knows them.
    pub fn new(p: &mut Builder, name: &str, shape: [i64; 2], std: f64, pad: i64, scale: f64) -> Self {
        let init = Init::Table { std, pad: Some(pad) };
        Self {
            table: p.table(name, &shape, init),
            bias: p.buffer(LOGITS_BIAS, &shape[..1]),
            pad,
            scale,
        }
    }

    /// (..., E) from ids (...).
    ///
    /// Mostly with a sparse gradient: a dense one is another whole table, zeroed and filled, for each of the two look-ups.
    pub fn embed(&self, ids: &Tensor) -> Tensor {
        let embedded = Tensor::embedding(&self.table.rows, ids, -1, false, self.table.sparse);
        // The padding row gets no gradient from look-ups, only from the output projection, as in torch's nn.Embedding. (Its
        // padding_idx would ask the device how many others there are.)
        let padding = ids.eq(self.pad).unsqueeze(-1);
        let embedded = embedded.detach().where_self(&padding, &embedded);
        if self.scale == 1.0 {
            embedded
        } else {
            embedded * self.scale
        }
    }

    /// (..., V) from (..., E).
    pub fn logits(&self, hidden: &Tensor) -> Tensor {
        hidden.linear(&self.table.whole, Some(&self.bias))
    }

    /// Mean cross-entropy over the labels that count, from (B, T, E). Only their rows are projected onto the vocabulary, unless
    /// all are weighed.
    pub fn loss(&self, hidden: &Tensor, target: &Target) -> Tensor {
        let all = hidden.flatten(0, 1); // (B·T, E)
        let (rows, weights) = match &target.scored {
            Scored::All => (all, None),
            Scored::Rows(scored) => (all.index_select(0, scored), None),
            Scored::Weighted(weights) => (all, Some(weights)),
        };
        shim::projected_cross_entropy(&rows, &self.table.whole, &self.bias, &target.labels, weights)
    }
}
