//! Calendar stamps of logs: `2023/03/12 14:05:06.123` as nvidia-smi writes local time, ISO 8601 with or without a zone, and
//! `Mar 12 14:05:06` as syslog and `ts` of moreutils write it.
//!
//! A stamp without a zone is counted as if it were UTC: differences are right, and that is all that energy needs. (A log across the
//! end of summer time goes back an hour, which the reader of the log refuses.)

/// The year of stamps that have none: one of those that have a 29th of February.
const YEAR_OF_NONE: i64 = 2000;

const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

/// A point on the calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// Nanoseconds since 1970, in UTC where `zoned`, else on the clock of whoever wrote it.
    pub ns: i64,
    pub zoned: bool,
    /// Digits behind the second.
    pub decimals: u32,
}

/// Read a stamp; `None` where the text is none.
pub fn parse(text: &str) -> Option<Stamp> {
    let ((year, month, day), time) = dated(text.trim())?;
    let valid = (1970..=2200).contains(&year) && (1..=12).contains(&month) && (1..=days_in(year, month)).contains(&day);
    if !valid {
        return None;
    }
    let (clock, offset_s) = zone(time.trim())?;
    let mut parts = clock.splitn(3, ':');
    let (hour, minute, seconds) = (parts.next()?, parts.next()?, parts.next()?);
    let (second, fraction) = seconds.split_once('.').unwrap_or((seconds, ""));
    let (hour, minute, second): (i64, i64, i64) = (whole(hour)?, whole(minute)?, whole(second)?);
    // 60 is a leap second.
    if hour > 23 || minute > 59 || second > 60 || !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let nanos: i64 = format!("{fraction:0<9}").get(..9)?.parse().ok()?;
    let local = days(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second;
    Some(Stamp {
        ns: (local - offset_s.unwrap_or(0)) * 1_000_000_000 + nanos,
        zoned: offset_s.is_some(),
        decimals: fraction.len() as u32,
    })
}

/// Year, month and day, and what stands behind them.
fn dated(text: &str) -> Option<((i64, i64, i64), &str)> {
    let month_of = |word| (1..).zip(MONTHS).find(|(_, name)| *name == word);
    if let Some((month, rest)) = text.split_once(' ')
        && let Some((month, _)) = month_of(month)
    {
        let (day, time) = rest.trim_start().split_once(' ')?;
        return Some(((YEAR_OF_NONE, month, whole(day)?), time));
    }
    let (date, time) = text.split_once([' ', 'T'])?;
    let mut parts = date.splitn(3, ['/', '-']);
    let (year, month, day) = (parts.next()?, parts.next()?, parts.next()?);
    Some(((whole(year)?, whole(month)?, whole(day)?), time))
}

/// `+01:00` in seconds.
pub fn offset(text: &str) -> Option<i64> {
    let (sign, rest) = match text.split_at_checked(1)? {
        ("+", rest) => (1, rest),
        ("-", rest) => (-1, rest),
        _ => return None,
    };
    let (hours, minutes) = match rest.split_once(':') {
        Some((hours, minutes)) => (whole(hours)?, whole(minutes)?),
        None if rest.len() == 4 => (whole(rest.get(..2)?)?, whole(rest.get(2..)?)?),
        None => (whole(rest)?, 0),
    };
    (hours <= 14 && minutes < 60).then_some(sign * (hours * 3600 + minutes * 60))
}

/// The clock and the zone behind it.
fn zone(time: &str) -> Option<(&str, Option<i64>)> {
    if let Some(clock) = time.strip_suffix(['Z', 'z']) {
        return Some((clock.trim_end(), Some(0)));
    }
    if let Some(clock) = time.strip_suffix("UTC") {
        return Some((clock.trim_end(), Some(0)));
    }
    match time.rfind(['+', '-']) {
        Some(at) => Some((time[..at].trim_end(), Some(offset(&time[at..])?))),
        None => Some((time, None)),
    }
}

fn whole(text: &str) -> Option<i64> {
    (!text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.parse().ok())?
}

fn is_leap(year: i64) -> bool {
    (year % 4 == 0 && year % 100 != 0) || year % 400 == 0
}

fn days_in(year: i64, month: i64) -> i64 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 => 28 + i64::from(is_leap(year)),
        _ => 31,
    }
}

/// Days from 1970-01-01 to a date of the Gregorian calendar.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let before = year - 1;
    let leaps = |y: i64| y / 4 - y / 100 + y / 400;
    let of_years = (year - 1970) * 365 + leaps(before) - leaps(1969);
    of_years + (1..month).map(|m| days_in(year, m)).sum::<i64>() + day - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps_of_the_tools_that_write_logs() {
        // `date -u -d '2023-03-12 14:05:06' +%s`
        const AT: i64 = 1_678_629_906;
        let at = |text| parse(text).map(|s| (s.ns, s.zoned, s.decimals));
        assert_eq!(
            at("2023/03/12 14:05:06.123"),
            Some((AT * 1_000_000_000 + 123_000_000, false, 3))
        );
        assert_eq!(at("2023-03-12T14:05:06Z"), Some((AT * 1_000_000_000, true, 0)));
        assert_eq!(at("2023-03-12T16:05:06+02:00"), Some((AT * 1_000_000_000, true, 0)));
        assert_eq!(at("2023-03-12 09:05:06-0500"), Some((AT * 1_000_000_000, true, 0)));
        assert_eq!(at("1970-01-01 00:00:00 UTC"), Some((0, true, 0)));
        assert_eq!(at("2024-02-29 00:00:00"), Some((1_709_164_800_000_000_000, false, 0)));
        // `date -u -d '2000-11-29 20:34:01' +%s`
        assert_eq!(at("Nov 29 20:34:01"), Some((975_530_041_000_000_000, false, 0)));
        assert_eq!(at("Jan  1 00:00:00.5"), Some((946_684_800_500_000_000, false, 1)));
        for bad in [
            "Nov 31 00:00:00",
            "Nov 29",
            "2023-02-29 00:00:00",
            "12:00:00",
            "2023/03/12",
            "2023-13-01 00:00:00",
            "soon",
            "2023-03-12 25:00:00",
        ] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn offsets_have_a_sign() {
        assert_eq!(offset("+05:30"), Some(19_800));
        assert_eq!(offset("-8"), Some(-28_800));
        assert_eq!(offset("02:00"), None);
        assert_eq!(offset("+99:00"), None);
    }
}
