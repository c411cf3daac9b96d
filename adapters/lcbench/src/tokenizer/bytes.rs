//! Bytes as tokens: id 4 + b for byte b, ids 0 to 3 for special tokens.

/// `<s> <pad> </s> <unk>`, in the order that the family gives them.
pub(super) const SPECIALS: u32 = 4;

pub(super) const SIZE: usize = 256 + SPECIALS as usize;

pub(super) fn encode(text: &str) -> Vec<u32> {
    text.bytes().map(|byte| u32::from(byte) + SPECIALS).collect()
}

/// A model may write bytes that are not UTF-8: those become U+FFFD.
pub(super) fn decode(ids: &[u32]) -> String {
    let bytes: Vec<u8> = ids
        .iter()
        .filter_map(|id| u8::try_from(id.checked_sub(SPECIALS)?).ok())
        .collect();
    String::from_utf8_lossy(&bytes).into_owned()
}
