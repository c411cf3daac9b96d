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

/// The same marker, read at `arrival`.
fn arriving(arrival: i64, event: MarkerEvent) -> MarkerEvent {
    MarkerEvent {
        arrival: at(arrival),
        ..event
    }
}

fn with_samples(mut event: MarkerEvent, samples: u64) -> MarkerEvent {
    event.samples = Some(samples);
    event
}

fn metric(t: i64, value: f64) -> MarkerEvent {
    let mut event = event(t, MarkerVerb::Metric, "loss");
    event.value = Some(value);
    event
}

#[test]
fn marks_and_metrics_of_other_threads_stand_where_they_are_stamped() {
    use MarkerVerb::{Begin, End, Mark};
    let spans = spans(
        &[
            metric(25, 2.0),
            event(10, Begin, "a"),
            metric(15, 1.0),
            event(30, End, "a"),
            event(31, Begin, "b"),
            with_samples(event(29, Mark, "done"), 4),
            with_samples(event(45, Mark, "done"), 8),
            event(40, End, "b"),
        ]
        .map(|event| arriving(50, event)),
        run(),
    );
    assert_eq!(spans.faults.out_of_order, 0);
    insta::assert_snapshot!(spans.faults.examples.join("\n"), @"`mark done` of rank 0 stands outside every span: its samples and tokens belong to no phase");
    let samples: Vec<Option<u64>> = spans.instances.iter().map(|i| i.samples).collect();
    assert_eq!(samples, [Some(4), None]);
    assert_eq!(spans.instances[1].interval, Interval::new(at(31), at(40)));
    let metrics: Vec<(f64, &str, Timestamp)> = spans.metrics.iter().map(|m| (m.value, m.path.as_str(), m.t)).collect();
    assert_eq!(metrics, [(1.0, "a", at(15)), (2.0, "a", at(25))]);
}

#[test]
fn a_mark_without_a_stamp_stays_where_it_was_heard() {
    use MarkerVerb::{Begin, End, Mark};
    let mut mark = with_samples(event(50, Mark, "done"), 3);
    mark.stamped = false;
    let events = [event(10, Begin, "a"), mark, event(49, End, "a")].map(|event| arriving(50, event));
    let spans = spans(&events, run());
    assert_eq!(spans.faults, SpanFaults::default());
    assert_eq!(spans.instances[0].samples, Some(3));
    assert_eq!(spans.instances[0].interval.end, at(49), "its end is its own");
}

#[test]
fn a_mark_that_comes_long_after_its_stamp_counts_where_it_was_heard_and_is_told() {
    use MarkerVerb::{Begin, End, Mark};
    let second = 1_000_000_000;
    let spans = spans(
        &[
            event(second, Begin, "a"),
            event(2 * second, End, "a"),
            event(3 * second, Begin, "b"),
            arriving(9 * second, with_samples(event(second + 5, Mark, "done"), 2)),
            event(10 * second, End, "b"),
        ],
        Interval::new(at(0), at(20 * second)),
    );
    assert_eq!(spans.faults.out_of_order, 1);
    assert_eq!(spans.instances[1].samples, Some(2));
    insta::assert_snapshot!(spans.faults.examples.join("\n"), @"`mark done` of rank 0 is stamped 2000.000 ms before the marker ahead of it: counted where it arrived");
}

#[test]
fn spans_of_several_threads_are_put_in_order_where_they_nest_better_so() {
    use MarkerVerb::{Begin, End};
    let spans = spans(
        &[
            event(1, Begin, "outer"),
            event(2, Begin, "inner"),
            event(4, End, "outer"),
            event(3, End, "inner"),
            event(6, Begin, "next"),
            event(7, End, "next"),
        ]
        .map(|event| arriving(8, event)),
        run(),
    );
    assert_eq!(spans.faults, SpanFaults::default());
    assert_eq!(paths(&spans), ["outer", "outer/inner", "next"]);
    assert_eq!(spans.instances[1].interval, Interval::new(at(2), at(3)));
}

#[test]
fn spans_that_are_out_of_order_themselves_are_told_and_keep_their_nesting() {
    use MarkerVerb::{Begin, End};
    // One thread whose stamps are off: in their order, `b` would lie inside `a`, and end after it.
    let spans = spans(
        &[
            event(10, Begin, "a"),
            event(51, End, "a"),
            event(50, Begin, "b"),
            event(90, End, "b"),
            event(200, Begin, "c"),
            event(150, End, "c"),
        ]
        .map(|event| arriving(220, event)),
        run(),
    );
    assert_eq!(paths(&spans), ["a", "b", "c"]);
    let expected = SpanFaults {
        out_of_order: 2,
        examples: spans.faults.examples.clone(),
        ..SpanFaults::default()
    };
    assert_eq!(spans.faults, expected);
    assert_eq!(spans.instances[1].interval, Interval::new(at(51), at(90)));
    assert!(spans.instances[2].cut);
}
