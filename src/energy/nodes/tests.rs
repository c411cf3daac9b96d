//! Two machines, one run: sums close, walls are united by the wall clocks, names and ranks stay apart.

use std::convert::Infallible;

use super::*;
use crate::energy::laws::{counted, gpu, recording};
use crate::energy::{Options, analyze_nodes, spans};
use crate::model::analysis::Analysis;
use crate::model::marker::MarkerVerb::{Begin, End};
use crate::model::recording::{ChildExit, DeviceStreams};

const MS: i64 = 1_000_000;

/// Ten seconds on each node. The second's clock reads an hour more, and it starts half a second later.
fn nodes() -> [Recording; 2] {
    let node = |host: &str, realtime_ms: i64, lines: &[_], status: i32| {
        let mut recording = recording(vec![gpu(0)], 10_000, lines);
        recording.run.host.hostname = host.into();
        recording.run.started_realtime_ns = realtime_ms * MS;
        recording.run.exit = Some(ChildExit::Code(status));
        recording
    };
    let first = [
        (500.0, Begin, "load", 0),
        (1000.0, End, "load", 0),
        (1000.0, Begin, "train", 0),
        (9000.0, End, "train", 0),
    ];
    let second = [
        (1000.0, Begin, "train", 0),
        (1000.0, Begin, "step", 0),
        (9000.0, End, "train", 0),
        (9200.0, Begin, "save", 0),
        (9800.0, End, "save", 0),
    ];
    [
        node("node17", 5_000_000, &first, 0),
        node("node18", 5_000_500, &second, 3),
    ]
}

fn analysed(recordings: &[Recording; 2], watts: [f64; 2]) -> (Analysis, Spans) {
    let own: Vec<Spans> = recordings.iter().map(|r| spans(&r.markers, r.interval())).collect();
    let parts: Vec<Node<'_>> = recordings
        .iter()
        .zip(&own)
        .map(|(recording, spans)| Node { recording, spans })
        .collect();
    let frame = together(&parts);
    let streams: [DeviceStreams; 2] = watts.map(|watts| counted(10_000, 100, |t| watts * t));
    let analysis = analyze_nodes(&parts, &frame, &Options::default(), |n, _| {
        Ok::<_, Infallible>(streams[n].clone())
    });
    (analysis.expect("streams cannot fail"), frame.spans.into_owned())
}

fn named() -> [Recording; 2] {
    let mut recordings = nodes();
    let [a, b] = &mut recordings;
    name_devices(&mut [a, b]).expect("two nodes of one run");
    recordings
}

#[test]
fn energies_add_up_over_nodes_and_phases_are_united_by_the_wall_clock() {
    let (analysis, _) = analysed(&named(), [200.0, 300.0]);
    let phase = |path: &str| analysis.phases.iter().find(|p| p.path == path).expect("a phase");
    let joules = |path: &str| phase(path).energy.joules.expect("resolved").get();
    // 10 s at 200 W and 10 s at 300 W, half a second apart.
    assert!((analysis.total.joules.expect("a total").get() / 5000.0 - 1.0).abs() < 0.005);
    assert_eq!(analysis.run.wall.get(), 10.5);
    assert!((joules("train") / (8.0 * 500.0) - 1.0).abs() < 0.02);
    assert!((phase("train").wall.expect("a time").get() - 8.5).abs() < 1e-6);
    assert_eq!(phase("train").count, 1);
    assert_eq!(phase("train").devices.len(), 2);
    let saved: Vec<&str> = phase("save").devices.iter().map(|d| d.id.as_str()).collect();
    assert_eq!(saved, ["node18:gpu0"], "the other node was never in it");
    let tops: f64 = ["load", "train", "save"]
        .iter()
        .map(|path| phase(path).wall.expect("a time").get())
        .sum();
    assert!((tops + analysis.unattributed.wall.get() - 10.5).abs() < 1e-6);
    assert_eq!(analysis.run.hosts, ["node17", "node18"]);
    assert_eq!(analysis.run.exit_code, Some(3), "the first failure");
}

#[test]
fn the_tree_is_one_and_its_order_that_of_first_appearance() {
    let (_, spans) = analysed(&named(), [200.0, 300.0]);
    let paths: Vec<&str> = spans.phases.iter().map(|p| p.path.as_str()).collect();
    assert_eq!(paths, ["load", "train", "train/step", "save"]);
    assert_eq!(spans.phases[2].parent, Some(PhaseIndex(1)));
    let ranks: Vec<u32> = spans.ranks.iter().map(|r| r.rank).collect();
    assert_eq!(ranks, [0, 1], "both call themselves 0");
    assert!(spans.instances.is_sorted_by_key(|i| i.interval.start));
}

#[test]
fn what_is_not_one_run_is_refused() {
    let mut recordings = nodes();
    recordings[1].run.started_realtime_ns += 3600 * 1000 * MS;
    let [a, b] = &mut recordings;
    assert_eq!(
        name_devices(&mut [a, b]),
        Err(NodesError::Apart { first: 1, second: 2 })
    );
    let mut recordings = nodes();
    recordings[1].run.host.hostname = "node17".into();
    let [a, b] = &mut recordings;
    let twice = name_devices(&mut [a, b]).expect_err("one GPU twice");
    assert!(twice.to_string().contains("gpu0"), "{twice}");
    // The same place on the same machine, but another board.
    let mut recordings = nodes();
    recordings[1].run.host.hostname = "node17".into();
    recordings[0].devices[0].uuid = Some("GPU-a".into());
    recordings[1].devices[0].uuid = Some("GPU-b".into());
    let [a, b] = &mut recordings;
    assert_eq!(name_devices(&mut [a, b]), Ok(()));
    let ids = recordings.map(|r| r.devices[0].id.to_string());
    assert_eq!(ids, ["node17:gpu0", "node17-2:gpu0"]);
}
