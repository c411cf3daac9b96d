//! How long a training is, in steps, as transformers 4.11 counts.

/// Steps of an epoch, and of the whole training.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    pub per_epoch: u64,
    pub total: u64,
}

impl Budget {
    /// `batches` of an epoch, the short last one included. Batches that are left over at an epoch's end make no step of their own,
    /// unless the whole epoch has too few for one. Steps and epochs are limits: the first one reached ends the training.
    pub fn new(batches: usize, accumulate: usize, max_steps: Option<u64>, max_epochs: Option<f64>) -> Self {
        let per_epoch = (batches / accumulate.max(1)).max(1) as u64;
        let by_epochs = max_epochs.map(|epochs| (epochs * per_epoch as f64).ceil() as u64);
        let total = [max_steps, by_epochs].into_iter().flatten().min().unwrap_or(0);
        Self { per_epoch, total }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// GovReport and Qasper as the study's Trainer counted them, for LED-base at 1,024 tokens.
    #[test]
    fn lengths_are_those_of_the_study() {
        let gov_report = Budget::new(17_457_usize.div_ceil(24), 1, None, Some(50.0));
        assert_eq!((gov_report.per_epoch, gov_report.total), (728, 36_400));
        let qasper = Budget::new(321_usize.div_ceil(22), 4, None, Some(50.0));
        assert_eq!((qasper.per_epoch, qasper.total), (3, 150));
    }

    #[test]
    fn the_first_limit_ends_it() {
        let total = |steps, epochs| Budget::new(10, 3, steps, epochs).total;
        assert_eq!(
            (
                total(Some(7), None),
                total(Some(7), Some(2.0)),
                total(Some(7), Some(3.0))
            ),
            (7, 6, 7)
        );
        assert_eq!(total(None, Some(0.4)), 2); // of 3 steps an epoch, rounded up
        assert_eq!(total(Some(0), Some(9.0)), 0);
        assert_eq!(Budget::new(2, 5, None, Some(4.0)).total, 4); // an epoch that is too short for a step makes one
    }
}
