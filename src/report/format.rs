//! Numbers as a reader wants them: no more digits than the interval supports, SI prefixes, one dash for the unknown.
//!
//! Owns the rounding rule of every human-readable output: a value with a 95 % half-width ends at that half-width's second
//! significant digit (GUM, JCGM 100:2008 §7.2.6). A value without one has three significant digits. JSON and CSV carry full
//! precision and do not come through here.

use crate::model::analysis::EnergyEstimate;
use crate::model::units::Seconds;

/// What stands where nothing is known.
pub const UNKNOWN: &str = "—";

/// The study whose figures `--as-paper` repeats.
pub const STUDY: &str = "Ang, Dhingra and Wills 2022";

/// No interval is credited with more digits than this: sensors resolve at best parts per million.
const MOST_DIGITS: i32 = 6;
/// Digits of a figure that has no interval.
const PLAIN_DIGITS: i32 = 3;

const GIBIBYTE: f64 = (1u64 << 30) as f64;

/// `18.43 ± 0.21 kJ`, `≤ 3.1 J` where unresolved, `—` where unknown. Never says whether it is an estimate.
pub fn energy(estimate: &EnergyEstimate) -> String {
    let finite = |j: Option<crate::model::units::Joules>| j.map(|j| j.get()).filter(|v| v.is_finite());
    match (
        finite(estimate.joules),
        finite(estimate.u95),
        finite(estimate.upper_bound),
    ) {
        (Some(joules), u95, _) => with_unit(joules, u95),
        (None, _, Some(bound)) => format!("≤ {}", with_unit_digits(bound, 2)),
        (None, _, None) => UNKNOWN.to_owned(),
    }
}

/// Joules with an SI prefix and, if known, the half-width: `812 ± 95 mJ`.
fn with_unit(joules: f64, u95: Option<f64>) -> String {
    let Some(u95) = u95.map(f64::abs) else {
        return with_unit_digits(joules, PLAIN_DIGITS);
    };
    let (factor, unit) = prefix(joules.abs().max(u95), 1.0);
    let (value, half_width) = (joules / factor, u95 / factor);
    let decimals = decimals_of_interval(value, half_width);
    // An interval below the last digit shown is shown as that digit: `± 0` would claim what no sensor can.
    let shown = if half_width > 0.0 {
        half_width.max(10f64.powi(-decimals))
    } else {
        0.0
    };
    format!("{} ± {} {unit}", fixed(value, decimals), fixed(shown, decimals))
}

fn with_unit_digits(joules: f64, digits: i32) -> String {
    // 999.6 J at three digits must not become `1000 J`, nor 996 J at two.
    let (factor, unit) = prefix(joules.abs(), 1.0 - 0.5 * 10f64.powi(-digits));
    format!("{} {unit}", significant(joules / factor, digits))
}

/// The SI prefix that brings `magnitude` joules to at least `least`, and under 1000.
fn prefix(magnitude: f64, least: f64) -> (f64, &'static str) {
    const PREFIXES: [(f64, &str); 6] = [
        (1e12, "TJ"),
        (1e9, "GJ"),
        (1e6, "MJ"),
        (1e3, "kJ"),
        (1.0, "J"),
        (1e-3, "mJ"),
    ];
    if magnitude == 0.0 {
        return (1.0, "J");
    }
    let found = PREFIXES.into_iter().find(|(factor, _)| magnitude >= least * factor);
    found.unwrap_or((1e-3, "mJ"))
}

/// Decimals at which a value with this half-width ends; negative: before the point.
fn decimals_of_interval(value: f64, half_width: f64) -> i32 {
    let most = MOST_DIGITS - 1 - exponent(value);
    if half_width <= 0.0 {
        return (PLAIN_DIGITS - exponent(value)).min(most);
    }
    // 0.0996 rounds to 0.10, whose second digit stands one place earlier.
    let rounded_exponent = exponent(half_width * (1.0 + 5e-3));
    (1 - rounded_exponent).min(most)
}

/// Position of the first significant digit; 0 for zero.
fn exponent(value: f64) -> i32 {
    if value == 0.0 || !value.is_finite() {
        0
    } else {
        value.abs().log10().floor() as i32
    }
}

/// `value` rounded to `decimals`, with as many digits behind the point as that leaves; scientific where that would be too long.
fn fixed(value: f64, decimals: i32) -> String {
    if value.abs() >= 1e7 || (value != 0.0 && value.abs() < 1e-7) {
        return format!("{value:.1e}");
    }
    let step = 10f64.powi(decimals.clamp(-9, 9));
    let rounded = (value * step).round() / step;
    // `+ 0.0` turns -0 into 0.
    format!("{:.*}", decimals.clamp(0, 9) as usize, rounded + 0.0)
}

/// `digits` significant digits, without an exponent between 1e-4 and 1e7.
pub fn significant(value: f64, digits: i32) -> String {
    if !value.is_finite() {
        return UNKNOWN.to_owned();
    }
    if value == 0.0 {
        return "0".to_owned();
    }
    if value.abs() < 1e-4 || value.abs() >= 1e7 {
        return format!("{value:.*e}", (digits - 1).clamp(0, 9) as usize);
    }
    let first = fixed(value, digits - 1 - exponent(value));
    // 9.996 at three digits becomes 10.00 and must become 10.0.
    match first.parse::<f64>() {
        Ok(rounded) if exponent(rounded) > exponent(value) => fixed(value, digits - 1 - exponent(rounded)),
        _ => first,
    }
}

/// What is no number, as markers write it; `None` for numbers.
pub fn not_finite(value: f64) -> Option<&'static str> {
    match value {
        v if v.is_nan() => Some("nan"),
        f64::INFINITY => Some("inf"),
        f64::NEG_INFINITY => Some("-inf"),
        _ => None,
    }
}

/// A number that somebody wrote, as it is: NaN and infinities are not unknown.
pub fn any(value: f64, digits: i32) -> String {
    not_finite(value).map_or_else(|| significant(value, digits), str::to_owned)
}

/// A figure derived from an energy (a mean power, samples per joule): as many digits as that energy has, at most four.
pub fn derived(value: Option<f64>, energy: &EnergyEstimate) -> String {
    let Some(value) = value.filter(|v| v.is_finite()) else {
        return UNKNOWN.to_owned();
    };
    let relative = match (energy.joules, energy.u95) {
        (Some(joules), Some(u95)) if joules.get() != 0.0 => (u95.get() / joules.get()).abs(),
        _ => f64::NAN,
    };
    if !relative.is_finite() || relative == 0.0 {
        return significant(value, PLAIN_DIGITS);
    }
    let half_width = value.abs() * relative;
    let digits = exponent(value) + decimals_of_interval(value, half_width) + 1;
    significant(value, digits.clamp(1, 4))
}

/// A relative change in percent, without the unit, its sign always shown: `+3.10 ± 0.42`.
pub fn change_percent(relative: f64, half_width: Option<f64>) -> String {
    let (percent, half_width) = (
        relative * 100.0,
        half_width.map(|u| u * 100.0).filter(|u| u.is_finite()),
    );
    let signed = |text: String| {
        if text.starts_with('-') {
            text
        } else {
            format!("+{text}")
        }
    };
    match half_width {
        _ if !percent.is_finite() => UNKNOWN.to_owned(),
        None => signed(fixed(percent, 1)),
        Some(u) => {
            let decimals = decimals_of_interval(percent.abs().max(u), u).clamp(-9, 3);
            let (value, shown) = (fixed(percent, decimals), fixed(u.max(10f64.powi(-decimals)), decimals));
            format!("{} ± {shown}", signed(value))
        }
    }
}

/// A plain figure with three significant digits, or the dash.
pub fn plain(value: Option<f64>) -> String {
    value.map_or_else(|| UNKNOWN.to_owned(), |v| significant(v, PLAIN_DIGITS))
}

/// Percent without the sign: `97`, `4.2`, `0.3`.
pub fn percent(value: Option<f64>) -> String {
    match value.filter(|v| v.is_finite()) {
        None => UNKNOWN.to_owned(),
        Some(v) if v.abs() >= 99.95 => significant(v, 3),
        Some(v) => format!("{:.1}", v + 0.0),
    }
}

/// Bytes in GiB, without the unit.
pub fn gibibytes(bytes: Option<f64>) -> String {
    plain(bytes.map(|b| b / GIBIBYTE))
}

/// Whole numbers, shortened above ten million.
pub fn count(n: Option<u64>) -> String {
    match n {
        None => UNKNOWN.to_owned(),
        Some(n) if n < 10_000_000 => n.to_string(),
        Some(n) => {
            let exponent = (n as f64).log10().floor() as i32;
            format!("{:.1}e{exponent}", n as f64 / 10f64.powi(exponent))
        }
    }
}

/// A duration, or the dash.
pub fn known_duration(length: Option<Seconds>) -> String {
    length.map_or_else(|| UNKNOWN.to_owned(), duration)
}

/// `812 ms`, `62.1 s`, `12 m 05 s`, `9 h 41 m`, `3 d 04 h`.
pub fn duration(length: Seconds) -> String {
    let s = length.get();
    if !s.is_finite() {
        return UNKNOWN.to_owned();
    }
    let magnitude = s.abs();
    if magnitude == 0.0 {
        "0 s".to_owned()
    } else if magnitude < 0.9995e-3 {
        format!("{} µs", significant(s * 1e6, 3))
    } else if magnitude < 0.9995 {
        format!("{} ms", significant(s * 1e3, 3))
    } else if magnitude < 119.95 {
        format!("{} s", significant(s, if magnitude < 99.95 { 3 } else { 4 }))
    } else if magnitude < 359_970.0 {
        let whole = s.round() as i64;
        let (h, m, sec) = (whole / 3600, whole / 60 % 60, whole % 60);
        if h == 0 {
            format!("{m} m {:02} s", sec.abs())
        } else {
            format!("{h} h {:02} m", m.abs())
        }
    } else if magnitude < 1e11 {
        let hours = (s / 3600.0).round() as i64;
        format!("{} d {:02} h", hours / 24, (hours % 24).abs())
    } else {
        format!("{s:.1e} s")
    }
}

/// Text from outside (commands, driver names, warnings) without control characters: an escape sequence must not reach a terminal.
pub fn printable(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '\n' | '\r' | '\t' => ' ',
            c if c.is_control() => '\u{fffd}',
            // Overrides of the writing direction would turn a row around.
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => '\u{fffd}',
            c => c,
        })
        .collect()
}

/// A command as a shell would take it back, on one line.
pub fn command(words: &[String]) -> String {
    let quoted = words.iter().map(|word| {
        let plain = |c: char| c.is_alphanumeric() || "-_=+./:,@%^".contains(c);
        if !word.is_empty() && word.chars().all(plain) {
            word.clone()
        } else {
            format!("'{}'", printable(word).replace('\'', "'\\''"))
        }
    });
    quoted.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::analysis::{Grade, Method};
    use crate::model::units::Joules;

    fn of(joules: f64, u95: f64) -> String {
        energy(&EnergyEstimate {
            joules: Some(Joules(joules)),
            u95: Some(Joules(u95)),
            method: Method::Counter,
            grade: Grade::A,
            ..EnergyEstimate::UNKNOWN
        })
    }

    #[test]
    fn energy_ends_at_the_second_digit_of_its_interval() {
        assert_eq!(of(18_431.7, 212.4), "18.43 ± 0.21 kJ");
        assert_eq!(of(18_431.7, 2124.0), "18.4 ± 2.1 kJ");
        assert_eq!(of(812.3, 95.7), "812 ± 96 J");
        assert_eq!(of(812.3, 212.0), "810 ± 210 J");
        assert_eq!(of(0.0123, 0.00096), "12.30 ± 0.96 mJ");
        assert_eq!(of(5.0, 0.0996), "5.00 ± 0.10 J");
        assert_eq!(of(0.2, 40.0), "0 ± 40 J");
        assert_eq!(of(999.97, 0.5), "999.97 ± 0.50 J");
        assert_eq!(of(123.456, 1e-9), "123.456 ± 0.001 J");
        assert_eq!(of(-3.0, 5.0), "-3.0 ± 5.0 J");
        assert_eq!(of(0.0, 0.0), "0.000 ± 0.000 J");
    }

    #[test]
    fn an_unresolved_energy_is_an_upper_bound_and_an_unknown_one_a_dash() {
        let bound = EnergyEstimate {
            upper_bound: Some(Joules(3.12)),
            ..EnergyEstimate::UNKNOWN
        };
        assert_eq!(energy(&bound), "≤ 3.1 J");
        assert_eq!(energy(&EnergyEstimate::UNKNOWN), "—");
        assert_eq!(of(f64::NAN, 1.0), "—");
    }

    #[test]
    fn derived_figures_have_no_more_digits_than_their_energy() {
        let e = |u95| EnergyEstimate {
            joules: Some(Joules(1000.0)),
            u95: Some(Joules(u95)),
            ..EnergyEstimate::UNKNOWN
        };
        assert_eq!(derived(Some(612.34), &e(1.0)), "612.3");
        assert_eq!(derived(Some(612.34), &e(100.0)), "612");
        assert_eq!(derived(Some(612.34), &e(250.0)), "610");
        assert_eq!(derived(Some(0.012_345), &e(250.0)), "0.0123");
        assert_eq!(derived(None, &e(250.0)), "—");
    }

    #[test]
    fn durations() {
        let cases = [
            (0.0, "0 s"),
            (2.5e-5, "25.0 µs"),
            (0.0123, "12.3 ms"),
            (0.99999, "1.00 s"),
            (62.14, "62.1 s"),
            (119.0, "119.0 s"),
            (725.0, "12 m 05 s"),
            (34_860.0, "9 h 41 m"),
            (400_000.0, "4 d 15 h"),
            (1e15, "1.0e15 s"),
        ];
        for (seconds, text) in cases {
            assert_eq!(duration(Seconds(seconds)), text);
        }
    }

    #[test]
    fn rounding_up_to_the_next_power_keeps_the_number_of_digits() {
        assert_eq!(significant(9.996, 3), "10.0");
        assert_eq!(significant(0.000_02, 3), "2.00e-5");
        assert_eq!(significant(1234.5, 3), "1230");
    }

    #[test]
    fn a_bound_that_rounds_up_takes_the_next_prefix() {
        let bound = |joules| {
            energy(&EnergyEstimate {
                upper_bound: Some(Joules(joules)),
                ..EnergyEstimate::UNKNOWN
            })
        };
        assert_eq!(bound(0.996), "≤ 1.0 J");
        assert_eq!(bound(0.994), "≤ 990 mJ");
        assert_eq!(bound(995.1), "≤ 1.0 kJ");
        let plain = EnergyEstimate {
            joules: Some(Joules(999.6)),
            ..EnergyEstimate::UNKNOWN
        };
        assert_eq!(energy(&plain), "1.00 kJ");
    }

    #[test]
    fn escape_sequences_do_not_survive() {
        assert_eq!(printable("a\x1b[31mb\nc"), "a\u{fffd}[31mb c");
        assert_eq!(
            command(&["echo".into(), "it's".into(), String::new()]),
            "echo 'it'\\''s' ''"
        );
    }
}
