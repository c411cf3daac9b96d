//! Reads a pickle's bytes in order; every read says where the file ended too early.

use super::PickleError;

pub(super) struct Cursor<'a> {
    bytes: &'a [u8],
    pub(super) position: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, position: 0 }
    }

    pub(super) fn byte(&mut self) -> Result<u8, PickleError> {
        Ok(self.take(1)?[0])
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], PickleError> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    pub(super) fn length(&mut self) -> Result<usize, PickleError> {
        self.array().map(|bytes| u32::from_le_bytes(bytes) as usize)
    }

    pub(super) fn take(&mut self, n: usize) -> Result<&[u8], PickleError> {
        let end = self.position.checked_add(n).filter(|end| *end <= self.bytes.len());
        let end = end.ok_or_else(|| PickleError::at(self.position, "the file ends inside it"))?;
        let bytes = &self.bytes[self.position..end];
        self.position = end;
        Ok(bytes)
    }

    pub(super) fn text(&mut self, length: usize, at: usize) -> Result<String, PickleError> {
        let bytes = self.take(length)?.to_vec();
        String::from_utf8(bytes).map_err(|_| PickleError::at(at, "a string that is not UTF-8"))
    }

    /// Up to a newline, as GLOBAL writes its two names.
    pub(super) fn line(&mut self, at: usize) -> Result<String, PickleError> {
        let end = self.bytes[self.position..].iter().position(|&byte| byte == b'\n');
        let text = self.text(end.ok_or_else(|| PickleError::at(at, "a name without an end"))?, at)?;
        self.position += 1;
        Ok(text)
    }
}
