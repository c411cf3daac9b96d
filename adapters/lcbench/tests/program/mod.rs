//! Runs of `lcbench-train` with a summary to look into.

#![allow(dead_code)] // each test program uses a part of it

use std::{
    ffi::{OsStr, OsString},
    fs,
    io::Read,
    process::Command,
};

/// Arguments and environment. An option that is given again replaces the one before.
#[derive(Clone, Debug, Default)]
pub struct Run {
    args: Vec<String>,
    env: Vec<(OsString, OsString)>,
}

impl Run {
    pub fn new<'a>(args: impl IntoIterator<Item = &'a str>) -> Self {
        Self::default().and(args)
    }

    pub fn and<'a>(mut self, args: impl IntoIterator<Item = &'a str>) -> Self {
        let mut args = args.into_iter().peekable();
        while let Some(arg) = args.next() {
            // The programs' options take one value, and no value begins with two dashes.
            let value = args.next_if(|next| arg.starts_with("--") && !next.starts_with("--"));
            if let (Some(value), Some(at)) = (value, self.args.iter().position(|old| old == arg)) {
                self.args[at + 1] = value.to_owned();
            } else {
                self.args
                    .extend([Some(arg), value].into_iter().flatten().map(str::to_owned));
            }
        }
        self
    }

    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.env.push((name.into(), value.as_ref().into()));
        self
    }
}

pub fn command(run: &Run) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lcbench-train"));
    command.args(&run.args).envs(run.env.iter().cloned());
    // Waiting threads sleep.
    command
        .env("OMP_WAIT_POLICY", "PASSIVE")
        .env_remove("POWERPROF_MARKERS");
    command
}

/// The summary of a run that must succeed.
pub fn succeeds(run: &Run) -> serde_json::Value {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("summary.json");
    let output = command(run).arg("--summary").arg(&path).output().unwrap();
    assert!(
        output.status.success(),
        "{run:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

/// What a run says that must fail with `status`.
pub fn fails(run: &Run, status: i32) -> String {
    let output = command(run).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(status), "{run:?}: {said}");
    said
}

/// The markers that a run which must succeed writes to its pipe, line by line.
pub fn markers(run: &Run) -> String {
    let dir = tempfile::tempdir().unwrap();
    let pipe = dir.path().join("markers");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let read = {
        let pipe = pipe.clone();
        std::thread::spawn(move || {
            let mut text = String::new();
            fs::File::open(pipe).unwrap().read_to_string(&mut text).unwrap();
            text
        })
    };
    // Open for writing too, so that the reader waits for the trainer.
    let holder = fs::OpenOptions::new().write(true).open(&pipe).unwrap();
    let output = command(run).env("POWERPROF_MARKERS", &pipe).output().unwrap();
    assert!(
        output.status.success(),
        "{run:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    drop(holder);
    read.join().unwrap()
}
