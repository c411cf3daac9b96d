//! Token F1 and exact match of SQuAD (Rajpurkar et al., EMNLP 2016), as Qasper is scored. Scores are in 0..=1.

use std::collections::HashMap;

use super::normalize;

/// Overlap of the normalized words as multisets; 0 where there is none, two empty texts included.
pub fn score(prediction: &str, reference: &str) -> f64 {
    let (prediction, reference) = (normalize::words(prediction), normalize::words(reference));
    let mut left: HashMap<&str, usize> = HashMap::new();
    for word in &reference {
        *left.entry(word).or_default() += 1;
    }
    let mut same = 0usize;
    for word in &prediction {
        if let Some(n) = left.get_mut(word.as_str()).filter(|n| **n > 0) {
            *n -= 1;
            same += 1;
        }
    }
    if same == 0 {
        return 0.0;
    }
    let precision = same as f64 / prediction.len() as f64;
    let recall = same as f64 / reference.len() as f64;
    2.0 * precision * recall / (precision + recall)
}

/// 1 where the normalized texts are equal.
pub fn exact_match(prediction: &str, reference: &str) -> f64 {
    f64::from(u8::from(normalize::words(prediction) == normalize::words(reference)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_count_as_often_as_they_stand() {
        assert_eq!(score("red red fox", "the red fox"), 0.8);
        assert_eq!(score("", ""), 0.0);
        assert_eq!(score("a", "the"), 0.0);
        assert_eq!(exact_match("The Fox.", "fox"), 1.0);
    }
}
