//! [`Line`] -> bytes, without allocation: this runs inside the trainer's hot loop.

use std::fmt::Write as _;

use super::{Devices, Event, Line, MAX_LINE, Name};

/// The line at its longest: a begin line whose devices fill what the rest leaves ([`Devices::MAX`]). The others are shorter.
const LONGEST: usize = 6 + Name::MAX + 3 + 20 + 6 + 10 + 7 + 20 + 9 + Devices::MAX + 9 + 20 + 1;
const _: () = assert!(LONGEST <= MAX_LINE, "a valid line must always fit the buffer");

/// Writes the line with its newline and returns its length. Keys that hold their default are left out.
pub fn encode_into(line: &Line<'_>, buffer: &mut [u8; MAX_LINE]) -> usize {
    let mut out = Cursor { buffer, len: 0 };
    out.text(line.verb().as_str());
    out.text(" ");
    out.text(line.name.as_str());
    out.integer(" t=", line.t);
    out.integer(" rank=", (line.rank != 0).then_some(u64::from(line.rank)));
    match line.event {
        Event::Begin { index, devices } => {
            out.integer(" index=", index);
            if let Some(devices) = devices {
                out.text(" devices=");
                out.text(devices.as_str());
            }
        }
        Event::End { samples, tokens } | Event::Mark { samples, tokens } => {
            out.integer(" samples=", samples);
            out.integer(" tokens=", tokens);
        }
        Event::Metric { value } => out.float(" value=", value),
    }
    out.integer(" dropped=", line.dropped);
    out.text("\n");
    out.len
}

impl Line<'_> {
    /// As [`encode_into`].
    pub fn encode_into(&self, buffer: &mut [u8; MAX_LINE]) -> usize {
        encode_into(self, buffer)
    }
}

struct Cursor<'b> {
    buffer: &'b mut [u8; MAX_LINE],
    len: usize,
}

impl Cursor<'_> {
    fn bytes(&mut self, bytes: &[u8]) {
        let end = self.len + bytes.len();
        self.buffer[self.len..end].copy_from_slice(bytes); // fits: LONGEST
        self.len = end;
    }

    fn text(&mut self, text: &str) {
        self.bytes(text.as_bytes());
    }

    fn integer(&mut self, key: &str, value: Option<u64>) {
        let Some(mut rest) = value else { return };
        self.text(key);
        let mut digits = [0_u8; 20]; // u64::MAX has 20
        let mut start = digits.len();
        loop {
            start -= 1;
            digits[start] = b'0' + (rest % 10) as u8;
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        self.bytes(&digits[start..]);
    }

    fn float(&mut self, key: &str, value: f64) {
        self.text(key);
        // `{:?}` is the shortest text that reads back as the same number, with an exponent where that is shorter: at most 24
        // bytes. A write into this cursor cannot fail.
        let _ = write!(self, "{value:?}");
    }
}

impl std::fmt::Write for Cursor<'_> {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        self.text(text);
        Ok(())
    }
}
