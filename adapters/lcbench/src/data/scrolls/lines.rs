//! The lines of one file.

use std::{io::BufRead, path::Path};

use serde_json::{Map, Value};

use super::super::{DataError, Example, Split, error::LineProblem};

/// `shown` is what messages call the file: a path, or that of an archive with the member's name behind it.
pub(super) fn read(mut reader: impl BufRead, shown: &Path, split: Split) -> Result<Vec<Example>, DataError> {
    let file = || shown.display().to_string();
    let mut examples = Vec::new();
    let mut bytes = Vec::new();
    for line in 1.. {
        bytes.clear();
        let read = reader.read_until(b'\n', &mut bytes);
        if read.map_err(|source| DataError::Unreadable {
            path: shown.to_owned(),
            source,
        })? == 0
        {
            break;
        }
        let bad = |problem| DataError::BadLine {
            file: file(),
            line,
            problem,
        };
        let text = str::from_utf8(&bytes).map_err(|error| bad(LineProblem::NotUtf8(error.valid_up_to())))?;
        // Some editors open a file with a byte order mark, which JSON forbids.
        let text = if line == 1 {
            text.trim_start_matches('\u{feff}')
        } else {
            text
        };
        let text = text.trim_end();
        if !text.is_empty() {
            examples.push(parse(text, split).map_err(bad)?);
        }
    }
    if examples.is_empty() && split != Split::Test {
        return Err(DataError::Empty { file: file() });
    }
    Ok(examples)
}

fn parse(line: &str, split: Split) -> Result<Example, LineProblem> {
    let value: Value = serde_json::from_str(line).map_err(|error| LineProblem::NotJson(said(&error)))?;
    let Value::Object(mut row) = value else {
        return Err(LineProblem::NotAnObject(kind(&value)));
    };
    let mut take = |field| string(field, Map::remove(&mut row, field));
    let (id, pid, input) = (take("id")?, take("pid")?, take("input")?);
    let output = match row.remove("output") {
        None | Some(Value::Null) if split == Split::Test => None,
        // A few mirrors keep all answers in one list; the first is the one to learn, as in the published training code.
        Some(Value::Array(answers)) if matches!(answers.first(), Some(Value::String(_))) => {
            answers.into_iter().find_map(|answer| {
                if let Value::String(text) = answer {
                    Some(text)
                } else {
                    None
                }
            })
        }
        other => Some(string("output", other)?),
    };
    Ok(Example { id, pid, input, output })
}

/// serde_json counts lines inside the text it is given, which is one line of ours: the column is what helps.
fn said(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text.split_once(" at line ") {
        Some((what, _)) => format!("{what}, column {}", error.column()),
        None => text,
    }
}

fn string(field: &'static str, value: Option<Value>) -> Result<String, LineProblem> {
    match value {
        Some(Value::String(text)) => Ok(text),
        Some(other) => Err(LineProblem::WrongType {
            field,
            found: kind(&other),
        }),
        None => Err(LineProblem::MissingField(field)),
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &[u8], split: Split) -> String {
        let error = read(text, Path::new("qmsum/train.jsonl"), split)
            .unwrap_err()
            .to_string();
        error.split_once("\nhint: ").unwrap().0.to_owned()
    }

    const GOOD: &str = r#"{"id": "a", "pid": "a0", "input": "q\n\nd", "output": "o", "more": [1]}"#;

    #[test]
    fn good_lines_are_kept_as_they_are() {
        let text = format!(
            "\u{feff}{GOOD}\r\n\n{}",
            r#"{"id":"b","pid":"b0","input":"","output":["x","y"]}"#
        );
        let examples = read(text.as_bytes(), Path::new("f"), Split::Train).unwrap();
        assert_eq!(examples.len(), 2);
        assert_eq!(
            (examples[0].input.as_str(), examples[0].output.as_deref()),
            ("q\n\nd", Some("o"))
        );
        assert_eq!(
            (examples[1].input.as_str(), examples[1].output.as_deref()),
            ("", Some("x"))
        );
    }

    #[test]
    fn only_a_test_split_may_lack_outputs_or_rows() {
        let row = r#"{"id":"b","pid":"b0","input":"i","output":null}"#;
        assert_eq!(
            read(row.as_bytes(), Path::new("f"), Split::Test).unwrap()[0].output,
            None
        );
        assert!(read(&b""[..], Path::new("f"), Split::Test).unwrap().is_empty());
        assert_eq!(error(b"\n \n", Split::Train), "qmsum/train.jsonl holds no examples");
        let said = "qmsum/train.jsonl:1: field `output`: expected a string, found null";
        assert_eq!(error(row.as_bytes(), Split::Validation), said);
    }

    #[test]
    fn a_bad_line_is_named_with_file_line_and_field() {
        let second = |line: &str| error(format!("{GOOD}\n{line}\n{GOOD}").as_bytes(), Split::Train);
        assert_eq!(
            second(r#"{"id": "b", "pid": "b0", "output": "o"}"#),
            "qmsum/train.jsonl:2: field `input` is missing"
        );
        let said = "qmsum/train.jsonl:2: field `id`: expected a string, found a number";
        assert_eq!(second(r#"{"id": 7, "pid": "b0", "input": "i", "output": "o"}"#), said);
        assert_eq!(second("[]"), "qmsum/train.jsonl:2: expected an object, found a list");
        assert_eq!(
            second(r#"{"id":"#),
            "qmsum/train.jsonl:2: not JSON: EOF while parsing a value, column 6"
        );
        assert_eq!(
            error(b"{}\n\xff", Split::Train),
            "qmsum/train.jsonl:1: field `id` is missing"
        );
        assert_eq!(
            error(b"\"\xff", Split::Train),
            "qmsum/train.jsonl:1: not UTF-8 (byte 1 of the line)"
        );
    }
}
