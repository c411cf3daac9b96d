//! Linear warm-up, then linear to zero: transformers' `get_linear_schedule_with_warmup`.

/// The learning rate as a function of the number of updates already made. The first update therefore runs at rate 0 when
/// there is a warm-up, as it does in transformers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LinearSchedule {
    pub peak: f64,
    pub warmup: u64,
    pub total: u64,
}

impl LinearSchedule {
    /// Warm-up over a share of all updates, rounded up.
    pub fn with_ratio(peak: f64, ratio: f64, total: u64) -> Self {
        Self {
            peak,
            warmup: (ratio * total as f64).ceil() as u64,
            total,
        }
    }

    pub fn rate(&self, updates: u64) -> f64 {
        if updates < self.warmup {
            return self.peak * updates as f64 / self.warmup as f64;
        }
        let left = self.total.saturating_sub(updates) as f64;
        self.peak * left / self.total.saturating_sub(self.warmup).max(1) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rises_from_zero_and_falls_to_zero() {
        let schedule = LinearSchedule::with_ratio(2e-5, 0.1, 36_400); // GovReport, LED-base, 1024 tokens
        assert_eq!(schedule.warmup, 3_640);
        assert_eq!(schedule.rate(0), 0.0);
        assert!((schedule.rate(1_820) - 1e-5).abs() < 1e-18);
        assert_eq!(schedule.rate(3_640), 2e-5);
        assert_eq!(schedule.rate(36_400), 0.0);
        assert_eq!(schedule.rate(40_000), 0.0);
    }

    #[test]
    fn no_warmup_starts_at_the_peak() {
        let schedule = LinearSchedule::with_ratio(1.0, 0.0, 4);
        assert_eq!([0, 1, 2, 3, 4].map(|n| schedule.rate(n)), [1.0, 0.75, 0.5, 0.25, 0.0]);
    }
}
