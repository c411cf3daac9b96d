//! That training teaches something: a score far above what can be had without reading the document.

mod program;

use lcbench::{
    data::{Builtin, Dataset},
    tokenizer::train_bpe,
};
use program::{Run, succeeds};

/// The built-in task in words instead of bytes, scored by what the model writes by itself: fed with the right answers, a model
/// with tied embeddings that only repeats its input would already score. Who has read the question alone is right in one case of
/// four, who has read nothing in one of sixteen.
#[test]
fn a_tiny_model_learns_to_fetch_a_word_from_a_document() {
    const QUESTION_ALONE: f64 = 25.0;
    let dir = tempfile::tempdir().unwrap();
    let (data, words) = (dir.path().join("data"), dir.path().join("words"));
    let task = Builtin {
        train: 4096,
        validation: 128,
        length: 256,
        ..Builtin::default()
    };
    let set = Dataset::builtin(&task);
    set.save(&data).unwrap();
    let texts = set.train.iter().flat_map(|row| [Some(&row.input), row.output.as_ref()]);
    train_bpe(texts.flatten().map(String::as_str), 600, &words).unwrap();

    let run = Run::new([
        "--data",
        data.to_str().unwrap(),
        "--tokenizer",
        words.to_str().unwrap(),
        "--no-cache",
    ]);
    let run = run.and([
        "--device",
        "cpu",
        "--seq-len",
        "80",
        "--target-len",
        "8",
        "--score",
        "generate",
    ]);
    let run = run.and(["--batch-size", "32", "--max-steps", "400", "--log-every", "50"]);
    let f1 = |summary: &serde_json::Value| summary["validate"]["generate"]["f1"].as_f64().unwrap();
    let untrained = f1(&succeeds(&run.clone().and(["--max-steps", "0"])));
    assert!(untrained < QUESTION_ALONE, "{untrained}");
    let trained = succeeds(&run);
    let losses = trained["train"]["losses"].as_array().unwrap();
    let (first, last) = (losses[0][1].as_f64().unwrap(), losses[7][1].as_f64().unwrap());
    // Of 128 documents, 25 % has a standard error of 4: this is nine of them away. Seeds 2, 3 and 42 gave 84 to 100.
    assert!(
        f1(&trained) > QUESTION_ALONE + 36.0 && last < first / 3.0,
        "{} {losses:?}",
        f1(&trained)
    );
}
