//! A recording as other programs read it.

use powerprof::model::marker::MarkerVerb;
use powerprof::model::recording::{ChildExit, RunEnd};
use powerprof::model::span::{Metric, Phase, PhaseIndex, RankDevices, SpanInstance, Spans};
use powerprof::model::time::Interval;
use powerprof::recording::{Reader, Writer};
use powerprof::report::{perfetto, readings};

use crate::made;

fn recording() -> (tempfile::TempDir, Reader) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.h5");
    let devices = [made::gpu(0), made::cpu()];
    let mut writer = Writer::create(&path, &made::run(), &devices, false).unwrap();
    writer.append(&made::chunk(&devices, 0, 1000)).unwrap();
    writer
        .finish(RunEnd {
            ended: made::time(1000),
            exit: ChildExit::Code(0),
        })
        .unwrap();
    (folder, Reader::open(&path).unwrap())
}

#[test]
fn csv_has_every_reading_once_and_in_order() {
    let (_folder, reader) = recording();
    let recording = reader.recording().unwrap();
    let mut out = Vec::new();
    readings::write::<anyhow::Error>(&mut out, &recording, |d| Ok(reader.streams(d)?)).unwrap();
    let mut table = csv::Reader::from_reader(out.as_slice());
    let column = |name: &str, headers: &csv::StringRecord| headers.iter().position(|h| h == name).unwrap();
    let headers = table.headers().unwrap().clone();
    let (device, t, watts, used) = (
        column("device", &headers),
        column("t_s", &headers),
        column("watts", &headers),
        column("memory_used_bytes", &headers),
    );
    let rows: Vec<csv::StringRecord> = table.records().map(Result::unwrap).collect();
    let of = |id: &str| rows.iter().filter(|r| &r[device] == id).collect::<Vec<_>>();
    let gpu = of("gpu0");
    // 1000 polls and 10 looks at its state; the CPU has no state.
    assert_eq!((gpu.len(), of("cpu0").len()), (1010, 1000));
    let times: Vec<f64> = gpu.iter().map(|r| r[t].parse().unwrap()).collect();
    assert!(times.is_sorted());
    let streams = reader.streams(&recording.devices[0]).unwrap();
    let sum: f64 = gpu.iter().filter_map(|r| r[watts].parse::<f64>().ok()).sum();
    assert_eq!(sum, streams.power.watts.iter().filter(|w| !w.is_nan()).sum::<f64>());
    let known = gpu.iter().filter(|r| !r[used].is_empty()).count();
    assert_eq!(known, streams.state.memory_used_bytes.iter().flatten().count());
}

#[test]
fn trace_has_the_phases_and_every_change_of_power() {
    let (_folder, reader) = recording();
    let recording = reader.recording().unwrap();
    let spans = Spans {
        phases: vec![Phase {
            path: "train".into(),
            name: "train".into(),
            parent: None,
            depth: 0,
        }],
        instances: vec![SpanInstance {
            phase: PhaseIndex(0),
            rank: 1,
            interval: Interval::new(made::time(100), made::time(600)),
            index: None,
            samples: Some(8),
            tokens: None,
            closed: true,
            cut: false,
        }],
        ranks: vec![RankDevices { rank: 1, devices: None }],
        ..Spans::default()
    };
    let mut out = Vec::new();
    perfetto::write::<anyhow::Error>(&mut out, &recording, &spans, |d| Ok(reader.streams(d)?)).unwrap();
    let trace: serde_json::Value = serde_json::from_slice(&out).unwrap();
    let events = trace["traceEvents"].as_array().unwrap();
    let slices: Vec<_> = events.iter().filter(|e| e["ph"] == "X").collect();
    assert_eq!(slices.len(), 1);
    assert_eq!(slices[0]["name"], "train");
    assert_eq!(slices[0]["args"]["samples"], 8);
    let dur = slices[0]["dur"].as_f64().unwrap();
    assert!((dur - (made::time(600) - made::time(100)) as f64 * 1e-3).abs() < 1e-6);
    let told: Vec<_> = events.iter().filter(|e| e["ph"] == "i" && e["pid"] == 1).collect();
    assert!(!told.is_empty() && told.len() == recording.events.len());
    assert_eq!(told[0]["args"]["detail"], recording.events[0].detail.as_str());
    let mut power = reader.streams(&recording.devices[0]).unwrap().power.watts;
    power.retain(|w| !w.is_nan());
    power.dedup();
    let shown: Vec<f64> = events
        .iter()
        .filter(|e| e["name"] == "gpu0 power")
        .map(|e| e["args"]["W"].as_f64().unwrap())
        .collect();
    assert_eq!(shown.len(), power.len());
    // serde_json reads floats to within a unit in the last place.
    assert!(
        shown.iter().zip(&power).all(|(a, b)| (a - b).abs() < 1e-9),
        "{shown:?} is not {power:?}"
    );
}

#[test]
fn trace_has_the_marks_and_the_metrics() {
    let (_folder, reader) = recording();
    let recording = reader.recording().unwrap();
    let metric = |value, rank| Metric {
        name: "loss".into(),
        value,
        path: "train".into(),
        t: made::time(200),
        rank,
    };
    let mut spans = Spans {
        metrics: vec![metric(2.5, 1), metric(f64::NAN, 1)],
        ranks: vec![RankDevices { rank: 1, devices: None }],
        ..Spans::default()
    };
    let trace = |spans: &Spans| {
        let mut out = Vec::new();
        perfetto::write::<anyhow::Error>(&mut out, &recording, spans, |d| Ok(reader.streams(d)?)).unwrap();
        let trace: serde_json::Value = serde_json::from_slice(&out).unwrap();
        let events = trace["traceEvents"].as_array().unwrap().clone();
        events.into_iter().filter(|e| e["pid"] == 2).collect::<Vec<_>>()
    };
    let events = trace(&spans);
    let marks: Vec<_> = recording
        .markers
        .iter()
        .filter(|m| m.verb == MarkerVerb::Mark)
        .collect();
    let (diverged, shown): (Vec<_>, Vec<_>) = events
        .iter()
        .filter(|e| e["ph"] == "i")
        .partition(|e| e["name"] == "loss nan");
    assert_eq!((diverged.len(), shown.len()), (1, marks.len()));
    assert!(!marks.is_empty());
    for (shown, mark) in shown.iter().zip(&marks) {
        assert_eq!(shown["name"], mark.name.as_str());
        assert_eq!(
            (&shown["tid"], &shown["args"]["samples"]),
            (&mark.rank.into(), &mark.samples.into())
        );
        let ts = (mark.t - recording.run.started) as f64 * 1e-3;
        assert!((shown["ts"].as_f64().unwrap() - ts).abs() < 1e-3);
    }
    let counters = |events: &[serde_json::Value]| -> Vec<serde_json::Value> {
        events.iter().filter(|e| e["ph"] == "C").cloned().collect()
    };
    let loss = counters(&events);
    assert_eq!(loss.len(), 1);
    assert_eq!(
        (&loss[0]["name"], &loss[0]["args"]["value"]),
        (&"loss".into(), &2.5.into())
    );
    spans.ranks.push(RankDevices { rank: 2, devices: None });
    assert_eq!(counters(&trace(&spans))[0]["name"], "rank 1 loss");
}

#[test]
fn parquet_has_the_rows_of_the_csv() {
    use parquet::file::reader::{FileReader, SerializedFileReader};
    use parquet::record::Field;

    let (_folder, reader) = recording();
    let recording = reader.recording().unwrap();
    let (mut table, mut text) = (Vec::new(), Vec::new());
    powerprof::report::parquet::write::<anyhow::Error>(&mut table, &recording, |d| Ok(reader.streams(d)?)).unwrap();
    readings::write::<anyhow::Error>(&mut text, &recording, |d| Ok(reader.streams(d)?)).unwrap();
    let mut csv = csv::Reader::from_reader(text.as_slice());
    let headers = csv.headers().unwrap().clone();
    let file = SerializedFileReader::new(bytes::Bytes::from(table)).unwrap();
    let mut rows = file.get_row_iter(None).unwrap();
    let mut compared = 0;
    for expected in csv.records().map(Result::unwrap) {
        let row = rows.next().expect("as many rows").unwrap();
        assert!(row.get_column_iter().map(|(name, _)| name.as_str()).eq(headers.iter()));
        for ((name, field), text) in row.get_column_iter().zip(&expected) {
            let same = match field {
                Field::Null => text.is_empty(),
                Field::Str(value) => value == text,
                Field::ULong(value) => value.to_string() == *text,
                Field::Double(value) => (value - text.parse::<f64>().unwrap()).abs() <= 1e-9 * value.abs().max(1.0),
                other => panic!("{name} is {other:?}"),
            };
            assert!(same, "{name}: {field:?} is not {text}");
            compared += 1;
        }
    }
    assert!(rows.next().is_none());
    assert_eq!(compared, 2010 * headers.len());
}
