//! What a column of a log is, by its header: the names of nvidia-smi, DCGM and dcgm-exporter, and plain words with a unit.
//!
//! A unit stands in brackets (`power.draw [W]`), behind the last underscore (`power_w`, `t_ms`), or is the tool's own (DCGM's energy is
//! in millijoules). A column that nobody knows is left alone.

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Quantity {
    Time,
    /// The machine that the device is in.
    Host,
    Index,
    Uuid,
    BusId,
    Name,
    /// The shortest average of the board (`power.draw.instant`, NVML field 186).
    PowerInstant,
    /// `power.draw`: `nvmlDeviceGetPowerUsage`, one or the other by chip and driver.
    PowerDraw,
    /// The average over a second (NVML field 185).
    PowerAverage,
    /// A power of which the log says no more.
    Power,
    Energy,
    Utilization,
    MemoryUtilization,
    MemoryUsed,
    MemoryTotal,
    Temperature,
    SmClock,
    MemoryClock,
    PowerLimit,
}

/// A column that means something.
#[derive(Debug, Clone, PartialEq)]
pub struct Meaning {
    pub quantity: Quantity,
    /// As the header gives it, in lower case.
    pub unit: Option<String>,
}

/// Names without their units, `.` and blanks as `_`.
const NAMES: &[(Quantity, &[&str])] = &[
    (
        Quantity::Time,
        &[
            "t",
            "ts",
            "time",
            "timestamp",
            "datetime",
            "date",
            "elapsed",
            "elapsed_time",
            "seconds",
            "milliseconds",
        ],
    ),
    (
        Quantity::Index,
        &["index", "gpu", "gpu_index", "gpu_id", "device", "device_index"],
    ),
    (Quantity::Host, &["host", "hostname", "host_name", "node", "nodename"]),
    (Quantity::Uuid, &["uuid", "gpu_uuid"]),
    (Quantity::BusId, &["pci_bus_id", "gpu_bus_id", "bus_id", "pci_bus"]),
    (Quantity::Name, &["name", "gpu_name", "modelname", "model_name"]),
    (
        Quantity::PowerInstant,
        &[
            "power_draw_instant",
            "power_instant",
            "instant_power",
            "dcgm_fi_dev_power_usage_instant",
            "pinst",
            "pwins",
        ],
    ),
    (
        Quantity::PowerAverage,
        &["power_draw_average", "power_average", "average_power"],
    ),
    (
        Quantity::PowerDraw,
        &["power_draw", "power_usage", "gpu_power", "dcgm_fi_dev_power_usage"],
    ),
    (Quantity::Power, &["power", "watts", "watt", "w", "p"]),
    (
        Quantity::Energy,
        &[
            "energy",
            "joules",
            "energy_counter",
            "energy_consumption",
            "total_energy",
            "total_energy_consumption",
            "totec",
            "dcgm_fi_dev_total_energy_consumption",
        ],
    ),
    (
        Quantity::Utilization,
        &[
            "utilization_gpu",
            "gpu_utilization",
            "utilization",
            "util",
            "gputl",
            "dcgm_fi_dev_gpu_util",
        ],
    ),
    (
        Quantity::MemoryUtilization,
        &[
            "utilization_memory",
            "memory_utilization",
            "mcutl",
            "dcgm_fi_dev_mem_copy_util",
        ],
    ),
    (Quantity::MemoryUsed, &["memory_used", "fbusd", "dcgm_fi_dev_fb_used"]),
    (Quantity::MemoryTotal, &["memory_total", "dcgm_fi_dev_fb_total"]),
    (
        Quantity::Temperature,
        &[
            "temperature_gpu",
            "temperature",
            "temp",
            "gpu_temp",
            "tmptr",
            "dcgm_fi_dev_gpu_temp",
        ],
    ),
    (
        Quantity::SmClock,
        &[
            "clocks_sm",
            "clocks_current_sm",
            "clock_sm",
            "sm_clock",
            "smclk",
            "dcgm_fi_dev_sm_clock",
        ],
    ),
    (
        Quantity::MemoryClock,
        &[
            "clocks_mem",
            "clocks_current_memory",
            "clock_mem",
            "memory_clock",
            "mmclk",
            "dcgm_fi_dev_mem_clock",
        ],
    ),
    (
        Quantity::PowerLimit,
        &[
            "enforced_power_limit",
            "power_limit",
            "dcgm_fi_dev_enforced_power_limit",
            "dcgm_fi_dev_power_mgmt_limit",
        ],
    ),
];

/// Units that the tool leaves out of the header.
const OWN_UNITS: &[(&str, &str)] = &[
    ("seconds", "s"),
    ("milliseconds", "ms"),
    ("joules", "j"),
    ("totec", "mj"),
    ("dcgm_fi_dev_total_energy_consumption", "mj"),
    ("fbusd", "mib"),
    ("dcgm_fi_dev_fb_used", "mib"),
    ("dcgm_fi_dev_fb_total", "mib"),
];

/// Units that may stand behind the last underscore.
const SUFFIXES: [&str; 20] = [
    "s", "ms", "us", "ns", "w", "mw", "kw", "watts", "j", "mj", "uj", "wh", "kwh", "pct", "percent", "c", "mhz", "mib",
    "gib", "bytes",
];

/// What this header means.
pub fn meaning(header: &str) -> Option<Meaning> {
    let header = header.trim().to_ascii_lowercase();
    let (name, bracketed) = match header.split_once('[') {
        Some((name, rest)) => (name.trim(), Some(rest.trim_end_matches(']').trim().to_owned())),
        None => (header.as_str(), None),
    };
    let name: String = name
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '_' })
        .collect();
    let name = name.trim_matches('_');
    let own = || {
        OWN_UNITS
            .iter()
            .find(|(n, _)| *n == name)
            .map(|(_, unit)| (*unit).to_owned())
    };
    if let Some(quantity) = quantity(name) {
        return Some(Meaning {
            quantity,
            unit: bracketed.filter(|unit| !unit.is_empty()).or_else(own),
        });
    }
    let (stem, suffix) = name.rsplit_once('_')?;
    let quantity = quantity(stem).filter(|_| SUFFIXES.contains(&suffix))?;
    Some(Meaning {
        quantity,
        unit: Some(suffix.to_owned()),
    })
}

fn quantity(name: &str) -> Option<Quantity> {
    NAMES
        .iter()
        .find(|(_, names)| names.contains(&name))
        .map(|(quantity, _)| *quantity)
}

/// Nanoseconds in a unit of time.
pub fn time_unit_ns(unit: &str) -> Option<i64> {
    match unit {
        "s" | "sec" | "seconds" => Some(1_000_000_000),
        "ms" => Some(1_000_000),
        "us" => Some(1_000),
        "ns" => Some(1),
        _ => None,
    }
}

/// What turns a figure of this unit into the unit of the recording (watts, joules, percent, bytes, degrees, megahertz).
/// `None`: this quantity has no such unit.
pub fn factor(quantity: Quantity, unit: &str) -> Option<f64> {
    use Quantity as Q;
    let unit = unit.to_ascii_lowercase();
    let scale = match quantity {
        Q::PowerInstant | Q::PowerDraw | Q::PowerAverage | Q::Power | Q::PowerLimit => match unit.as_str() {
            "w" | "watt" | "watts" => 1.0,
            "mw" => 1e-3,
            "kw" => 1e3,
            _ => return None,
        },
        Q::Energy => match unit.as_str() {
            "j" | "joules" => 1.0,
            "mj" => 1e-3,
            "uj" | "µj" => 1e-6,
            "wh" => 3600.0,
            "kwh" => 3.6e6,
            _ => return None,
        },
        Q::Utilization | Q::MemoryUtilization => match unit.as_str() {
            "%" | "pct" | "percent" => 1.0,
            _ => return None,
        },
        Q::MemoryUsed | Q::MemoryTotal => match unit.as_str() {
            "b" | "bytes" => 1.0,
            "kib" => 1024.0,
            // DCGM and older nvidia-smi write MB and mean MiB.
            "mib" | "mb" => 1_048_576.0,
            "gib" | "gb" => 1_073_741_824.0,
            _ => return None,
        },
        Q::Temperature => match unit.as_str() {
            "c" | "°c" | "degc" => 1.0,
            _ => return None,
        },
        Q::SmClock | Q::MemoryClock => match unit.as_str() {
            "mhz" => 1.0,
            "ghz" => 1e3,
            "hz" => 1e-6,
            _ => return None,
        },
        Q::Time | Q::Host | Q::Index | Q::Uuid | Q::BusId | Q::Name => return None,
    };
    Some(scale)
}

/// The unit that a tool means that writes none (nvidia-smi with `nounits`). Energy has none: a factor of 1000 is not guessed.
pub const fn usual_unit(quantity: Quantity) -> Option<&'static str> {
    use Quantity as Q;
    match quantity {
        Q::PowerInstant | Q::PowerDraw | Q::PowerAverage | Q::Power | Q::PowerLimit => Some("w"),
        Q::Utilization | Q::MemoryUtilization => Some("%"),
        Q::MemoryUsed | Q::MemoryTotal => Some("mib"),
        Q::Temperature => Some("c"),
        Q::SmClock | Q::MemoryClock => Some("mhz"),
        Q::Energy | Q::Time | Q::Host | Q::Index | Q::Uuid | Q::BusId | Q::Name => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_of_nvidia_smi_dcgm_and_people() {
        let of = |header: &str| meaning(header).map(|m| (m.quantity, m.unit));
        let unit = |text: &str| Some(text.to_owned());
        assert_eq!(of("power.draw.instant [W]"), Some((Quantity::PowerInstant, unit("w"))));
        assert_eq!(of(" power.draw [W]"), Some((Quantity::PowerDraw, unit("w"))));
        assert_eq!(of("power_draw_instant_w"), Some((Quantity::PowerInstant, unit("w"))));
        assert_eq!(of("utilization.gpu [%]"), Some((Quantity::Utilization, unit("%"))));
        assert_eq!(of("clocks.current.sm [MHz]"), Some((Quantity::SmClock, unit("mhz"))));
        assert_eq!(
            of("DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION"),
            Some((Quantity::Energy, unit("mj")))
        );
        assert_eq!(of("TOTEC [mJ]"), Some((Quantity::Energy, unit("mj"))));
        assert_eq!(of("t_ms"), Some((Quantity::Time, unit("ms"))));
        assert_eq!(of("timestamp"), Some((Quantity::Time, None)));
        assert_eq!(of("energy_uj"), Some((Quantity::Energy, unit("uj"))));
        assert_eq!(of("watts"), Some((Quantity::Power, None)));
        assert_eq!(of("pci.bus_id"), Some((Quantity::BusId, None)));
        assert_eq!(of("Hostname"), Some((Quantity::Host, None)));
        assert_eq!(of("pstate"), None);
        assert_eq!(of("power_furlongs"), None);
    }

    #[test]
    fn a_unit_of_another_quantity_is_none() {
        assert_eq!(factor(Quantity::PowerDraw, "mW"), Some(1e-3));
        assert_eq!(factor(Quantity::Energy, "W"), None);
        assert_eq!(usual_unit(Quantity::Energy), None);
        assert_eq!(time_unit_ns("us"), Some(1000));
    }
}
