//! `powerprof -- COMMAND`: record a command from before its first instruction to after its last.

use std::io::Write;
use std::time::Duration;

use nix::sys::signal::Signal;

use super::load;
use super::output::{self, Failure, Outcome, say};
use crate::cli::RecordArgs;
use crate::markers::channel::{self, Channel, Listener};
use crate::model::device::Device;
use crate::model::recording::{ChildExit, Chunk, RunEnd, RunInfo};
use crate::model::sample::Columns;
use crate::model::time::Interval;
use crate::plan::{self, RecordPlan, naming};
use crate::recording::background::{BackgroundWriter, CutOff, Trouble};
use crate::recording::trace::{Found, Trace};
use crate::recording::{Claim, RecordingError, Writer};
use crate::report::text;
use crate::sampler::Sampler;
use crate::sensors::clock;
use crate::sensors::discover::{self, Discovery};
use crate::sensors::host::HostSensor;
use crate::sensors::interface::Sensor;
use crate::supervisor::launch::{self, LaunchError};
use crate::supervisor::signals::Signals;
use crate::supervisor::{exit, surroundings, warden};

/// Sampling begins this long before the child and ends this long after it, so that a counter which moves every 100 ms has moved on
/// both sides of the run's edges.
const LEAD: Duration = Duration::from_millis(250);
/// How long `git` may take to name the commit.
const GIT_PATIENCE: Duration = Duration::from_millis(500);

pub fn run(args: RecordArgs) -> Outcome {
    let mut plan = plan::record(args, clock::anchor().realtime_ns).map_err(|error| Failure {
        error: error.into(),
        status: 2,
    })?;
    let signals = Signals::take().map_err(before_the_child)?;
    let channel = Channel::open().map_err(before_the_child)?;
    // Forked before any thread exists; it waits, and goes away by itself if we fail below.
    let variable = (channel::VARIABLE.into(), channel.path().into());
    let armed = launch::arm(&plan.command, &[variable], &signals.inherited).map_err(not_launched)?;
    let warden = warden::post(&armed, channel.path(), channel.directory()).map_err(before_the_child)?;

    let discovery = discover::discover(&plan.request);
    let devices = recorded_devices(&plan, &discovery);
    let missing = missing(&discovery);
    missing.iter().for_each(|finding| say(&format!("warning: {finding}")));
    if plan.strict && !missing.is_empty() {
        return Err(before_the_child(unmet("a sensor is missing")));
    }
    let info = run_info(&plan, plan.request.simulate.as_ref().map(ToString::to_string));
    // Dropped before the command has been started: nothing ran, and there is nothing to keep.
    let (writer, claim) = begin(&mut plan, &info, &devices).map_err(before_the_child)?;
    let writer = BackgroundWriter::start(writer, |trouble| {
        say(&trouble.to_string());
        if let Trouble::Ended(_) = trouble {
            say("the command goes on unrecorded");
        }
    });
    let writer = writer.map_err(before_the_child)?;

    let measured = !discovery.sensors.is_empty();
    let listener = discovery
        .simulated
        .clone()
        .map(|truth| -> Listener { Box::new(move |event| truth.heard(event)) });
    let reading = channel
        .listen(writer.sink().clone(), listener)
        .map_err(before_the_child)?;
    let host = HostSensor::new(armed.pid().as_raw().unsigned_abs());
    let host = host.inspect_err(|error| say(&format!("warning: {error}"))).ok();
    let sampler = Sampler::start(discovery.sensors, host, plan.interval, plan.polling, writer.sink())
        .map_err(before_the_child)?;
    if measured {
        std::thread::sleep(LEAD);
        if let Some(signal) = watch_idle(&plan, &signals, &writer) {
            return Err(Failure {
                error: anyhow::anyhow!("{signal} came before the command ran"),
                status: ChildExit::Signal(signal as i32).status() as u8,
            });
        }
        let lost = sampler.lost();
        if plan.strict && !lost.is_empty() {
            let error = unmet(&format!("a sensor was lost ({})", lost.join("; ")));
            return Err(before_the_child(error));
        }
    }

    let started = clock::now();
    let _ = writer.sink().send(Chunk {
        released: Some(started),
        warnings: missing.iter().map(|finding| (started, finding.clone())).collect(),
        ..Chunk::default()
    });
    let trace = Trace::of(&claim);
    let ended = armed.release().map(|child| {
        if let Err(error) = claim.keep() {
            say(&format!("error: {error}"));
            plan.output = error.kept_in;
        }
        signals.wait_for(child, say)
    });
    let end = clock::now();
    if measured && ended.is_ok() {
        std::thread::sleep(LEAD);
    }
    reading.stop();
    let lost = sampler.stop();
    warden.dismiss();
    match ended {
        Ok(Ok(exit)) => {
            finish(&mut plan, writer, trace, RunEnd { ended: end, exit }, &missing);
            Ok(status(&plan, exit, &lost))
        }
        // What was recorded stays, as a recording that was cut off.
        Ok(Err(errno)) => {
            let path = plan.output.display();
            Err(before_the_child(anyhow::anyhow!(
                "the end of the command was not seen: {errno}\nhint: {path} holds what was recorded until then"
            )))
        }
        Err(error) => Err(not_launched(error)),
    }
}

/// Begin the file. A name that nobody asked for and that another run has just taken is no reason not to run the command.
fn begin(
    plan: &mut RecordPlan,
    info: &RunInfo,
    devices: &[(Device, Columns)],
) -> Result<(Writer, Claim), RecordingError> {
    loop {
        match Writer::begin(&plan.output, info, devices, plan.force) {
            Err(RecordingError::AlreadyExists { .. }) if !plan.named => {
                plan.output = naming::free_name(&plan.command, info.started_realtime_ns);
            }
            begun => return begun,
        }
    }
}

/// `--idle-baseline`: what the machine draws before the command runs. A signal that asks for the end ends the waiting, and is returned.
fn watch_idle(plan: &RecordPlan, signals: &Signals, writer: &BackgroundWriter) -> Option<Signal> {
    let length = plan.idle_baseline?;
    say(&format!(
        "watching the idle machine for {}",
        humantime::format_duration(length)
    ));
    let begun = clock::now();
    if let Some(signal) = signals.arrives_within(length) {
        return Some(signal);
    }
    let _ = writer.sink().send(Chunk {
        baseline: Some(Interval::new(begun, clock::now())),
        ..Chunk::default()
    });
    None
}

/// Close the file and say what it holds, but for what was `told` before the command ran.
fn finish(plan: &mut RecordPlan, writer: BackgroundWriter, trace: Option<Trace>, end: RunEnd, told: &[String]) {
    match writer.finish(end) {
        Ok(()) => {}
        // What was told names the file and how to read it; here it is still open, and HDF5 would mix in what could not be written.
        Err(CutOff::Earlier) => return,
        Err(CutOff::AtItsEnd(error)) => return say(&format!("error: {error}")),
    }
    match trace.map_or(Found::There, |trace| trace.find(&plan.output)) {
        Found::There => {}
        Found::Elsewhere(path) => plan.output = path,
        Found::Restored => say(&format!(
            "warning: {} was deleted while it was written; it is there again",
            plan.output.display()
        )),
        Found::Lost(error) => {
            return say(&format!(
                "error: {} was deleted while it was written, and cannot be written again: {error}",
                plan.output.display()
            ));
        }
    }
    match load::load(&plan.output) {
        Ok(loaded) if !plan.quiet => {
            let options = text::TextOptions { color: output::color() };
            // A closed standard error must not change the status.
            let _ = std::io::stderr().write_all(text::render(&loaded.analysis, &options).as_bytes());
            say(&format!("recorded in {}", plan.output.display()));
        }
        Ok(loaded) => loaded
            .analysis
            .warnings
            .iter()
            .filter(|warning| !told.contains(warning))
            .for_each(|warning| say(&format!("warning: {warning}"))),
        Err(error) => output::complain(&error),
    }
}

/// The command's own status; that of a sensor that was lost under `--strict` where the command has nothing to complain of.
fn status(plan: &RecordPlan, exit: ChildExit, lost: &[String]) -> u8 {
    if !plan.strict || lost.is_empty() {
        return exit.status() as u8;
    }
    let lost = lost.join("; ");
    say(&format!(
        "error: a sensor was lost in mid-run ({lost}), and --strict is set\nhint: {} has the run, with a hole",
        plan.output.display()
    ));
    match exit.status() {
        0 => exit::POWERPROF_FAILED as u8,
        status => status as u8,
    }
}

/// What `--strict` asks for is not there.
fn unmet(what: &str) -> anyhow::Error {
    anyhow::anyhow!(
        "{what}, and --strict is set: the command was not run\nhint: `powerprof doctor` shows every sensor; without --strict the command runs"
    )
}

/// The devices as the file keeps them: with the user's calibration of each board.
fn recorded_devices(plan: &RecordPlan, discovery: &Discovery) -> Vec<(Device, Columns)> {
    let calibrated = |sensor: &dyn Sensor| {
        let mut device = sensor.device().clone();
        plan.config.complete(&mut device);
        device.properties.insert("polling".into(), plan.polling.as_str().into());
        device
    };
    discovery
        .sensors
        .iter()
        .map(|sensor| (calibrated(sensor.as_ref()), sensor.columns()))
        .collect()
}

/// Which sensors are missing, and why: warnings that the recording keeps, and a failure under `--strict`.
fn missing(discovery: &Discovery) -> Vec<String> {
    let warnings = discovery.findings.iter().filter(|finding| finding.is_warning());
    warnings.map(ToString::to_string).collect()
}

fn run_info(plan: &RecordPlan, simulated: Option<String>) -> RunInfo {
    let anchor = clock::anchor();
    RunInfo {
        powerprof_version: env!("CARGO_PKG_VERSION").into(),
        command: plan
            .command
            .iter()
            .map(|word| word.to_string_lossy().into_owned())
            .collect(),
        working_directory: std::env::current_dir()
            .map(|d| d.display().to_string())
            .unwrap_or_default(),
        host: surroundings::host(),
        started_realtime_ns: anchor.realtime_ns,
        started: anchor.monotonic,
        ended: None,
        exit: None,
        complete: false,
        interval_ns: i64::try_from(plan.interval.as_nanos()).unwrap_or(i64::MAX),
        environment: surroundings::environment(surroundings::variables()),
        git_commit: surroundings::git_commit(GIT_PATIENCE),
        simulated,
        labels: plan.labels.clone(),
    }
}

fn before_the_child(error: impl Into<anyhow::Error>) -> Failure {
    Failure {
        error: error.into(),
        status: exit::POWERPROF_FAILED as u8,
    }
}

fn not_launched(error: LaunchError) -> Failure {
    let status = error.status() as u8;
    Failure {
        error: error.into(),
        status,
    }
}
