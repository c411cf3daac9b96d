//! Waiting for a driver no longer than a user would.
//!
//! A GPU that has fallen into a bad state can hold `nvmlInit` for ever, and no call into a library can be taken back. So the call is
//! made on a thread of its own; if it does not return in time the thread is left behind, and the run goes on without it.

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// Why there is no result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoAnswer {
    #[error("no answer within {} s", .0.as_secs())]
    TimedOut(Duration),
    /// The work panicked, or no thread could be had for it.
    #[error("the look for it failed")]
    Failed,
}

/// The result of `work`, if it comes within `limit`.
pub fn within<T: Send + 'static>(limit: Duration, work: impl FnOnce() -> T + Send + 'static) -> Result<T, NoAnswer> {
    let (sender, receiver) = mpsc::channel();
    thread::Builder::new()
        .name("powerprof-look".into())
        // Nobody may be waiting any more.
        .spawn(move || drop(sender.send(work())))
        .map_err(|_| NoAnswer::Failed)?;
    receiver.recv_timeout(limit).map_err(|e| match e {
        mpsc::RecvTimeoutError::Timeout => NoAnswer::TimedOut(limit),
        mpsc::RecvTimeoutError::Disconnected => NoAnswer::Failed,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_in_time_is_returned_and_what_does_not_is_left() {
        assert_eq!(within(Duration::from_secs(60), || 7), Ok(7));
        let (_never_sent, never) = mpsc::channel::<()>();
        let limit = Duration::from_millis(20);
        assert_eq!(
            within(limit, move || never.recv().is_ok()),
            Err(NoAnswer::TimedOut(limit))
        );
    }

    #[test]
    fn work_that_panics_is_a_failure_and_not_a_panic() {
        let result = within(Duration::from_secs(60), || -> u8 {
            panic!("as a test of what follows")
        });
        assert_eq!(result, Err(NoAnswer::Failed));
    }
}
