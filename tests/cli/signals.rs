//! Signals while a child runs, sent to powerprof alone and typed at a terminal.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::support::Place;

/// Wait until the child says through a file that it is ready.
fn wait_for(file: &Path) {
    let give_up = Instant::now() + Duration::from_secs(30);
    while !file.exists() {
        assert!(Instant::now() < give_up, "{} never came", file.display());
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn start(place: &Place, script: &str) -> Child {
    let arguments = ["--quiet", "-o", "run.h5", "--", "sh", "-c", script];
    let child = place
        .powerprof(arguments)
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("powerprof runs");
    wait_for(&place.file("ready"));
    child
}

fn send(child: &Child, signal: Signal) {
    kill(Pid::from_raw(child.id() as i32), signal).expect("powerprof is there");
}

fn end(mut child: Child) -> ExitStatus {
    let give_up = Instant::now() + Duration::from_secs(40);
    loop {
        if let Some(status) = child.try_wait().expect("a child of ours") {
            return status;
        }
        assert!(Instant::now() < give_up, "powerprof does not end");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn termination_is_passed_on_and_the_child_decides() {
    let place = Place::new();
    let child = start(&place, "trap 'exit 7' TERM; touch ready; while :; do sleep 0.05; done");
    send(&child, Signal::SIGTERM);
    assert_eq!(end(child).code(), Some(7));
    assert_eq!(place.report()["run"]["complete"], true);
    assert_eq!(place.report()["run"]["exit_code"], 7);
}

#[test]
fn a_child_that_termination_ends_gives_143() {
    let place = Place::new();
    let child = start(&place, "touch ready; exec sleep 60");
    send(&child, Signal::SIGTERM);
    assert_eq!(end(child).code(), Some(143));
    assert_eq!(place.report()["run"]["complete"], true);
}

#[test]
fn a_signal_before_the_command_runs_has_its_own_status_and_leaves_nothing() {
    for (signal, status, name, force) in [
        (Signal::SIGTERM, 143, "run.h5", &[][..]),
        (Signal::SIGHUP, 129, "old.h5", &["--force"]),
        (Signal::SIGINT, 130, "run.h5", &[]),
        (Signal::SIGQUIT, 131, "old.h5", &["--force"]),
    ] {
        let place = Place::new();
        // What stands at the other name stays.
        place.write("old.h5", "old");
        let mut child = place
            .powerprof(
                [
                    &["-o", name][..],
                    force,
                    &["--idle-baseline", "1h", "--", "touch", "ran"],
                ]
                .concat(),
            )
            .stderr(Stdio::piped())
            .spawn()
            .expect("powerprof runs");
        let talk = BufReader::new(child.stderr.take().expect("a pipe"));
        let mut lines = talk.lines().map_while(Result::ok);
        assert!(lines.any(|line| line.contains("watching the idle machine")));
        send(&child, signal);
        assert_eq!(end(child).code(), Some(status), "{signal}");
        let last = lines.last().unwrap_or_default();
        assert!(last.contains(signal.as_str()), "{last}");
        assert!(
            !place.file("ran").exists() && !place.file("run.h5").exists(),
            "{signal}"
        );
        assert_eq!(
            std::fs::read_to_string(place.file("old.h5")).expect("there"),
            "old",
            "{signal}"
        );
    }
}

#[test]
fn hangup_and_the_schedulers_warnings_are_passed_on() {
    for (signal, name) in [
        (Signal::SIGHUP, "HUP"),
        (Signal::SIGUSR1, "USR1"),
        (Signal::SIGUSR2, "USR2"),
    ] {
        let place = Place::new();
        let child = start(
            &place,
            &format!("trap 'exit 9' {name}; touch ready; while :; do sleep 0.05; done"),
        );
        send(&child, signal);
        assert_eq!(end(child).code(), Some(9), "{name}");
    }
}

#[test]
fn an_interrupt_sent_to_powerprof_alone_is_passed_on() {
    let place = Place::new();
    let child = start(&place, "trap 'exit 5' INT; touch ready; while :; do sleep 0.05; done");
    send(&child, Signal::SIGINT);
    assert_eq!(end(child).code(), Some(5));
}

#[test]
fn a_second_interrupt_ends_a_child_that_ignores_the_first() {
    let place = Place::new();
    let child = start(&place, "trap '' INT; touch ready; while :; do sleep 0.05; done");
    send(&child, Signal::SIGINT);
    std::thread::sleep(Duration::from_millis(200));
    send(&child, Signal::SIGINT);
    assert_eq!(end(child).code(), Some(143));
    assert_eq!(place.report()["run"]["complete"], true);
}

#[test]
fn a_third_kills_what_ignores_everything() {
    let place = Place::new();
    let child = start(&place, "trap '' INT TERM; touch ready; while :; do sleep 0.05; done");
    for _ in 0..3 {
        send(&child, Signal::SIGINT);
        std::thread::sleep(Duration::from_millis(200));
    }
    assert_eq!(end(child).code(), Some(137));
}

/// A terminal of our own, and powerprof as its foreground process group.
fn in_terminal(place: &Place, script: &str) -> (File, Child) {
    let pty = nix::pty::openpty(None, None).expect("a pseudo-terminal");
    let slave: OwnedFd = pty.slave;
    let copy = || slave.try_clone().expect("a descriptor");
    let mut command: Command = place.powerprof(["-o", "run.h5", "--", "sh", "-c", script]);
    command.stdin(copy()).stdout(copy()).stderr(copy());
    let descriptor = slave.as_raw_fd();
    // SAFETY: setsid and ioctl are async-signal-safe.
    unsafe {
        command.pre_exec(move || {
            nix::unistd::setsid()?;
            if nix::libc::ioctl(descriptor, nix::libc::TIOCSCTTY, 0) != 0 {
                return Err(std::io::Error::last_os_error());
            }
            Ok(())
        });
    }
    let child = command.spawn().expect("powerprof runs");
    (File::from(pty.master), child)
}

#[test]
fn control_c_at_a_terminal_reaches_the_child_once_and_the_report_still_appears() {
    let place = Place::new();
    let script = "trap 'echo x >> interrupts' INT; touch ready; \
                  for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15; do sleep 0.1; done; exit 6";
    let (mut terminal, child) = in_terminal(&place, script);
    wait_for(&place.file("ready"));
    std::thread::sleep(Duration::from_millis(100));
    let mut reader = terminal.try_clone().expect("a descriptor");
    let shown = std::thread::spawn(move || {
        let mut text = Vec::new();
        // The terminal's end reads as an error once nobody holds the other side.
        let _ = reader.read_to_end(&mut text);
        String::from_utf8_lossy(&text).into_owned()
    });
    terminal.write_all(b"\x03").expect("typed");
    assert_eq!(end(child).code(), Some(6));
    drop(terminal);
    let interrupts = std::fs::read_to_string(place.file("interrupts")).expect("the child was interrupted");
    assert_eq!(interrupts.lines().count(), 1);
    let shown = shown.join().expect("no panic");
    assert!(shown.contains("recorded in run.h5"), "{shown}");
    assert_eq!(place.report()["run"]["complete"], true);
}

#[test]
fn a_launcher_that_ignores_the_end_of_its_children_does_not_cost_the_status() {
    let place = Place::new();
    let mut command = place.powerprof(["--quiet", "-o", "run.h5", "--", "sh", "-c", "sleep 0.3; exit 4"]);
    // SAFETY: sets a disposition, which is async-signal-safe; it survives exec.
    unsafe {
        command.pre_exec(|| {
            nix::sys::signal::signal(Signal::SIGCHLD, nix::sys::signal::SigHandler::SigIgn)?;
            Ok(())
        });
    }
    let status = command.status().expect("powerprof runs");
    assert_eq!(status.code(), Some(4));
    assert_eq!(place.report()["run"]["exit_code"], 4);
}
