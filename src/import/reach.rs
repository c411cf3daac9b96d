//! Phases and the run that they are of: those that lie outside of it are left out, and those that reach beyond it are named.
//!
//! Of a phase without a single reading nothing is known, not even that it drew nothing; and it is the commonest mistake, that of two
//! files on different axes of time.

use super::axis::{Axis, Frame};
use super::nest::Span;
use crate::model::time::Interval;
use crate::model::wording::counted;

/// So many are named.
const NAMED: usize = 3;

/// The phases that share time with the run, and what is said of all others.
pub fn within(spans: Vec<Span>, run: Interval, frame: &Frame) -> (Vec<Span>, Vec<String>) {
    let (first, last) = (run.start.as_nanos(), run.end.as_nanos());
    // What has no length may lie at an end.
    let is_inside = |s: &Span| match s.start == s.end {
        true => (first..=last).contains(&s.start),
        false => s.end > first && s.start < last,
    };
    let (inside, outside): (Vec<Span>, Vec<Span>) = spans.into_iter().partition(is_inside);
    let across: Vec<&Span> = inside.iter().filter(|s| s.start < first || s.end > last).collect();
    let reach = format!("the readings ({})", between(first, last, frame));
    let mut said = Vec::new();
    if !outside.is_empty() {
        let (phases, named) = counted_and_named(&outside.iter().collect::<Vec<_>>(), frame);
        said.push(format!(
            "{phases} outside of {reach} left out: {named}: are both files on the same axis of time?"
        ));
    }
    if !across.is_empty() {
        let (phases, named) = counted_and_named(&across, frame);
        said.push(format!("{phases} across the ends of {reach} cut there: {named}"));
    }
    (inside, said)
}

/// How many, and the first of them.
fn counted_and_named(spans: &[&Span], frame: &Frame) -> (String, String) {
    let name = |s: &&Span| format!("`{}` ({})", s.path.join("/"), between(s.start, s.end, frame));
    let mut named = spans.iter().take(NAMED).map(name).collect::<Vec<_>>().join(", ");
    if spans.len() > NAMED {
        named += &format!(" and {} more", spans.len() - NAMED);
    }
    (counted(spans.len() as u64, "phase", "phases"), named)
}

/// On the axis on which people know it.
fn between(start: i64, end: i64, frame: &Frame) -> String {
    let (zero, since) = match frame.axis {
        Axis::Plain => (0, ""),
        Axis::Clock { .. } => (frame.first, " after the first"),
    };
    let seconds = |t: i64| (t - zero) as f64 * 1e-9;
    format!("{:.3} to {:.3} s{since}", seconds(start), seconds(end))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::time::Timestamp;

    const S: i64 = 1_000_000_000;

    fn span(name: &str, start_s: i64, end_s: i64) -> Span {
        Span {
            line: 2,
            path: vec![name.to_owned()],
            start: start_s * S,
            end: end_s * S,
            rank: 0,
            index: None,
            samples: None,
            tokens: None,
            devices: None,
        }
    }

    #[test]
    fn phases_outside_are_left_out_and_named_and_those_across_an_end_are_named() {
        let run = Interval::new(Timestamp::from_nanos(10 * S), Timestamp::from_nanos(20 * S));
        let frame = Frame {
            axis: Axis::Plain,
            first: 10 * S,
            offset_s: None,
        };
        let spans = vec![
            span("before", 0, 10),
            span("early", 9, 12),
            span("whole", 10, 20),
            span("instant", 20, 20),
            span("late", 19, 21),
            span("after", 20, 30),
        ];
        let (inside, said) = within(spans, run, &frame);
        let names: Vec<&str> = inside.iter().map(|s| s.path[0].as_str()).collect();
        assert_eq!(names, ["early", "whole", "instant", "late"]);
        insta::assert_snapshot!(said.join("\n"));
        let clock = Frame {
            axis: Axis::Clock { utc: false },
            ..frame
        };
        let (_, said) = within(vec![span("a", 40, 50)], run, &clock);
        assert!(said[0].contains("`a` (30.000 to 40.000 s after the first)"), "{said:?}");
        assert!(within(vec![span("a", 10, 20)], run, &clock).1.is_empty());
    }
}
