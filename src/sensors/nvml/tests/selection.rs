//! Which GPUs of a machine are recorded.

use fake_nvml::config::Config;

use super::{Machine, h100};
use crate::sensors::finding::Status;
use crate::sensors::nvml::enumerate::GpuSelection;

#[test]
fn cuda_sees_the_chosen_gpus_in_its_own_order() {
    let machine = Machine::with(&Config::with(h100(), 4), &GpuSelection::Visible("2,0,9,1".into()));
    assert_eq!(machine.ids(), ["gpu2", "gpu0"]);
    assert_eq!(machine.found.sensors[0].device().properties["cuda_ordinal"], "0");
    assert!(
        machine
            .found
            .findings
            .iter()
            .any(|f| f.status == Status::Note && f.detail.contains("no GPU `9`"))
    );
}

#[test]
fn gpus_by_uuid_from_either_side() {
    let all = Machine::with(&Config::with(h100(), 3), &GpuSelection::All);
    let uuid = all.found.sensors[1].device().uuid.clone().expect("a UUID");
    for selection in [GpuSelection::Visible(uuid.clone()), GpuSelection::Listed(vec![uuid])] {
        assert_eq!(Machine::with(&Config::with(h100(), 3), &selection).ids(), ["gpu1"]);
    }
}

#[test]
fn a_gpu_that_is_not_there_is_a_warning_with_the_range() {
    let selection = GpuSelection::Listed(vec!["0".into(), "7".into()]);
    let machine = Machine::with(&Config::with(h100(), 2), &selection);
    assert_eq!(machine.ids(), ["gpu0"]);
    let warning = machine.warnings()[0].to_string();
    assert!(
        warning.contains("no GPU `7`") && warning.contains("0 to 1"),
        "{warning}"
    );
}

#[test]
fn no_visible_gpu_is_said() {
    let machine = Machine::with(&Config::with(h100(), 2), &GpuSelection::Visible(String::new()));
    assert!(machine.found.sensors.is_empty());
    assert!(
        machine
            .found
            .findings
            .iter()
            .any(|f| f.detail.contains("leaves no GPU visible"))
    );
}
