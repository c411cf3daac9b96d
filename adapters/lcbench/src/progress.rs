//! What a person sees while a phase runs: a bar on a terminal, plain lines elsewhere. All on stderr.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

#[derive(Debug)]
pub struct Progress {
    bar: ProgressBar,
    phase: &'static str,
    total: u64,
}

impl Progress {
    pub fn new(phase: &'static str, total: u64) -> Self {
        Self::from(phase, 0, total)
    }

    /// Where an interrupted phase goes on.
    pub fn from(phase: &'static str, done: u64, total: u64) -> Self {
        let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr());
        let template = "{prefix:>9} {wide_bar} {pos}/{len} {elapsed} {msg}";
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.set_prefix(phase);
        bar.set_position(done);
        Self { bar, phase, total }
    }

    pub fn advance(&self) {
        self.bar.inc(1);
    }

    /// News worth a line where there is no bar.
    pub fn report(&self, done: u64, text: &str) {
        if self.bar.is_hidden() {
            eprintln!("{} {done}/{}: {text}", self.phase, self.total);
        } else {
            self.bar.set_message(text.to_owned());
        }
    }

    /// Takes the bar off the screen while something else is shown there.
    pub fn aside<T>(&self, work: impl FnOnce() -> T) -> T {
        self.bar.suspend(work)
    }

    /// The phase's result stays on screen, the bar does not.
    pub fn finish(self, text: &str) {
        self.bar.finish_and_clear();
        eprintln!("{}: {text}", self.phase);
    }
}
