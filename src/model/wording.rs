//! Words that follow a count.

/// `1 device`, `2 devices`.
pub fn counted(count: impl Into<u64>, one: &str, many: &str) -> String {
    let count = count.into();
    format!("{count} {}", if count == 1 { one } else { many })
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
}
