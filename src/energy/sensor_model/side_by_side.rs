//! Candidates that have nothing to do with each other, on the cores that other devices leave.

use std::sync::{Mutex, PoisonError};
use std::thread;

/// What `of` makes of each item, in their order, on at most so many threads.
pub fn map<T: Send, R: Send>(threads: usize, items: Vec<T>, of: impl Fn(T) -> R + Sync) -> Vec<R> {
    let threads = threads.min(items.len());
    if threads < 2 {
        return items.into_iter().map(of).collect();
    }
    let waiting = Mutex::new(items.into_iter().enumerate());
    // A thread that panicked ends the analysis anyway.
    let next = || waiting.lock().unwrap_or_else(PoisonError::into_inner).next();
    let work = || {
        std::iter::from_fn(next)
            .map(|(i, item)| (i, of(item)))
            .collect::<Vec<_>>()
    };
    let mut done: Vec<(usize, R)> = thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        let ended = threads.into_iter().map(|thread| match thread.join() {
            Ok(done) => done,
            Err(panic) => std::panic::resume_unwind(panic),
        });
        ended.flatten().collect()
    });
    done.sort_by_key(|(i, _)| *i);
    done.into_iter().map(|(_, made)| made).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_made_on_many_threads_stays_in_its_order() {
        for threads in [0, 1, 3, 200] {
            let squares = map(threads, (0..100_u64).collect(), |i| i * i);
            assert!((0..100).map(|i| i * i).eq(squares), "{threads}");
        }
        assert!(map(4, Vec::<u8>::new(), |i| i).is_empty());
    }
}
