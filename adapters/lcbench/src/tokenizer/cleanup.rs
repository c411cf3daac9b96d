//! Decoded text as transformers 4.11 returns it: `clean_up_tokenization_spaces`, its default then.
//!
//! The order of the replacements is transformers' own (`PreTrainedTokenizerBase.clean_up_tokenization`); scores of decoded text
//! depend on it.

const REPLACEMENTS: [(&str, &str); 10] = [
    (" .", "."),
    (" ?", "?"),
    (" !", "!"),
    (" ,", ","),
    (" ' ", "'"),
    (" n't", "n't"),
    (" 'm", "'m"),
    (" 's", "'s"),
    (" 've", "'ve"),
    (" 're", "'re"),
];

pub(super) fn clean_up(text: &str) -> String {
    REPLACEMENTS
        .iter()
        .fold(text.to_owned(), |text, (from, to)| text.replace(from, to))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spaces_before_punctuation_go() {
        assert_eq!(
            clean_up("I 'm sure , he is n't ' here ' ."),
            "I'm sure, he isn't'here '."
        );
    }
}
