//! The axis of time that a log is on, and putting other times on it.
//!
//! ```text
//! readings           axis      a phase's time may be written as
//! t_ms, t_s          plain     a number on the same axis, in its own unit
//! calendar stamps    clock     a stamp of the same kind; milliseconds since the first reading; or epoch time, where the zone is known
//! epoch time         clock     the same, and calendar stamps with a zone
//! ```

use super::figure;
use super::stamp;

/// A number at least this large, in milliseconds, is one since 1970 and not one since a start (1973, or a run of three years).
const EPOCH_MS: i64 = 100_000_000_000;

/// What a number counts that is a time since 1970: the unit that makes the years come out between 2001 and 2286.
pub fn epoch_unit_ns(number: f64) -> Option<i64> {
    match number {
        n if (1e9..1e10).contains(&n) => Some(1_000_000_000),
        n if (1e12..1e13).contains(&n) => Some(1_000_000),
        n if (1e15..1e16).contains(&n) => Some(1_000),
        n if (1e18..1e19).contains(&n) => Some(1),
        _ => None,
    }
}

/// What the times of a log count from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Axis {
    /// Something of its own: zero is wherever it is.
    Plain,
    /// 1970. `utc`: whether in UTC, or on a local clock whose zone nobody told.
    Clock { utc: bool },
}

/// A log's axis with what it takes to put other times on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame {
    pub axis: Axis,
    /// The first reading, nanoseconds on the axis.
    pub first: i64,
    /// Told by the user: how far the log's local clock is ahead of UTC, seconds.
    pub offset_s: Option<i64>,
}

/// Why a time cannot be put on the axis: what is wrong, and what helps.
pub type Misplaced = (String, &'static str);

impl Frame {
    /// A time as somebody wrote it, in nanoseconds on the axis. A bare number is in units of `unit_ns`.
    pub fn place(&self, text: &str, unit_ns: i64, decimal_comma: bool) -> Result<i64, Misplaced> {
        if let Some(stamp) = stamp::parse(text) {
            return self.place_stamp(&stamp);
        }
        let number = figure::nanoseconds(text, unit_ns, decimal_comma).ok_or_else(|| {
            (
                format!("`{text}` is no time"),
                "a number, or a stamp as in the readings",
            )
        })?;
        match self.axis {
            Axis::Plain => Ok(number),
            Axis::Clock { utc } if number.abs() >= EPOCH_MS * 1_000_000 => match (utc, self.offset_s) {
                (true, _) => Ok(number),
                (false, _) => Err((
                    format!("`{text}` counts from 1970 in UTC, and the readings are on a local clock"),
                    "say how far that clock is ahead of UTC, as in --utc-offset +01:00",
                )),
            },
            Axis::Clock { .. } => Ok(self.first + number),
        }
    }

    fn place_stamp(&self, stamp: &stamp::Stamp) -> Result<i64, Misplaced> {
        match (self.axis, stamp.zoned) {
            (Axis::Plain, _) => Err((
                "a calendar stamp, and the readings have plain numbers".to_owned(),
                "give the times of both files on one axis",
            )),
            (Axis::Clock { utc: true }, true) | (Axis::Clock { utc: false }, false) => Ok(stamp.ns),
            (Axis::Clock { utc: true }, false) => match self.offset_s {
                Some(ahead) => Ok(stamp.ns - ahead * 1_000_000_000),
                None => Err((
                    "a stamp without a zone, and the readings are in UTC".to_owned(),
                    "end it in Z, or say how far that clock is ahead of UTC with --utc-offset",
                )),
            },
            (Axis::Clock { utc: false }, true) => Err((
                "a stamp with a zone, and the readings are on a local clock".to_owned(),
                "say how far that clock is ahead of UTC, as in --utc-offset +01:00",
            )),
        }
    }

    /// Nanoseconds since 1970, UTC, of an instant on the axis, where that can be known.
    pub fn realtime_ns(&self, t: i64) -> Option<i64> {
        match self.axis {
            Axis::Clock { utc: true } => Some(t),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: i64 = 1_000_000;
    const EPOCH: i64 = 1_678_629_906 * 1_000_000_000;

    fn frame(axis: Axis, first: i64) -> Frame {
        Frame {
            axis,
            first,
            offset_s: None,
        }
    }

    #[test]
    fn plain_times_are_on_the_same_axis_and_clock_times_count_from_the_first_reading() {
        assert_eq!(frame(Axis::Plain, 700).place("1050.112", MS, false), Ok(1_050_112_000));
        let local = frame(Axis::Clock { utc: false }, EPOCH);
        assert_eq!(local.place("1500", MS, false), Ok(EPOCH + 1500 * MS));
        assert_eq!(local.place("2023/03/12 14:05:07.000", MS, false), Ok(EPOCH + 1000 * MS));
        assert_eq!(local.realtime_ns(EPOCH), None);
        let utc = frame(Axis::Clock { utc: true }, EPOCH);
        assert_eq!(utc.place("1678629907", 1_000_000_000, false), Ok(EPOCH + 1000 * MS));
        assert_eq!(utc.place("2023-03-12T15:05:07+01:00", MS, false), Ok(EPOCH + 1000 * MS));
    }

    #[test]
    fn axes_that_do_not_meet_are_refused_with_the_way_out() {
        let local = frame(Axis::Clock { utc: false }, EPOCH);
        for text in ["1678629907000", "2023-03-12T14:05:07Z"] {
            let (_, hint) = local.place(text, MS, false).expect_err("no zone is known");
            assert!(hint.contains("--utc-offset"), "{hint}");
        }
        assert!(frame(Axis::Plain, 0).place("2023-03-12 14:05:07", MS, false).is_err());
        assert!(frame(Axis::Plain, 0).place("soon", MS, false).is_err());
    }
}
