//! What a failed NVML read means for the reads to come.
//!
//! Some drivers answer `NOT_SUPPORTED`, or zero watts, now and then when they are asked often; the next call works again. So one
//! failure is a gap, and only a long unbroken row of them closes the stream.

use std::time::{Duration, Instant};

use nvml_wrapper::error::NvmlError;

use crate::sensors::interface::ReadError;

/// Failures in a row, all figures of the poll missing, before a stream is given up.
const GIVE_UP_AFTER_FAILURES: u32 = 20;

/// And for how long they must have lasted. At `--interval 1ms` a driver that refuses to be asked more often than every 50 ms fails
/// forty-nine times in a row and is healthy.
const GIVE_UP_AFTER: Duration = Duration::from_secs(2);

/// Whether the device is beyond reach for the rest of the run.
pub fn is_gone(error: &NvmlError) -> bool {
    matches!(
        error,
        NvmlError::GpuLost | NvmlError::ResetRequired | NvmlError::Uninitialized | NvmlError::DriverNotLoaded
    )
}

/// Whether asking again cannot help: the call is not there, or not for this device.
pub fn is_unsupported(error: &NvmlError) -> bool {
    matches!(
        error,
        NvmlError::NotSupported
            | NvmlError::FailedToLoadSymbol(_)
            | NvmlError::FunctionNotFound
            | NvmlError::NoPermission
            | NvmlError::InvalidArg
    )
}

/// Counts failures in a row and says what each is.
#[derive(Debug, Default)]
pub struct GapPolicy {
    in_a_row: u32,
    since: Option<Instant>,
}

impl GapPolicy {
    /// A poll gave something.
    pub fn success(&mut self) {
        self.in_a_row = 0;
        self.since = None;
    }

    /// A poll, ending at `now`, gave nothing for this reason.
    pub fn failure(&mut self, now: Instant, error: &NvmlError) -> ReadError {
        if is_gone(error) {
            return ReadError::Gone(error.to_string());
        }
        self.in_a_row += 1;
        let lasted = now.duration_since(*self.since.get_or_insert(now));
        if self.in_a_row >= GIVE_UP_AFTER_FAILURES && lasted >= GIVE_UP_AFTER {
            ReadError::Fatal(format!("{error} ({} times in a row)", self.in_a_row))
        } else {
            ReadError::Retry(error.to_string())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fail `n` times at this spacing; what was the last answer?
    fn fail(policy: &mut GapPolicy, start: Instant, n: u32, spacing: Duration) -> ReadError {
        (0..n)
            .map(|i| policy.failure(start + spacing * i, &NvmlError::NotSupported))
            .last()
            .expect("at least one failure")
    }

    #[test]
    fn a_few_failures_are_gaps_and_a_success_forgives_them() {
        let mut policy = GapPolicy::default();
        let start = Instant::now();
        let second = Duration::from_secs(1);
        assert!(matches!(fail(&mut policy, start, 19, second), ReadError::Retry(_)));
        policy.success();
        assert!(matches!(fail(&mut policy, start, 19, second), ReadError::Retry(_)));
        assert!(matches!(
            policy.failure(start + second * 19, &NvmlError::NotSupported),
            ReadError::Fatal(_)
        ));
    }

    #[test]
    fn a_driver_that_refuses_fast_polls_is_not_given_up() {
        let mut policy = GapPolicy::default();
        let start = Instant::now();
        assert!(matches!(
            fail(&mut policy, start, 49, Duration::from_millis(1)),
            ReadError::Retry(_)
        ));
    }

    #[test]
    fn a_lost_gpu_is_gone_at_once() {
        let mut policy = GapPolicy::default();
        for error in [NvmlError::GpuLost, NvmlError::ResetRequired] {
            assert!(matches!(policy.failure(Instant::now(), &error), ReadError::Gone(_)));
        }
    }
}
