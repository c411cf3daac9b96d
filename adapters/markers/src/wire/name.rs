//! Names of spans, marks and metrics: 1 to 64 of `A-Z a-z 0-9 _ . -`. Nothing else can be in a [`Name`].

use super::WireError;

/// The longest name.
const MAX: usize = 64;

/// Whether a name may hold this byte.
const fn allowed(byte: u8) -> bool {
    matches!(byte, b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'_' | b'.' | b'-')
}

/// A valid name, borrowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name<'a>(&'a str);

impl<'a> Name<'a> {
    /// The longest name, in bytes.
    pub const MAX: usize = MAX;

    /// Accepts a valid name.
    ///
    /// # Errors
    /// [`WireError::BadName`] if it is empty, longer than 64 or holds another character.
    pub fn new(name: &'a str) -> Result<Self, WireError> {
        if name.is_empty() || name.len() > MAX || !name.bytes().all(allowed) {
            return Err(WireError::bad_name(name));
        }
        Ok(Self(name))
    }

    /// The name as text.
    pub const fn as_str(&self) -> &'a str {
        self.0
    }
}

impl std::fmt::Display for Name<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0)
    }
}

/// A valid name, kept inline: making one allocates nothing.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct NameBuf {
    bytes: [u8; MAX],
    len: u8,
}

impl NameBuf {
    /// Makes a valid name of any text: every other byte becomes `_`, an empty text `_`, and the rest is cut after 64. Clients
    /// use it because a profiler must not throw into the program it watches: `epoch 3` is recorded as `epoch_3`.
    pub fn lossy(text: &str) -> Self {
        let mut bytes = [b'_'; MAX];
        for (to, from) in bytes.iter_mut().zip(text.bytes()) {
            if allowed(from) {
                *to = from;
            }
        }
        Self {
            bytes,
            len: text.len().clamp(1, MAX) as u8,
        }
    }

    /// The name, borrowed.
    pub fn as_name(&self) -> Name<'_> {
        // Only ASCII is ever stored, so the conversion holds; `_` is a valid name and keeps this free of panics and `unsafe`.
        Name(std::str::from_utf8(&self.bytes[..usize::from(self.len)]).unwrap_or("_"))
    }
}

impl std::fmt::Debug for NameBuf {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("NameBuf").field(&self.as_name().as_str()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_1_and_64() {
        let longest = "x".repeat(64);
        assert_eq!(Name::new(&longest).map(|n| n.as_str().len()), Ok(64));
        assert!(Name::new(&"x".repeat(65)).is_err());
        assert!(Name::new("").is_err());
    }

    #[test]
    fn every_byte_is_accepted_or_refused_as_documented() {
        for byte in 0..=127_u8 {
            let text = char::from(byte).to_string();
            let documented = byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
            assert_eq!(Name::new(&text).is_ok(), documented, "{text:?}");
        }
    }

    #[test]
    fn lossy_names_are_valid_and_keep_what_they_can() {
        for (text, expected) in [
            ("train", "train"),
            ("epoch 3", "epoch_3"),
            ("", "_"),
            ("größe", "gr____e"),
            ("a/b\n", "a_b_"),
        ] {
            let name = NameBuf::lossy(text);
            assert_eq!(name.as_name().as_str(), expected);
            assert_eq!(Name::new(expected), Ok(name.as_name()));
        }
        assert_eq!(NameBuf::lossy(&"y".repeat(1000)).as_name().as_str(), "y".repeat(64));
    }
}
