//! A span that closes itself.

use super::Client;
use crate::wire::{Event, NameBuf};

/// Begun when made, ended when dropped: at the end of its scope, by `?`, or while a panic unwinds.
#[derive(Debug)]
#[must_use = "the span ends when the guard is dropped"]
pub struct Span<'c> {
    /// `None`: outside powerprof, or ended already.
    client: Option<&'c Client>,
    name: NameBuf,
    /// Who began it: a child forked meanwhile holds a copy of this guard, but the span is its parent's to end.
    process: u32,
}

impl<'c> Span<'c> {
    pub(super) fn begin(client: &'c Client, name: &str, index: Option<u64>) -> Self {
        if !client.is_active() {
            return Self {
                client: None,
                name: NameBuf::lossy(""),
                process: 0,
            };
        }
        let name = NameBuf::lossy(name);
        client.send_begin(name.as_name(), index);
        Self {
            client: Some(client),
            name,
            process: std::process::id(),
        }
    }

    /// Ends the span and says what was finished in it, and in no span inside it: work is counted once, for the span it is
    /// said on and every span around that.
    pub fn finish(mut self, samples: impl Into<Option<u64>>, tokens: impl Into<Option<u64>>) {
        self.end(Event::End {
            samples: samples.into(),
            tokens: tokens.into(),
        });
    }

    fn end(&mut self, event: Event<'_>) {
        if let Some(client) = self.client.take()
            && self.process == std::process::id()
        {
            client.send(self.name.as_name(), event);
        }
    }
}

impl Drop for Span<'_> {
    fn drop(&mut self) {
        self.end(Event::End {
            samples: None,
            tokens: None,
        });
    }
}
