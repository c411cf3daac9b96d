//! A table of phases -> spans on the log's axis.
//!
//! Two forms. *Spans*: `name`, a start and an end or a duration, and what else a marker can carry (`samples`, `tokens`, `index`,
//! `rank`, `devices`). *Edges*: a time, and the `name` of the phase that begins there and ends at the next row (`-` for none);
//! without a column of names, the names that the user lists take turns. `times` says which columns are times and reads them.

mod times;

use std::path::Path;

use super::axis::Frame;
use super::error::ImportError;
use super::nest::Span;
use super::table::{self, Row, Table};
use times::{Form, TimeColumn, Times};

/// Columns of this module's own.
const NAMES: [&str; 3] = ["name", "phase", "path"];

/// The phases of a table, and what is to be said of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Phases {
    pub spans: Vec<Span>,
    pub warnings: Vec<String>,
}

/// Read the phases of `table`. `turns`: names for a list of edges that has none.
pub fn read(table: &Table, path: &Path, frame: &Frame, turns: &[String]) -> Result<Phases, ImportError> {
    let reader = PhaseReader {
        path,
        table,
        times: Times { path, table, frame },
        rows: table.rows.iter().chain(&table.unfinished).collect(),
        name: NAMES.iter().find_map(|name| column(table, name)),
    };
    let mut phases = match Form::of(table, path, reader.name.is_some())? {
        Some(Form::StartAndEnd(start, end)) => reader.spans(start, |row, from| reader.end(row, from, end)),
        Some(Form::StartAndDuration(start, duration)) => reader.spans(start, |row, from| {
            Ok(from.saturating_add(reader.times.length(row, duration)?))
        }),
        Some(Form::Edges(edge)) if reader.name.is_some() || !turns.is_empty() => reader.edges(edge, turns),
        Some(Form::Edges(_)) => Err(ImportError::line(
            path,
            1,
            "a list of edges without names",
            "add a column `name`, or let names take turns: --phase-names high,low",
        )),
        None => Err(ImportError::line(
            path,
            1,
            format!("no phases among the columns: {}", table.header.join(", ")),
            "the first line is name,start_ms,end_ms or name,start_ms,duration_ms (and samples, tokens, index, rank if known), or t_ms,name for a list of edges",
        )),
    }?;
    phases
        .warnings
        .extend(table::left_out("being no phases", &table.asides, path));
    // Tables that people write often end so.
    phases.warnings.extend(table.unfinished.as_ref().map(|row| {
        let place = format!("{}:{}", path.display(), row.line);
        format!("{place}: no newline ends the last line, so that it may have been cut: it was read as it stands")
    }));
    Ok(phases)
}

fn column(table: &Table, name: &str) -> Option<usize> {
    table.header.iter().position(|h| h.trim().eq_ignore_ascii_case(name))
}

struct PhaseReader<'a> {
    path: &'a Path,
    table: &'a Table,
    times: Times<'a>,
    rows: Vec<&'a Row>,
    name: Option<usize>,
}

impl PhaseReader<'_> {
    fn number(&self, row: &Row, name: &str) -> Result<Option<u64>, ImportError> {
        let Some(at) = column(self.table, name) else {
            return Ok(None);
        };
        match row.cells[at].trim() {
            "" | "-" => Ok(None),
            cell => cell.parse().map(Some).map_err(|_| {
                let what = format!("`{cell}` is no count");
                ImportError::cell(self.path, row.line, name, what, "a whole number, or nothing")
            }),
        }
    }

    fn path_of(&self, row: &Row, name: &str) -> Result<Vec<String>, ImportError> {
        let parts: Vec<String> = name.split('/').map(|part| part.trim().to_owned()).collect();
        let good = |part: &String| {
            (1..=64).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b))
        };
        if parts.iter().all(good) {
            return Ok(parts);
        }
        let header = self.name.map_or("name", |at| self.table.header[at].as_str());
        Err(ImportError::cell(
            self.path,
            row.line,
            header,
            format!("`{name}` is no name of a phase"),
            "1 to 64 of A-Z a-z 0-9 _ . - ; a phase inside others may be written as train/step/forward",
        ))
    }

    fn end(&self, row: &Row, from: i64, column: TimeColumn) -> Result<i64, ImportError> {
        let to = self.times.point(row, column)?;
        if to < from {
            let what = "the phase ends before it begins";
            return Err(self.times.error(row, column, what, "swap the two times"));
        }
        Ok(to)
    }

    /// `end` says when the phase of a row ends that began then.
    fn spans(
        &self,
        start: TimeColumn,
        end: impl Fn(&Row, i64) -> Result<i64, ImportError>,
    ) -> Result<Phases, ImportError> {
        let mut spans = Vec::with_capacity(self.rows.len());
        for &row in &self.rows {
            let from = self.times.point(row, start)?;
            let to = end(row, from)?;
            let name = self.name.map_or("", |at| row.cells[at].as_str());
            let devices = column(self.table, "devices").map(|at| row.cells[at].trim().to_owned());
            spans.push(Span {
                line: row.line,
                path: self.path_of(row, name)?,
                start: from,
                end: to,
                rank: self.number(row, "rank")?.map_or(Ok(0), u32::try_from).map_err(|_| {
                    ImportError::cell(self.path, row.line, "rank", "no rank is so large", "ranks count from 0")
                })?,
                index: self.number(row, "index")?,
                samples: self.number(row, "samples")?,
                tokens: self.number(row, "tokens")?,
                devices: devices.filter(|d| !d.is_empty()),
            });
        }
        Ok(Phases {
            spans,
            warnings: Vec::new(),
        })
    }

    fn edges(&self, edge: TimeColumn, turns: &[String]) -> Result<Phases, ImportError> {
        let mut phases = Phases::default();
        let times = self.rows.iter().map(|row| self.times.point(row, edge));
        let times = times.collect::<Result<Vec<i64>, _>>()?;
        for (i, &row) in self.rows.iter().enumerate() {
            let Some((&to, next)) = times.get(i + 1).zip(self.rows.get(i + 1)) else {
                phases.warnings.extend(self.endless(row));
                break;
            };
            if to < times[i] {
                let what = "before the line above it";
                return Err(self.times.error(next, edge, what, "sort the edges by time"));
            }
            let name = match self.name {
                Some(at) => row.cells[at].trim(),
                None => turns[i % turns.len()].as_str(),
            };
            if matches!(name, "" | "-") {
                continue;
            }
            phases.spans.push(Span {
                line: row.line,
                path: self.path_of(row, name)?,
                start: times[i],
                end: to,
                rank: 0,
                index: None,
                samples: self.number(row, "samples")?,
                tokens: self.number(row, "tokens")?,
                devices: None,
            });
        }
        Ok(phases)
    }

    /// The last edge ends a phase; one that it begins has no end. Names that take turns say nothing of it.
    fn endless(&self, last: &Row) -> Option<String> {
        let name = last.cells[self.name?].trim();
        (!matches!(name, "" | "-")).then(|| {
            format!(
                "{}:{}: `{name}` begins at the last edge, where nothing ends it, and was left out: a row named `-` would",
                self.path.display(),
                last.line
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::import::axis::Axis;
    use crate::import::table;

    fn phases(text: &str, turns: &[&str]) -> Result<Vec<(String, i64, i64)>, String> {
        let path = Path::new("phases.csv");
        let frame = Frame {
            axis: Axis::Plain,
            first: 0,
            offset_s: None,
        };
        let turns: Vec<String> = turns.iter().map(|t| (*t).to_owned()).collect();
        let table = table::cut(text, path, None).map_err(|e| e.to_string())?;
        let phases = read(&table, path, &frame, &turns).map_err(|e| e.to_string())?;
        Ok(phases
            .spans
            .into_iter()
            .map(|s| (s.path.join("/"), s.start, s.end))
            .collect())
    }

    #[test]
    fn spans_and_edges_in_their_units() {
        let span = |name: &str, start: i64, end: i64| (name.to_owned(), start * 1_000_000, end * 1_000_000);
        let expected = Ok(vec![span("load", 0, 500), span("train/step", 500, 900)]);
        assert_eq!(
            phases("name,start_ms,end_ms\nload,0,500\ntrain/step,500,900\n", &[]),
            expected
        );
        assert_eq!(
            phases("phase,start_s,end_s\nload,0,.5\ntrain/step,0.5,0.9\n", &[]),
            expected
        );
        assert_eq!(
            phases("t_ms,name\n0,load\n500,train/step\n900,-\n1000,load\n", &[]),
            expected
        );
        for durations in [
            "name,start_ms,duration_ms\nload,0,500\ntrain/step,500,400\n",
            "name,t_s,duration [ms]\nload,0,500\ntrain/step,0.5,400\n",
            "name,start_s,duration\nload,0,500 ms\ntrain/step,.5,0.4s\n",
            "name,start_s,dur_s,note_s\nload,0,.5,7\ntrain/step,.5,.4,7",
        ] {
            assert_eq!(phases(durations, &[]), expected, "{durations}");
        }
        let turns = Ok(vec![span("high", 0, 5), span("low", 5, 9), span("high", 9, 14)]);
        assert_eq!(phases("t_ms\n0\n5\n9\n14\n", &["high", "low"]), turns);
    }

    #[test]
    fn mistakes_name_line_column_and_the_fix() {
        let refused = |text| phases(text, &[]).map_or_else(|e| e, |_| "no error".to_owned());
        let cases = [
            refused("t_ms\n0\n5\n"),
            refused("what,ever\n0,5\n"),
            refused("name,start_ms,end_ms\nload,5,3\n"),
            refused("name,start_ms,end_ms\nmy phase,3,5\n"),
            refused("name,start_ms,end_ms\nload,3,soon\n"),
            refused("name,start_ms,end_ms,samples\nload,3,4,many\n"),
            refused("t_ms,name\n5,a\n3,b\n"),
            refused("name,start,end\na,10,20\n"),
            refused("name,start_s,duration\na,10,20\n"),
            refused("name,start_s,duration_s\na,10,-1\n"),
            refused("name,start_s,duration_s\na,10,long\n"),
            refused("name,time\na,1700000000\nb,1700000001\n"),
            refused("name,start_ms,took_ms\na,0,10\nb,10,20\n"),
            refused("name,t_ms,finish\na,0,10\nb,10,20\n"),
        ];
        insta::assert_snapshot!(cases.join("\n---\n"));
    }
}
