//! SCROLLS files: `{train,validation,test}.jsonl`, one JSON object a line with `id`, `pid`, `input` and `output`.
//!
//! Format as distributed with the benchmark (Shaham et al., EMNLP 2022). Unknown fields are ignored, blank lines are skipped,
//! anything else that does not fit is an error with file, line and field.

use std::{
    fs::{self, File},
    io::{self, BufRead, BufReader},
    path::{Path, PathBuf},
};

use serde_json::{Map, Value};

use super::{DataError, Dataset, Example, Split, error::LineProblem};

pub(super) fn load(path: &Path) -> Result<Dataset, DataError> {
    let folder = locate(path)?;
    let name = folder
        .file_name()
        .map_or_else(|| "data".into(), |name| name.to_string_lossy().into_owned());
    let read = |split: Split| read_split(&folder, split);
    Ok(Dataset {
        name,
        train: read(Split::Train)?,
        validation: read(Split::Validation)?,
        test: read(Split::Test)?,
    })
}

/// The folder that holds the files: `path` itself, or its only subfolder that does (archives unpack to one).
fn locate(path: &Path) -> Result<PathBuf, DataError> {
    let unreadable = |source| DataError::Unreadable {
        path: path.to_owned(),
        source,
    };
    // So that `--data .` and a trailing `..` give the set a name.
    let path = path.canonicalize().map_err(unreadable)?;
    if path.join("train.jsonl").is_file() {
        return Ok(path);
    }
    let mut found = Vec::new();
    for entry in fs::read_dir(&path).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        if entry.path().join("train.jsonl").is_file() {
            found.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    found.sort();
    match &found[..] {
        [] => Err(DataError::MissingSplit {
            path,
            file: "train.jsonl",
        }),
        [one] => Ok(path.join(one)),
        _ => Err(DataError::Ambiguous { path, found }),
    }
}

fn read_split(folder: &Path, split: Split) -> Result<Vec<Example>, DataError> {
    let path = folder.join(format!("{}.jsonl", split.name()));
    let file = match File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound && split == Split::Test => return Ok(Vec::new()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(DataError::MissingSplit {
                path: folder.to_owned(),
                file: file_name(split),
            });
        }
        Err(source) => return Err(DataError::Unreadable { path, source }),
    };
    read_lines(BufReader::new(file), &path, split)
}

fn file_name(split: Split) -> &'static str {
    match split {
        Split::Train => "train.jsonl",
        Split::Validation => "validation.jsonl",
        Split::Test => "test.jsonl",
    }
}

/// `shown` is what messages call the file: a path, or `archive.zip/member`.
pub(super) fn read_lines(mut reader: impl BufRead, shown: &Path, split: Split) -> Result<Vec<Example>, DataError> {
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
        if !text.trim().is_empty() {
            examples.push(parse(text, split).map_err(bad)?);
        }
    }
    if examples.is_empty() && split != Split::Test {
        return Err(DataError::Empty { file: file() });
    }
    Ok(examples)
}

fn parse(line: &str, split: Split) -> Result<Example, LineProblem> {
    let value: Value = serde_json::from_str(line).map_err(|error| LineProblem::NotJson(error.to_string()))?;
    let Value::Object(mut row) = value else {
        return Err(LineProblem::NotAnObject(kind(&value)));
    };
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
    let mut take = |field| string(field, Map::remove(&mut row, field));
    Ok(Example {
        id: take("id")?,
        pid: take("pid")?,
        input: take("input")?,
        output,
    })
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
