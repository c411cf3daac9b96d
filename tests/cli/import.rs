//! Logs of other programs, imported and read by every command.

use serde_json::Value;

use crate::support::{Place, checkout, number, phase, stderr, stdout};

/// The numbers of a CSV file, header left out; `None` where there is no such file.
fn fixture(name: &str) -> Option<Vec<Vec<f64>>> {
    let text = std::fs::read_to_string(checkout("../shared/fixtures/oxford-a100").join(name)).ok()?;
    let row = |line: &str| {
        line.split(',')
            .map(|cell| cell.trim().parse().ok())
            .collect::<Option<Vec<f64>>>()
    };
    Some(text.lines().skip(1).filter_map(row).collect())
}

/// The meter's energy between two times (ms), joules.
fn metered(meter: &[Vec<f64>], from: f64, to: f64) -> f64 {
    let piece = |pair: &[Vec<f64>]| {
        let (start, end) = (pair[0][0].max(from), pair[1][0].min(to));
        if end > start {
            0.5 * (pair[0][1] + pair[1][1]) * (end - start) * 1e-3
        } else {
            0.0
        }
    };
    meter.windows(2).map(piece).sum()
}

/// An energy against its truth: within a share of it, and inside its interval.
fn holds(what: &str, energy: &Value, truth: f64, within: f64) {
    let joules = number(&energy["joules"]);
    let (u95, scale) = (number(&energy["u95_joules"]), number(&energy["u95_scale_joules"]));
    let off = joules / truth - 1.0;
    println!(
        "{what}: {joules:.1} J, meter {truth:.1} J ({:+.2} %), u95 {u95:.1}, scale {scale:.1}",
        100.0 * off
    );
    assert!(off.abs() < within, "{what}: {joules} J against {truth} J");
    assert!(
        (joules - truth).abs() < u95 + scale,
        "{what}: {joules} ± {u95} ± {scale} does not hold {truth}"
    );
}

#[test]
fn a_published_a100_log_agrees_with_its_external_meter() {
    let (Some(edges), Some(meter)) = (fixture("edges.csv"), fixture("meter.csv")) else {
        eprintln!("skipped: no ../shared/fixtures/oxford-a100 beside this checkout");
        return;
    };
    let place = Place::new();
    let readings = checkout("../shared/fixtures/oxford-a100/readings.csv")
        .display()
        .to_string();
    let edges: Vec<f64> = edges.iter().map(|row| row[0]).collect();
    let (first, last) = (edges[0], edges[edges.len() - 1]);
    let mut phases = format!("name,start_ms,end_ms,samples\nload,{first},{last},\n");
    let mut truth = [0.0; 2];
    for (i, pair) in edges.windows(2).enumerate() {
        phases += &format!("load/{},{},{},1\n", ["high", "low"][i % 2], pair[0], pair[1]);
        truth[i % 2] += metered(&meter, pair[0], pair[1]);
    }
    place.write("phases.csv", &phases);
    let import = |output: &str, more: &[&str]| {
        let all = [
            "import",
            "--readings",
            &readings,
            "-o",
            output,
            "--gpu-name",
            "NVIDIA A100-PCIE-40GB",
            "--power-limit",
            "250",
        ];
        let done = place
            .powerprof(all.iter().chain(more))
            .output()
            .expect("powerprof runs");
        assert!(done.status.success(), "{}", stderr(&done));
    };
    let board = ["--gain", "0.953951", "--offset", "-1.1766"];
    import("run.h5", &[&["--phases", "phases.csv"], &board[..]].concat());
    let report = place.report();
    assert_eq!(report["devices"][0]["source"], "imported");
    assert_eq!(report["run"]["complete"], true);
    assert!(report["run"]["exit_code"].is_null(), "nobody knows how it ended");
    holds("high", &phase(&report, "load/high")["energy"], truth[0], 0.03);
    holds("low", &phase(&report, "load/low")["energy"], truth[1], 0.06);
    holds("total", &phase(&report, "load")["energy"], truth[0] + truth[1], 0.01);
    assert_eq!(phase(&report, "load/high")["samples"], (edges.len() / 2) as u64);
    // A list of edges whose names take turns, cut to the load, is the same run; uncalibrated, the sensor's tolerance holds the truth.
    let edges_file = checkout("../shared/fixtures/oxford-a100/edges.csv")
        .display()
        .to_string();
    let (from, to) = (format!("{first}"), format!("{last}"));
    import(
        "plain.h5",
        &[
            "--phases",
            &edges_file,
            "--phase-names",
            "high,low",
            "--from",
            &from,
            "--to",
            &to,
        ],
    );
    let plain = place.report_of("plain.h5");
    holds("high, not calibrated", &phase(&plain, "high")["energy"], truth[0], 0.1);
    holds("low, not calibrated", &phase(&plain, "low")["energy"], truth[1], 0.15);
    holds(
        "total, not calibrated",
        &plain["total"]["energy"],
        truth[0] + truth[1],
        0.1,
    );
}

const LOG: &str = "\
timestamp, index, uuid, name, power.draw.instant [W], utilization.gpu [%], memory.used [MiB], temperature.gpu, clocks.current.sm [MHz]
";

/// Two GPUs for ten seconds: 100 W and 300 W, with ripples so that updates are seen.
fn two_gpus() -> String {
    let mut log = LOG.to_owned();
    for i in 0..500 {
        let ms = i * 20;
        let ripple = f64::from(i / 5 % 7) * 0.3;
        for (gpu, watts) in [(0, 100.0), (1, 300.0)] {
            log += &format!(
                "2024/05/01 12:00:{:02}.{:03}, {gpu}, GPU-0000000{gpu}, NVIDIA A100-SXM4-80GB, {:.2} W, 90 %, 1024 MiB, 45, 1410 MHz\n",
                ms / 1000,
                ms % 1000,
                watts + ripple
            );
        }
    }
    log
}

#[test]
fn every_command_reads_an_imported_recording() {
    let place = Place::new();
    place.write("log.csv", &two_gpus());
    place.write(
        "phases.csv",
        "name,start_ms,end_ms,samples\ntrain/step,1000,4000,8\ntrain/step,4000,7000,8\ninfer,7500,9500,4\n",
    );
    place.write("powerprof.toml", "[calibration.GPU-00000001]\ngain = 0.5\n");
    let import = |output: &str, more: &[&str]| {
        let all = [
            "import",
            "--readings",
            "log.csv",
            "--phases",
            "phases.csv",
            "-o",
            output,
        ];
        place
            .powerprof(all.iter().chain(more))
            .output()
            .expect("powerprof runs")
    };
    let done = import("run.h5", &["--label", "site=lab"]);
    assert!(done.status.success(), "{}", stderr(&done));
    let report = place.report();
    let steps = phase(&report, "train/step");
    assert_eq!((&steps["count"], &steps["samples"]), (&2.into(), &16.into()));
    assert!((number(&steps["wall_s"]) - 6.0).abs() < 1e-6, "{steps}");
    // 100 W, and 300 W of a board whose reading is half of the truth.
    assert!(
        (number(&steps["energy"]["joules"]) / (6.0 * 700.0) - 1.0).abs() < 0.03,
        "{steps}"
    );
    let window = number(&report["devices"][0]["window_ms"]);
    assert!(
        (window - 25.0).abs() < 0.5,
        "the table's window of this board, as for a live GPU: {window}"
    );
    assert!(report["run"]["started_at"].is_null(), "a local clock of no known zone");
    let again = import("run.h5", &[]);
    assert_eq!(again.status.code(), Some(1), "nothing is overwritten unasked");
    let utc = import("utc.h5", &["--utc-offset", "+02:00"]);
    assert!(utc.status.success(), "{}", stderr(&utc));
    assert_eq!(place.report_of("utc.h5")["run"]["started_at"], "2024-05-01T10:00:00Z");
    let commands: [&[&str]; 9] = [
        &["report", "run.h5"],
        &["report", "run.h5", "--format", "md"],
        &["report", "run.h5", "--format", "csv"],
        &["report", "run.h5", "--format", "html"],
        &["plot", "run.h5", "-o", "plot.svg"],
        &["export", "run.h5", "--to", "csv"],
        &["export", "run.h5", "--to", "perfetto"],
        &["export", "run.h5", "--to", "parquet", "-o", "run.parquet"],
        &["compare", "run.h5", "utc.h5"],
    ];
    for command in commands {
        let output = place.powerprof(command).output().expect("powerprof runs");
        assert!(output.status.success(), "{command:?}: {}", stderr(&output));
    }
    let recovered = place
        .powerprof(["recover", "run.h5", "-o", "copy.h5"])
        .output()
        .expect("powerprof runs");
    assert!(recovered.status.success(), "{}", stderr(&recovered));
    let copy = place.report_of("copy.h5");
    assert_eq!(copy["phases"], report["phases"]);
    assert!(copy["run"]["exit_code"].is_null(), "a copy of an import is one");
    let text = stdout(&place.powerprof(["report", "run.h5"]).output().expect("powerprof runs"));
    assert!(text.contains("imported") && text.contains("train"), "{text}");
}

#[test]
fn plain_tables_and_dcgm_text_are_imported_too() {
    let place = Place::new();
    let mut plain = "t_s;energy_j\n".to_owned();
    let mut dmon = "#Entity   POWER   TOTEC\nID        W       mJ\n".to_owned();
    for i in 0..400 {
        plain += &format!(
            "{};{}\n",
            format!("{:.2}", f64::from(i) * 0.02).replace('.', ","),
            f64::from(i) * 2.5
        );
        dmon += &format!(
            "GPU 0     {:.1}    {}\n",
            125.0 + f64::from(i % 3),
            1_000_000 + i * 2500
        );
    }
    place.write("plain.csv", &plain);
    place.write("dmon.txt", &dmon);
    for (log, more) in [
        ("plain.csv", &["--kind", "cpu"][..]),
        ("dmon.txt", &["--every", "20ms"][..]),
    ] {
        let all = ["import", "--force", "--readings", log, "-o", "run.h5"];
        let done = place
            .powerprof(all.iter().chain(more))
            .output()
            .expect("powerprof runs");
        assert!(done.status.success(), "{log}: {}", stderr(&done));
        let report = place.report();
        let energy = &report["total"]["energy"];
        assert_eq!(energy["method"], "counter", "{log}");
        assert!(
            (number(&energy["joules"]) / (125.0 * 399.0 * 0.02) - 1.0).abs() < 0.01,
            "{log}: {energy}"
        );
    }
    assert!(place.report()["warnings"].to_string().contains("no times"));
}

#[test]
fn mistakes_name_the_place_and_the_fix() {
    let place = Place::new();
    place.write("log.csv", "t_ms,watts\n0,100\n10,many\n");
    place.write("good.csv", "t_ms,watts\n0,100\n10,101\n20,102\n");
    place.write("phases.csv", "name,start_ms,end_ms\na,0,15\nb,10,20\n");
    let failed = |arguments: &[&str]| {
        let output = place
            .powerprof(["import", "-o", "run.h5"].iter().chain(arguments))
            .output()
            .expect("powerprof runs");
        assert!(
            !output.status.success() && !place.file("run.h5").exists(),
            "{arguments:?}"
        );
        format!(
            "{} [{}]",
            stderr(&output).trim_end(),
            output.status.code().unwrap_or(-1)
        )
    };
    let all = [
        failed(&["--readings", "nowhere.csv"]),
        failed(&["--readings", "log.csv"]),
        failed(&["--readings", "good.csv", "--phases", "phases.csv"]),
        failed(&["--readings", "good.csv", "--from", "30"]),
        failed(&["--readings", "good.csv", "--gain", "95"]),
        failed(&["--readings", "good.csv", "--kind", "toaster"]),
        failed(&["--readings", "good.csv", "--utc-offset", "CET"]),
    ];
    insta::assert_snapshot!(all.join("\n---\n"));
}
