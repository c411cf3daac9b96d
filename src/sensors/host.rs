//! The machine and the process tree under the child: CPU share and memory, by sysinfo.
//!
//! Not a [`super::interface::Sensor`]: nothing here is energy. Meant to be asked 2 to 5 times a second. The known members of the tree
//! are refreshed at each look; the search for new members reads every process of the machine, so it is spaced to cost at most a
//! hundredth of one core.
//!
//! Who belongs: the child; every process whose parent belongs; every process of a session that a member leads (`setsid` daemons,
//! `torchrun` workers); and, once seen, a process stays even if its parent dies and init adopts it. Pid reuse is told by start time.
//!
//! *Limits of validity.* A process that starts and ends between two looks is not seen; nor is one that was orphaned before the first
//! look at it, without a session of its own. CPU time of a member that ended since the last look is lost from that look.
//! Memory is the sum of resident sets, in which shared pages count once for each process.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use sysinfo::{MemoryRefreshKind, Pid, ProcessRefreshKind, ProcessesToUpdate, System};

use crate::model::sample::HostReading;

/// Shortest time between two searches for new processes.
const SEARCH_EVERY: Duration = Duration::from_millis(500);
/// A search is followed by at least this many times its own length without one.
const SEARCH_REST: u32 = 100;
/// sysinfo counts a process's CPU time in kernel ticks (10 ms): over less time than this a share would be mostly rounding.
const SHORTEST_SPAN: Duration = Duration::from_millis(100);

/// Watches the machine, and the processes at and below one.
pub struct HostSensor {
    system: System,
    root: Pid,
    members: HashMap<Pid, Member>,
    searched: Option<Searched>,
    last: Option<Instant>,
    machine_primed: bool,
}

/// A process of the tree.
#[derive(Debug, Clone, Copy)]
struct Member {
    /// Seconds since 1970: with the pid, it names one process for ever.
    started: u64,
    /// CPU milliseconds at the last look.
    cpu_ms: u64,
}

#[derive(Debug, Clone, Copy)]
struct Searched {
    at: Instant,
    took: Duration,
}

/// sysinfo could not read this system at all.
#[derive(Debug, thiserror::Error)]
#[error("host figures are not available: {0}\nhint: is /proc mounted?")]
pub struct HostError(String);

impl HostSensor {
    /// Watch the tree under `pid`.
    pub fn new(pid: u32) -> Result<Self, HostError> {
        Ok(Self {
            system: System::new().map_err(|e| HostError(e.to_string()))?,
            root: Pid::from_u32(pid),
            members: HashMap::new(),
            searched: None,
            last: None,
            machine_primed: false,
        })
    }

    /// One look. Shares are over the time since the last one, so the first look has none.
    pub fn read(&mut self) -> HostReading {
        self.system.refresh_cpu_usage();
        self.system
            .refresh_memory_specifics(MemoryRefreshKind::nothing().with_ram());
        let cpu_pct = self.machine_primed.then(|| f64::from(self.system.global_cpu_usage()));
        self.machine_primed = true;
        let tree_cpu_pct = self.look_at_tree();
        let memory = self.members.keys().filter_map(|&pid| self.system.process(pid));
        HostReading {
            cpu_pct,
            memory_used_bytes: Some(self.system.used_memory()).filter(|&bytes| bytes > 0),
            tree_cpu_pct,
            tree_memory_bytes: (!self.members.is_empty()).then(|| memory.map(|p| p.memory()).sum()),
            tree_processes: Some(self.members.len() as u64),
        }
    }

    /// Bring the members up to date; their CPU share since the last look, percent of one core.
    fn look_at_tree(&mut self) -> Option<f64> {
        let now = Instant::now();
        let kind = ProcessRefreshKind::nothing().with_cpu().with_memory().without_tasks();
        let search = self
            .searched
            .is_none_or(|last| now.duration_since(last.at) >= SEARCH_EVERY.max(last.took.saturating_mul(SEARCH_REST)));
        if search {
            self.system
                .refresh_processes_specifics(ProcessesToUpdate::All, true, kind);
        } else {
            let known: Vec<Pid> = self.members.keys().copied().collect();
            self.system
                .refresh_processes_specifics(ProcessesToUpdate::Some(&known), true, kind);
        }
        let system = &self.system;
        self.members
            .retain(|&pid, member| system.process(pid).is_some_and(|p| p.start_time() == member.started));
        let new = if search { self.search() } else { Vec::new() };
        if search {
            self.searched = Some(Searched {
                at: now,
                took: now.elapsed(),
            });
        }
        self.cpu_since_last_look(now, &new)
    }

    /// Add processes that belong and were not known. Returns them.
    fn search(&mut self) -> Vec<Pid> {
        let mut new = Vec::new();
        if self.members.is_empty() && self.last.is_none() {
            self.admit(self.root, &mut new);
        }
        // A child may be listed before its parent, so until nothing changes.
        loop {
            let before = self.members.len();
            let candidates: Vec<Pid> = self
                .system
                .processes()
                .iter()
                .filter(|(pid, process)| !self.members.contains_key(pid) && self.belongs(process))
                .map(|(&pid, _)| pid)
                .collect();
            for pid in candidates {
                self.admit(pid, &mut new);
            }
            if self.members.len() == before {
                return new;
            }
        }
    }

    fn belongs(&self, process: &sysinfo::Process) -> bool {
        if process
            .parent()
            .is_some_and(|parent| self.members.contains_key(&parent))
        {
            return true;
        }
        // getsid(2) is asked only for processes that are no child of a member.
        !self.members.is_empty()
            && process
                .session_id()
                .is_some_and(|leader| self.members.contains_key(&leader) && self.leads(leader))
    }

    /// Whether a member is a session's leader: the child itself is in the terminal's session, together with strangers.
    fn leads(&self, pid: Pid) -> bool {
        self.system.process(pid).and_then(|p| p.session_id()) == Some(pid)
    }

    fn admit(&mut self, pid: Pid, new: &mut Vec<Pid>) {
        if let Some(process) = self.system.process(pid) {
            let member = Member {
                started: process.start_time(),
                cpu_ms: process.accumulated_cpu_time(),
            };
            self.members.insert(pid, member);
            new.push(pid);
        }
    }

    fn cpu_since_last_look(&mut self, now: Instant, new: &[Pid]) -> Option<f64> {
        let span = self.last.map(|last| now.duration_since(last));
        if span.is_some_and(|span| span < SHORTEST_SPAN) {
            return None;
        }
        self.last = Some(now);
        let mut used_ms = 0;
        for (&pid, member) in &mut self.members {
            let Some(process) = self.system.process(pid) else {
                continue;
            };
            let cpu_ms = process.accumulated_cpu_time();
            used_ms += if new.contains(&pid) {
                // All that a newcomer has used was used since it started, which the last search did not see.
                cpu_ms
            } else {
                cpu_ms.saturating_sub(member.cpu_ms)
            };
            member.cpu_ms = cpu_ms;
        }
        span.map(|span| used_ms as f64 / (span.as_secs_f64() * 1e3) * 100.0)
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Child, Command, Stdio};
    use std::thread::sleep;

    use super::*;

    fn shell(script: &str) -> Child {
        Command::new("sh")
            .args(["-c", script])
            .stdout(Stdio::null())
            .spawn()
            .expect("a shell")
    }

    fn end(mut child: Child) {
        child.kill().expect("kill");
        child.wait().expect("wait");
    }

    /// Look until the tree has so many processes; the last count if it never does.
    fn wait_for(sensor: &mut HostSensor, processes: u64) -> Option<u64> {
        for _ in 0..100 {
            let seen = sensor.read().tree_processes;
            if seen == Some(processes) {
                return seen;
            }
            sleep(Duration::from_millis(100));
        }
        sensor.read().tree_processes
    }

    #[test]
    fn grandchildren_are_followed_and_stay_when_their_parent_dies() {
        // A subshell starts two sleepers, waits until both were seen, and dies: init adopts them.
        let folder = tempfile::tempdir().expect("a scratch folder");
        let seen = folder.path().join("seen");
        let script = format!(
            "( sleep 20 & sleep 20 & while [ ! -e {} ]; do sleep 0.05; done ) & sleep 20",
            seen.display()
        );
        let child = shell(&script);
        let mut sensor = HostSensor::new(child.id()).expect("proc is there");
        for _ in 0..100 {
            if sensor.read().tree_processes.is_some_and(|n| n >= 5) {
                break;
            }
            sleep(Duration::from_millis(100));
        }
        std::fs::write(&seen, "").expect("a file");
        // Left: the shell, its sleeper, and the two orphans.
        assert_eq!(wait_for(&mut sensor, 4), Some(4));
        end(child);
        let orphans: Vec<u32> = sensor.members.keys().map(|pid| pid.as_u32()).collect();
        for pid in orphans {
            // Their own pids, seen as members by start time a moment ago.
            let _ = Command::new("kill").arg(pid.to_string()).stderr(Stdio::null()).status();
        }
    }

    #[test]
    fn a_busy_child_counts_about_one_core_and_an_idle_machine_is_no_more_than_whole() {
        let child = shell("while :; do :; done");
        let mut sensor = HostSensor::new(child.id()).expect("proc is there");
        let first = sensor.read();
        assert_eq!(
            (first.cpu_pct, first.tree_cpu_pct),
            (None, None),
            "no share without a span"
        );
        sleep(Duration::from_millis(1500));
        let second = sensor.read();
        end(child);
        let tree = second.tree_cpu_pct.expect("a share");
        // Other tests want the cores too: it is told from nothing, and from more than one core.
        assert!((5.0..=115.0).contains(&tree), "{tree} % of one core");
        assert!((0.0..=100.0).contains(&second.cpu_pct.expect("a share")));
        assert!(second.tree_memory_bytes.is_some_and(|bytes| bytes > 100_000));
    }

    #[test]
    fn a_tree_that_has_ended_is_empty_and_not_zero_bytes() {
        let mut child = shell("exit 0");
        let pid = child.id();
        child.wait().expect("wait");
        let mut sensor = HostSensor::new(pid).expect("proc is there");
        let reading = sensor.read();
        assert_eq!((reading.tree_processes, reading.tree_memory_bytes), (Some(0), None));
    }
}
