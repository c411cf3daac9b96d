//! A file of the kernel's that holds one number: kept open, and read from its start again and again.
//!
//! One system call a reading, no allocation on the way that succeeds.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// Longest number: `u64::MAX` has 20 digits, and a line end.
const LONGEST: usize = 24;

/// An open file of one non-negative number.
#[derive(Debug)]
pub struct NumberFile {
    file: File,
}

impl NumberFile {
    /// Open it, and see that it holds a number: some drivers show files that answer with an error alone.
    pub fn open(path: &Path) -> io::Result<Self> {
        let opened = Self {
            file: File::open(path)?,
        };
        opened.read()?;
        Ok(opened)
    }

    /// The number now.
    pub fn read(&self) -> io::Result<u64> {
        let mut bytes = [0; LONGEST];
        let length = self.file.read_at(&mut bytes, 0)?;
        let text = std::str::from_utf8(&bytes[..length]).unwrap_or_default().trim();
        text.parse()
            .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, format!("`{text}` is no number")))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn the_number_is_read_anew_each_time() {
        let folder = tempfile::tempdir().expect("a scratch folder");
        let path = folder.path().join("energy_uj");
        fs::write(&path, "18446744073709551615\n").expect("a file");
        let number = NumberFile::open(&path).expect("a number");
        assert_eq!(number.read().expect("a number"), u64::MAX);
        fs::write(&path, "7").expect("a file");
        assert_eq!(number.read().expect("a number"), 7);
        for bad in ["", "-1", "N/A", "99999999999999999999999999"] {
            fs::write(&path, bad).expect("a file");
            assert_eq!(number.read().expect_err(bad).kind(), io::ErrorKind::InvalidData);
            assert!(NumberFile::open(&path).is_err());
        }
    }
}
