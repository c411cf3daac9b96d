//! Where words and data go: talk to standard error, data to standard output or a file.

use std::fs::OpenOptions;
use std::io::{ErrorKind, IsTerminal, Write};
use std::path::Path;

/// An error with the status powerprof leaves with.
pub struct Failure {
    pub error: anyhow::Error,
    pub status: u8,
}

/// Reading commands fail with 1.
impl<E: Into<anyhow::Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self {
            error: error.into(),
            status: 1,
        }
    }
}

/// What a command returns: the exit status, or why there is none of its own.
pub type Outcome = Result<u8, Failure>;

/// One line of talk.
pub fn say(message: &str) {
    // A closed standard error must not end a recording.
    let _ = writeln!(std::io::stderr(), "powerprof: {message}");
}

/// An error, its causes, and the hints among them on lines of their own.
pub fn complain(error: &anyhow::Error) {
    say(&format!("error: {}", story(error)));
}

/// The error and its causes, each told once: many messages quote their cause already.
fn story(error: &anyhow::Error) -> String {
    let mut told = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if told.is_empty() {
            told = cause;
        } else if !told.contains(&cause) {
            told = format!("{told}: {cause}");
        }
    }
    told
}

/// Whether talk may be colored: a terminal, and nobody said no (no-color.org).
pub fn color() -> bool {
    let unset = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    unset && std::io::stderr().is_terminal() && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

/// Data to standard output, or to `path`; a reader that went away is success.
pub fn deliver(data: &[u8], path: Option<&Path>, force: bool) -> anyhow::Result<()> {
    let mut out = destination(path, force)?;
    settle(out.write_all(data).and_then(|()| out.flush()).map_err(Into::into))
}

/// Standard output, or a new file at `path`.
pub fn destination(path: Option<&Path>, force: bool) -> anyhow::Result<Box<dyn Write + Send>> {
    let Some(path) = path else {
        return Ok(Box::new(std::io::stdout()));
    };
    let mut options = OpenOptions::new();
    options.write(true);
    if force {
        options.create(true).truncate(true)
    } else {
        options.create_new(true)
    };
    let file = options.open(path).map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => {
            anyhow::anyhow!(
                "{} exists\nhint: choose another -o, or add --force to overwrite it",
                path.display()
            )
        }
        _ => anyhow::anyhow!(
            "cannot write {}: {error}\nhint: check the folder and its permissions",
            path.display()
        ),
    })?;
    Ok(Box::new(file))
}

/// What came of writing: that whoever read it went away is no failure.
pub fn settle(written: anyhow::Result<()>) -> anyhow::Result<()> {
    match written {
        Err(error)
            if error
                .downcast_ref::<std::io::Error>()
                .is_some_and(|e| e.kind() == ErrorKind::BrokenPipe) =>
        {
            Ok(())
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("cannot open x: {0}\nhint: look")]
    struct Quoting(#[source] std::io::Error);

    #[test]
    fn a_cause_that_the_message_quotes_is_not_told_twice() {
        let quoting = anyhow::Error::from(Quoting(std::io::Error::other("no such file")));
        assert_eq!(story(&quoting), "cannot open x: no such file\nhint: look");
        assert_eq!(
            story(&quoting.context("--weights")),
            "--weights: cannot open x: no such file\nhint: look"
        );
    }
}
