//! Readings: what a sensor said, and when it was asked.
//!
//! A reading's time is the middle of the call that took it; its half-width is half that call's length.
//! Columns, not rows: a stream is a set of equally long vectors, as in the file.

use super::time::Timestamp;

/// When readings were taken.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Times {
    /// Middle of each call.
    pub t: Vec<Timestamp>,
    /// Half the call's length, nanoseconds.
    pub half_width_ns: Vec<u32>,
}

impl Times {
    pub fn len(&self) -> usize {
        self.t.len()
    }
    pub fn is_empty(&self) -> bool {
        self.t.is_empty()
    }
    /// Append one reading's time.
    pub fn push(&mut self, t: Timestamp, half_width_ns: u32) {
        self.t.push(t);
        self.half_width_ns.push(half_width_ns);
    }
}

/// The fast stream of one device: one row per poll. A value the sensor did not give in that poll is `NaN`, or `None` for the counter.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PowerStream {
    pub times: Times,
    /// The least averaged power the sensor offers (NVML field 186, else the best there is), watts.
    pub watts: Vec<f64>,
    /// The sensor's own long average (NVML field 185), watts. Empty if never read.
    pub average_watts: Vec<f64>,
    /// Energy counter, raw, in [`Self::counter_unit_joules`]. Empty if the device has none.
    pub counter: Vec<Option<u64>>,
    /// Joules per count: 1e-3 for NVML, 1e-6 for RAPL.
    pub counter_unit_joules: f64,
    /// The counter's largest value before it starts again from zero, in counts (RAPL `max_energy_range_uj`). `None`: it does not wrap in practice.
    pub counter_wraps_at: Option<u64>,
}

/// The slow stream of one device. `NaN` and `None` where not given; a column the device never gives is empty.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct StateStream {
    pub times: Times,
    /// Share of time with work resident, percent.
    pub utilization_pct: Vec<f64>,
    /// Memory controller's busy share, percent.
    pub memory_utilization_pct: Vec<f64>,
    pub memory_used_bytes: Vec<Option<u64>>,
    pub temperature_c: Vec<f64>,
    pub sm_clock_mhz: Vec<f64>,
    pub memory_clock_mhz: Vec<f64>,
    /// NVML clocks-event (throttle) reasons, bit mask of `nvml.h`.
    pub throttle_reasons: Vec<Option<u64>>,
    pub power_limit_watts: Vec<f64>,
}

/// Power samples that a driver kept in a buffer of its own, and the calls that fetched them.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SampleStream {
    /// The driver's own stamps, on our clock; ascending.
    pub t: Vec<Timestamp>,
    pub watts: Vec<f64>,
    pub calls: SampleCalls,
}

/// The calls for a driver's buffer: one row each.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SampleCalls {
    pub times: Times,
    pub outcome: Vec<SampleOutcome>,
    /// Samples that came and were kept.
    pub taken: Vec<u32>,
    /// Samples that came and were not: zeros, and stamps that do not ascend or lie in the future.
    pub dropped: Vec<u32>,
}

/// What one call for a driver's buffer gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SampleOutcome {
    Taken,
    /// Nothing new in it, or too little to tell its spacing.
    Dry,
    /// No finer than the power readings: it is not asked again.
    Coarse,
    /// Its stamps are on no clock of the system, as far as can be told now.
    Clock,
    /// The call failed.
    Failed,
}

impl SampleOutcome {
    const ALL: [Self; 5] = [Self::Taken, Self::Dry, Self::Coarse, Self::Clock, Self::Failed];

    /// The word in files.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Taken => "taken",
            Self::Dry => "dry",
            Self::Coarse => "coarse",
            Self::Clock => "clock",
            Self::Failed => "failed",
        }
    }

    /// The inverse of [`Self::as_str`].
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|outcome| outcome.as_str() == word)
    }
}

/// What one call for a driver's buffer gave, and the samples.
#[derive(Debug, Clone, PartialEq)]
pub struct SampleBatch {
    pub outcome: SampleOutcome,
    /// Ascending, and later than those of every batch before.
    pub samples: Vec<(Timestamp, f64)>,
    pub dropped: u32,
}

impl SampleBatch {
    /// No samples, for this reason.
    pub const fn nothing(outcome: SampleOutcome) -> Self {
        Self {
            outcome,
            samples: Vec::new(),
            dropped: 0,
        }
    }
}

/// The machine and the process tree under the child.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct HostStream {
    pub times: Times,
    /// All cores together, 0 to 100 percent of the machine.
    pub cpu_pct: Vec<f64>,
    pub memory_used_bytes: Vec<Option<u64>>,
    /// The child and everything below it, in percent of ONE core (400 = four cores busy).
    pub tree_cpu_pct: Vec<f64>,
    pub tree_memory_bytes: Vec<Option<u64>>,
    pub tree_processes: Vec<Option<u64>>,
}

/// How punctual the sampler was: one row per sweep over the fast sensors.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SweepStream {
    /// When the sweep was due.
    pub due: Vec<Timestamp>,
    /// How much later it started, nanoseconds.
    pub late_ns: Vec<u32>,
    /// How long the sweep's sensor calls took together, nanoseconds.
    pub busy_ns: Vec<u32>,
}

/// What a sensor told about itself during the run.
#[derive(Debug, Clone, PartialEq)]
pub struct SensorEvent {
    pub t: Timestamp,
    /// The device it is about.
    pub device: String,
    pub kind: SensorEventKind,
    /// A sentence for the user.
    pub detail: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SensorEventKind {
    /// One or several reads failed; the stream has a hole, and goes on.
    Gap,
    /// The device is gone; its stream ended here.
    Lost,
    /// It answers again after a gap.
    Back,
}

impl SensorEventKind {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Gap => "gap",
            Self::Lost => "lost",
            Self::Back => "back",
        }
    }
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Gap, Self::Lost, Self::Back]
            .into_iter()
            .find(|k| k.as_str() == word)
    }
}

/// Which columns a device gives, so that the file holds no column that can never be filled.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Columns {
    pub watts: bool,
    pub average_watts: bool,
    pub counter: Option<CounterUnit>,
    pub utilization: bool,
    pub memory_utilization: bool,
    pub memory_used: bool,
    pub temperature: bool,
    pub sm_clock: bool,
    pub memory_clock: bool,
    pub throttle_reasons: bool,
    pub power_limit: bool,
    /// A buffer of samples that the driver fills by itself.
    pub samples: bool,
}

/// How an energy counter counts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CounterUnit {
    /// Joules per count.
    pub joules: f64,
    /// Largest value before it starts again from zero, in counts.
    pub wraps_at: Option<u64>,
}

/// One poll of a fast sensor. `None`: not given this time.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct PowerReading {
    pub watts: Option<f64>,
    pub average_watts: Option<f64>,
    /// In counts of the device's [`CounterUnit`].
    pub counter: Option<u64>,
}

/// One poll of the slow figures of a device. `None`: not given this time.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct StateReading {
    pub utilization_pct: Option<f64>,
    pub memory_utilization_pct: Option<f64>,
    pub memory_used_bytes: Option<u64>,
    pub temperature_c: Option<f64>,
    pub sm_clock_mhz: Option<f64>,
    pub memory_clock_mhz: Option<f64>,
    pub throttle_reasons: Option<u64>,
    pub power_limit_watts: Option<f64>,
}

/// One look at the machine and the process tree.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct HostReading {
    pub cpu_pct: Option<f64>,
    pub memory_used_bytes: Option<u64>,
    pub tree_cpu_pct: Option<f64>,
    pub tree_memory_bytes: Option<u64>,
    pub tree_processes: Option<u64>,
}

impl PowerStream {
    /// An empty stream for a device with these columns.
    pub fn with_columns(columns: &Columns) -> Self {
        Self {
            counter_unit_joules: columns.counter.map_or(0.0, |c| c.joules),
            counter_wraps_at: columns.counter.and_then(|c| c.wraps_at),
            ..Self::default()
        }
    }

    /// Append one poll. Columns that the device never gives stay empty.
    pub fn push(&mut self, columns: &Columns, t: Timestamp, half_width_ns: u32, reading: &PowerReading) {
        self.times.push(t, half_width_ns);
        if columns.watts {
            self.watts.push(reading.watts.unwrap_or(f64::NAN));
        }
        if columns.average_watts {
            self.average_watts.push(reading.average_watts.unwrap_or(f64::NAN));
        }
        if columns.counter.is_some() {
            self.counter.push(reading.counter);
        }
    }
}

impl StateStream {
    /// Append one poll. Columns that the device never gives stay empty.
    pub fn push(&mut self, columns: &Columns, t: Timestamp, half_width_ns: u32, reading: &StateReading) {
        let floats = [
            (columns.utilization, &mut self.utilization_pct, reading.utilization_pct),
            (
                columns.memory_utilization,
                &mut self.memory_utilization_pct,
                reading.memory_utilization_pct,
            ),
            (columns.temperature, &mut self.temperature_c, reading.temperature_c),
            (columns.sm_clock, &mut self.sm_clock_mhz, reading.sm_clock_mhz),
            (
                columns.memory_clock,
                &mut self.memory_clock_mhz,
                reading.memory_clock_mhz,
            ),
            (
                columns.power_limit,
                &mut self.power_limit_watts,
                reading.power_limit_watts,
            ),
        ];
        for (present, column, value) in floats {
            if present {
                column.push(value.unwrap_or(f64::NAN));
            }
        }
        if columns.memory_used {
            self.memory_used_bytes.push(reading.memory_used_bytes);
        }
        if columns.throttle_reasons {
            self.throttle_reasons.push(reading.throttle_reasons);
        }
        self.times.push(t, half_width_ns);
    }
}

impl SampleStream {
    /// Append what one call gave.
    pub fn push(&mut self, t: Timestamp, half_width_ns: u32, batch: &SampleBatch) {
        self.t.extend(batch.samples.iter().map(|sample| sample.0));
        self.watts.extend(batch.samples.iter().map(|sample| sample.1));
        self.calls.times.push(t, half_width_ns);
        self.calls.outcome.push(batch.outcome);
        self.calls.taken.push(batch.samples.len() as u32);
        self.calls.dropped.push(batch.dropped);
    }
}

impl HostStream {
    /// Append one look.
    pub fn push(&mut self, t: Timestamp, half_width_ns: u32, reading: &HostReading) {
        self.times.push(t, half_width_ns);
        self.cpu_pct.push(reading.cpu_pct.unwrap_or(f64::NAN));
        self.memory_used_bytes.push(reading.memory_used_bytes);
        self.tree_cpu_pct.push(reading.tree_cpu_pct.unwrap_or(f64::NAN));
        self.tree_memory_bytes.push(reading.tree_memory_bytes);
        self.tree_processes.push(reading.tree_processes);
    }
}
