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
