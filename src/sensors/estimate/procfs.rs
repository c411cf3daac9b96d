//! The two files of `/proc` behind the estimate: what the processor is, and how its time was spent.
//!
//! Ticks stay integers; differences are taken here and nowhere else.

use std::fs;
use std::path::Path;

/// What `/proc/cpuinfo` says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CpuInfo {
    /// E.g. `AMD EPYC 7763 64-Core Processor`; in a cloud sometimes `AMD EPYC`.
    pub model: String,
    /// Logical processors that this machine sees.
    pub threads: u32,
    /// Distinct sockets that it sees.
    pub sockets: u32,
}

impl CpuInfo {
    /// Read `cpuinfo` below `proc`.
    pub fn read(proc: &Path) -> Result<Self, String> {
        let path = proc.join("cpuinfo");
        let text = fs::read_to_string(&path).map_err(|e| format!("{}: {e}", path.display()))?;
        Ok(Self::parse(&text))
    }

    /// From the file's text. ARM kernels give no model name: it is then `unknown CPU`.
    pub fn parse(text: &str) -> Self {
        let values = |wanted: &'static str| {
            text.lines()
                .filter_map(|line| line.split_once(':'))
                .filter(move |(key, _)| key.trim() == wanted)
                .map(|(_, value)| value.trim())
        };
        let mut sockets: Vec<&str> = values("physical id").collect();
        sockets.sort_unstable();
        sockets.dedup();
        Self {
            model: values("model name").next().unwrap_or("unknown CPU").to_owned(),
            threads: (values("processor").count() as u32).max(1),
            sockets: (sockets.len() as u32).max(1),
        }
    }
}

/// The first line of `/proc/stat`: ticks since boot, all processors together (proc_stat(5)).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CpuTimes {
    busy: u64,
    idle: u64,
}

impl CpuTimes {
    /// Read the file.
    pub fn read(path: &Path) -> Result<Self, String> {
        let text = fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))?;
        Self::parse(&text).ok_or_else(|| format!("{}: no line of processor times", path.display()))
    }

    /// From the file's text: user, nice, system, idle, iowait, irq, softirq, steal. Guest time is already in user time. Waiting for
    /// I/O is idle; time that the hypervisor gave to others (steal) was not spent by this machine.
    pub fn parse(text: &str) -> Option<Self> {
        let line = text.lines().find_map(|line| line.strip_prefix("cpu "))?;
        let ticks: Vec<u64> = line.split_whitespace().map_while(|n| n.parse().ok()).collect();
        let at = |i: usize| ticks.get(i).copied().unwrap_or(0);
        (ticks.len() >= 4).then(|| Self {
            busy: at(0) + at(1) + at(2) + at(5) + at(6),
            idle: at(3) + at(4) + at(7),
        })
    }

    /// All ticks.
    pub fn total(&self) -> u64 {
        self.busy + self.idle
    }

    /// The busy share, 0 to 1, of the time since `earlier`; none if no tick passed. Idle time may run backwards a little
    /// (proc_stat(5), iowait): such a step counts as none.
    pub fn utilization_since(&self, earlier: &Self) -> Option<f64> {
        let busy = self.busy.saturating_sub(earlier.busy) as f64;
        let idle = self.idle.saturating_sub(earlier.idle) as f64;
        (busy + idle > 0.0).then(|| busy / (busy + idle))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_two_socket_machine() {
        let block = |n: u32, socket: u32| {
            format!(
                "processor\t: {n}\nmodel name\t: Intel(R) Xeon(R) Gold 6148 CPU @ 2.40GHz\nphysical id\t: {socket}\n\n"
            )
        };
        let text: String = (0..4).map(|n| block(n, n % 2)).collect();
        let info = CpuInfo::parse(&text);
        assert_eq!((info.threads, info.sockets), (4, 2));
        assert!(info.model.contains("Gold 6148"));
    }

    #[test]
    fn no_model_and_no_sockets_is_one_unknown() {
        let info = CpuInfo::parse("processor : 0\nBogoMIPS : 50\n");
        assert_eq!((info.model.as_str(), info.threads, info.sockets), ("unknown CPU", 1, 1));
    }

    #[test]
    fn old_kernels_have_fewer_columns_and_garbage_has_none() {
        let old = CpuTimes::parse("cpu  10 0 10 80\n").expect("four columns");
        assert_eq!((old.total(), old.busy), (100, 20));
        assert_eq!(CpuTimes::parse("cpu x y"), None);
        assert_eq!(CpuTimes::parse("intr 5"), None);
        assert_eq!(CpuTimes::parse("cpu0 1 2 3 4\n"), None, "one processor is not all");
    }

    proptest! {
        #[test]
        fn a_share_is_a_share(a in proptest::array::uniform8(0_u64..1 << 40), b in proptest::array::uniform8(0_u64..1 << 40)) {
            let line = |t: [u64; 8]| format!("cpu  {}", t.map(|n| n.to_string()).join(" "));
            let (earlier, later) = (CpuTimes::parse(&line(a)), CpuTimes::parse(&line(b)));
            if let Some(share) = later.expect("eight numbers").utilization_since(&earlier.expect("eight numbers")) {
                prop_assert!((0.0..=1.0).contains(&share));
            }
        }
    }
}
