//! Colour and weight for terminals that want them.

use anstyle::{AnsiColor, Style};

use crate::report::tables::Tone;

/// Paints, or leaves text as it is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Paint {
    pub on: bool,
}

impl Paint {
    fn with(self, style: Style, text: &str) -> String {
        if self.on && !text.is_empty() {
            format!("{}{text}{}", style.render(), style.render_reset())
        } else {
            text.to_owned()
        }
    }

    pub fn bold(self, text: &str) -> String {
        self.with(Style::new().bold(), text)
    }

    pub fn faint(self, text: &str) -> String {
        self.with(Style::new().dimmed(), text)
    }

    pub fn sure(self, text: &str) -> String {
        self.with(AnsiColor::Green.on_default(), text)
    }

    pub fn doubtful(self, text: &str) -> String {
        self.with(AnsiColor::Yellow.on_default(), text)
    }

    pub fn bad(self, text: &str) -> String {
        self.with(AnsiColor::Red.on_default().bold(), text)
    }

    pub fn bar(self, text: &str) -> String {
        self.with(AnsiColor::Blue.on_default(), text)
    }

    pub fn tone(self, tone: Tone, text: &str) -> String {
        match tone {
            Tone::Plain => text.to_owned(),
            Tone::Sure => self.sure(text),
            Tone::Doubtful => self.doubtful(text),
            Tone::Bad => self.bad(text),
        }
    }
}
