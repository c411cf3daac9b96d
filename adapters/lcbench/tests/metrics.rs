//! Scores against rouge-score and the SQuAD evaluator (tests/data/metrics.json, made by goldens/metrics.py), to 1e-9.

use lcbench::metrics::{Scoring, Summary, evaluate, f1, rouge};
use serde::Deserialize;

#[derive(Deserialize)]
struct Vectors {
    summary: Summaries,
    rows: Vec<Row>,
}

/// ROUGE-1, -2, -L, their geometric mean, F1, exact match; in per cent.
#[derive(Deserialize)]
struct Summaries {
    paper: [f64; 6],
    official: [f64; 6],
    /// A prediction's row, and the rows whose references are its own.
    groups: Vec<(usize, Vec<usize>)>,
}

#[derive(Deserialize)]
struct Row {
    prediction: String,
    reference: String,
    paper: [f64; 3],
    official: [f64; 3],
    f1: f64,
    exact: f64,
}

fn vectors() -> Vectors {
    serde_json::from_str(include_str!("data/metrics.json")).unwrap()
}

fn close(ours: &[f64], theirs: &[f64], what: &str) {
    assert_eq!(ours.len(), theirs.len());
    for (a, b) in ours.iter().zip(theirs) {
        assert!((a - b).abs() <= 1e-9, "{what}: {ours:?}, expected {theirs:?}");
    }
}

#[test]
fn each_pair_scores_as_the_originals_do() {
    let rows = vectors().rows;
    assert!(rows.len() >= 200);
    for row in &rows {
        let scores = |scoring| {
            let rouge = rouge::score(scoring, &row.prediction, &row.reference);
            [rouge.rouge1, rouge.rouge2, rouge.rouge_l]
        };
        let what = format!("{:?} for {:?}", row.prediction, row.reference);
        close(&scores(Scoring::TeacherForced), &row.paper, &what);
        close(&scores(Scoring::Generate), &row.official, &what);
        close(&[f1::score(&row.prediction, &row.reference)], &[row.f1], &what);
        close(&[f1::exact_match(&row.prediction, &row.reference)], &[row.exact], &what);
    }
    // The two forms are told apart by the vectors, so neither can stand in for the other.
    assert!(rows.iter().any(|row| row.paper != row.official));
}

fn figures(summary: Summary) -> [f64; 6] {
    [
        summary.rouge1,
        summary.rouge2,
        summary.rouge_l,
        summary.rouge_mean,
        summary.f1,
        summary.exact_match,
    ]
}

#[test]
fn a_split_scores_as_the_originals_do() {
    let Vectors { summary, rows } = vectors();
    let paper = rows
        .iter()
        .map(|row| (row.prediction.as_str(), std::slice::from_ref(&row.reference)));
    close(
        &figures(evaluate(Scoring::TeacherForced, paper).unwrap()),
        &summary.paper,
        "study",
    );
    let references: Vec<Vec<&str>> = summary
        .groups
        .iter()
        .map(|(_, of)| of.iter().map(|&row| rows[row].reference.as_str()).collect())
        .collect();
    let official = summary
        .groups
        .iter()
        .zip(&references)
        .map(|((row, _), of)| (rows[*row].prediction.as_str(), &of[..]));
    close(
        &figures(evaluate(Scoring::Generate, official).unwrap()),
        &summary.official,
        "official",
    );
}
