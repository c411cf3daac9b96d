//! SCROLLS files: `{train,validation,test}.jsonl`, one JSON object a line with `id`, `pid`, `input` and `output`.
//!
//! Format as distributed with the benchmark (Shaham et al., EMNLP 2022), as a folder or as the zip it is published in. Unknown
//! fields are ignored, blank lines are skipped, anything else that does not fit is an error with file, line and field.

mod lines;
mod source;

use std::{
    fs::File,
    io::{self, BufWriter, Write},
    path::Path,
};

use super::{DataError, Dataset, Example, Split};
use source::{Opened, Source};

pub(super) fn load(path: &Path) -> Result<Dataset, DataError> {
    let mut source = Source::locate(path)?;
    let mut read = |split: Split| match source.open(split)? {
        Some(Opened { reader, shown }) => lines::read(reader, &shown, split),
        None if split == Split::Test => Ok(Vec::new()),
        None => Err(DataError::MissingSplit {
            path: path.to_owned(),
            file: file_name(split),
        }),
    };
    let (train, validation, test) = (read(Split::Train)?, read(Split::Validation)?, read(Split::Test)?);
    Ok(Dataset {
        name: source.name().to_owned(),
        train,
        validation,
        test,
    })
}

pub(super) fn save(dataset: &Dataset, dir: &Path) -> io::Result<()> {
    std::fs::create_dir_all(dir)?;
    for split in Split::ALL {
        let mut file = BufWriter::new(File::create(dir.join(file_name(split)))?);
        for Example { id, pid, input, output } in dataset.split(split) {
            let row = serde_json::json!({"id": id, "pid": pid, "input": input, "output": output});
            writeln!(file, "{row}")?;
        }
        file.flush()?;
    }
    Ok(())
}

fn file_name(split: Split) -> &'static str {
    match split {
        Split::Train => "train.jsonl",
        Split::Validation => "validation.jsonl",
        Split::Test => "test.jsonl",
    }
}
