//! A recording of which some bytes are wrong: figures that do not depend on them stand, and the rest is unknown and said.

use std::fs;

use crate::support::{Place, number, stderr, stdout};

/// A log of two GPUs at 100 and 200 W for 40 s.
fn imported(place: &Place) {
    let mut log = "t_s,index,uuid,watts\n".to_owned();
    for i in 0..=400 {
        for (gpu, watts) in [(0, 100 + i % 7), (1, 200 + i % 5)] {
            log += &format!("{:.1},{gpu},GPU-{gpu},{watts}\n", f64::from(i) * 0.1);
        }
    }
    place.write("log.csv", &log);
    let import = ["import", "--readings", "log.csv", "-o", "run.h5"];
    let output = place.powerprof(import).output().expect("powerprof runs");
    assert!(output.status.success(), "{}", stderr(&output));
}

/// Overwrite the rows of a column.
fn damage(place: &Place, column: &str) {
    let path = place.file("run.h5");
    let block = {
        let file = hdf5::File::open(&path).expect("a recording");
        file.dataset(column).expect("a column").chunk_info(0).expect("rows")
    };
    let mut bytes = fs::read(&path).expect("a recording");
    bytes[block.addr as usize..][..block.size as usize].fill(0x5a);
    fs::write(&path, bytes).expect("a recording");
}

#[test]
fn a_column_that_cannot_be_read_is_said_and_the_other_device_is_reported() {
    let place = Place::new();
    imported(&place);
    let before = place.report();
    damage(&place, "gpu/0/power/watts");
    let after = place.report();
    let joules = |report: &serde_json::Value, gpu: usize| report["devices"][gpu]["energy"]["joules"].clone();
    assert!(joules(&before, 0).is_number() && joules(&after, 0).is_null());
    assert_eq!(joules(&before, 1), joules(&after, 1));
    assert!(number(&joules(&after, 1)) > 7000.0);
    let checks = after["checks"].as_array().expect("checks");
    let check = checks
        .iter()
        .find(|check| check["name"] == "readable:gpu0")
        .expect("its check");
    assert_eq!(check["status"], "warn");
    let warnings = after["warnings"].as_array().expect("warnings");
    assert!(warnings.contains(&check["detail"]), "{warnings:?}");
    insta::assert_snapshot!(check["detail"].as_str().expect("a sentence"));

    let text = place.powerprof(["report", "run.h5"]).output().expect("powerprof runs");
    assert!(stdout(&text).contains("run.h5 is damaged"), "{}", stdout(&text));
    let export = ["export", "run.h5", "--to", "csv", "-o", "out.csv"];
    let export = place.powerprof(export).output().expect("powerprof runs");
    assert!(
        export.status.success() && stderr(&export).contains("warning: run.h5 is damaged"),
        "{}",
        stderr(&export)
    );
}
