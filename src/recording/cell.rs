//! What one cell of a column is in the file and in memory.
//!
//! Texts have a fixed length: HDF5 keeps variable-length ones in a heap that single-writer mode does not protect.
//! "Not given" has a value of its own in each type (NaN, the largest integer), which is also the fill value, so that a row
//! that was never written reads as missing and not as zero.

use hdf5::types::{FixedUnicode, OwnedDynValue};

use super::schema::Dtype;

/// At most 8 bytes.
pub(super) type Word = FixedUnicode<8>;
/// At most 64 bytes.
pub(super) type Name = FixedUnicode<64>;
/// At most 1024 bytes.
pub(super) type Text = FixedUnicode<1024>;

/// The time of a row that was never written.
pub(super) const NO_TIME: i64 = i64::MIN;
/// A count that was not given.
pub(super) const NO_COUNT: u64 = u64::MAX;
/// A reference to no row.
pub(super) const NO_ROW: u32 = u32::MAX;

/// A type that a column can hold.
pub(super) trait Cell: hdf5::H5Type + Copy + Default {
    /// The value of rows that were never written; `None`: zero bytes, that is, the empty text and `false`.
    const FILL: Option<Self>;
    /// Whether a column of this type may be declared so in the schema.
    fn stores(dtype: Dtype) -> bool;
    /// `FILL` as HDF5 wants it.
    fn fill() -> Option<OwnedDynValue>;
    /// What a row reads that was never written.
    fn missing() -> Self {
        Self::FILL.unwrap_or_default()
    }
}

macro_rules! numbers {
    ($($type:ty => $fill:expr, $($dtype:ident)|+;)*) => {$(
        impl Cell for $type {
            const FILL: Option<Self> = $fill;
            fn stores(dtype: Dtype) -> bool {
                matches!(dtype, $(Dtype::$dtype)|+)
            }
            fn fill() -> Option<OwnedDynValue> {
                Self::FILL.map(Into::into)
            }
        }
    )*};
}

numbers! {
    i64 => Some(NO_TIME), Time;
    u32 => Some(NO_ROW), Nanos | Number | Row;
    f64 => Some(f64::NAN), Figure;
    u64 => Some(NO_COUNT), Count;
    i32 => Some(i32::MIN), Small;
    bool => None, Flag;
}

impl<const N: usize> Cell for FixedUnicode<N> {
    const FILL: Option<Self> = None;
    fn stores(dtype: Dtype) -> bool {
        match dtype {
            Dtype::Word => N == 8,
            Dtype::Name => N == 64,
            Dtype::Text => N == 1024,
            _ => false,
        }
    }
    fn fill() -> Option<OwnedDynValue> {
        None
    }
}

/// A count, or the mark that it was not given.
pub(super) fn count(value: Option<u64>) -> u64 {
    value.unwrap_or(NO_COUNT)
}

/// The inverse of [`count`].
pub(super) fn given(count: u64) -> Option<u64> {
    (count != NO_COUNT).then_some(count)
}

/// A text in `N` bytes: NUL (the padding) is replaced, and what does not fit is cut at a character and ends in `…`.
pub(super) fn fixed<const N: usize>(text: &str) -> FixedUnicode<N> {
    let clean = if text.contains('\0') {
        text.replace('\0', "\u{FFFD}")
    } else {
        text.to_owned()
    };
    if let Ok(whole) = clean.parse() {
        return whole;
    }
    const CUT: &str = "…";
    let mut end = N.saturating_sub(CUT.len());
    while !clean.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}{CUT}", &clean[..end]).parse().unwrap_or_default()
}

/// The text of a cell. Checked, because a damaged file may hold anything.
pub(super) fn text<const N: usize>(cell: &FixedUnicode<N>) -> String {
    String::from_utf8_lossy(cell.as_bytes()).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_text_comes_back() {
        assert_eq!(text(&fixed::<8>("größer")), "größer");
        assert_eq!(text(&fixed::<8>("exactly8")), "exactly8");
    }

    #[test]
    fn long_text_is_cut_at_a_character_and_says_so() {
        assert_eq!(text(&fixed::<8>("überlänge")), "über…");
        assert_eq!(text(&fixed::<8>("123456789")), "12345…");
    }

    #[test]
    fn nul_inside_does_not_end_the_text() {
        assert_eq!(text(&fixed::<8>("a\0b")), "a\u{FFFD}b");
    }
}
