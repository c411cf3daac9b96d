//! A load that can be switched: a program that is told, a program that is stopped and continued, or this machine's processors.

use std::ffi::OsString;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use crate::cli::Drive;
use crate::model::time::Timestamp;
use crate::sensors::clock;

/// How long a load may take to go when its input ends.
const FAREWELL: Duration = Duration::from_secs(5);

/// What a load answered: when it changed, and to what.
type Answers = Arc<Mutex<Vec<(Timestamp, bool)>>>;

/// A load, off at first.
pub enum Load {
    Told(Told),
    Stopped(Child),
    Busy(Busy),
}

/// A program that reads `on` and `off`.
pub struct Told {
    child: Child,
    input: Option<ChildStdin>,
    answers: Answers,
}

/// Threads that turn their processors' cycles into heat.
pub struct Busy {
    state: Arc<AtomicU8>,
    threads: Vec<JoinHandle<()>>,
}

const OFF: u8 = 0;
const ON: u8 = 1;
const GONE: u8 = 2;

impl Load {
    /// Start `command`, or the processors where there is none.
    pub fn start(command: &[OsString], drive: Drive) -> anyhow::Result<Self> {
        let Some((program, arguments)) = command.split_first() else {
            return Ok(Self::Busy(Busy::start()));
        };
        let mut process = Command::new(program);
        process.args(arguments);
        let cannot = || {
            format!(
                "cannot run {}\nhint: check the load's name and path",
                program.to_string_lossy()
            )
        };
        match drive {
            Drive::Lines => {
                let spawned = process.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
                let mut child = spawned.with_context(cannot)?;
                let answers = Answers::default();
                if let Some(output) = child.stdout.take() {
                    let heard = Arc::clone(&answers);
                    // Ends with the load's output.
                    std::thread::spawn(move || listen(BufReader::new(output), &heard));
                }
                let input = child.stdin.take();
                Ok(Self::Told(Told { child, input, answers }))
            }
            Drive::Stop => {
                // A group of its own, so that what it starts is stopped with it.
                process.stdin(Stdio::null()).stdout(Stdio::null()).process_group(0);
                // A stopped load must not be left behind if powerprof is killed.
                // SAFETY: one async-signal-safe system call between fork and exec.
                unsafe { process.pre_exec(|| Ok(nix::sys::prctl::set_pdeathsig(Some(Signal::SIGKILL))?)) };
                let spawned = process.spawn();
                let child = spawned.with_context(cannot)?;
                let mut load = Self::Stopped(child);
                load.set(false)?;
                Ok(load)
            }
        }
    }

    /// Switch it; when that was told.
    pub fn set(&mut self, on: bool) -> anyhow::Result<Timestamp> {
        match self {
            Self::Told(told) => told.tell(on)?,
            Self::Stopped(child) => {
                let signal = if on { Signal::SIGCONT } else { Signal::SIGSTOP };
                killpg(Pid::from_raw(child.id() as i32), signal).context("the load has ended")?;
            }
            Self::Busy(busy) => busy.state.store(if on { ON } else { OFF }, Ordering::Release),
        }
        Ok(clock::now())
    }

    /// What it answered so far is of no interest.
    pub fn forget_answers(&self) {
        if let Self::Told(load) = self {
            // An answer to what was told last is on its way.
            std::thread::sleep(Duration::from_millis(50));
            if let Ok(mut answers) = load.answers.lock() {
                answers.clear();
            }
        }
    }

    /// When the load itself says that it changed, in place of `told`, if it answered each time.
    pub fn edges(&self, told: &[(Timestamp, bool)]) -> (Vec<(Timestamp, bool)>, bool) {
        if let Self::Told(load) = self {
            let answers = load.answers.lock().map(|a| a.clone()).unwrap_or_default();
            let agree = answers.len() == told.len() && answers.iter().zip(told).all(|(a, t)| a.1 == t.1);
            if agree {
                return (answers, true);
            }
        }
        (told.to_vec(), false)
    }

    /// Let it go.
    pub fn end(self) {
        match self {
            Self::Told(mut told) => {
                drop(told.input.take());
                let until = Instant::now() + FAREWELL;
                while Instant::now() < until {
                    if !matches!(told.child.try_wait(), Ok(None)) {
                        return;
                    }
                    std::thread::sleep(Duration::from_millis(20));
                }
                let _ = told.child.kill();
                let _ = told.child.wait();
            }
            Self::Stopped(mut child) => {
                let _ = killpg(Pid::from_raw(child.id() as i32), Signal::SIGKILL);
                let _ = child.wait();
            }
            Self::Busy(busy) => {
                busy.state.store(GONE, Ordering::Release);
                busy.threads.into_iter().for_each(|thread| drop(thread.join()));
            }
        }
    }
}

impl Told {
    fn tell(&mut self, on: bool) -> anyhow::Result<()> {
        let word: &[u8] = if on { b"on\n" } else { b"off\n" };
        let written = self
            .input
            .as_mut()
            .map(|input| input.write_all(word).and_then(|()| input.flush()));
        match written {
            Some(Ok(())) => Ok(()),
            _ => match self.child.try_wait() {
                Ok(Some(status)) => bail!(
                    "the load ended by itself ({status})\nhint: it reads `on` and `off`, a line each, until its input ends"
                ),
                _ => bail!("the load reads nothing\nhint: it reads `on` and `off`, a line each, until its input ends"),
            },
        }
    }
}

/// `on 123456789` and `off 123456789`; everything else is the load's own talk, and goes to standard error.
fn listen(output: impl BufRead, answers: &Answers) {
    for line in output.lines().map_while(Result::ok) {
        match answer(&line) {
            Some(answer) => {
                if let Ok(mut answers) = answers.lock() {
                    answers.push(answer);
                }
            }
            None => {
                let _ = writeln!(std::io::stderr(), "{line}");
            }
        }
    }
}

fn answer(line: &str) -> Option<(Timestamp, bool)> {
    let (word, t) = line.trim().split_once(' ')?;
    let on = match word {
        "on" => true,
        "off" => false,
        _ => return None,
    };
    Some((Timestamp::from_nanos(t.trim().parse().ok()?), on))
}

impl Busy {
    fn start() -> Self {
        let state = Arc::new(AtomicU8::new(OFF));
        let count = std::thread::available_parallelism().map_or(1, usize::from);
        // One is left to the sampler, which must be punctual.
        let threads = (0..count.saturating_sub(1).max(1)).map(|_| {
            let state = Arc::clone(&state);
            std::thread::spawn(move || burn(&state))
        });
        Self {
            threads: threads.collect(),
            state,
        }
    }
}

fn burn(state: &AtomicU8) {
    let mut x = 1.000_000_1_f64;
    loop {
        match state.load(Ordering::Acquire) {
            ON => {
                for _ in 0..2000 {
                    x = x.mul_add(1.000_000_3, -1e-9);
                }
                x = std::hint::black_box(x).clamp(1.0, 2.0);
            }
            OFF => std::thread::sleep(Duration::from_micros(200)),
            _ => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_have_a_word_and_a_time() {
        assert_eq!(answer("on 12345"), Some((Timestamp::from_nanos(12345), true)));
        assert_eq!(answer("off 5 "), Some((Timestamp::from_nanos(5), false)));
        assert_eq!(answer("offline 5"), None);
        assert_eq!(answer("on soon"), None);
        assert_eq!(answer("hello"), None);
    }
}
