//! What a low pass shows at the edges of a timeline, kept for the next of the same time constant: a search asks for each of a few with
//! many delays.

use std::sync::{Arc, Mutex, PoisonError};

/// Prefix sums may take this many numbers (64 MiB).
pub const BUDGET: usize = 8 << 20;
/// All that are kept take no more than this many numbers together (8 MiB).
const KEPT: usize = BUDGET / 8;

/// Row i: the shares at edge `i * stride`, for the time constant `tau` (seconds).
pub struct Held {
    pub tau: f64,
    pub shares: Vec<f64>,
    pub stride: usize,
}

/// Those that were asked for last, the latest at the end.
#[derive(Default)]
pub struct Recent(Mutex<Vec<Arc<Held>>>);

impl Recent {
    /// The one of this time constant, made where there is none.
    pub fn of(&self, tau: f64, make: impl FnOnce() -> Held) -> Arc<Held> {
        let found = self.taken_out(tau).unwrap_or_else(|| Arc::new(make()));
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.push(Arc::clone(&found));
        let mut numbers: usize = kept.iter().map(|held| held.shares.len()).sum();
        while numbers > KEPT {
            numbers -= kept.remove(0).shares.len();
        }
        found
    }

    fn taken_out(&self, tau: f64) -> Option<Arc<Held>> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let at = kept.iter().position(|held| held.tau == tau)?;
        Some(kept.remove(at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_are_kept_as_far_as_there_is_room() {
        let recent = Recent::default();
        let mut made = Vec::new();
        for tau in [1.0, 2.0, 1.0, 3.0, 1.0, 2.0] {
            let held = recent.of(tau, || {
                made.push(tau);
                Held {
                    tau,
                    shares: vec![0.0; KEPT / 2],
                    stride: 8,
                }
            });
            assert_eq!(held.tau, tau);
        }
        // There is room for two.
        assert_eq!(made, [1.0, 2.0, 3.0, 2.0]);
        // What is larger than all of it is not kept.
        recent.of(4.0, || Held {
            tau: 4.0,
            shares: vec![0.0; KEPT + 1],
            stride: 8,
        });
        assert!(recent.taken_out(4.0).is_none());
    }
}
