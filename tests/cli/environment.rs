//! `POWERPROF_*`: switches in their usual spellings, an empty variable as one that is not set, and record's settings for recording alone.

use std::process::Output;

use crate::support::{Place, stderr};

/// powerprof with these variables; recordings are of a simulated GPU and of `true`.
fn with(place: &Place, variables: &[(&str, &str)], arguments: &[&str]) -> Output {
    let mut command = place.powerprof(arguments);
    command.envs(variables.iter().copied());
    command.output().expect("powerprof runs")
}

const RECORD: &[&str] = &["-o", "run.h5", "--force", "--simulate", "a100", "--", "true"];

#[test]
fn a_switch_is_turned_on_and_off_as_elsewhere() {
    let place = Place::new();
    let told = |value: &str| {
        let output = with(&place, &[("POWERPROF_QUIET", value)], RECORD);
        assert_eq!(output.status.code(), Some(0), "{value:?}: {}", stderr(&output));
        stderr(&output).contains("recorded in")
    };
    for quiet in ["1", "true", "YES"] {
        assert!(!told(quiet), "{quiet}");
    }
    for loud in ["0", "off", ""] {
        assert!(told(loud), "{loud:?}");
    }
    // It comes before the configuration file, also where it says no.
    place.write("powerprof.toml", "[record]\nquiet = true\n");
    assert!(told("0"));
    assert!(!told(""));
    let refused = with(&place, &[("POWERPROF_STRICT", "maybe")], RECORD);
    assert_eq!(refused.status.code(), Some(2));
    insta::assert_snapshot!(stderr(&refused));
}

#[test]
fn an_empty_variable_is_one_that_is_not_set() {
    let place = Place::new();
    let names = "OUTPUT INTERVAL POLLING IDLE_BASELINE GPUS STRICT CPU_TDP SIMULATE QUIET";
    let names: Vec<String> = names.split(' ').map(|name| format!("POWERPROF_{name}")).collect();
    let empty: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "")).collect();
    for arguments in [
        RECORD,
        &["record", "-o", "other.h5", "--", "true"],
        &["report", "run.h5"],
        &["doctor", "--watch", "0s"],
    ] {
        let output = with(&place, &empty, arguments);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {}", stderr(&output));
    }
}

#[test]
fn what_recording_would_refuse_is_no_concern_of_other_commands() {
    let place = Place::new();
    let bad = [("POWERPROF_INTERVAL", "often"), ("POWERPROF_CPU_TDP", "much")];
    assert_eq!(with(&place, &[], RECORD).status.code(), Some(0));
    assert_eq!(with(&place, &bad, RECORD).status.code(), Some(2));
    let report = with(&place, &bad, &["report", "run.h5"]);
    assert_eq!(report.status.code(), Some(0), "{}", stderr(&report));
    // Help still names the variables.
    let help = with(&place, &[], &["help"]);
    let help = String::from_utf8_lossy(&help.stdout).into_owned();
    assert!(
        help.contains("POWERPROF_INTERVAL") && !help.contains("[default: ]"),
        "{help}"
    );
}
