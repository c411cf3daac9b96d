//! The markers' grammar: stacks, repairs and their counts, work that adds up around.

use super::*;

fn at(ns: i64) -> Timestamp {
    Timestamp::from_nanos(ns)
}

fn run() -> Interval {
    Interval::new(at(0), at(1000))
}

fn event(t: i64, verb: MarkerVerb, name: &str) -> MarkerEvent {
    MarkerEvent {
        t: at(t),
        arrival: at(t),
        stamped: true,
        verb,
        rank: 0,
        name: name.into(),
        index: None,
        samples: None,
        tokens: None,
        value: None,
        devices: None,
    }
}

fn paths(spans: &Spans) -> Vec<&str> {
    spans.phases.iter().map(|p| p.path.as_str()).collect()
}

#[test]
fn nested_spans_make_a_tree_in_preorder() {
    use MarkerVerb::{Begin, End};
    let spans = spans(
        &[
            event(1, Begin, "train"),
            event(2, Begin, "step"),
            event(3, End, "step"),
            event(4, End, "train"),
            event(5, Begin, "validate"),
            event(6, End, "validate"),
            event(7, Begin, "train"),
            event(8, Begin, "save"),
            event(9, End, "save"),
            event(9, End, "train"),
        ],
        run(),
    );
    assert_eq!(paths(&spans), ["train", "train/step", "train/save", "validate"]);
    assert_eq!(spans.faults, SpanFaults::default());
    assert_eq!(spans.instances.iter().filter(|i| i.closed).count(), 5);
}

#[test]
fn an_outer_end_closes_what_is_inside_and_says_so() {
    use MarkerVerb::{Begin, End};
    let spans = spans(&[event(1, Begin, "a"), event(2, Begin, "b"), event(3, End, "a")], run());
    assert_eq!(spans.faults.ended_by_outer, 1);
    let inner = &spans.instances[1];
    assert_eq!((inner.closed, inner.interval), (false, Interval::new(at(2), at(3))));
    assert!(spans.instances[0].closed);
    assert_eq!(spans.faults.examples.len(), 1);
}

#[test]
fn an_end_without_begin_changes_nothing_and_is_counted() {
    let spans = spans(&[event(3, MarkerVerb::End, "a")], run());
    assert_eq!((spans.instances.len(), spans.faults.never_begun), (0, 1));
}

#[test]
fn an_open_span_ends_with_the_run() {
    let spans = spans(&[event(400, MarkerVerb::Begin, "a")], run());
    assert_eq!(spans.instances[0].interval, Interval::new(at(400), at(1000)));
    assert!(!spans.instances[0].closed);
    assert_eq!(spans.faults.never_ended, 1);
}

#[test]
fn work_counts_once_for_its_span_and_all_around_it() {
    use MarkerVerb::{Begin, End, Mark};
    let done = |mut e: MarkerEvent, samples| {
        e.samples = Some(samples);
        e
    };
    let spans = spans(
        &[
            event(1, Begin, "train"),
            event(2, Begin, "step"),
            done(event(3, End, "step"), 8),
            event(4, Begin, "step"),
            done(event(5, Mark, "batch"), 3),
            event(6, End, "step"),
            event(7, End, "train"),
        ],
        run(),
    );
    let samples: Vec<Option<u64>> = spans.instances.iter().map(|i| i.samples).collect();
    assert_eq!(samples, [Some(11), Some(8), Some(3)]);
    assert!(spans.instances.iter().all(|i| i.tokens.is_none()));
}

#[test]
fn times_are_kept_in_the_run_and_in_order() {
    use MarkerVerb::{Begin, End};
    let spans = spans(
        &[
            event(-50, Begin, "a"),
            event(500, Begin, "b"),
            event(300, End, "b"),
            event(5000, End, "a"),
        ],
        run(),
    );
    assert_eq!(spans.faults.out_of_order, 1);
    assert_eq!(spans.instances[0].interval, run());
    assert_eq!(spans.instances[1].interval, Interval::new(at(500), at(500)));
}

#[test]
fn a_metric_knows_where_it_was_written() {
    let mut metric = event(20, MarkerVerb::Metric, "loss");
    metric.value = Some(2.5);
    let spans = spans(&[event(10, MarkerVerb::Begin, "train"), metric], run());
    assert_eq!(spans.metrics[0].path, "train");
    assert_eq!(spans.metrics[0].value, 2.5);
}
