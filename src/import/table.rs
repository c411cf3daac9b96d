//! A text file -> rows of cells with their line numbers.
//!
//! Two shapes are read: tables with a separator (comma, semicolon or tab, told from the header), and the text of `dcgmi dmon`, whose
//! columns are aligned by blanks and whose entity (`GPU 0`) is two words. Headers that are repeated in mid-file are left out. A last
//! line that no newline ends may have been cut within its last cell: it is kept apart.

use std::path::Path;

use super::error::ImportError;
use super::stamp;
use crate::model::wording::counted;

/// One row that is not a header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Counted from 1.
    pub line: u64,
    pub cells: Vec<String>,
}

/// A file cut up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    pub header: Vec<String>,
    pub rows: Vec<Row>,
    /// The last line where no newline ends it.
    pub unfinished: Option<Row>,
    /// Lines that programs print into their logs ("GPU is lost"), as `line: text`.
    pub asides: Vec<String>,
    /// Whether the decimal sign may be a comma (the separator is none).
    pub decimal_comma: bool,
}

/// Read and cut up `path`. `columns` stands in for a header that the file does not have.
pub fn read(path: &Path, columns: Option<&[String]>) -> Result<Table, ImportError> {
    let bytes = std::fs::read(path).map_err(|source| ImportError::Read {
        path: path.to_owned(),
        source,
    })?;
    // Windows PowerShell's `>` writes UTF-16; everything else that is not UTF-8 has a stray byte in a name.
    if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
        return Err(ImportError::file(
            path,
            "it is UTF-16 text",
            "convert it: `iconv -f UTF-16 -t UTF-8 LOG > LOG.utf8`",
        ));
    }
    let text = String::from_utf8_lossy(&bytes);
    cut(text.trim_start_matches('\u{feff}'), path, columns)
}

/// Cut up a text.
pub fn cut(text: &str, path: &Path, columns: Option<&[String]>) -> Result<Table, ImportError> {
    let is_dmon = |line: &str| after_stamp(line).1.trim_start_matches(['#', ' ']).starts_with("Entity");
    if text.lines().take(50).any(is_dmon) {
        dmon(text, path)
    } else {
        separated(text, path, columns)
    }
}

fn separated(text: &str, path: &Path, columns: Option<&[String]>) -> Result<Table, ImportError> {
    let empty = || {
        ImportError::file(
            path,
            "there is nothing in it",
            "a table with a header line, as `nvidia-smi --query-gpu=... --format=csv` writes",
        )
    };
    let first = text
        .lines()
        .find(|line| !is_comment(line) && !line.trim().is_empty())
        .ok_or_else(empty)?;
    let separator = [',', ';', '\t']
        .into_iter()
        .max_by_key(|&c| (first.matches(c).count(), c == ','))
        .unwrap_or(',');
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .trim(csv::Trim::All)
        .delimiter(separator as u8)
        .from_reader(text.as_bytes());
    let mut header: Option<Vec<String>> = columns.map(<[String]>::to_vec);
    let (mut rows, mut unfinished, mut asides) = (Vec::new(), None, Vec::new());
    let mut records = reader.records().peekable();
    while let Some(record) = records.next() {
        let is_open = records.peek().is_none() && !text.ends_with('\n');
        let record = record.map_err(|error| {
            let line = error.position().map_or(0, csv::Position::line);
            ImportError::line(
                path,
                line,
                error.to_string(),
                "close the quotation mark, or take it out",
            )
        })?;
        let line = record.position().map_or(0, csv::Position::line);
        let cells: Vec<String> = record.iter().map(str::to_owned).collect();
        let is_empty = cells.iter().all(String::is_empty);
        if is_empty || cells.first().is_some_and(|cell| is_comment(cell)) {
            continue;
        }
        let Some(header) = &header else {
            header = Some(cells);
            continue;
        };
        if &cells == header {
            continue;
        }
        if cells.len() == header.len() {
            let row = Row { line, cells };
            if is_open {
                unfinished = Some(row)
            } else {
                rows.push(row)
            }
        } else if cells.len() == 1 && header.len() > 1 && cells[0].chars().any(char::is_alphabetic) {
            asides.push(format!("{line}: {}", cells[0]));
        } else if is_open {
            asides.push(cut_off(line));
        } else {
            return Err(ImportError::line(
                path,
                line,
                format!("{} cells, and the header has {}", cells.len(), header.len()),
                "each line has one cell for each column; a comma inside a cell needs quotation marks",
            ));
        }
    }
    Ok(Table {
        header: header.ok_or_else(empty)?,
        rows,
        unfinished,
        asides,
        decimal_comma: separator != ',',
    })
}

fn cut_off(line: u64) -> String {
    format!("{line}: the last line was cut off")
}

/// `#` begins a comment, but for the header of `dcgmi dmon`.
fn is_comment(line: &str) -> bool {
    line.trim_start().starts_with('#')
}

/// `dcgmi dmon -e 155,156,157`:
///
/// ```text
/// #Entity   POWER    TOTEC
/// ID        W        mJ
/// GPU 0     62.553   26353525
/// ```
/// It prints no times. A time that a wrapper put before each line (`ts`, `ts '%.s'`, `ts '%FT%.T'`) is taken as the column `timestamp`.
fn dmon(text: &str, path: &Path) -> Result<Table, ImportError> {
    let mut header: Option<Vec<String>> = None;
    let mut units: Option<Vec<String>> = None;
    let (mut rows, mut unfinished, mut asides) = (Vec::new(), None, Vec::new());
    let mut stamped = false;
    let mut lines = (1..).zip(text.lines()).peekable();
    while let Some((line, whole)) = lines.next() {
        let is_open = lines.peek().is_none() && !text.ends_with('\n');
        let (stamp, rest) = after_stamp(whole);
        let words: Vec<&str> = rest.trim_start_matches(['#', ' ']).split_whitespace().collect();
        match words.as_slice() {
            [] => {}
            ["Entity", fields @ ..] => {
                stamped |= stamp.is_some();
                header = Some(fields.iter().map(|f| (*f).to_owned()).collect());
            }
            ["ID" | "Id", fields @ ..] => units = Some(fields.iter().map(|u| (*u).to_owned()).collect()),
            [kind, number, values @ ..] if kind.starts_with("GPU") => {
                let expected = header.as_ref().map_or(0, Vec::len);
                if values.len() != expected && is_open {
                    asides.push(cut_off(line));
                    continue;
                }
                if values.len() != expected {
                    let what = format!("{} figures, and the header has {expected}", values.len());
                    return Err(ImportError::line(path, line, what, "take the broken line out"));
                }
                let entity = if *kind == "GPU" {
                    (*number).to_owned()
                } else {
                    format!("{kind} {number}")
                };
                let mut cells = Vec::with_capacity(values.len() + 2);
                if stamped {
                    cells.push(stamp.unwrap_or_default().to_owned());
                }
                cells.push(entity);
                cells.extend(values.iter().map(|v| (*v).to_owned()));
                let row = Row { line, cells };
                if is_open {
                    unfinished = Some(row)
                } else {
                    rows.push(row)
                }
            }
            _ => asides.push(format!("{line}: {whole}")),
        }
    }
    let fields = header.unwrap_or_default();
    let named = fields.iter().enumerate().map(|(i, field)| {
        // Units that are not one word (`%`, `W`) do not occur; a missing line of units leaves the field's own.
        match units.as_ref().filter(|u| u.len() == fields.len()) {
            Some(units) => format!("{field} [{}]", units[i]),
            None => field.clone(),
        }
    });
    let mut names = Vec::with_capacity(fields.len() + 2);
    if stamped {
        names.push("timestamp".to_owned());
    }
    names.push("gpu".to_owned());
    names.extend(named);
    Ok(Table {
        header: names,
        rows,
        unfinished,
        asides,
        decimal_comma: false,
    })
}

/// A number or a stamp before the rest of a line of `dcgmi dmon`: `1777708107.1`, `2026-11-29 20:34:01`, `Nov 29 20:34:01`.
fn after_stamp(line: &str) -> (Option<&str>, &str) {
    /// A date, a time and a zone; or a month, a day and a time.
    const MOST_WORDS: usize = 3;
    let line = line.trim_start();
    let begins_blank = |(at, _): &(usize, char)| !line[..*at].ends_with(char::is_whitespace);
    let ends = line
        .char_indices()
        .filter(|(_, c)| c.is_whitespace())
        .filter(begins_blank);
    let mut ends: Vec<usize> = ends.take(MOST_WORDS).map(|(at, _)| at).collect();
    ends.reverse();
    ends.into_iter()
        .map(|end| line.split_at(end))
        .find(|(head, _)| head.parse::<f64>().is_ok() || stamp::parse(head).is_some())
        .map_or((None, line), |(head, rest)| (Some(head), rest))
}

/// What is said of lines that were left out.
pub fn left_out(why: &str, lines: &[String], path: &Path) -> Option<String> {
    let shown = lines.iter().take(3).cloned().collect::<Vec<_>>().join("; ");
    (!lines.is_empty()).then(|| {
        let count = counted(lines.len() as u64, "line", "lines");
        format!("{count} of {} left out, {why}: line {shown}", path.display())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(text: &str) -> Result<Table, ImportError> {
        cut(text, Path::new("log.csv"), None)
    }

    #[test]
    fn headers_are_repeated_and_lines_are_counted_as_an_editor_does() {
        let table = table("a, b\n1, 2\n\n# note\na, b\n3, 4\n").expect("a table");
        assert_eq!(table.header, ["a", "b"]);
        let lines: Vec<(u64, &str)> = table.rows.iter().map(|r| (r.line, r.cells[0].as_str())).collect();
        assert_eq!(lines, [(2, "1"), (6, "3")]);
    }

    #[test]
    fn a_message_is_an_aside_and_a_cut_off_last_line_too() {
        let table = table("a,b,c\n1,2,3\nUnable to determine the device handle: GPU is lost\n4,5").expect("a table");
        assert_eq!(table.rows.len(), 1);
        assert_eq!(table.asides.len(), 2);
        let whole = super::cut("t_s,watts\n0,100\n1,2", Path::new("log.csv"), None).expect("a table");
        assert_eq!((whole.rows.len(), whole.unfinished.map(|row| row.line)), (1, Some(3)));
        let broken = super::cut("a,b,c\n1,2\n3,4,5\n", Path::new("log.csv"), None).expect_err("a short line");
        assert!(broken.to_string().starts_with("log.csv:2: 2 cells"), "{broken}");
    }

    #[test]
    fn dcgmi_dmon_with_and_without_a_stamp_before_it() {
        let text = "#Entity   POWER   TOTEC\nID        W       mJ\nGPU 0     62.5    1000\nGPU 1     N/A     2000\n";
        let plain = table(text).expect("a table");
        assert_eq!(plain.header, ["gpu", "POWER [W]", "TOTEC [mJ]"]);
        assert_eq!(plain.rows[1].cells, ["1", "N/A", "2000"]);
        let stamped: String = text.lines().map(|line| format!("1777708107.135 {line}\n")).collect();
        let stamped = table(&stamped).expect("a table");
        assert_eq!(stamped.header[0], "timestamp");
        assert_eq!(stamped.rows[0].cells, ["1777708107.135", "0", "62.5", "1000"]);
        for stamp in [
            "Nov 29 20:34:01",
            "Nov  9 20:34:01.5",
            "2026-11-29T20:34:01",
            "2026-11-29 20:34:01 +0100",
        ] {
            let stamped: String = text.lines().map(|line| format!("{stamp} {line}\n")).collect();
            assert_eq!(
                table(&stamped).expect("a table").rows[1].cells,
                [stamp, "1", "N/A", "2000"]
            );
        }
    }

    #[test]
    fn a_last_line_of_dcgmi_dmon_that_was_cut_is_left_out() {
        let text = "#Entity   POWER   TOTEC\nID        W       mJ\nGPU 0     62.5    1000\nGPU 1     ";
        let cut = table(text).expect("a table");
        assert_eq!(
            (cut.rows.len(), cut.asides.as_slice()),
            (1, &["4: the last line was cut off".to_owned()][..])
        );
        let cut = table(&format!("{text}70.0    10")).expect("a table");
        assert_eq!((cut.rows.len(), cut.unfinished.map(|row| row.line)), (1, Some(4)));
    }

    #[test]
    fn a_semicolon_leaves_the_comma_to_the_decimals() {
        let table = table("t_ms;watts\n0;12,5\n").expect("a table");
        assert!(table.decimal_comma);
        assert_eq!(table.rows[0].cells, ["0", "12,5"]);
    }
}
