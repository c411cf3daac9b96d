//! Bytes of the pipe -> marker events, counting what cannot be understood.
//!
//! Writers send whole lines in one `write(2)` of at most 1024 bytes, which the kernel never interleaves (pipe(7), `PIPE_BUF`); yet
//! anything may be written to a FIFO, so a line can be garbage, endless, or without an end.

use powerprof_markers::wire::{self, Line, Verb};

use crate::model::marker::{MarkerEvent, MarkerFaults, MarkerVerb};
use crate::model::time::Timestamp;

/// Longest line of the wire format, its newline included.
const MAX_LINE: usize = 1024;
/// How many bad lines are kept to be shown.
const EXAMPLES: usize = 5;
/// A stamp further than this from its arrival was not taken on our clock (another time namespace, another unit).
const FOREIGN_CLOCK_NS: i64 = 3_600_000_000_000;
/// Nothing is stamped after it was read. So much is left to writers that bring the stamps of a device to this clock.
const AHEAD_NS: i64 = 1_000_000;

/// Cuts a stream of bytes into lines and understands them.
#[derive(Default)]
pub struct Lines {
    /// The beginning of a line whose end has not come yet.
    partial: Vec<u8>,
    /// The current line is too long already; skip to its end.
    overlong: bool,
    faults: MarkerFaults,
    changed: bool,
}

impl Lines {
    /// Take in what one read gave, all of which arrived at `arrival`.
    pub fn push(&mut self, bytes: &[u8], arrival: Timestamp, events: &mut Vec<MarkerEvent>) {
        let mut rest = bytes;
        while let Some(end) = rest.iter().position(|&b| b == b'\n') {
            let (head, tail) = rest.split_at(end);
            rest = &tail[1..];
            if self.overlong {
                self.overlong = false;
                continue;
            }
            if self.partial.is_empty() {
                self.line(head, arrival, events);
            } else {
                let mut line = std::mem::take(&mut self.partial);
                line.extend_from_slice(head);
                self.line(&line, arrival, events);
            }
        }
        if self.overlong {
            return;
        }
        self.partial.extend_from_slice(rest);
        if self.partial.len() >= MAX_LINE {
            let start = std::mem::take(&mut self.partial);
            self.bad(&start, "longer than 1024 bytes");
            self.overlong = true;
        }
    }

    /// No more bytes will come: a last line without its newline is understood if it can be.
    pub fn finish(&mut self, arrival: Timestamp, events: &mut Vec<MarkerEvent>) {
        let line = std::mem::take(&mut self.partial);
        if !line.is_empty() {
            self.line(&line, arrival, events);
        }
    }

    /// The counts so far, if they changed since the last call.
    pub fn take_changed_faults(&mut self) -> Option<MarkerFaults> {
        std::mem::take(&mut self.changed).then(|| self.faults.clone())
    }

    fn line(&mut self, line: &[u8], arrival: Timestamp, events: &mut Vec<MarkerEvent>) {
        if line.len() >= MAX_LINE {
            return self.bad(line, "longer than 1024 bytes");
        }
        if line.iter().all(u8::is_ascii_whitespace) {
            return; // an empty `echo`
        }
        match wire::parse(line) {
            Ok(parsed) => {
                if let Some(dropped) = parsed.dropped {
                    self.faults.dropped = self.faults.dropped.saturating_add(dropped);
                    self.changed = true;
                }
                let own = parsed.t.map(|t| own_time(t, arrival)).transpose();
                if let Err(reason) = &own {
                    let used = "not CLOCK_MONOTONIC of this machine; the arrival time is used";
                    self.bad(line, &format!("its time is {reason}: {used}"));
                }
                events.push(event(&parsed, arrival, own.ok().flatten()));
            }
            Err(error) => self.bad(line, &error.to_string()),
        }
    }

    fn bad(&mut self, line: &[u8], reason: &str) {
        self.changed = true;
        self.faults.bad_lines = self.faults.bad_lines.saturating_add(1);
        if self.faults.examples.len() < EXAMPLES {
            let shown = line[..line.len().min(60)].escape_ascii();
            let dots = if line.len() > 60 { "…" } else { "" };
            let reason = reason.lines().next().unwrap_or_default();
            self.faults.examples.push(format!("`{shown}{dots}`: {reason}"));
        }
    }
}

/// A writer's stamp, or why it cannot be one of our clock.
fn own_time(stamp: u64, arrival: Timestamp) -> Result<Timestamp, String> {
    let stamp = i64::try_from(stamp).map(Timestamp::from_nanos);
    match stamp.map(|t| (t, t - arrival)) {
        Ok((t, ahead)) if ahead <= AHEAD_NS && ahead > -FOREIGN_CLOCK_NS => Ok(t),
        Ok((_, ahead)) if ahead.abs() < FOREIGN_CLOCK_NS => {
            Err(format!("{:.3} s ahead of its arrival", ahead as f64 * 1e-9))
        }
        _ => Err("over an hour from ours".to_owned()),
    }
}

fn event(line: &Line<'_>, arrival: Timestamp, own: Option<Timestamp>) -> MarkerEvent {
    MarkerEvent {
        t: own.unwrap_or(arrival),
        arrival,
        stamped: own.is_some(),
        verb: match line.verb() {
            Verb::Begin => MarkerVerb::Begin,
            Verb::End => MarkerVerb::End,
            Verb::Mark => MarkerVerb::Mark,
            Verb::Metric => MarkerVerb::Metric,
        },
        rank: line.rank,
        name: line.name.as_str().to_owned(),
        index: line.index(),
        samples: line.samples(),
        tokens: line.tokens(),
        value: line.value(),
        devices: line.devices().map(|d| d.as_str().to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: Timestamp = Timestamp::from_nanos(5_000_000_000);

    fn understand(pieces: &[&[u8]]) -> (Vec<MarkerEvent>, MarkerFaults) {
        let (mut lines, mut events) = (Lines::default(), Vec::new());
        for piece in pieces {
            lines.push(piece, NOW, &mut events);
        }
        lines.finish(NOW, &mut events);
        (events, lines.faults)
    }

    #[test]
    fn a_line_cut_by_reads_is_one_line() {
        let (events, faults) = understand(&[b"begin tr", b"ain t=4000000", b"000 index=3\nend train"]);
        assert_eq!(faults, MarkerFaults::default());
        assert_eq!(events.len(), 2);
        assert_eq!(
            (events[0].t.as_nanos(), events[0].stamped, events[0].index),
            (4_000_000_000, true, Some(3))
        );
        assert_eq!((events[1].t, events[1].stamped), (NOW, false));
    }

    #[test]
    fn garbage_is_counted_and_the_next_line_is_heard() {
        let long = [b'x'; 5000];
        let (events, faults) = understand(&[b"\x00\xff\x80 what\n", &long, b"more\nbegin ok\n", b"begin\n"]);
        assert_eq!(events.len(), 1);
        assert_eq!(faults.bad_lines, 3);
        assert_eq!(faults.examples.len(), 3);
        assert!(faults.examples[1].contains("longer than 1024"), "{:?}", faults.examples);
    }

    #[test]
    fn a_stamp_of_another_clock_is_said_so_and_replaced() {
        let (events, faults) = understand(&[b"begin x t=1700000000000000000\n"]);
        assert_eq!((events[0].t, events[0].stamped), (NOW, false));
        assert_eq!(faults.bad_lines, 1);
    }

    #[test]
    fn a_stamp_after_its_own_arrival_is_said_so_and_replaced() {
        for (t, stamped) in [
            (4_000_000_000_i64, true),
            (5_000_000_000, true),
            (5_000_900_000, true),
            (5_100_000_000, false),
            (3_604_000_000_000, false),
        ] {
            let (events, faults) = understand(&[format!("begin x t={t}\n").as_bytes()]);
            let used = if stamped { Timestamp::from_nanos(t) } else { NOW };
            assert_eq!((events[0].t, events[0].stamped), (used, stamped), "{t}");
            assert_eq!(faults.bad_lines, u64::from(!stamped), "{t}");
        }
        let (_, faults) = understand(&[b"begin x t=5100000000\n"]);
        insta::assert_snapshot!(faults.examples.join("\n"), @"`begin x t=5100000000`: its time is 0.100 s ahead of its arrival: not CLOCK_MONOTONIC of this machine; the arrival time is used");
    }

    #[test]
    fn dropped_lines_add_up() {
        let (_, faults) = understand(&[b"begin x dropped=3\nend x dropped=4\n"]);
        assert_eq!(faults.dropped, 7);
    }

    proptest! {
        #[test]
        fn any_bytes_in_any_pieces_mean_the_same(bytes in proptest::collection::vec(any::<u8>(), 0..4000), cut in 0usize..4000) {
            let cut = cut.min(bytes.len());
            prop_assert_eq!(understand(&[&bytes]), understand(&[&bytes[..cut], &bytes[cut..]]));
        }
    }
}
