//! Words that follow a count, and names one after the other.

/// `1 device`, `2 devices`.
pub fn counted(count: impl Into<u64>, one: &str, many: &str) -> String {
    let count = count.into();
    format!("{count} {}", if count == 1 { one } else { many })
}

/// `a`, `a and b`, `a, b and c`.
pub fn listed(names: &[&str]) -> String {
    match names {
        [] => String::new(),
        [one] => (*one).to_owned(),
        [most @ .., last] => format!("{} and {last}", most.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_is_singular() {
        assert_eq!(counted(0_u64, "device", "devices"), "0 devices");
        assert_eq!(counted(1_u64, "device", "devices"), "1 device");
        assert_eq!(counted(2_u64, "device", "devices"), "2 devices");
    }

    #[test]
    fn the_last_of_several_names_follows_an_and() {
        assert_eq!(listed(&["a"]), "a");
        assert_eq!(listed(&["a", "b", "c"]), "a, b and c");
    }
}
