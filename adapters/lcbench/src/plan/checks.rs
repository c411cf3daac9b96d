//! Bounds of flags, and the one form in which a mistake is told.

use super::UsageError;

pub(super) fn refuse(flag: &'static str, value: impl ToString, problem: &str, hint: &str) -> UsageError {
    UsageError::Flag {
        flag,
        value: value.to_string(),
        problem: problem.to_owned(),
        hint: hint.to_owned(),
    }
}

pub(super) fn positive(flag: &'static str, value: usize) -> Result<(), UsageError> {
    at_least(flag, value, 1)
}

pub(super) fn at_least(flag: &'static str, value: usize, least: usize) -> Result<(), UsageError> {
    let hint = format!("at least {least}");
    if value < least {
        Err(refuse(flag, value, "too small", &hint))
    } else {
        Ok(())
    }
}

pub(super) fn within(flag: &'static str, value: f64, low: f64, high: f64) -> Result<(), UsageError> {
    if (low..=high).contains(&value) {
        return Ok(());
    }
    Err(refuse(
        flag,
        value,
        "out of range",
        &format!("between {low} and {high}"),
    ))
}
