//! Gradients of several batches, added up for one step.

use tch::Tensor;

/// In the order of `Params::leaves`; empty between steps.
#[derive(Debug, Default)]
pub struct Gradients {
    sum: Vec<Tensor>,
}

impl Gradients {
    /// A leaf that a batch did not reach has no gradient from it.
    pub fn add(&mut self, gradients: Vec<Tensor>) {
        if self.sum.is_empty() {
            self.sum = gradients;
            return;
        }
        for (sum, gradient) in self.sum.iter_mut().zip(gradients) {
            match (sum.defined(), gradient.defined()) {
                // A new tensor each: autograd may have handed out one tensor for two leaves.
                (true, true) => *sum = &*sum + gradient,
                (false, true) => *sum = gradient,
                (_, false) => {}
            }
        }
    }

    pub fn take(&mut self) -> Vec<Tensor> {
        std::mem::take(&mut self.sum)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leaf_that_one_batch_did_not_reach_keeps_the_other_ones_gradient() {
        let of = |value: f64| Tensor::from(value);
        let mut gradients = Gradients::default();
        gradients.add(vec![of(1.0), Tensor::new(), of(3.0), Tensor::new()]);
        gradients.add(vec![of(10.0), of(20.0), Tensor::new(), Tensor::new()]);
        let sum = gradients.take();
        let value = |at: usize| sum[at].defined().then(|| sum[at].double_value(&[]));
        assert_eq!([0, 1, 2, 3].map(value), [Some(11.0), Some(20.0), Some(3.0), None]);
        assert!(gradients.take().is_empty(), "the next step begins with nothing");
    }

    /// Autograd may hand out one tensor for two leaves; adding in place would then add twice.
    #[test]
    fn shared_tensors_are_not_added_to_in_place() {
        let shared = Tensor::from(1.0);
        let mut gradients = Gradients::default();
        gradients.add(vec![shared.shallow_clone(), shared.shallow_clone()]);
        gradients.add(vec![Tensor::from(2.0), Tensor::from(4.0)]);
        let sum: Vec<f64> = gradients.take().iter().map(|g| g.double_value(&[])).collect();
        assert_eq!((sum, shared.double_value(&[])), (vec![3.0, 5.0], 1.0));
    }
}
