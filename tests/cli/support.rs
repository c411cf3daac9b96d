//! A folder of its own for each test, the binary in it, and what it left there.

use std::ffi::OsStr;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use nix::sys::signal::Signal;
use serde_json::Value;
use tempfile::TempDir;

pub const POWERPROF: &str = env!("CARGO_BIN_EXE_powerprof");

/// Where a test lives.
pub struct Place {
    folder: TempDir,
}

impl Place {
    pub fn new() -> Self {
        Self {
            folder: tempfile::tempdir().expect("a temporary folder"),
        }
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.file(name);
        std::fs::write(&path, text).expect("a file in a temporary folder");
        path
    }

    /// powerprof in this folder, on a machine without a GPU, whatever machine this is.
    pub fn powerprof<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Command {
        let mut command = Command::new(POWERPROF);
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("POWERPROF_") || name == "CUDA_VISIBLE_DEVICES" {
                command.env_remove(name);
            }
        }
        command
            .args(arguments)
            .current_dir(self.path())
            .env("POWERPROF_NVML_LIB", self.file("no-such-library.so"))
            .env("XDG_CONFIG_HOME", self.path())
            .env("NO_COLOR", "1");
        default_signals(&mut command);
        command
    }

    /// Record `arguments` (options, `--`, command) into run.h5.
    pub fn record(&self, arguments: &[&str]) -> Output {
        let all = ["-o", "run.h5"].iter().chain(arguments);
        self.powerprof(all).output().expect("powerprof runs")
    }

    /// Record a shell script.
    pub fn record_script(&self, options: &[&str], script: &str) -> Output {
        let all = options
            .iter()
            .copied()
            .chain(["--", "sh", "-c", script])
            .collect::<Vec<_>>();
        self.record(&all)
    }

    /// The report of run.h5 as JSON.
    pub fn report(&self) -> Value {
        self.report_of("run.h5")
    }

    pub fn report_of(&self, file: &str) -> Value {
        let output = self
            .powerprof(["report", file, "--format", "json"])
            .output()
            .expect("powerprof runs");
        assert!(output.status.success(), "report fails: {}", stderr(&output));
        serde_json::from_slice(&output.stdout).expect("the report is JSON")
    }
}

/// A test run in the background of a shell or under nohup has these ignored, and a child's `trap` cannot undo that (sh, "Signals").
pub fn default_signals(command: &mut Command) {
    // SAFETY: restores default dispositions, which is async-signal-safe.
    unsafe {
        command.pre_exec(|| {
            for name in [Signal::SIGINT, Signal::SIGQUIT, Signal::SIGHUP] {
                nix::sys::signal::signal(name, nix::sys::signal::SigHandler::SigDfl)?;
            }
            Ok(())
        });
    }
}

pub fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

pub fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The phase with this path.
pub fn phase<'a>(report: &'a Value, path: &str) -> &'a Value {
    let phases = report["phases"].as_array().expect("phases");
    let found = phases.iter().find(|phase| phase["path"] == path);
    found.unwrap_or_else(|| panic!("no phase {path} among {:?}", paths(report)))
}

pub fn paths(report: &Value) -> Vec<String> {
    let phases = report["phases"].as_array().expect("phases");
    phases
        .iter()
        .map(|phase| phase["path"].as_str().unwrap_or_default().to_owned())
        .collect()
}

pub fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("a number, not {value}"))
}

/// A folder of the checkout.
pub fn checkout(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}
