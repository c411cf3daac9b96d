//! What a device told of itself while it was recorded: told with the check of its coverage, for it is why readings are missing.
//!
//! Events bear the name that the device had on its node; where several nodes are put together its id has the node's in front.

use crate::model::analysis::{Check, CheckStatus};
use crate::model::device::Device;
use crate::model::recording::{DeviceStreams, Recording};
use crate::model::sample::{SensorEvent, SensorEventKind};
use crate::model::wording::counted;

/// Say in `checks` of this device's coverage why there are holes. A device that was lost is worth a warning however late it was.
pub fn tell(recording: &Recording, device: &Device, checks: &mut [Check]) {
    let name = format!("coverage:{}", device.id);
    let Some(check) = checks.iter_mut().find(|check| check.name == name) else {
        return;
    };
    let of_device = |event: &&SensorEvent| {
        let node = device.id.0.strip_suffix(&event.device);
        node.is_some_and(|node| node.is_empty() || node.ends_with(':'))
    };
    let told = |kind: SensorEventKind| -> Vec<&SensorEvent> {
        let of_device = recording.events.iter().filter(of_device);
        of_device.filter(|event| event.kind == kind).collect()
    };
    let (lost, gaps) = (told(SensorEventKind::Lost), told(SensorEventKind::Gap));
    if check.status == CheckStatus::Pass && !lost.is_empty() {
        check.status = CheckStatus::Warn;
    }
    if check.status == CheckStatus::Pass {
        return;
    }
    if let Some(first) = gaps.first() {
        let failures = counted(gaps.len() as u64, "gap", "gaps, the first");
        check.detail += &format!("; {failures} {}", when_and_why(recording, first));
    }
    if let Some(event) = lost.first() {
        check.detail += &format!("; lost {}", when_and_why(recording, event));
    }
}

/// What of a device's readings is in the file and cannot be read.
pub fn unreadable(device: &Device, readings: &DeviceStreams) -> Option<Check> {
    readings.unreadable.as_ref().map(|what| Check {
        name: format!("readable:{}", device.id),
        status: CheckStatus::Warn,
        // A check has one line.
        detail: what.replace("\nhint: ", ": "),
    })
}

/// `after 1.00 s: GPU is lost`.
fn when_and_why(recording: &Recording, event: &SensorEvent) -> String {
    let seconds = event.t.seconds_since(recording.run.started);
    let when = if seconds < 0.0 {
        "before the command ran".to_owned()
    } else {
        format!("after {seconds:.2} s")
    };
    format!("{when}: {}", event.detail)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::energy::laws::{gpu, recording};
    use crate::model::device::DeviceId;
    use crate::model::time::Timestamp;

    fn told(status: CheckStatus, events: &[(f64, SensorEventKind)]) -> Check {
        let mut recording = recording(vec![gpu(0)], 10_000, &[]);
        recording.events = events
            .iter()
            .map(|&(s, kind)| SensorEvent {
                t: Timestamp::from_nanos((s * 1e9) as i64),
                device: "gpu0".into(),
                kind,
                detail: format!("it was {}", kind.as_str()),
            })
            .collect();
        let mut checks = [Check {
            name: "coverage:gpu0".into(),
            status,
            detail: "as it is".into(),
        }];
        tell(&recording, &recording.devices[0], &mut checks);
        let [check] = checks;
        check
    }

    #[test]
    fn a_lost_device_is_a_warning_with_its_time_and_reason() {
        let check = told(CheckStatus::Pass, &[(1.0, SensorEventKind::Lost)]);
        assert_eq!(check.status, CheckStatus::Warn);
        assert_eq!(check.detail, "as it is; lost after 1.00 s: it was lost");
    }

    #[test]
    fn a_device_of_another_node_or_number_is_another_one() {
        let mut recording = recording(vec![gpu(0)], 10_000, &[]);
        recording.events.push(SensorEvent {
            t: Timestamp::from_nanos(1_000_000_000),
            device: "gpu0".into(),
            kind: SensorEventKind::Lost,
            detail: "gone".into(),
        });
        for (id, is_it) in [("gpu0", true), ("node17:gpu0", true), ("gpu1", false), ("igpu0", false)] {
            recording.devices[0].id = DeviceId(id.into());
            let mut checks = [Check {
                name: format!("coverage:{id}"),
                status: CheckStatus::Pass,
                detail: String::new(),
            }];
            tell(&recording, &recording.devices[0], &mut checks);
            assert_eq!(checks[0].detail.contains("gone"), is_it, "{id}");
        }
    }

    #[test]
    fn gaps_are_the_reason_of_holes_and_of_nothing_else() {
        use SensorEventKind::{Back, Gap};
        let events = [(-0.1, Gap), (0.5, Back), (2.0, Gap), (2.5, Back)];
        assert_eq!(told(CheckStatus::Pass, &events).detail, "as it is");
        let check = told(CheckStatus::Fail, &events);
        assert_eq!(check.status, CheckStatus::Fail);
        assert_eq!(
            check.detail,
            "as it is; 2 gaps, the first before the command ran: it was gap"
        );
    }
}
