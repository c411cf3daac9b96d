//! Boards by hand, and three of them through the whole analysis.

use std::convert::Infallible;

use super::*;
use crate::energy::laws::{gpu, recording};
use crate::energy::part_time::{self, SIXTY};
use crate::energy::{Options, analyze, spans};
use crate::model::analysis::{Analysis, FoundMs, FoundStream};
use crate::model::recording::DeviceStreams;
use crate::model::sample::PowerStream;

/// A board of which `believed` is believed; its readings tell of a window, with its half-width, or of none, and of a counter.
fn board(
    n: u32,
    believed: Option<f64>,
    window: Option<(f64, f64)>,
    counter_kind: &'static str,
) -> (Device, FoundSensor) {
    let mut device = gpu(n);
    device.power_timing.window_ms = believed;
    let ms = |(value, u95): (f64, f64)| FoundMs { value, u95 };
    let power = FoundStream {
        updates: 500,
        period: ms((100.0, 0.1)),
        window: window.map(|window| (ms(window), "boxcar")),
        delay: None,
        jitter_ms: 0.0,
    };
    let found = FoundSensor {
        power: Some(power),
        counter: None,
        counter_kind,
        lag: ms((0.0, 1.0)),
        in_parts: false,
        origin: None,
    };
    (device, found)
}

fn told(boards: &[(Device, FoundSensor)]) -> Vec<Option<Told>> {
    let boards: Vec<Board<'_>> = boards
        .iter()
        .map(|(device, found)| Board {
            device,
            origin: Some(PowerOrigin::Polled),
            found: Some(found),
        })
        .collect();
    tell(&boards)
}

fn windows(boards: &[(f64, f64)], believed: Option<f64>) -> Vec<Option<f64>> {
    let all = (0..).zip(boards);
    let boards: Vec<_> = all
        .map(|(n, &(ms, u95))| board(n, believed, (ms > 0.0).then_some((ms, u95)), "unknown"))
        .collect();
    let told = told(&boards);
    told.into_iter().map(|told| told?.window_ms).collect()
}

#[test]
fn what_most_boards_were_found_with_stands_for_the_others() {
    let told = windows(&[(20.5, 0.4), (0.0, 0.0), (19.5, 0.5), (44.0, 3.0)], Some(100.0));
    assert_eq!((told[0], told[2]), (None, None), "{told:?}");
    for theirs in [told[1], told[3]] {
        assert!(theirs.is_some_and(|ms| (ms - 20.1).abs() < 0.2), "{told:?}");
    }
    assert_eq!(
        windows(&[(24.0, 0.4), (0.0, 0.0)], Some(25.0)),
        [None, None],
        "as was believed"
    );
}

#[test]
fn a_voice_alone_and_boards_that_disagree_tell_nothing() {
    assert_eq!(windows(&[(49.9, 0.4), (0.0, 0.0)], Some(25.0)), [None, None]);
    assert_eq!(windows(&[(49.9, 0.4), (0.0, 0.0)], None), [None, None]);
    assert_eq!(
        windows(&[(11.6, 0.3), (8.8, 0.3), (8.7, 0.3), (11.7, 0.3)], None),
        [None; 4]
    );
    // What is believed of such boards decides between them.
    assert_eq!(windows(&[(25.3, 0.6), (72.9, 4.4)], Some(25.0))[1], Some(25.3));
}

#[test]
fn low_passes_speak_against_a_boxcar_and_keep_what_they_are() {
    let low_pass = |board: &mut (Device, FoundSensor)| {
        let power = board.1.power.as_mut().expect("a stream");
        power.window = power.window.map(|(window, _)| (window, "low-pass"));
    };
    let found =
        |windows: [(f64, f64); 4], believed| windows.map(|window| board(0, Some(believed), Some(window), "unknown"));
    // The fourth is the odd one out, if it is a boxcar; and if the third is none, two speak against two.
    let mut boards = found([(25.2, 0.4), (24.8, 0.4), (24.9, 0.4), (31.0, 2.0)], 25.0);
    assert!(told(&boards)[3].is_some());
    low_pass(&mut boards[3]);
    assert_eq!(told(&boards)[3], None);
    let mut boards = found([(25.2, 0.4), (24.8, 0.4), (24.9, 0.4), (31.0, 0.8)], 40.0);
    assert!(told(&boards)[3].is_some());
    low_pass(&mut boards[2]);
    assert_eq!(told(&boards)[3], None);
}

#[test]
fn a_calibration_is_a_voice_and_is_kept() {
    let mut boards =
        [(40.0, 0.4), (25.0, 0.4), (25.2, 0.4)].map(|window| board(0, Some(25.0), Some(window), "unknown"));
    boards[0]
        .0
        .properties
        .insert("power_window_u95_ms".into(), "0.3".into());
    assert_eq!(told(&boards), [None, None, None]);
    let mut boards = ["sampled", "unknown"].map(|kind| board(0, None, None, kind));
    assert!(told(&boards)[1].is_some());
    boards[1]
        .0
        .properties
        .insert("counter_kind".into(), "continuous".into());
    assert_eq!(told(&boards), [None, None]);
}

#[test]
fn boards_of_another_name_say_nothing() {
    let mut boards = [0, 1, 2].map(|n| board(n, Some(100.0), Some((20.0, 0.4)), "sampled"));
    boards[2] = board(2, Some(100.0), None, "unknown");
    assert!(told(&boards)[2].is_some());
    boards[2].0.name = "NVIDIA H100".into();
    assert_eq!(told(&boards), [None, None, None]);
}

#[test]
fn counters_that_tell_agree_or_tell_nothing() {
    let kinds = |kinds: [&'static str; 3]| {
        let boards: Vec<_> = (0..).zip(kinds).map(|(n, kind)| board(n, None, None, kind)).collect();
        let told = told(&boards);
        told.into_iter().map(|told| told?.counter_kind).collect::<Vec<_>>()
    };
    assert_eq!(kinds(["sampled", "unknown", "sampled"]), [None, Some("sampled"), None]);
    assert_eq!(kinds(["sampled", "unknown", "continuous"]), [None, None, None]);
}

/// Three boards with windows of 60 ms, where 25 are believed; the third draws the same all the time.
fn analysed() -> Analysis {
    let busy = part_time::recorded(&SIXTY, 0, false);
    let mut steady = busy.power.clone();
    steady.counter = vec![None; steady.counter.len()];
    for (i, watts) in steady.watts.iter_mut().enumerate() {
        *watts = 150.0 + 0.1 * ((i / 14 * 7919) % 13) as f64;
    }
    let devices = (0..3).map(|n| part_time::board(n, &SIXTY)).collect();
    let recording = recording(devices, busy.run_ms, &busy.lines);
    let streams = |device: &Device| -> Result<DeviceStreams, Infallible> {
        let power: &PowerStream = if device.id.0 == "gpu2" { &steady } else { &busy.power };
        Ok(DeviceStreams {
            power: power.clone(),
            ..DeviceStreams::default()
        })
    };
    let spans = spans(&recording.markers, recording.interval());
    analyze(&recording, &spans, &Options::default(), streams).expect("streams cannot fail")
}

#[test]
fn a_board_that_says_nothing_of_its_window_has_that_of_the_others_and_the_report_says_so() {
    let analysis = analysed();
    let window = analysis.devices[2].timing.window_ms.expect("a window");
    assert!((window - 60.0).abs() < 2.0, "{window} ms");
    let check = analysis.checks.iter().find(|check| check.name == "sensor:gpu2");
    let detail = &check.expect("a word on its sensor").detail;
    assert!(
        detail.contains("assumed, as found of gpu0 and gpu1 of the same name: windows of about 60."),
        "{detail}"
    );
    assert!(
        !analysis
            .checks
            .iter()
            .any(|check| check.name == "sensor:gpu0" && check.detail.contains("assumed"))
    );
}
