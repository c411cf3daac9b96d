//! SQuAD's normalization (Rajpurkar et al., EMNLP 2016), which the study applies before F1 and, unusually, before ROUGE.
//!
//! In this order: lower case; ASCII punctuation dropped; the words `a`, `an`, `the` become a space; split at white space.
//! The original is Python, so its notions of a word's edge and of white space are followed to the letter.

use unicode_properties::{GeneralCategoryGroup, UnicodeGeneralCategory};

/// The words of a normalized text.
pub(super) fn words(text: &str) -> Vec<String> {
    let lower = text.to_lowercase();
    let bare: String = lower.chars().filter(|c| !c.is_ascii_punctuation()).collect();
    without_articles(&bare)
        .split(is_space)
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect()
}

/// `re.sub(r"\b(a|an|the)\b", " ", text)`: runs of word characters that are an article, whatever stands round them.
fn without_articles(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let inside = is_word(first);
        let end = rest.find(|c| is_word(c) != inside).unwrap_or(rest.len());
        let (run, after) = rest.split_at(end);
        kept.push_str(if matches!(run, "a" | "an" | "the") { " " } else { run });
        rest = after;
    }
    kept
}

/// Python's `\w`: `str.isalnum()` or an underscore. Combining marks are not in it, unlike in `char::is_alphanumeric`.
fn is_word(c: char) -> bool {
    if c.is_ascii() {
        return c.is_ascii_alphanumeric() || c == '_';
    }
    matches!(
        c.general_category_group(),
        GeneralCategoryGroup::Letter | GeneralCategoryGroup::Number
    )
}

/// Python's `str.isspace()`: Unicode white space and the four ASCII separators.
fn is_space(c: char) -> bool {
    c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn articles_go_after_punctuation() {
        assert_eq!(
            words("The cat's an  A-list (the) actor, theatre."),
            ["cats", "alist", "actor", "theatre"]
        );
        // "a." loses its stop first, and is an article then.
        assert_eq!(words("vitamin a."), ["vitamin"]);
    }

    #[test]
    fn word_edges_and_spaces_are_pythons() {
        // A combining mark ends a word for Python: the article before it goes, the mark stays.
        assert_eq!(words("the\u{0301} x"), ["\u{0301}", "x"]);
        assert_eq!(
            words("one\u{1c}two\u{2003}three\u{200b}four"),
            ["one", "two", "three\u{200b}four"]
        );
    }
}
