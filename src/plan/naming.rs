//! A name for a recording: what was run, and when (UTC).

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

/// Programs whose first file argument says more than their own name.
const INTERPRETERS: [&str; 12] = [
    "python",
    "python2",
    "python3",
    "sh",
    "bash",
    "zsh",
    "node",
    "ruby",
    "torchrun",
    "accelerate",
    "deepspeed",
    "srun",
];

/// `train-20261123T221500Z.h5`, with `-2`, `-3`, … if that exists.
pub fn free_name(command: &[OsString], now_ns: i64) -> PathBuf {
    let base = format!("{}-{}", subject(command), stamp(now_ns));
    let candidates = std::iter::once(format!("{base}.h5")).chain((2..).map(|n| format!("{base}-{n}.h5")));
    candidates
        .map(PathBuf::from)
        .find(|path| path.symlink_metadata().is_err())
        .unwrap_or_else(|| PathBuf::from(format!("{base}.h5")))
}

/// The word that tells this run from others: `train` for `python -u train.py --lr 1`.
fn subject(command: &[OsString]) -> String {
    let stem = |word: &OsString| {
        let stem = Path::new(word)
            .file_stem()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        stem.chars()
            .filter(|c| c.is_ascii_alphanumeric() || "-_.".contains(*c))
            .take(40)
            .collect::<String>()
    };
    let program = command.first().map(stem).unwrap_or_default();
    let interpreter = INTERPRETERS
        .iter()
        .any(|i| program == *i || program.strip_prefix(i).is_some_and(|v| v.starts_with('.')));
    let script = command.iter().skip(1).find(|word| {
        let word = word.to_string_lossy();
        !word.starts_with('-')
            && Path::new(word.as_ref())
                .extension()
                .is_some_and(|e| ["py", "sh", "js", "rb"].iter().any(|k| e == *k))
    });
    let name = script
        .filter(|_| interpreter)
        .map(stem)
        .filter(|name| !name.is_empty())
        .unwrap_or(program);
    if name.is_empty() { "run".into() } else { name }
}

fn stamp(now_ns: i64) -> String {
    let at = UNIX_EPOCH + Duration::from_nanos(now_ns.max(0) as u64);
    humantime::format_rfc3339_seconds(at)
        .to_string()
        .replace([':', '-'], "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_names_the_run_and_a_program_does_otherwise() {
        let name = |words: &[&str]| subject(&words.iter().map(OsString::from).collect::<Vec<_>>());
        assert_eq!(name(&["python3.11", "-u", "src/train.py", "--lr", "1"]), "train");
        assert_eq!(name(&["torchrun", "--nproc-per-node", "2", "pretrain.py"]), "pretrain");
        assert_eq!(name(&["sh", "-c", "exit 3"]), "sh");
        assert_eq!(
            name(&["target/release/lcbench-train", "--data", "x.py"]),
            "lcbench-train"
        );
        assert_eq!(name(&["///"]), "run");
        assert_eq!(stamp(1_795_472_100_000_000_000), "20261123T221500Z");
    }
}
