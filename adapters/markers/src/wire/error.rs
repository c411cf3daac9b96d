//! Why a line was not understood, for the recorder to count and show. Each message says what to write instead.

use super::{Devices, MAX_LINE, Name, Verb};

/// A line that is not wire format 1.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum WireError {
    /// Nothing on the line.
    Empty,
    /// Longer than [`MAX_LINE`].
    TooLong {
        /// Its length, newline included.
        bytes: usize,
    },
    /// Not UTF-8.
    NotUtf8 {
        /// Offset of the first bad byte.
        at: usize,
    },
    /// A tab, an escape, a newline inside.
    ControlCharacter {
        /// The first one.
        byte: u8,
        /// Its offset.
        at: usize,
    },
    /// The first word is none of the four.
    UnknownVerb {
        /// The word, shortened.
        word: String,
    },
    /// A verb alone.
    MissingName {
        /// The verb.
        verb: Verb,
    },
    /// A name with characters or a length that names cannot have.
    BadName {
        /// The name, shortened.
        name: String,
    },
    /// A word after the name that is not `key=value`.
    NotKeyValue {
        /// The word, shortened.
        word: String,
    },
    /// A key twice.
    DuplicateKey {
        /// The key.
        key: &'static str,
    },
    /// A key that this verb does not take.
    KeyOnWrongVerb {
        /// The key.
        key: &'static str,
        /// The verb it stood with.
        verb: Verb,
    },
    /// Not a number, or out of range.
    BadNumber {
        /// The key.
        key: &'static str,
        /// What stood there, shortened.
        value: String,
    },
    /// Not a list of devices.
    BadDevices {
        /// What stood there, shortened.
        value: String,
    },
    /// A metric without its number.
    MissingValue,
}

impl WireError {
    pub(super) fn bad_name(name: &str) -> Self {
        Self::BadName { name: excerpt(name) }
    }

    pub(super) fn bad_devices(value: &str) -> Self {
        Self::BadDevices { value: excerpt(value) }
    }
}

/// The first characters of a word, so that a flood of garbage stays small in memory and legible in a report.
pub(super) fn excerpt(text: &str) -> String {
    const SHOWN: usize = 40;
    match text.char_indices().nth(SHOWN) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}…", &text[..end]),
    }
}

/// Where a key belongs, for the hint.
fn takers(key: &str) -> &'static str {
    match key {
        "index" | "devices" => "begin",
        "samples" | "tokens" => "end or mark",
        "value" => "metric",
        _ => "any line",
    }
}

impl std::fmt::Display for WireError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Empty => write!(
                f,
                "empty line; hint: write `begin NAME`, `end NAME`, `mark NAME` or `metric NAME value=X`"
            ),
            Self::TooLong { bytes } => write!(
                f,
                "line of {bytes} bytes; hint: keep it to {MAX_LINE}, newline included"
            ),
            Self::NotUtf8 { at } => write!(f, "not UTF-8 at byte {at}; hint: only marker lines belong on this pipe"),
            Self::ControlCharacter { byte, at } => {
                write!(
                    f,
                    "control character 0x{byte:02x} at byte {at}; hint: separate words by spaces, lines by one newline"
                )
            }
            Self::UnknownVerb { word } => write!(f, "unknown verb {word:?}; hint: begin, end, mark or metric"),
            Self::MissingName { verb } => write!(f, "{verb} without a name; hint: write `{verb} NAME`"),
            Self::BadName { name } => {
                write!(f, "bad name {name:?}; hint: 1 to {} of A-Z a-z 0-9 _ . -", Name::MAX)
            }
            Self::NotKeyValue { word } => {
                write!(f, "{word:?} is not KEY=VALUE; hint: no blanks in names or around `=`")
            }
            Self::DuplicateKey { key } => write!(f, "{key} given twice; hint: keep one"),
            Self::KeyOnWrongVerb { key, verb } => {
                write!(f, "{key} does not belong on {verb}; hint: put it on {}", takers(key))
            }
            Self::BadNumber { key: "value", value } => {
                write!(
                    f,
                    "value={value:?} is not a number; hint: write it as 0.25, 3e-4 or nan"
                )
            }
            Self::BadNumber { key: "rank", value } => {
                write!(
                    f,
                    "rank={value:?} is not a rank; hint: a whole number from 0 to {}",
                    u32::MAX
                )
            }
            Self::BadNumber { key, value } => {
                write!(
                    f,
                    "{key}={value:?} is not a whole number; hint: digits only, at most {}",
                    u64::MAX
                )
            }
            Self::BadDevices { value } => write!(
                f,
                "devices={value:?} is not a list of devices; hint: indices or UUIDs joined by commas, up to {} bytes",
                Devices::MAX
            ),
            Self::MissingValue => write!(f, "metric without a value; hint: write `metric NAME value=X`"),
        }
    }
}

impl std::error::Error for WireError {}
