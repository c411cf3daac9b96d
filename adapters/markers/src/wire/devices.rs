//! The `devices=` list of a begin line: which devices a rank runs on, as it was written. Which sensors they are is found by
//! the recorder.

use super::{MAX_LINE, Name, WireError};

/// Every other part of a begin line at its longest: verb, name, t, rank, index, the key itself, dropped, newline.
const REST: usize = "begin ".len()
    + Name::MAX
    + " t=".len()
    + 20
    + " rank=".len()
    + 10
    + " index=".len()
    + 20
    + " devices=".len()
    + " dropped=".len()
    + 20
    + 1;

/// A list that is not empty, of items that are not empty, separated by commas, without blanks: `0,1` or
/// `GPU-8f3c…,GPU-11ab…`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Devices<'a>(&'a str);

impl<'a> Devices<'a> {
    /// The longest list, such that every begin line that holds one still fits: room for 20 UUIDs.
    pub const MAX: usize = MAX_LINE - REST;

    /// Accepts a valid list.
    ///
    /// # Errors
    /// [`WireError::BadDevices`] if it is too long, an item is empty, or it holds blanks or anything beyond printable ASCII.
    pub fn new(list: &'a str) -> Result<Self, WireError> {
        let printable = list.bytes().all(|b| b.is_ascii_graphic());
        if !printable || list.len() > Self::MAX || list.split(',').any(str::is_empty) {
            return Err(WireError::bad_devices(list));
        }
        Ok(Self(list))
    }

    /// The list as it was written.
    pub const fn as_str(&self) -> &'a str {
        self.0
    }

    /// Its items.
    pub fn iter(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        self.0.split(',')
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_split_at_commas() {
        let devices = Devices::new("0,GPU-11ab").expect("valid");
        assert_eq!(devices.iter().collect::<Vec<_>>(), ["0", "GPU-11ab"]);
    }

    #[test]
    fn broken_lists_are_refused() {
        for list in [
            "",
            ",",
            "0,",
            ",1",
            "0,,1",
            "0, 1",
            "0\u{7f}",
            "é",
            &"0".repeat(Devices::MAX + 1),
        ] {
            assert!(Devices::new(list).is_err(), "{list:?}");
        }
        assert!(Devices::new(&"0".repeat(Devices::MAX)).is_ok());
    }
}
