//! The run as attributes of the file's root: what was run, where and how. How it ended is a table of its own
//! (`journal::End`), because single-writer mode adds rows, and no attributes.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hdf5::Group;

use super::attributes::{get, get_if, json, set, set_if, set_json, set_text, set_text_if, text, text_if};
use super::error::Fault;
use super::version::{CURRENT, SchemaVersion};
use crate::model::recording::{HostInfo, RunInfo};
use crate::model::time::Timestamp;

/// The root attribute that tells a recording from any other HDF5 file.
const FORMAT: &str = "powerprof recording";

/// How a file came about, if not by recording.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Origin {
    /// `recover` made it from one that was cut off.
    pub recovered: bool,
    /// `import` made it from a log: there was no child to exit.
    pub imported: bool,
}

/// Write everything that is known when the recording begins.
pub(super) fn write(root: &Group, run: &RunInfo, origin: Origin) -> Result<(), Fault> {
    set_text(root, "format", FORMAT)?;
    set(root, "schema_major", &CURRENT.major)?;
    set(root, "schema_minor", &CURRENT.minor)?;
    set(root, "recovered", &origin.recovered)?;
    set_if(root, "imported", origin.imported.then_some(true))?;
    set_text(root, "powerprof_version", &run.powerprof_version)?;
    set_json(root, "command", &run.command)?;
    set_text(root, "working_directory", &run.working_directory)?;
    set_json(root, "environment", &run.environment)?;
    set_json(root, "labels", &run.labels)?;
    set_text_if(root, "git_commit", run.git_commit.as_deref())?;
    set_text_if(root, "simulated", run.simulated.as_deref())?;
    set(root, "interval_ns", &run.interval_ns)?;
    set_text(root, "clock", "CLOCK_MONOTONIC")?;
    set(root, "started_monotonic_ns", &run.started.as_nanos())?;
    set(root, "started_realtime_ns", &run.started_realtime_ns)?;
    set_text_if(root, "started_at", started_at(run.started_realtime_ns).as_deref())?;
    set_text(root, "hostname", &run.host.hostname)?;
    set_text(root, "os", &run.host.os)?;
    set_text(root, "kernel", &run.host.kernel)?;
    set_text(root, "cpu_model", &run.host.cpu_model)?;
    set_if(root, "logical_cpus", run.host.logical_cpus)?;
    set_if(root, "memory_bytes", run.host.memory_bytes)
}

/// The start as RFC 3339, for people; `None` before 1970.
fn started_at(realtime_ns: i64) -> Option<String> {
    let since = Duration::from_nanos(u64::try_from(realtime_ns).ok()?);
    let at: SystemTime = UNIX_EPOCH.checked_add(since)?;
    Some(humantime::format_rfc3339_seconds(at).to_string())
}

/// The run, as it was when the recording began: `ended`, `exit` and `complete` are the reader's to add.
pub(super) fn read(root: &Group) -> Result<RunInfo, Fault> {
    Ok(RunInfo {
        powerprof_version: text(root, "powerprof_version")?,
        command: json(root, "command")?,
        working_directory: text(root, "working_directory")?,
        host: HostInfo {
            hostname: text(root, "hostname")?,
            os: text(root, "os")?,
            kernel: text(root, "kernel")?,
            cpu_model: text(root, "cpu_model")?,
            logical_cpus: get_if(root, "logical_cpus")?,
            memory_bytes: get_if(root, "memory_bytes")?,
        },
        started_realtime_ns: get(root, "started_realtime_ns")?,
        started: Timestamp::from_nanos(get(root, "started_monotonic_ns")?),
        ended: None,
        exit: None,
        complete: false,
        interval_ns: get(root, "interval_ns")?,
        environment: json(root, "environment")?,
        git_commit: text_if(root, "git_commit")?,
        simulated: text_if(root, "simulated")?,
        labels: json(root, "labels")?,
    })
}

/// The layout's version, or `None` if this is no recording.
pub(super) fn version(root: &Group) -> Result<Option<SchemaVersion>, Fault> {
    // Another program's `format` may be of any type: one that does not read as a text is not ours.
    if !matches!(text_if(root, "format"), Ok(Some(format)) if format == FORMAT) {
        return Ok(None);
    }
    Ok(Some(SchemaVersion {
        major: get(root, "schema_major")?,
        minor: get(root, "schema_minor")?,
    }))
}

/// Whether `import` made this file from a log.
pub(super) fn imported(root: &Group) -> Result<bool, Fault> {
    Ok(get_if(root, "imported")?.unwrap_or(false))
}

/// Whether `recover` made this file from one that was cut off.
pub(super) fn recovered(root: &Group) -> Result<bool, Fault> {
    Ok(get_if(root, "recovered")?.unwrap_or(false))
}
