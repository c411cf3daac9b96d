//! Logs that read well and mean something else than they seem to: devices that nothing tells apart, coarse clocks, files that were cut.

use std::process::Output;

use serde_json::Value;

use crate::support::{Place, number, paths, phase, stderr};

/// Imports `log.csv` as `run.h5`.
fn import(place: &Place, log: &str, more: &[&str]) -> Output {
    place.write("log.csv", log);
    let all = ["import", "--force", "--readings", "log.csv", "-o", "run.h5"];
    place
        .powerprof(all.iter().chain(more))
        .output()
        .expect("powerprof runs")
}

/// What the recording of a log says, and what was said of it on the way.
fn reported(place: &Place, log: &str, more: &[&str]) -> (Value, String) {
    let done = import(place, log, more);
    assert!(done.status.success(), "{}", stderr(&done));
    (place.report(), stderr(&done))
}

/// Why a log was refused.
fn refused(place: &Place, log: &str, more: &[&str]) -> String {
    let done = import(place, log, more);
    assert!(!done.status.success() && !place.file("run.h5").exists());
    stderr(&done)
}

/// Two GPUs of 100 W and 300 W for 20 s, ten times a second: `device` are the cells that tell them apart.
fn two_gpus(columns: &str, device: [&str; 2], apart_ms: u32) -> String {
    let mut log = format!("timestamp,{columns}power.draw [W]\n");
    for i in 0..200_u32 {
        for (gpu, watts) in [(0, 100.0), (1, 300.0)] {
            let ripple = f64::from((7 * i + 3 * gpu) % 11) * 0.2;
            let ms = 100 * i + apart_ms * gpu;
            log += &format!(
                "2026/03/12 14:05:{:02}.{:03},{}{:.2} W\n",
                ms / 1000,
                ms % 1000,
                device[gpu as usize],
                watts + ripple
            );
        }
    }
    log
}

/// The total against its truth: within a share of it, and inside its interval.
fn holds(report: &Value, truth: f64, within: f64) {
    let energy = &report["total"]["energy"];
    let (joules, u95) = (number(&energy["joules"]), number(&energy["u95_joules"]));
    assert!((joules / truth - 1.0).abs() < within, "{joules} J for {truth} J");
    assert!((joules - truth).abs() < u95, "{joules} ± {u95} J for {truth} J");
}

#[test]
fn devices_are_told_apart_by_whatever_the_log_has() {
    let place = Place::new();
    let truth = 402.0 * 19.9;
    let logs = [
        two_gpus("index,uuid,", ["0,GPU-aaaaaaaa-1,", "0,GPU-bbbbbbbb-1,"], 3),
        two_gpus("pci.bus_id,", ["00000000:01:00.0,", "00000000:02:00.0,"], 3),
        two_gpus("hostname,index,", ["node0,0,", "node1,0,"], 0),
        two_gpus("name,", ["NVIDIA A100-SXM4-80GB,", "NVIDIA H100 80GB HBM3,"], 0),
    ];
    for log in logs {
        let (report, _) = reported(&place, &log, &[]);
        assert_eq!(report["devices"].as_array().map(Vec::len), Some(2), "{log:.80}");
        assert_eq!(report["devices"][1]["id"], "gpu1");
        holds(&report, truth, 0.01);
    }
    let one_index = two_gpus("index,uuid,", ["0,GPU-aaaaaaaa-1,", "0,GPU-bbbbbbbb-1,"], 3);
    let (_, said) = reported(&place, &one_index, &[]);
    assert!(said.contains("1 is index 0, GPU-bbbbbbbb-1"), "{said}");
}

#[test]
fn devices_that_nothing_tells_apart_are_refused() {
    let place = Place::new();
    let name = ["NVIDIA A100-SXM4-80GB,"; 2];
    let all = [
        refused(&place, &two_gpus("name,", name, 3), &[]),
        refused(&place, &two_gpus("name,", name, 0), &[]),
        refused(&place, &two_gpus("", ["", ""], 0), &[]),
        refused(&place, &two_gpus("index,", ["0,", "0,"], 3), &[]),
        // As the whole seconds of one board asked twice as often, but for their figures.
        refused(&place, &seconds(2, |i| if i % 2 == 0 { 100.0 } else { 300.0 }), &[]),
    ];
    insta::assert_snapshot!(all.join("---\n"));
}

/// So many readings in each of 60 whole seconds, with a ripple.
fn seconds(rows: u32, watts: impl Fn(u32) -> f64) -> String {
    let mut log = "timestamp,power.draw [W]\n".to_owned();
    for i in 0..60 * rows {
        let ripple = f64::from(7 * i % 11) * 0.2 - 1.0;
        log += &format!("2026-03-12 00:00:{:02},{:.2} W\n", i / rows, watts(i) + ripple);
    }
    log
}

#[test]
fn readings_that_share_a_whole_second_are_in_doubt_and_not_lost() {
    let place = Place::new();
    for rows in [2, 10] {
        let busy = |i: u32| (rows * 15..rows * 45).contains(&i);
        let log = seconds(rows, |i| if busy(i) { 300.0 } else { 100.0 });
        let (report, said) = reported(&place, &log, &[]);
        assert!(said.contains("share a stamp"), "{said}");
        holds(&report, 100.0 * (60.0 - 1.0 / f64::from(rows)) + 200.0 * 30.0, 0.02);
        let u95 = number(&report["total"]["energy"]["u95_joules"]);
        assert!(u95 > 20.0, "a clock of whole seconds leaves more than {u95} J in doubt");
    }
}

/// An energy counter and a power of 300 W, ten times a second for 20 s, as `dcgmi dmon` prints them behind a stamp.
fn dmon(stamp: impl Fn(u32) -> String) -> String {
    let lines = (0..200).map(|i| {
        let watts = 300.0 + f64::from(7 * i % 11) * 0.2 - 1.0;
        format!("{}GPU 0     {watts:.3}    {}\n", stamp(i), 1_000_000 + 30_000 * i)
    });
    let header = format!("{0}#Entity   POWER   TOTEC\n{0}ID        W       mJ\n", stamp(0));
    header + &lines.collect::<String>()
}

#[test]
fn a_last_line_that_may_have_been_cut_is_no_reading() {
    let place = Place::new();
    let mut counter = "t_ms,watts,energy_j\n".to_owned();
    for i in 0..200 {
        counter += &format!("{},{}.5,{}.25\n", 100 * i, 300 + i % 3, 5000 + 30 * i);
    }
    let (report, said) = reported(&place, &format!("{counter}20000,300.5,11"), &[]);
    assert!(said.contains("line 202: no newline ends it"), "{said}");
    let is_whole = |report: &Value| (number(&report["total"]["wall_s"]) - 19.9).abs() < 1e-6;
    assert!(is_whole(&report), "{report:#}");
    assert!(!report.to_string().contains("was reset"), "{report:#}");
    for cut in ["GPU 0     300.1    10", "GPU 0     "] {
        let log = dmon(|_| String::new()) + cut;
        let (report, said) = reported(&place, &log, &["--every", "100ms"]);
        assert!(said.contains("line 203: "), "{said}");
        assert!(is_whole(&report), "{report:#}");
    }
}

#[test]
fn stamps_before_the_lines_of_dmon_are_read_as_ts_writes_them() {
    let place = Place::new();
    type Stamp = fn(u32) -> String;
    let stamps: [Stamp; 3] = [
        |i| format!("Nov 29 20:00:{:02} ", i / 10),
        |i| format!("2026-11-29T20:00:{:02}.{}00000 ", i / 10, i % 10),
        |i| format!("2026-11-29 20:00:{:02}.{}00000 ", i / 10, i % 10),
    ];
    for stamp in stamps {
        let (report, _) = reported(&place, &dmon(stamp), &[]);
        assert_eq!(report["total"]["energy"]["method"], "counter");
        holds(&report, 300.0 * 19.9, 0.02);
    }
}

/// 60 s of 100 W, a reading a second, with these phases.
fn with_phases(place: &Place, phases: &str) -> (Value, String) {
    place.write("phases.csv", phases);
    reported(place, &steady(), &["--phases", "phases.csv"])
}

fn steady() -> String {
    let row = |i: u32| format!("{i}.0,{:.1}\n", 100.0 + f64::from(i % 3) * 0.1);
    "t_s,watts\n".to_owned() + &(0..=60).map(row).collect::<String>()
}

fn seconds_of(report: &Value, path: &str) -> f64 {
    number(&phase(report, path)["wall_s"])
}

#[test]
fn phases_may_have_a_duration_in_place_of_an_end() {
    let place = Place::new();
    let (report, _) = with_phases(&place, "name,start_ms,duration_ms\na,0,10000\nb,30000,5000\n");
    assert_eq!(paths(&report), ["a", "b"]);
    assert!((seconds_of(&report, "a") - 10.0).abs() < 1e-6, "{report:#}");
    assert!((seconds_of(&report, "b") - 5.0).abs() < 1e-6, "{report:#}");
}

#[test]
fn phases_whose_times_may_mean_something_else_are_refused() {
    let place = Place::new();
    let refused = |phases: &str| {
        place.write("phases.csv", phases);
        refused(&place, &steady(), &["--phases", "phases.csv"])
    };
    let all = [
        refused("name,start,end\na,0,10\n"),
        refused("name,start_ms,length_ms\na,0,10000\nb,30000,5000\n"),
        refused("name,start_s,duration\na,0,10\n"),
    ];
    insta::assert_snapshot!(all.join("---\n"));
}

#[test]
fn of_phases_outside_of_the_log_nothing_is_known() {
    let place = Place::new();
    let phases = "name,start_s,end_s,samples\nbefore,-20,-10,7\ninside,10,20,7\nlate,50,70,7\nafter,100,120,7\n";
    let (report, said) = with_phases(&place, phases);
    assert_eq!(paths(&report), ["inside", "late"]);
    assert!((seconds_of(&report, "late") - 10.0).abs() < 1e-6, "{report:#}");
    assert!(
        report["warnings"]
            .to_string()
            .contains("`before` (-20.000 to -10.000 s)"),
        "{report:#}"
    );
    insta::assert_snapshot!(said);
}

#[test]
fn a_list_of_edges_says_which_phase_it_does_not_end() {
    let place = Place::new();
    let (report, said) = with_phases(&place, "t_s,name\n10,a\n20,b\n40,c\n");
    assert_eq!(paths(&report), ["a", "b"]);
    assert!(said.contains("phases.csv:4: `c` begins at the last edge"), "{said}");
    let (_, said) = with_phases(&place, "t_s,name\n10,a\n20,b\n40,-\n");
    assert!(!said.contains("warning"), "{said}");
    // Whether the table is whole is not known.
    let (report, said) = with_phases(&place, "name,start_s,end_s\na,10,20\nb,20,40");
    assert_eq!(paths(&report), ["a", "b"]);
    assert!(said.contains("phases.csv:3: no newline ends the last line"), "{said}");
}
