//! A split as token ids, without special tokens: tokenized once, sliced for any sequence length.
//!
//! Rows lie end to end in one array with the offsets beside it, so that a split of tens of millions of ids is two allocations.
//! Special tokens are put round a row when it is cut to a length ([`Frame`](crate::tokenizer::Frame)).

use super::Example;
use crate::tokenizer::{Tokenizer, TokenizerError};

/// Rows of ids: `ids[offsets[r]..offsets[r + 1]]` is row `r`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Rows {
    ids: Vec<u32>,
    offsets: Vec<u64>,
}

impl Rows {
    fn row(&self, row: usize) -> &[u32] {
        &self.ids[self.offsets[row] as usize..self.offsets[row + 1] as usize]
    }
}

/// Sources and targets of one split.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Encoded {
    source: Rows,
    target: Rows,
    /// Which rows have an output: an empty answer is not the same as none.
    answered: Vec<bool>,
}

impl Encoded {
    /// Keeps at most `max_source` and `max_target` ids of a row; longer than any sequence length that will be asked for.
    pub fn encode(
        examples: &[Example],
        tokenizer: &Tokenizer,
        max_source: usize,
        max_target: usize,
    ) -> Result<Self, TokenizerError> {
        let inputs = examples.iter().map(|example| example.input.as_str());
        let outputs = examples.iter().map(|example| example.output.as_deref().unwrap_or(""));
        Ok(Self {
            source: encode_rows(inputs, tokenizer, max_source)?,
            target: encode_rows(outputs, tokenizer, max_target)?,
            answered: examples.iter().map(|example| example.output.is_some()).collect(),
        })
    }

    pub fn len(&self) -> usize {
        self.source.offsets.len() - 1
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub fn source(&self, row: usize) -> &[u32] {
        self.source.row(row)
    }

    /// `None` where the row has no output.
    pub fn target(&self, row: usize) -> Option<&[u32]> {
        self.answered[row].then(|| self.target.row(row))
    }
}

fn encode_rows<'a>(
    texts: impl Iterator<Item = &'a str>,
    tokenizer: &Tokenizer,
    max: usize,
) -> Result<Rows, TokenizerError> {
    let mut rows = Rows {
        ids: Vec::new(),
        offsets: vec![0],
    };
    for text in texts {
        let ids = tokenizer.ids(text)?;
        rows.ids.extend_from_slice(&ids[..ids.len().min(max)]);
        rows.offsets.push(rows.ids.len() as u64);
    }
    Ok(rows)
}
