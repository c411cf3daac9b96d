//! `--batch-size auto`: the largest batch that fits, found by trying.
//!
//! Every trial is a process of its own (this program again, with `--trial N`): what runs out of memory is the child, and the next
//! trial finds a clean allocator. A child says by its status that it ran out ([`OUT_OF_MEMORY`]); one that the kernel killed, or
//! that died in an allocation it could not handle, ran out too. Sizes double from 1, then the gap is halved.

use std::{
    env, io,
    os::unix::process::ExitStatusExt,
    process::{Command, Output},
};

use powerprof_markers::client::MARKERS_VARIABLE;
use serde::Serialize;

/// Exit status of a trial that ran out of memory.
pub const OUT_OF_MEMORY: u8 = 42;

#[derive(Debug, thiserror::Error)]
pub enum SearchError {
    #[error("--batch-size auto: not even one document fits\nhint: a smaller --seq-len or --model, or more memory")]
    NothingFits,
    #[error("--batch-size auto: cannot start a trial: {0}\nhint: give --batch-size a number")]
    Start(io::Error),
    #[error("--batch-size auto: the trial of {size} failed, though memory did not run out:\n{said}")]
    Failed { size: usize, said: String },
}

/// What was tried, and what came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Search {
    /// (documents, whether they fit), in the order of trying.
    pub tried: Vec<(usize, bool)>,
    pub chosen: usize,
    /// Whether the size is the limit of the search and not of the memory.
    pub capped: bool,
}

/// The largest size in 1..=`most` that fits, if fitting is monotonous.
pub fn largest<E>(most: usize, mut fits: impl FnMut(usize) -> Result<bool, E>) -> Result<Option<Search>, E> {
    let mut tried = Vec::new();
    let (mut fit, mut too_large) = (0, most + 1);
    while too_large - fit > 1 {
        // Doubling while nothing was too large, halving the gap after.
        let size = if too_large > most {
            (2 * fit).clamp(1, most)
        } else {
            usize::midpoint(fit, too_large)
        };
        let fits = fits(size)?;
        tried.push((size, fits));
        if fits {
            fit = size;
        } else {
            too_large = size;
        }
    }
    Ok((fit > 0).then_some(Search {
        tried,
        chosen: fit,
        capped: fit == most,
    }))
}

/// Searches with trials of this very command line. `held`: bytes of host memory that are taken beside the model.
pub fn run(most: usize, held: u64) -> Result<Search, SearchError> {
    let found = largest(most, |size| {
        let output = trial(size, held).map_err(SearchError::Start)?;
        let fits = judge(size, &output)?;
        eprintln!(
            "search: a batch of {size} {}",
            if fits { "fits" } else { "does not fit" }
        );
        Ok(fits)
    })?;
    let found = found.ok_or(SearchError::NothingFits)?;
    let why = if found.capped {
        ", the most that was tried (--max-batch-size)"
    } else {
        ""
    };
    eprintln!("search: --batch-size {}{why}", found.chosen);
    Ok(found)
}

fn trial(size: usize, held: u64) -> io::Result<Output> {
    // The file of this process, also where it was replaced or removed since it started.
    let mut command = Command::new("/proc/self/exe");
    command
        .args(env::args_os().skip(1))
        .args(["--trial", &size.to_string(), "--held", &held.to_string()]);
    command.env_remove(MARKERS_VARIABLE).output()
}

fn judge(size: usize, output: &Output) -> Result<bool, SearchError> {
    let said = String::from_utf8_lossy(&output.stderr);
    let starved = [
        "memory allocation of",
        "bad_alloc",
        "Cannot allocate memory",
        "out of memory",
    ];
    match (output.status.code(), output.status.signal()) {
        (Some(0), _) => Ok(true),
        (Some(code), _) if code == i32::from(OUT_OF_MEMORY) => Ok(false),
        (_, Some(libc::SIGKILL)) => Ok(false),
        (_, Some(libc::SIGABRT)) if starved.iter().any(|text| said.contains(text)) => Ok(false),
        _ => Err(SearchError::Failed {
            size,
            said: format!("{}\n{}", output.status, said.trim_end()),
        }),
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    fn search(most: usize, limit: usize) -> Option<Search> {
        largest(most, |size| Ok::<_, Infallible>(size <= limit)).unwrap()
    }

    #[test]
    fn finds_the_limit_whatever_it_is() {
        for most in 1..70 {
            for limit in 0..80 {
                let found = search(most, limit);
                assert_eq!(
                    found.as_ref().map_or(0, |found| found.chosen),
                    limit.min(most),
                    "{most} {limit}"
                );
                let tried = found.map_or_else(Vec::new, |found| found.tried);
                let sizes: std::collections::HashSet<_> = tried.iter().map(|(size, _)| size).collect();
                assert_eq!(sizes.len(), tried.len(), "nothing is tried twice");
                assert!(tried.len() <= 14, "{tried:?}");
            }
        }
    }

    #[test]
    fn doubles_then_halves() {
        let found = search(64, 11).unwrap();
        let sizes: Vec<usize> = found.tried.iter().map(|(size, _)| *size).collect();
        assert_eq!((sizes, found.capped), (vec![1, 2, 4, 8, 16, 12, 10, 11], false));
        assert!(search(8, 100).unwrap().capped);
    }

    #[test]
    fn a_trial_that_fails_otherwise_is_not_taken_for_a_lack_of_memory() {
        let output = |status, said: &str| Output {
            status: std::process::ExitStatus::from_raw(status),
            stdout: vec![],
            stderr: said.into(),
        };
        let fits = |status, said| judge(3, &output(status, said));
        assert!(fits(0, "").unwrap());
        assert!(!fits(42 << 8, "").unwrap());
        assert!(!fits(libc::SIGKILL, "").unwrap());
        assert!(!fits(libc::SIGABRT, "memory allocation of 9 bytes failed").unwrap());
        for (status, said) in [
            (1 << 8, "error: --data no/such"),
            (libc::SIGSEGV, ""),
            (libc::SIGABRT, "assertion"),
        ] {
            let text = fits(status, said).unwrap_err().to_string();
            assert!(text.contains("trial of 3") && text.contains(said), "{text}");
        }
    }
}
