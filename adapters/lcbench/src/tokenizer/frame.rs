//! Special tokens round a text, and what truncation leaves of it.

/// Which checkpoints a tokenizer belongs to: they differ in special ids and in what goes round a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Family {
    /// `<s> text </s>`, BART's byte-level BPE.
    Led,
    /// `text </s>`, a SentencePiece unigram vocabulary.
    BigBirdPegasus,
}

/// Puts special tokens round ids; they survive truncation, the text's end does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame {
    pub bos: Option<i64>,
    pub eos: i64,
    pub pad: i64,
}

impl Frame {
    /// The shortest length that holds every family's special tokens.
    pub const SMALLEST: usize = 2;

    /// Appends at most `max` ids (at least [`Frame::SMALLEST`]).
    pub fn append_source(&self, ids: &[u32], max: usize, onto: &mut Vec<i64>) {
        let room = max.saturating_sub(1 + usize::from(self.bos.is_some()));
        onto.extend(self.bos);
        onto.extend(ids[..ids.len().min(room)].iter().map(|&id| i64::from(id)));
        onto.push(self.eos);
    }

    /// Targets are framed as sources are, in both families.
    pub fn append_target(&self, ids: &[u32], max: usize, onto: &mut Vec<i64>) {
        self.append_source(ids, max, onto);
    }
}
