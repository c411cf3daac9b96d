//! One cell -> a figure: a number with or without its unit, or one of the many ways in which tools say that there is none.

/// What a cell holds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Figure<'a> {
    /// The tool says that it has no figure.
    Missing,
    Number(f64, Option<&'a str>),
    /// Neither.
    Text,
}

/// What nvidia-smi, DCGM, pandas and people write where there is no figure, brackets taken off, in lower case.
const MISSING: [&str; 14] = [
    "",
    "-",
    "n/a",
    "na",
    "nan",
    "null",
    "none",
    "not supported",
    "unknown error",
    "err!",
    "gpu is lost",
    "gpu requires reset",
    "insufficient permissions",
    "not available",
];

/// Read a cell.
pub fn figure(cell: &str, decimal_comma: bool) -> Figure<'_> {
    let cell = cell.trim();
    let bare = cell.trim_matches(['[', ']']).trim().to_ascii_lowercase();
    if MISSING.contains(&bare.as_str()) {
        return Figure::Missing;
    }
    let end = cell
        .find(|c: char| !(c.is_ascii_digit() || "+-.,eE".contains(c)))
        .unwrap_or(cell.len());
    let (mut digits, mut unit) = (&cell[..end], cell[end..].trim());
    // `12eV` is no number of ours, but `1e3` is: an exponent needs digits behind it.
    if let Some(cut) = digits.rfind(['e', 'E']).filter(|&cut| cut + 1 == digits.len()) {
        unit = cell[cut..].trim();
        digits = &cell[..cut];
    }
    let number = if decimal_comma {
        digits.replace(',', ".")
    } else {
        digits.to_owned()
    };
    match number.parse::<f64>() {
        Ok(value) if value.is_finite() => Figure::Number(value, (!unit.is_empty()).then_some(unit)),
        _ => Figure::Text,
    }
}

/// A decimal number times `unit_ns`, in whole nanoseconds and without a detour through a double: epoch milliseconds have more digits
/// than a double keeps.
pub fn nanoseconds(text: &str, unit_ns: i64, decimal_comma: bool) -> Option<i64> {
    let text = text.trim();
    let (sign, digits) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let point = if decimal_comma {
        ['.', ','].as_slice()
    } else {
        ['.'].as_slice()
    };
    let (whole, fraction) = digits.split_once(point).unwrap_or((digits, ""));
    let plain = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    if !plain(whole) || !plain(fraction) {
        // 1.5e3: rare enough for a double.
        let value: f64 = text.parse().ok().filter(|v: &f64| v.is_finite())?;
        return Some((value * unit_ns as f64).round() as i64);
    }
    let mut total = i128::from(if whole.is_empty() {
        0
    } else {
        whole.parse::<i64>().ok()?
    }) * i128::from(unit_ns);
    let mut scale = i128::from(unit_ns);
    for digit in fraction.bytes() {
        // Digits below a nanosecond are cut.
        scale /= 10;
        total += i128::from(digit - b'0') * scale;
    }
    i64::try_from(sign * total).ok()
}

/// How many digits stand behind the point.
pub fn decimals(text: &str, decimal_comma: bool) -> u32 {
    let point = if decimal_comma {
        ['.', ','].as_slice()
    } else {
        ['.'].as_slice()
    };
    text.trim().split_once(point).map_or(0, |(_, fraction)| {
        fraction.bytes().take_while(u8::is_ascii_digit).count() as u32
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_come_with_and_without_units_or_not_at_all() {
        assert_eq!(figure("123.45 W", false), Figure::Number(123.45, Some("W")));
        assert_eq!(figure("45%", false), Figure::Number(45.0, Some("%")));
        assert_eq!(figure("1e3", false), Figure::Number(1000.0, None));
        assert_eq!(figure("12,5", true), Figure::Number(12.5, None));
        for missing in ["[N/A]", "N/A", "", "[Not Supported]", "[Unknown Error]", "nan", "ERR!"] {
            assert_eq!(figure(missing, false), Figure::Missing, "{missing}");
        }
        for text in ["twelve", "1,2", "--3", "inf"] {
            assert_eq!(figure(text, false), Figure::Text, "{text}");
        }
    }

    #[test]
    fn epoch_milliseconds_keep_every_digit() {
        assert_eq!(
            nanoseconds("1777708107135.123", 1_000_000, false),
            Some(1_777_708_107_135_123_000)
        );
        assert_eq!(nanoseconds("-449.846", 1_000_000, false), Some(-449_846_000));
        assert_eq!(nanoseconds("1.5e3", 1_000_000, false), Some(1_500_000_000));
        assert_eq!(nanoseconds(".5", 1_000_000_000, false), Some(500_000_000));
        assert_eq!(nanoseconds("-", 1, false), None);
        assert_eq!(nanoseconds("soon", 1, false), None);
        assert_eq!(decimals("12.340", false), 3);
    }
}
