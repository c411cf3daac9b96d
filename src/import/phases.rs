//! A table of phases -> spans on the log's axis.
//!
//! Two forms. *Spans*: `name`, a start and an end, and what else a marker can carry (`samples`, `tokens`, `index`, `rank`,
//! `devices`). *Edges*: a time, and the `name` of the phase that begins there and ends at the next row (`-` for none); without a
//! column of names, the names that the user lists take turns.

use std::path::Path;

use super::axis::Frame;
use super::columns::time_unit_ns;
use super::error::ImportError;
use super::nest::Span;
use super::table::{Row, Table};

/// Columns of this module's own.
const NAMES: [&str; 3] = ["name", "phase", "path"];

/// Where a time stands, and the unit of a bare number there.
#[derive(Debug, Clone, Copy)]
struct TimeColumn {
    at: usize,
    unit_ns: i64,
}

/// Read the phases of `table`. `turns`: names for a list of edges that has none.
pub fn read(table: &Table, path: &Path, frame: &Frame, turns: &[String]) -> Result<Vec<Span>, ImportError> {
    let reader = PhaseReader {
        path,
        table,
        frame,
        name: NAMES.iter().find_map(|name| column(table, name)),
    };
    let (start, end) = (
        time_column(table, &["start", "begin", "from"]),
        time_column(table, &["end", "stop", "to"]),
    );
    match (start, end, time_column(table, &["t", "time", "timestamp", "edge"])) {
        (Some(start), Some(end), _) if reader.name.is_some() => reader.spans(start, end),
        (_, _, Some(edge)) | (Some(edge), None, None) if reader.name.is_some() || !turns.is_empty() => {
            reader.edges(edge, turns)
        }
        (_, _, Some(_)) => Err(ImportError::line(
            path,
            1,
            "a list of edges without names",
            "add a column `name`, or let names take turns: --phase-names high,low",
        )),
        _ => Err(ImportError::line(
            path,
            1,
            format!("no phases among the columns: {}", table.header.join(", ")),
            "the first line is name,start_ms,end_ms (and samples, tokens, index, rank if known), or t_ms,name for a list of edges",
        )),
    }
}

fn column(table: &Table, name: &str) -> Option<usize> {
    table.header.iter().position(|h| h.trim().eq_ignore_ascii_case(name))
}

/// `start_ms`, `start_s`, or `start` alone, which counts milliseconds where it is a number.
fn time_column(table: &Table, names: &[&str]) -> Option<TimeColumn> {
    table.header.iter().enumerate().find_map(|(at, header)| {
        let header = header.trim().to_ascii_lowercase();
        let (stem, unit_ns) = match header.rsplit_once('_') {
            Some((stem, unit)) => (stem.to_owned(), time_unit_ns(unit)?),
            None => (header.clone(), 1_000_000),
        };
        names.contains(&stem.as_str()).then_some(TimeColumn { at, unit_ns })
    })
}

struct PhaseReader<'a> {
    path: &'a Path,
    table: &'a Table,
    frame: &'a Frame,
    name: Option<usize>,
}

impl PhaseReader<'_> {
    fn time(&self, row: &Row, column: TimeColumn) -> Result<i64, ImportError> {
        let placed = self
            .frame
            .place(&row.cells[column.at], column.unit_ns, self.table.decimal_comma);
        placed.map_err(|(what, hint)| ImportError::cell(self.path, row.line, &self.table.header[column.at], what, hint))
    }

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

    fn spans(&self, start: TimeColumn, end: TimeColumn) -> Result<Vec<Span>, ImportError> {
        let mut spans = Vec::with_capacity(self.table.rows.len());
        for row in &self.table.rows {
            let (from, to) = (self.time(row, start)?, self.time(row, end)?);
            if to < from {
                let header = &self.table.header[end.at];
                let what = "the phase ends before it begins";
                return Err(ImportError::cell(
                    self.path,
                    row.line,
                    header,
                    what,
                    "swap the two times",
                ));
            }
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
        Ok(spans)
    }

    fn edges(&self, edge: TimeColumn, turns: &[String]) -> Result<Vec<Span>, ImportError> {
        let mut spans = Vec::with_capacity(self.table.rows.len());
        let times = self
            .table
            .rows
            .iter()
            .map(|row| self.time(row, edge))
            .collect::<Result<Vec<i64>, _>>()?;
        for (i, row) in self.table.rows.iter().enumerate() {
            let Some(&to) = times.get(i + 1) else { break };
            if to < times[i] {
                let header = &self.table.header[edge.at];
                let next = self.table.rows[i + 1].line;
                return Err(ImportError::cell(
                    self.path,
                    next,
                    header,
                    "before the line above it",
                    "sort the edges by time",
                ));
            }
            let name = match self.name {
                Some(at) => row.cells[at].trim(),
                None => turns[i % turns.len()].as_str(),
            };
            if matches!(name, "" | "-") {
                continue;
            }
            spans.push(Span {
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
        Ok(spans)
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
        let spans = read(&table, path, &frame, &turns).map_err(|e| e.to_string())?;
        Ok(spans.into_iter().map(|s| (s.path.join("/"), s.start, s.end)).collect())
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
        ];
        insta::assert_snapshot!(cases.join("\n---\n"));
    }
}
