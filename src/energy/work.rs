//! Counts, wall time and work of each phase over all ranks.
//!
//! Wall time is the union over ranks; samples and tokens add up; the count is the most of any rank. All in whole nanoseconds.

use crate::model::span::Spans;
use crate::model::time::Interval;
use crate::model::wording::listed;

/// What a phase did.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Work {
    pub count: u64,
    pub wall_ns: i64,
    pub samples: Option<u64>,
    pub tokens: Option<u64>,
    /// Executions by all ranks, and those of which no time is left.
    pub executions: u64,
    pub cut: u64,
    /// Whether work was finished in one of these: what it took is not known.
    pub is_lost: bool,
}

impl Work {
    /// Whether no time is left of the phase at all: it took some, and how much is not known.
    pub fn is_nowhere(&self) -> bool {
        self.wall_ns == 0 && self.cut > 0
    }
}

/// A union of intervals that come sorted by start.
#[derive(Debug, Clone, Copy, Default)]
struct Union {
    reached: Option<i64>,
    nanos: i64,
}

impl Union {
    fn add(&mut self, interval: Interval) {
        let (start, end) = (interval.start.as_nanos(), interval.end.as_nanos());
        let from = self.reached.map_or(start, |reached| reached.max(start));
        self.nanos += (end - from).max(0);
        self.reached = Some(self.reached.map_or(end, |reached| reached.max(end)));
    }
}

fn sum(known: Option<u64>, more: Option<u64>) -> Option<u64> {
    more.map_or(known, |more| Some(known.unwrap_or(0).saturating_add(more)))
}

/// Work of every phase, in the order of `spans.phases`.
pub fn collect(spans: &Spans) -> Vec<Work> {
    let phases = spans.phases.len();
    let mut work = vec![Work::default(); phases];
    let mut unions = vec![Union::default(); phases];
    let mut counts = vec![0_u64; phases * spans.ranks.len()];
    for instance in &spans.instances {
        let phase = instance.phase.0;
        unions[phase].add(instance.interval);
        work[phase].samples = sum(work[phase].samples, instance.samples);
        work[phase].tokens = sum(work[phase].tokens, instance.tokens);
        work[phase].executions += 1;
        work[phase].cut += u64::from(instance.cut);
        work[phase].is_lost |= instance.cut && instance.samples.or(instance.tokens).is_some();
        if let Ok(rank) = spans.ranks.binary_search_by_key(&instance.rank, |r| r.rank) {
            counts[rank * phases + phase] += 1;
        }
    }
    for (phase, work) in work.iter_mut().enumerate() {
        work.wall_ns = unions[phase].nanos;
        work.count = counts.iter().skip(phase).step_by(phases).copied().max().unwrap_or(0);
    }
    work
}

/// Which phases lost time because the run does not reach them, or because a marker ahead of theirs is stamped later.
pub fn warnings(spans: &Spans, work: &[Work]) -> Vec<String> {
    const WHY: &str = "markers lie outside of it, or before a marker ahead of them";
    let all = || spans.phases.iter().map(|phase| phase.path.as_str()).zip(work);
    let nowhere: Vec<&str> = all()
        .filter(|(_, work)| work.is_nowhere())
        .map(|(path, _)| path)
        .collect();
    let mut warnings = Vec::new();
    if !nowhere.is_empty() {
        let have = if nowhere.len() == 1 { "has" } else { "have" };
        warnings.push(format!(
            "{} {have} no time within the run: {WHY}; time and energy are unknown",
            listed(&nowhere)
        ));
    }
    for (path, work) in all().filter(|(_, work)| work.cut > 0 && !work.is_nowhere()) {
        let lost = if work.is_lost {
            ", and samples per second and per joule are unknown"
        } else {
            ""
        };
        let Work { cut, executions, .. } = work;
        warnings.push(format!(
            "{cut} of the {executions} executions of {path} have no time within the run: {WHY}; time and energy are those of the \
             others{lost}"
        ));
    }
    warnings
}

/// Nanoseconds in which different phases at the top ran at once (several ranks).
pub fn overlap_of_tops(spans: &Spans) -> i64 {
    let mut each = vec![Union::default(); spans.phases.len()];
    let mut all = Union::default();
    for instance in spans.instances.iter().filter(|i| spans.phases[i.phase.0].depth == 0) {
        each[instance.phase.0].add(instance.interval);
        all.add(instance.interval);
    }
    each.iter().map(|u| u.nanos).sum::<i64>() - all.nanos
}

/// Nanoseconds in which no rank was in any phase.
pub fn outside_nanos(spans: &Spans, run: Interval) -> i64 {
    let mut all = Union::default();
    for instance in spans.instances.iter().filter(|i| spans.phases[i.phase.0].depth == 0) {
        all.add(instance.interval);
    }
    run.nanos() - all.nanos
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::energy::spans;
    use crate::model::marker::{MarkerEvent, MarkerVerb};
    use crate::model::time::Timestamp;

    /// Spans of one second's run, from (begin, end, name) in nanoseconds; each finishes three samples.
    fn told(executions: &[(i64, i64, &str)]) -> (Spans, Vec<Work>) {
        let event = |t: i64, verb, name: &str, samples| MarkerEvent {
            t: Timestamp::from_nanos(t),
            arrival: Timestamp::from_nanos(t),
            stamped: true,
            verb,
            rank: 0,
            name: name.into(),
            index: None,
            samples,
            tokens: None,
            value: None,
            devices: None,
        };
        let both = |&(begin, end, name): &(i64, i64, &str)| {
            [
                event(begin, MarkerVerb::Begin, name, None),
                event(end, MarkerVerb::End, name, Some(3)),
            ]
        };
        let events: Vec<MarkerEvent> = executions.iter().flat_map(both).collect();
        let run = Interval::new(Timestamp::from_nanos(0), Timestamp::from_nanos(1_000_000_000));
        let spans = spans(&events, run);
        let work = collect(&spans);
        (spans, work)
    }

    #[test]
    fn a_phase_of_one_instant_took_no_time_and_one_that_was_cut_took_some() {
        let (spans, work) = told(&[(500, 500, "blink"), (2_000_000_000, 3_000_000_000, "beyond")]);
        assert_eq!(work.iter().map(Work::is_nowhere).collect::<Vec<_>>(), [false, true]);
        assert_eq!(
            warnings(&spans, &work),
            [
                "beyond has no time within the run: markers lie outside of it, or before a marker ahead of them; time and energy are unknown"
            ]
        );
    }

    #[test]
    fn what_some_executions_took_is_not_what_all_samples_took() {
        let (spans, work) = told(&[(100, 200, "a"), (5, 7, "a")]);
        assert!(work[0].is_lost && !work[0].is_nowhere(), "{work:?}");
        let said = warnings(&spans, &work);
        assert!(
            said.len() == 1 && said[0].starts_with("1 of the 2 executions of a have"),
            "{said:?}"
        );
        let (spans, work) = told(&[(100, 200, "a"), (200, 300, "a")]);
        assert_eq!(warnings(&spans, &work), [""; 0]);
    }
}
