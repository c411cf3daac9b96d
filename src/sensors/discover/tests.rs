//! What is found on machines made of files, and what is said of the rest.

use std::collections::BTreeSet;
use std::fs;

use super::*;
use crate::model::device::Source;

/// A machine made of files, with one RAPL package if asked, and an NVIDIA card if asked. Its NVML library does not exist.
fn machine(rapl: bool, card: bool) -> (tempfile::TempDir, Request) {
    let root = tempfile::tempdir().expect("a scratch folder");
    let write = |path: &str, text: &str| {
        let path = root.path().join(path);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::write(path, text).expect("a file");
    };
    write(
        "proc/cpuinfo",
        "processor : 0\nmodel name : AMD EPYC 7763 64-Core Processor\n",
    );
    write("proc/stat", "cpu 1 1 1 1 1 1 1 1\n");
    if rapl {
        write("sys/class/powercap/intel-rapl:0/name", "package-0\n");
        write("sys/class/powercap/intel-rapl:0/energy_uj", "5\n");
    }
    if card {
        write("sys/bus/pci/devices/0000:01:00.0/vendor", "0x10de\n");
        write("sys/bus/pci/devices/0000:01:00.0/class", "0x030200\n");
    }
    let request = Request {
        sysfs: root.path().join("sys"),
        procfs: root.path().join("proc"),
        nvml_library: Some(root.path().join("no-such-libnvidia-ml.so.1")),
        ..Request::default()
    };
    (root, request)
}

fn sources(found: &Discovery) -> Vec<(String, Source)> {
    let devices = found.sensors.iter().map(|s| s.device());
    devices.map(|d| (d.id.0.clone(), d.source)).collect()
}

#[test]
fn a_cpu_is_measured_or_estimated_never_both() {
    let (_root, request) = machine(true, false);
    assert_eq!(sources(&discover(&request)), [("cpu0".to_owned(), Source::Rapl)]);
    let (_root, request) = machine(false, false);
    let found = discover(&request);
    assert_eq!(sources(&found), [("cpu0".to_owned(), Source::Estimate)]);
    assert!(
        found
            .findings
            .iter()
            .any(|f| f.family == Family::Estimate && f.detail.contains("280 W, 128 threads"))
    );
}

#[test]
fn a_processor_with_sgx_is_told_of() {
    let (root, request) = machine(true, false);
    let told = |found: &Discovery| found.findings.iter().any(|f| f.detail.contains("SGX"));
    assert!(!told(&discover(&request)));
    let cpuinfo = "processor : 0\nmodel name : Intel(R) Xeon(R)\nflags\t\t: fpu sgx sgx_lc\n";
    fs::write(root.path().join("proc/cpuinfo"), cpuinfo).expect("a file");
    assert!(told(&discover(&request)));
}

#[test]
fn gpus_that_were_asked_for_on_a_machine_without_any_are_worth_a_warning() {
    let found = Discovery {
        sensors: Vec::new(),
        findings: vec![Finding::new(Family::Nvml, Status::Absent, "no libnvidia-ml.so.1 found")],
        simulated: None,
    };
    let told = |gpus: GpuSelection| {
        let request = Request {
            gpus,
            ..Request::default()
        };
        none_of_those_asked_for(&request, &found).is_some_and(|finding| finding.is_warning())
    };
    assert!(told(GpuSelection::Listed(vec!["0".into()])));
    assert!(!told(GpuSelection::Listed(Vec::new())));
    assert!(!told(GpuSelection::All));
    assert!(!told(GpuSelection::Visible("0".into())));
}

#[test]
fn simulated_gpus_take_the_place_of_real_ones() {
    let (_root, mut request) = machine(true, true);
    request.simulate = Some("a100x2".parse().expect("a profile"));
    let found = discover(&request);
    assert!(found.simulated.is_some());
    let expected = [
        ("gpu0", Source::Simulated),
        ("gpu1", Source::Simulated),
        ("cpu0", Source::Rapl),
    ];
    assert_eq!(sources(&found), expected.map(|(id, source)| (id.to_owned(), source)));
    assert!(found.findings[0].detail.contains("SIMULATED"));
}

#[test]
fn simulated_gpus_are_chosen_as_real_ones_are() {
    let (_root, mut request) = machine(true, false);
    request.simulate = Some("a100x3".parse().expect("a profile"));
    let chosen = |list: &str| {
        let request = Request {
            gpus: GpuSelection::Listed(list.split_terminator(',').map(str::to_owned).collect()),
            ..request.clone()
        };
        let found = discover(&request);
        let gpus = found.sensors.iter().filter(|s| s.device().kind == DeviceKind::Gpu);
        let gpus: Vec<String> = gpus
            .map(|s| format!("{} as {}", s.device().id.0, s.device().properties["cuda_ordinal"]))
            .collect();
        let told = found
            .findings
            .iter()
            .filter(|f| f.is_warning())
            .map(ToString::to_string);
        (gpus.join(", "), told.collect::<Vec<_>>().join("\n"))
    };
    let quietly = |gpus: &str| (gpus.to_owned(), String::new());
    assert_eq!(chosen("1"), quietly("gpu1 as 0"));
    assert_eq!(chosen("2,0"), quietly("gpu2 as 0, gpu0 as 1"));
    assert_eq!(chosen("GPU-51000000-6131-3030-0000-000000000001"), quietly("gpu1 as 0"));
    assert_eq!(chosen(""), quietly(""));
    let (gpus, told) = chosen("7,1");
    assert_eq!(gpus, "gpu1 as 0");
    insta::assert_snapshot!(told, @r"
    simulated GPUs: no GPU `7` in `a100x3`
    hint: `--gpus` takes indices 0 to 2, or UUIDs
    ");
    // The variable speaks of real GPUs.
    request.gpus = GpuSelection::Visible("7".into());
    assert_eq!(discover(&request).sensors.len(), 4);
}

#[test]
fn a_machine_without_proc_says_what_helps() {
    let (root, request) = machine(false, false);
    fs::remove_dir_all(root.path().join("proc")).expect("removed");
    let found = discover(&request);
    let estimate = found.findings.iter().find(|f| f.family == Family::Estimate);
    let estimate = estimate.expect("looked for");
    assert!(!estimate.detail.contains('\n'), "{}", estimate.detail);
    assert_eq!(estimate.hint.as_deref(), Some("is /proc mounted?"));
}

#[test]
fn every_family_is_accounted_for_and_ids_are_unique() {
    let (_root, request) = machine(false, true);
    let found = discover(&request);
    for family in [Family::Nvml, Family::Rapl, Family::Hwmon, Family::Estimate] {
        assert!(found.findings.iter().any(|f| f.family == family), "{family:?}");
    }
    let ids: BTreeSet<_> = sources(&found).into_iter().collect();
    assert_eq!(ids.len(), found.sensors.len());
}

#[test]
fn a_missing_library_matters_where_there_is_a_card() {
    let missing = OpenError::NotFound("libnvidia-ml.so.1".into());
    assert_eq!(no_library(&missing, false).status, Status::Absent);
    assert!(no_library(&missing, true).is_warning());
    assert!(
        no_library(&OpenError::VersionMismatch, false).is_warning(),
        "whoever has a library has a card"
    );
    let (root, _) = machine(false, true);
    assert!(has_nvidia_card(&root.path().join("sys")));
    let (root, _) = machine(false, false);
    assert!(!has_nvidia_card(&root.path().join("sys")));
}

#[test]
fn a_named_library_that_does_not_load_is_a_warning_with_a_fix() {
    let (_root, request) = machine(false, false);
    let found = discover(&request);
    let nvml = found
        .findings
        .iter()
        .find(|f| f.family == Family::Nvml)
        .expect("looked for");
    assert!(nvml.is_warning() && nvml.hint.is_some(), "{nvml}");
}
