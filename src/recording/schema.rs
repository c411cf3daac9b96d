//! The layout of the file: every group, and every column with its type, unit and meaning.
//!
//! One table per stream of readings. Tables marked *device* repeat below each device's group (`gpu/0/power/watts`), the rest
//! stand below the root. Times are nanoseconds of the recording host's `CLOCK_MONOTONIC`.
//! A change here is a change of the file: see [`version`](super::version), and keep `docs/file-format.md` with it (a test
//! compares the two).

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dtype {
    /// An instant, `int64`; a row that was never written reads `-2^63`.
    Time,
    /// A length of time, `uint32`.
    Nanos,
    /// A plain number, `uint32`.
    Number,
    /// A figure, `float64`; missing is NaN.
    Figure,
    /// A count or a mask, `uint64`; missing is `2^64 - 1`.
    Count,
    /// A small number, `int32`.
    Small,
    /// A row number in another table, `uint32`; missing is `2^32 - 1`.
    Row,
    /// `bool` as h5py writes it (an enumeration of FALSE and TRUE).
    Flag,
    /// UTF-8 of at most 8 bytes, padded with NUL.
    Word,
    /// UTF-8 of at most 64 bytes, padded with NUL.
    Name,
    /// UTF-8 of at most 1024 bytes, padded with NUL; what is longer ends in `…`.
    Text,
}

impl Dtype {
    /// The type as numpy names it.
    pub const fn numpy(self) -> &'static str {
        match self {
            Self::Time => "int64",
            Self::Nanos | Self::Number | Self::Row => "uint32",
            Self::Figure => "float64",
            Self::Count => "uint64",
            Self::Small => "int32",
            Self::Flag => "bool",
            Self::Word => "S8",
            Self::Name => "S64",
            Self::Text => "S1024",
        }
    }
}

/// One column: a one-dimensional dataset.
#[derive(Debug, Clone, Copy)]
pub struct ColumnSpec {
    /// Path below the table's parent.
    pub path: &'static str,
    pub dtype: Dtype,
    /// As UDUNITS writes it; empty for text and plain numbers.
    pub unit: &'static str,
    pub description: &'static str,
}

/// How many rows a table gets, and with that how it is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// One row per sweep of the sampler: compressed.
    Sweep,
    /// About one row per flush or less: plain, because a compressed block would be written anew, elsewhere, at each flush.
    Slow,
    /// Nobody knows: compressed in small blocks.
    Burst,
    /// A few long texts: compressed, which makes the padding free.
    Rare,
}

macro_rules! columns {
    ($($name:ident = $path:literal, $dtype:ident, $unit:literal, $description:literal;)*) => {
        $(#[doc = $description] pub const $name: ColumnSpec = ColumnSpec {
            path: $path, dtype: Dtype::$dtype, unit: $unit, description: $description,
        };)*
        /// All of them, in the order of the documentation.
        pub const ALL: &[ColumnSpec] = &[$($name),*];
    };
}

/// The fast stream of a device (*device*, [`Pace::Sweep`]). A device that gives no power has no `power`, one without a
/// counter no `energy`; with both, `energy/t` and `energy/half_width` are the arrays of `power` under a second name.
pub mod power {
    use super::{ColumnSpec, Dtype};
    columns! {
        T = "power/t", Time, "ns", "middle of the call that took the reading, CLOCK_MONOTONIC";
        HALF_WIDTH = "power/half_width", Nanos, "ns", "half the length of that call";
        WATTS = "power/watts", Figure, "W", "power, the least averaged figure the sensor offers";
        AVERAGE_WATTS = "power/average_watts", Figure, "W", "power, the sensor's own long average";
        ENERGY_T = "energy/t", Time, "ns", "middle of the call that took the reading, CLOCK_MONOTONIC";
        ENERGY_HALF_WIDTH = "energy/half_width", Nanos, "ns", "half the length of that call";
        COUNTER = "energy/counter", Count, "see attribute", "energy counter as the driver gave it, in counts of joules_per_count";
    }
}

/// The slow figures of a device (*device*, [`Pace::Slow`]); absent where it has none.
pub mod state {
    use super::{ColumnSpec, Dtype};
    columns! {
        T = "state/t", Time, "ns", "middle of the call that took the reading, CLOCK_MONOTONIC";
        HALF_WIDTH = "state/half_width", Nanos, "ns", "half the length of that call";
        UTILIZATION = "state/utilization", Figure, "percent", "share of time with work resident on the device";
        MEMORY_UTILIZATION = "state/memory_utilization", Figure, "percent", "share of time the memory controller was busy";
        MEMORY_USED = "state/memory_used", Count, "byte", "device memory in use";
        TEMPERATURE = "state/temperature", Figure, "degC", "core temperature";
        SM_CLOCK = "state/sm_clock", Figure, "MHz", "clock of the processors";
        MEMORY_CLOCK = "state/memory_clock", Figure, "MHz", "clock of the memory";
        THROTTLE_REASONS = "state/throttle_reasons", Count, "", "why the clocks are held down: bit mask nvmlClocksEventReason* of nvml.h";
        POWER_LIMIT = "state/power_limit", Figure, "W", "enforced power limit";
    }
}

/// Power samples that the driver kept in a buffer of its own (*device*, [`Pace::Burst`]; since 1.2); absent where it keeps none that
/// are finer than `power`.
pub mod samples {
    use super::{ColumnSpec, Dtype};
    columns! {
        T = "samples/t", Time, "ns", "the driver's own stamp of the sample, as CLOCK_MONOTONIC";
        WATTS = "samples/watts", Figure, "W", "power, as the driver's own buffer has it";
    }
}

/// The calls that fetched them (*device*, [`Pace::Slow`]; since 1.2).
pub mod sample_calls {
    use super::{ColumnSpec, Dtype};
    columns! {
        T = "sample_calls/t", Time, "ns", "middle of the call, CLOCK_MONOTONIC";
        HALF_WIDTH = "sample_calls/half_width", Nanos, "ns", "half the length of the call";
        OUTCOME = "sample_calls/outcome", Word, "", "taken, dry, coarse, clock or failed";
        TAKEN = "sample_calls/taken", Number, "", "samples that it gave and that were kept";
        DROPPED = "sample_calls/dropped", Number, "", "samples that it gave and that were not: zeros, stamps that do not ascend";
    }
}

/// The machine and the process tree ([`Pace::Slow`]).
pub mod host {
    use super::{ColumnSpec, Dtype};
    columns! {
        T = "host/t", Time, "ns", "middle of the look at the system, CLOCK_MONOTONIC";
        HALF_WIDTH = "host/half_width", Nanos, "ns", "half the length of that look";
        CPU = "host/cpu", Figure, "percent", "all cores together, 0 to 100 percent of the machine";
        MEMORY_USED = "host/memory_used", Count, "byte", "memory of the machine in use";
        TREE_CPU = "host/tree_cpu", Figure, "percent", "the command and all its descendants, in percent of one core";
        TREE_MEMORY = "host/tree_memory", Count, "byte", "resident memory of the command and all its descendants";
        TREE_PROCESSES = "host/tree_processes", Count, "", "number of processes: the command and all its descendants";
    }
}

/// How punctual the sampler was ([`Pace::Sweep`]).
pub mod sampler {
    use super::{ColumnSpec, Dtype};
    columns! {
        DUE = "sampler/due", Time, "ns", "when the sweep over the fast sensors was due, CLOCK_MONOTONIC";
        LATE = "sampler/late", Nanos, "ns", "how much later it started";
        BUSY = "sampler/busy", Nanos, "ns", "how long its sensor calls took together";
    }
}

/// Markers as they were heard ([`Pace::Burst`]).
pub mod markers {
    use super::{ColumnSpec, Dtype};
    columns! {
        T = "markers/t", Time, "ns", "when it happened: the writer's stamp, or the arrival if it sent none, CLOCK_MONOTONIC";
        ARRIVAL = "markers/arrival", Time, "ns", "when the recorder read it, CLOCK_MONOTONIC";
        STAMPED = "markers/stamped", Flag, "", "whether t is the writer's own stamp";
        VERB = "markers/verb", Word, "", "begin, end, mark or metric";
        NAME = "markers/name", Name, "", "name of the phase or metric";
        RANK = "markers/rank", Number, "", "rank of the writer";
        INDEX = "markers/index", Count, "", "step or epoch number, on begin";
        SAMPLES = "markers/samples", Count, "", "samples finished in this span, on end and mark";
        TOKENS = "markers/tokens", Count, "", "tokens finished in this span, on end and mark";
        VALUE = "markers/value", Figure, "", "the number, on metric";
        DEVICES = "markers/devices", Row, "", "row of device_lists/text: what the rank runs on, on begin";
    }
}

/// The device lists that `begin` lines named ([`Pace::Rare`]).
pub mod device_lists {
    use super::{ColumnSpec, Dtype};
    columns! {
        TEXT = "device_lists/text", Text, "", "devices as they were written: indices or UUIDs";
    }
}

/// What went wrong on the marker pipe: each row replaces the one before ([`Pace::Slow`]).
pub mod marker_faults {
    use super::{ColumnSpec, Dtype};
    columns! {
        BAD_LINES = "marker_faults/bad_lines", Count, "", "lines so far that could not be understood";
        DROPPED = "marker_faults/dropped", Count, "", "lines so far that writers said they could not send";
        FIRST_EXAMPLE = "marker_faults/first_example", Number, "", "row of bad_lines/text with the first example";
        EXAMPLES = "marker_faults/examples", Number, "", "how many rows from there on are examples";
    }
}

/// Examples of lines that could not be understood ([`Pace::Rare`]).
pub mod bad_lines {
    use super::{ColumnSpec, Dtype};
    columns! {
        TEXT = "bad_lines/text", Text, "", "a line that could not be understood, with the reason";
    }
}

/// The three clocks read back to back ([`Pace::Slow`]).
pub mod clock {
    use super::{ColumnSpec, Dtype};
    columns! {
        MONOTONIC = "clock/monotonic", Time, "ns", "CLOCK_MONOTONIC, the clock of every t in this file";
        REALTIME = "clock/realtime", Time, "ns", "CLOCK_REALTIME at that instant: nanoseconds since 1970-01-01 UTC";
        BOOTTIME = "clock/boottime", Time, "ns", "CLOCK_BOOTTIME at that instant";
    }
}

/// What sensors told about themselves ([`Pace::Rare`]).
pub mod events {
    use super::{ColumnSpec, Dtype};
    columns! {
        T = "events/t", Time, "ns", "when, CLOCK_MONOTONIC";
        DEVICE = "events/device", Name, "", "id of the device it is about";
        KIND = "events/kind", Word, "", "gap, lost or back";
        DETAIL = "events/detail", Text, "", "what happened, as a sentence";
    }
}

/// What the recorder warned about ([`Pace::Rare`]).
pub mod warnings {
    use super::{ColumnSpec, Dtype};
    columns! {
        T = "warnings/t", Time, "ns", "when, CLOCK_MONOTONIC";
        TEXT = "warnings/text", Text, "", "the warning";
    }
}

/// When the command was released, after the sensors had been started: one row ([`Pace::Slow`]).
pub mod start {
    use super::{ColumnSpec, Dtype};
    columns! {
        T = "start/t", Time, "ns", "when the command was released, CLOCK_MONOTONIC";
    }
}

/// When the machine was watched before the command ran: one row, or none ([`Pace::Slow`]; since 1.1).
pub mod baseline {
    use super::{ColumnSpec, Dtype};
    columns! {
        T = "baseline/t", Time, "ns", "when the idle baseline began, CLOCK_MONOTONIC";
        END = "baseline/end", Time, "ns", "when it ended, CLOCK_MONOTONIC";
    }
}

/// How the run ended: one row, or none where the recording was cut off ([`Pace::Slow`]).
pub mod end {
    use super::{ColumnSpec, Dtype};
    columns! {
        T = "end/t", Time, "ns", "when the command ended, CLOCK_MONOTONIC";
        KIND = "end/kind", Word, "", "how it ended: code (it returned) or signal (it was killed)";
        VALUE = "end/value", Small, "", "its exit code, or the number of the signal";
    }
}

/// Every table: its title in the documentation, its pace, its columns.
pub const TABLES: &[(&str, Pace, &[ColumnSpec])] = &[
    ("DEVICE/power, DEVICE/energy", Pace::Sweep, power::ALL),
    ("DEVICE/state", Pace::Slow, state::ALL),
    ("DEVICE/samples", Pace::Burst, samples::ALL),
    ("DEVICE/sample_calls", Pace::Slow, sample_calls::ALL),
    ("host", Pace::Slow, host::ALL),
    ("sampler", Pace::Sweep, sampler::ALL),
    ("markers", Pace::Burst, markers::ALL),
    ("device_lists", Pace::Rare, device_lists::ALL),
    ("marker_faults", Pace::Slow, marker_faults::ALL),
    ("bad_lines", Pace::Rare, bad_lines::ALL),
    ("clock", Pace::Slow, clock::ALL),
    ("events", Pace::Rare, events::ALL),
    ("warnings", Pace::Rare, warnings::ALL),
    ("start", Pace::Slow, start::ALL),
    ("baseline", Pace::Slow, baseline::ALL),
    ("end", Pace::Slow, end::ALL),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documentation_has_every_column_with_its_type_unit_and_meaning() {
        let text = include_str!("../../docs/file-format.md");
        for column in TABLES.iter().flat_map(|(_, _, columns)| columns.iter()) {
            let row = format!(
                "| `{}` | {} | {} | {} |",
                column.path,
                column.dtype.numpy(),
                column.unit,
                column.description
            );
            assert!(text.contains(&row), "docs/file-format.md lacks the row\n{row}");
        }
    }

    #[test]
    fn no_path_is_used_twice() {
        let mut paths: Vec<_> = TABLES
            .iter()
            .flat_map(|(_, _, columns)| columns.iter().map(|c| c.path))
            .collect();
        let all = paths.len();
        paths.sort_unstable();
        paths.dedup();
        assert_eq!(paths.len(), all);
    }
}
