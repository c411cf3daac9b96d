//! A CPU's power where nothing measures it: utilization times what the processor is built to dissipate.
//!
//! `watts = share * TDP * (IDLE_SHARE + (1 - IDLE_SHARE) * utilization)`, where `share` is the part of the processor that this
//! machine sees (a virtual machine sees some of its threads). Utilization is from `/proc/stat` over the time since the last
//! publication. Every assumption stands in the device's properties.
//!
//! *Limits of validity.* No measurement at all. A package's power at full load depends on the instructions, its clock on the cooling,
//! its idle power on the sleep states; errors of a factor of two happen (comparisons of TDP-based estimates with meters: Jay et al.,
//! CCGrid 2023, doi 10.1109/CCGrid57682.2023.00028). Desktop processors may draw more than their TDP for long. Memory is not in it.
//! Nothing computed from it is graded above C.

pub mod cpus;
pub mod procfs;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::model::device::{Device, DeviceId, DeviceKind, SensorTiming, Source};
use crate::model::sample::{Columns, PowerReading};
use crate::model::time::Timestamp;
use crate::model::units::Watts;
use crate::sensors::clock;
use crate::sensors::interface::{ReadError, Sensor};

use procfs::{CpuInfo, CpuTimes};

/// Part of the TDP that an idle package still draws: an assumption. Server packages at idle lie between about a sixth (monolithic
/// dies in deep sleep) and two fifths (those with a separate I/O die, whose fabric stays awake).
const IDLE_SHARE: f64 = 0.3;

/// Time between publications. Kernel ticks are 10 ms: over 200 ms a share is known to about a twentieth of one CPU.
const PERIOD: Duration = Duration::from_millis(200);

/// Ticks, of all CPUs together, below which no new figure is published.
const FEWEST_TICKS: u64 = 2;

/// What the estimate rests on.
#[derive(Debug, Clone, PartialEq)]
pub struct Assumptions {
    /// Of all that this machine sees: all sockets, scaled to the threads it has.
    pub full: Watts,
    pub idle: Watts,
    /// Where the TDP comes from, for a human.
    pub source: String,
    /// How it was scaled to this machine, if it was.
    pub scaling: Option<String>,
}

impl Assumptions {
    /// From the user's TDP (of the whole machine, as `--cpu-tdp` says), else the model's, else a figure per thread.
    pub fn new(info: &CpuInfo, cpu_tdp: Option<Watts>) -> Self {
        let (full, source, scaling) = match (cpu_tdp, cpus::find(&info.model)) {
            (Some(tdp), _) => (tdp, "--cpu-tdp".to_owned(), None),
            (None, Some(known)) => {
                let threads = known.threads * info.sockets;
                let share = (f64::from(info.threads) / f64::from(threads)).min(1.0);
                let source = format!("{} W, {} threads ({})", known.tdp_w, known.threads, known.source());
                let scaling = (share < 1.0 || info.sockets > 1).then(|| {
                    format!(
                        "{} of {threads} threads of {} socket(s) are visible here",
                        info.threads, info.sockets
                    )
                });
                (
                    Watts(f64::from(known.tdp_w) * f64::from(info.sockets) * share),
                    source,
                    scaling,
                )
            }
            (None, None) => {
                let per_thread = cpus::typical_watts_per_thread(&info.model);
                let source = format!(
                    "`{}` is not in the table: {:.1} W a thread, the median of processors like it",
                    info.model, per_thread.0
                );
                (per_thread * f64::from(info.threads), source, None)
            }
        };
        Self {
            full,
            idle: full * IDLE_SHARE,
            source,
            scaling,
        }
    }

    /// The estimate at this utilization, 0 to 1.
    pub fn power(&self, utilization: f64) -> Watts {
        self.idle + (self.full - self.idle) * utilization.clamp(0.0, 1.0)
    }
}

/// The estimated CPU of this machine.
pub struct CpuEstimate {
    device: Device,
    assumptions: Assumptions,
    stat: PathBuf,
    base: CpuTimes,
    /// When it publishes next.
    next: Timestamp,
    published: Option<Watts>,
}

/// Why there is not even an estimate.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct EstimateError(String);

impl CpuEstimate {
    /// An estimate from the files below `proc` (tests give another folder).
    pub fn new(proc: &Path, cpu_tdp: Option<Watts>) -> Result<Self, EstimateError> {
        let info = CpuInfo::read(proc).map_err(EstimateError)?;
        let stat = proc.join("stat");
        let base = CpuTimes::read(&stat).map_err(EstimateError)?;
        let assumptions = Assumptions::new(&info, cpu_tdp);
        Ok(Self {
            device: device(&info, &assumptions),
            assumptions,
            stat,
            base,
            next: clock::now() + PERIOD,
            published: None,
        })
    }

    /// Asked again before its next publication, or before the kernel's clock has ticked, the last one still stands, as on a real sensor.
    /// Publications lie on a lattice: whoever asks every period, a little late now and then, gets each of them.
    fn read_at(&mut self, now: Timestamp) -> Result<PowerReading, ReadError> {
        let times = CpuTimes::read(&self.stat).map_err(ReadError::Retry)?;
        let period = PERIOD.as_nanos() as i64;
        if now >= self.next && times.total().saturating_sub(self.base.total()) >= FEWEST_TICKS {
            self.published = times
                .utilization_since(&self.base)
                .map(|utilization| self.assumptions.power(utilization));
            self.base = times;
            self.next = self.next.plus_nanos(((now - self.next) / period + 1) * period);
        }
        Ok(PowerReading {
            watts: self.published.map(Watts::get),
            ..PowerReading::default()
        })
    }

    /// What it rests on.
    pub fn assumptions(&self) -> &Assumptions {
        &self.assumptions
    }
}

fn device(info: &CpuInfo, assumptions: &Assumptions) -> Device {
    let mut properties = BTreeMap::from([
        ("tdp".to_owned(), assumptions.source.clone()),
        (
            "assumption".to_owned(),
            format!(
                "{:.0} W idle, {:.0} W at full utilization, linear between",
                assumptions.idle.0, assumptions.full.0
            ),
        ),
        ("logical_cpus".to_owned(), info.threads.to_string()),
    ]);
    if let Some(scaling) = &assumptions.scaling {
        properties.insert("scaling".to_owned(), scaling.clone());
    }
    let timing = SensorTiming {
        update_period_ms: Some(PERIOD.as_millis() as f64),
        window_ms: Some(PERIOD.as_millis() as f64),
        delay_ms: Some(0.0),
    };
    Device {
        id: DeviceId("cpu0".into()),
        kind: DeviceKind::Cpu,
        source: Source::Estimate,
        name: format!("{} (estimated from utilization)", info.model),
        uuid: None,
        index: None,
        contained_in: None,
        architecture: None,
        power_limit: Some(assumptions.full),
        memory_total_bytes: None,
        power_timing: timing,
        counter_timing: SensorTiming::default(),
        calibration: None,
        properties,
    }
}

impl Sensor for CpuEstimate {
    fn device(&self) -> &Device {
        &self.device
    }

    fn columns(&self) -> Columns {
        Columns {
            watts: true,
            ..Columns::default()
        }
    }

    fn power_period(&self) -> Duration {
        PERIOD
    }

    fn read_power(&mut self) -> Result<PowerReading, ReadError> {
        self.read_at(clock::now())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn info(model: &str, threads: u32, sockets: u32) -> CpuInfo {
        CpuInfo {
            model: model.to_owned(),
            threads,
            sockets,
        }
    }

    #[test]
    fn a_whole_machine_draws_the_sum_of_its_sockets() {
        let two = Assumptions::new(&info("AMD EPYC 7763 64-Core Processor", 256, 2), None);
        assert_eq!(two.power(1.0), Watts(560.0));
        assert!(two.power(0.0) > Watts(0.0) && two.power(0.0) < two.power(0.5));
    }

    #[test]
    fn a_virtual_machine_draws_its_threads_part_and_says_so() {
        let vm = Assumptions::new(&info("Intel(R) Xeon(R) Platinum 8480C", 28, 1), None);
        assert_eq!(vm.full, Watts(350.0 * 28.0 / 112.0));
        assert!(vm.scaling.expect("said").contains("28 of 112 threads"));
    }

    #[test]
    fn the_users_figure_wins_and_an_unknown_model_is_named() {
        let known = info("AMD EPYC 7763 64-Core Processor", 256, 2);
        assert_eq!(Assumptions::new(&known, Some(Watts(400.0))).full, Watts(400.0));
        let cloud = Assumptions::new(&info("AMD EPYC", 2, 1), None);
        assert!(cloud.source.contains("`AMD EPYC` is not in the table"));
        assert!(
            (2.0..20.0).contains(&cloud.full.0),
            "{} W for two threads",
            cloud.full.0
        );
    }

    #[test]
    fn utilization_beyond_its_range_changes_nothing() {
        let some = Assumptions::new(&info("x", 4, 1), Some(Watts(100.0)));
        assert_eq!(some.power(7.0), some.power(1.0));
        assert_eq!(some.power(-1.0), some.power(0.0));
    }

    #[test]
    fn readings_follow_the_ticks_and_stand_between_them() {
        let proc = tempfile::tempdir().expect("a scratch folder");
        let stat = |line: &str| fs::write(proc.path().join("stat"), format!("{line}\ncpu0 0\n")).expect("stat");
        fs::write(proc.path().join("cpuinfo"), "processor : 0\nmodel name : Some CPU\n").expect("cpuinfo");
        stat("cpu 100 0 100 800 0 0 0 0 0 0");
        let mut cpu = CpuEstimate::new(proc.path(), Some(Watts(100.0))).expect("files are there");
        let origin = cpu.next;
        let mut read = |ms: i64| cpu.read_at(origin.plus_nanos(ms * 1_000_000)).expect("reads").watts;
        assert_eq!(read(0), None, "no tick yet: unknown, not zero");
        stat("cpu 110 0 110 880 0 0 0 0 0 0");
        let busy_fifth = Some(30.0 + 0.2 * 70.0);
        assert_eq!(read(1), busy_fifth);
        assert_eq!(read(2), busy_fifth, "still standing");
        stat("cpu 120 0 110 880 0 0 0 0 0 0");
        assert_eq!(
            read(199),
            busy_fifth,
            "until its period is over, as often as it is asked"
        );
        assert_eq!(read(203), Some(100.0));
        stat("cpu 120 0 110 980 0 0 0 0 0 0");
        assert_eq!(read(399), Some(100.0));
        assert_eq!(read(401), Some(30.0), "late once, it is not late from then on");
        fs::remove_file(proc.path().join("stat")).expect("gone");
        assert!(matches!(cpu.read_power(), Err(ReadError::Retry(_))));
    }
}
