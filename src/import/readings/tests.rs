//! Logs as tools write them, and what is made of each.

use std::path::Path;

use super::*;
use crate::import::table;

fn read_told(text: &str, told: Told) -> Result<Log, ImportError> {
    let path = Path::new("log.csv");
    read(&table::cut(text, path, None)?, path, told)
}

fn log(text: &str) -> Log {
    read_told(text, Told::default()).unwrap_or_else(|error| panic!("{error}"))
}

fn refused(text: &str) -> String {
    read_told(text, Told::default()).map_or_else(|error| error.to_string(), |_| "no error".to_owned())
}

const TWO_GPUS: &str = "\
timestamp, index, uuid, name, power.draw [W], power.draw.instant [W], utilization.gpu [%], memory.used [MiB], power.limit [W]
2023/03/12 14:05:06.100, 1, GPU-b, NVIDIA A100-SXM4-80GB, 90.00 W, 95.50 W, 12 %, 1024 MiB, 400.00 W
2023/03/12 14:05:06.101, 0, GPU-a, NVIDIA A100-SXM4-80GB, 80.00 W, [N/A], 0 %, 512 MiB, 400.00 W
timestamp, index, uuid, name, power.draw [W], power.draw.instant [W], utilization.gpu [%], memory.used [MiB], power.limit [W]
2023/03/12 14:05:06.200, 1, GPU-b, NVIDIA A100-SXM4-80GB, 91.00 W, 96.50 W, 13 %, 1024 MiB, 400.00 W
2023/03/12 14:05:06.201, 0, GPU-a, NVIDIA A100-SXM4-80GB, 81.00 W, [N/A], [N/A], 512 MiB, 400.00 W
";

#[test]
fn gpus_of_an_nvidia_smi_log_are_told_apart_and_ordered() {
    let log = log(TWO_GPUS);
    let [a, b] = log.devices.as_slice() else {
        panic!("two GPUs")
    };
    assert_eq!((a.index, a.uuid.as_deref()), (Some(0), Some("GPU-a")));
    // Where the instant column never holds a figure, the next best one stands in.
    assert_eq!(a.power, Some(Quantity::PowerDraw));
    assert_eq!(a.streams.power.watts, [80.0, 81.0]);
    assert_eq!(b.power, Some(Quantity::PowerInstant));
    assert_eq!(b.streams.power.watts, [95.5, 96.5]);
    assert_eq!(b.streams.state.memory_used_bytes, [Some(1 << 30), Some(1 << 30)]);
    assert!(a.streams.state.utilization_pct[1].is_nan(), "not given is not 0");
    assert_eq!(b.power_limit_watts, Some(400.0));
    assert_eq!(log.interval_ns, 100_000_000);
    assert_eq!(log.frame.axis, Axis::Clock { utc: false });
    assert_eq!(
        b.streams.power.times.half_width_ns,
        [500_000, 500_000],
        "half of the stamps' millisecond"
    );
}

#[test]
fn a_log_without_units_is_the_same_log() {
    let bare: String = TWO_GPUS
        .replace(" [W]", "")
        .replace(" [%]", "")
        .replace(" [MiB]", "")
        .replace(" W,", ",")
        .replace(" %,", ",")
        .replace(" MiB,", ",")
        .replace(" W\n", "\n");
    // Missing figures are NaN, which equals nothing.
    assert_eq!(format!("{:?}", log(&bare)), format!("{:?}", log(TWO_GPUS)));
}

#[test]
fn a_zone_that_is_told_makes_the_times_known() {
    let told = Told {
        offset_s: Some(3600),
        ..Told::default()
    };
    let known = read_told(TWO_GPUS, told).expect("a log");
    assert_eq!(known.frame.first, log(TWO_GPUS).frame.first - 3_600_000_000_000);
    assert!(known.frame.realtime_ns(known.frame.first).is_some());
}

#[test]
fn plain_tables_have_power_a_counter_or_both() {
    let plain = log("t_ms,watts,energy_mj\n-10.5,100,5000\n0.25,110,5010\n");
    let device = &plain.devices[0];
    assert_eq!(plain.frame.first, -10_500_000);
    assert_eq!(device.streams.power.counter, [Some(5000), Some(5010)]);
    assert_eq!(device.columns.counter.map(|c| c.joules), Some(1e-3));
    let seconds = log("t_s,energy_j\n0,1.5\n0.1,2.25\n");
    assert_eq!(seconds.devices[0].columns.counter.map(|c| c.joules), Some(1e-3));
    assert!(!seconds.devices[0].columns.watts);
    let fine = log("t_s,energy_uj\n0,1\n0.1,12\n");
    assert_eq!(fine.devices[0].streams.power.counter, [Some(1), Some(12)]);
    assert_eq!(fine.devices[0].columns.counter.map(|c| c.joules), Some(1e-6));
}

#[test]
fn dcgm_as_text_and_as_the_exporter_names_its_fields() {
    let dmon = "#Entity   POWER   TOTEC   GPUTL\nID        W       mJ      %\nGPU 0     62.5    1000    5\nGPU 1     N/A     2000    6\nGPU 0     63.5    1100    7\nGPU 1     70.1    2100    8\n";
    assert!(refused(dmon).contains("--every"), "{}", refused(dmon));
    let told = Told {
        every: Some(Duration::from_millis(100)),
        ..Told::default()
    };
    let spaced = read_told(dmon, told).expect("a log");
    assert_eq!(spaced.devices.len(), 2);
    assert_eq!(
        spaced.devices[1].streams.power.times.t[1],
        Timestamp::from_nanos(100_000_000)
    );
    assert_eq!(spaced.devices[0].streams.power.counter, [Some(1000), Some(1100)]);
    assert!(spaced.warnings[0].contains("no times"), "{:?}", spaced.warnings);
    let exporter = log(
        "timestamp,gpu,UUID,modelName,DCGM_FI_DEV_POWER_USAGE,DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION\n\
         1777708107135,0,GPU-a,NVIDIA H100 80GB HBM3,320.5,123456\n1777708108135,0,GPU-a,NVIDIA H100 80GB HBM3,321.5,444444\n",
    );
    assert_eq!(exporter.frame.axis, Axis::Clock { utc: true });
    assert_eq!(exporter.devices[0].power, Some(Quantity::PowerDraw));
    assert_eq!(exporter.interval_ns, 1_000_000_000);
}

#[test]
fn mistakes_name_file_line_column_and_the_fix() {
    let cases = [
        refused("a,b\n1,2\n"),
        refused("watts\n1\n"),
        refused("t_ms,watts\n0,100\n10,many\n"),
        refused("t_ms,watts\n0,100\nlater,100\n"),
        refused("t_ms,watts\n20,100\n10,100\n"),
        refused("t_ms,energy\n0,100\n"),
        refused("t_ms,watts\n0,100 BTU\n"),
        refused("time,watts\n12,100\n"),
        refused("t_ms,watts\n0,100,7\n1,100\n"),
        refused("t_ms,watts\n"),
        refused(""),
    ];
    insta::assert_snapshot!(cases.join("\n---\n"));
}
