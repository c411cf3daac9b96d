//! Spans in any order -> markers, one rank after another, nested as their times and paths say.
//!
//! A span inside another is its child: `forward` inside `step` becomes `step/forward`. A span whose name is a path says itself where it
//! belongs; phases of that path that have no row of their own are opened around their children:
//!
//! ```text
//! rows     train/load |----|  train/step |---|  train/step |---|        (no row `train`)
//! markers  train |---------------------------------------------|
//!          load  |----|       step       |---|  step       |---|
//! ```
//!
//! Invariant: the markers of one rank nest properly, so that nothing is repaired behind the user's back.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::error::ImportError;
use crate::model::marker::{MarkerEvent, MarkerVerb};
use crate::model::time::Timestamp;

/// One row of a table of phases.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    pub line: u64,
    /// From the top, or from the span around it where it is one name.
    pub path: Vec<String>,
    /// Nanoseconds on the log's axis.
    pub start: i64,
    pub end: i64,
    pub rank: u32,
    pub index: Option<u64>,
    pub samples: Option<u64>,
    pub tokens: Option<u64>,
    pub devices: Option<String>,
}

impl Span {
    /// The last name of its path.
    fn name(&self) -> &str {
        self.path.last().map_or("", String::as_str)
    }
}

/// The markers of all ranks, in the order of time.
pub fn markers(mut spans: Vec<Span>, path: &Path) -> Result<Vec<MarkerEvent>, ImportError> {
    // An outer span before the spans that begin with it.
    spans.sort_by_key(|s| (s.rank, s.start, -s.end));
    let depths = depths(&spans);
    spans.sort_by_key(|s| (s.rank, s.start, -s.end, depth(s, &depths)));
    let mut events = Vec::with_capacity(2 * spans.len());
    for of_rank in spans.chunk_by(|a, b| a.rank == b.rank) {
        let mut nest = Nest {
            path,
            rank: of_rank[0].rank,
            events: Vec::new(),
        };
        nest.level(of_rank, &mut Vec::new())?;
        events.extend(nest.events);
    }
    // Stable: markers of one rank at one instant keep their order.
    events.sort_by_key(|event| event.t);
    Ok(events)
}

/// How many other names lie around each name somewhere, by times that leave no doubt. `spans` come with outer ones first.
fn depths(spans: &[Span]) -> BTreeMap<String, usize> {
    let mut around: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    let mut open: Vec<&Span> = Vec::new();
    for span in spans {
        open.retain(|outer| outer.rank == span.rank && outer.end > span.start);
        let holds = |outer: &&&Span| outer.end >= span.end && (outer.start, outer.end) != (span.start, span.end);
        let names = open.iter().filter(holds).map(|outer| outer.name());
        around
            .entry(span.name())
            .or_default()
            .extend(names.filter(|name| *name != span.name()));
        open.push(span);
    }
    around
        .into_iter()
        .map(|(name, outer)| (name.to_owned(), outer.len()))
        .collect()
}

/// Of rows of equal extent the one that is less deep is around the others: by its path, or by where its name lies elsewhere. Where that
/// says nothing they nest as they are listed.
fn depth(span: &Span, depths: &BTreeMap<String, usize>) -> usize {
    match span.path.len() {
        1 => depths.get(span.name()).copied().unwrap_or(0),
        names => names - 1,
    }
}

struct Nest<'a> {
    path: &'a Path,
    rank: u32,
    events: Vec<MarkerEvent>,
}

impl Nest<'_> {
    /// Spans that all lie in the open phase `around`.
    fn level(&mut self, spans: &[Span], around: &mut Vec<String>) -> Result<(), ImportError> {
        let mut at = 0;
        while let Some(span) = spans.get(at) {
            let below = self.below(span, around)?;
            let (name, own_row) = (below[0].clone(), below.len() == 1);
            let members = if own_row {
                spans[at + 1..]
                    .iter()
                    .take_while(|s| s.start < span.end || (s.start == s.end && s.end <= span.end))
                    .count()
            } else {
                // All rows to come that go through the same phase without a row of its own.
                let through = |s: &&Span| self.below(s, around).is_ok_and(|b| b.len() > 1 && b[0] == name);
                spans[at..].iter().take_while(through).count()
            };
            let (first, inner) = if own_row {
                (at + 1, &spans[at + 1..at + 1 + members])
            } else {
                (at, &spans[at..at + members])
            };
            let end = if own_row {
                span.end
            } else {
                inner.iter().map(|s| s.end).max().unwrap_or(span.end)
            };
            if let Some(across) = inner.iter().find(|s| s.end > end) {
                return Err(ImportError::line(
                    self.path,
                    across.line,
                    format!(
                        "the phase `{}` begins inside `{}` of line {} and ends after it",
                        across.path.join("/"),
                        span.path.join("/"),
                        span.line
                    ),
                    "phases lie inside or beside each other; what ran at the same time needs a column `rank`",
                ));
            }
            self.push(MarkerVerb::Begin, &name, span.start, own_row.then_some(span));
            around.push(name.clone());
            self.level(inner, around)?;
            around.pop();
            self.push(MarkerVerb::End, &name, end, own_row.then_some(span));
            at = first + members;
            if let Some(next) = spans.get(at).filter(|next| next.start < end) {
                return Err(ImportError::line(
                    self.path,
                    next.line,
                    format!(
                        "the phase `{}` overlaps `{}`",
                        next.path.join("/"),
                        around.iter().chain([&name]).cloned().collect::<Vec<_>>().join("/")
                    ),
                    "phases lie inside or beside each other; what ran at the same time needs a column `rank`",
                ));
            }
        }
        Ok(())
    }

    /// What is left of a span's path inside the open phases.
    fn below(&self, span: &Span, around: &[String]) -> Result<Vec<String>, ImportError> {
        if span.path.len() == 1 {
            return Ok(span.path.clone());
        }
        match span.path.strip_prefix(around) {
            Some(below) if !below.is_empty() => Ok(below.to_vec()),
            _ => Err(ImportError::line(
                self.path,
                span.line,
                format!(
                    "`{}` lies, by its times, inside `{}`",
                    span.path.join("/"),
                    around.join("/")
                ),
                "make name and times agree, or give the last name alone",
            )),
        }
    }

    fn push(&mut self, verb: MarkerVerb, name: &str, t: i64, row: Option<&Span>) {
        let t = Timestamp::from_nanos(t);
        let begin = verb == MarkerVerb::Begin;
        self.events.push(MarkerEvent {
            t,
            arrival: t,
            stamped: true,
            verb,
            rank: self.rank,
            name: name.to_owned(),
            index: row.filter(|_| begin).and_then(|s| s.index),
            samples: row.filter(|_| !begin).and_then(|s| s.samples),
            tokens: row.filter(|_| !begin).and_then(|s| s.tokens),
            value: None,
            devices: row.filter(|_| begin).and_then(|s| s.devices.clone()),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(line: u64, path: &str, start: i64, end: i64) -> Span {
        Span {
            line,
            path: path.split('/').map(str::to_owned).collect(),
            start,
            end,
            rank: 0,
            index: None,
            samples: Some(line),
            tokens: None,
            devices: None,
        }
    }

    /// `train(0 step(1 2)step(2 3) 4)`
    fn drawn(spans: &[Span]) -> String {
        let events = markers(spans.to_vec(), Path::new("phases.csv")).unwrap_or_else(|e| panic!("{e}"));
        let draw = |e: &MarkerEvent| match e.verb {
            MarkerVerb::Begin => format!("{}({} ", e.name, e.t.as_nanos()),
            _ => format!("{})", e.t.as_nanos()),
        };
        events.iter().map(draw).collect()
    }

    #[test]
    fn times_nest_and_the_order_of_rows_does_not_matter() {
        let rows = [
            span(1, "step", 2, 3),
            span(2, "train", 0, 4),
            span(3, "step", 1, 2),
            span(4, "after", 4, 5),
        ];
        assert_eq!(drawn(&rows), "train(0 step(1 2)step(2 3)4)after(4 5)");
    }

    #[test]
    fn paths_open_the_phases_that_have_no_row() {
        let rows = [
            span(1, "train/load", 0, 1),
            span(2, "train/step/fwd", 2, 3),
            span(3, "train/step/bwd", 3, 5),
            span(4, "infer", 6, 7),
        ];
        assert_eq!(drawn(&rows), "train(0 load(0 1)step(2 fwd(2 3)bwd(3 5)5)5)infer(6 7)");
        // With rows for some, each execution is its own.
        let rows = [
            span(1, "train", 0, 9),
            span(2, "train/step", 1, 4),
            span(3, "train/step/fwd", 1, 2),
            span(4, "train/step", 4, 8),
            span(5, "fwd", 5, 6),
        ];
        assert_eq!(drawn(&rows), "train(0 step(1 fwd(1 2)4)step(4 fwd(5 6)8)9)");
    }

    #[test]
    fn rows_of_equal_extent_nest_as_their_names_do_elsewhere() {
        // The only step of its epoch, listed before it; elsewhere epochs hold several.
        let rows = [
            span(1, "step", 0, 2),
            span(2, "train", 0, 2),
            span(3, "train", 3, 7),
            span(4, "step", 3, 5),
            span(5, "step", 5, 7),
        ];
        assert_eq!(drawn(&rows), "train(0 step(0 2)2)train(3 step(3 5)step(5 7)7)");
        // Paths say it themselves, also from the inside out.
        let rows = [span(1, "a/b/c", 0, 2), span(2, "a/b", 0, 2), span(3, "a", 0, 2)];
        assert_eq!(drawn(&rows), "a(0 b(0 c(0 2)2)2)");
        // Nothing says it: as they are listed.
        assert_eq!(drawn(&[span(1, "x", 0, 2), span(2, "y", 0, 2)]), "x(0 y(0 2)2)");
    }

    #[test]
    fn work_goes_with_the_end_of_the_row_it_stands_in() {
        let events = markers(vec![span(7, "train/step", 0, 1)], Path::new("p.csv")).unwrap_or_default();
        let samples: Vec<Option<u64>> = events.iter().map(|e| e.samples).collect();
        assert_eq!(samples, [None, None, Some(7), None]);
    }

    #[test]
    fn what_cannot_nest_is_refused_by_line() {
        let refused = |rows: &[Span]| {
            markers(rows.to_vec(), Path::new("phases.csv")).map_or_else(|e| e.to_string(), |_| "no error".to_owned())
        };
        let across = refused(&[span(2, "a", 0, 5), span(3, "b", 4, 6)]);
        assert!(
            across.starts_with("phases.csv:3: the phase `b` begins inside `a` of line 2"),
            "{across}"
        );
        let elsewhere = refused(&[span(2, "a", 0, 5), span(3, "x/y", 1, 2)]);
        assert!(
            elsewhere.contains("`x/y` lies, by its times, inside `a`"),
            "{elsewhere}"
        );
    }

    #[test]
    fn ranks_run_at_the_same_time() {
        let other = Span {
            rank: 1,
            ..span(3, "b", 4, 6)
        };
        let events = markers(vec![span(2, "a", 0, 5), other], Path::new("p.csv")).expect("two ranks");
        let order: Vec<(u32, &str)> = events.iter().map(|e| (e.rank, e.name.as_str())).collect();
        assert_eq!(order, [(0, "a"), (1, "b"), (0, "a"), (1, "b")]);
    }
}
