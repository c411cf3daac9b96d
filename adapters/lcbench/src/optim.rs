//! AdamW in both variants, gradient clipping, and the schedule of the learning rate.
//!
//! Clipping costs no pass over the gradients and no wait for the device: the norm stays there, and the kernel divides by it.

mod schedule;

use tch::{Kind, Tensor, no_grad};

pub use self::schedule::LinearSchedule;
use crate::{
    models::params::Params,
    shim::{self, AdamStep, ShimError},
};

/// Where epsilon and weight decay stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Variant {
    /// torch.optim.AdamW: decay first; eps beside the bias-corrected sqrt(v).
    Torch,
    /// transformers 4.11's AdamW: eps beside the uncorrected sqrt(v); decay after the step.
    Hf411,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdamWConfig {
    pub variant: Variant,
    pub betas: (f64, f64),
    pub eps: f64,
    /// Applied to weights and embeddings, not to biases and norms.
    pub weight_decay: f64,
    /// Gradients are scaled down to this total norm.
    pub max_norm: f64,
}

#[derive(Debug)]
pub struct AdamW {
    config: AdamWConfig,
    m: Vec<Tensor>,
    v: Vec<Tensor>,
    /// Steps taken, on the host and as the float scalar that the kernel reads.
    taken: i32,
    step: Tensor,
}

impl AdamW {
    pub fn new(params: &Params, config: AdamWConfig) -> Self {
        let step = Tensor::zeros([] as [i64; 0], (Kind::Float, params.device()));
        Self {
            config,
            m: params.zeros_like_leaves(),
            v: params.zeros_like_leaves(),
            taken: 0,
            step,
        }
    }

    /// One update from gradients in the order of [`Params::leaves`]; an undefined one leaves its parameter untouched. Returns
    /// the norm before clipping, on the device.
    pub fn step(&mut self, params: &Params, gradients: &[Tensor], lr: f64) -> Result<Tensor, ShimError> {
        self.taken += 1;
        let _ = self.step.fill_(f64::from(self.taken));
        let defined: Vec<&Tensor> = gradients.iter().filter(|g| g.defined()).collect();
        let norm = shim::total_norm(&defined)?;
        // torch's clip_grad_norm_ multiplies by min(1, max / (norm + 1e-6)); the kernel divides.
        let scale = ((&norm + 1e-6) / self.config.max_norm).clamp_min(1.0);
        for decay in [true, false] {
            self.step_group(params, gradients, lr, decay, &scale)?;
        }
        Ok(norm)
    }

    /// First and second moments by the names of a checkpoint, as views: what is written to them is in the optimizer.
    pub fn moments(&self, params: &Params) -> Vec<(String, Tensor)> {
        let under = |prefix: &str, moments: &[Tensor]| {
            let named = params.name_gradients(moments).into_iter();
            named
                .map(|(name, moment)| (format!("{prefix}.{name}"), moment))
                .collect::<Vec<_>>()
        };
        let mut all = under("exp_avg", &self.m);
        all.extend(under("exp_avg_sq", &self.v));
        all
    }

    /// Goes on as after `taken` steps; the moments are written through [`AdamW::moments`].
    pub fn resume_after(&mut self, taken: u64) {
        self.taken = taken as i32;
    }

    fn step_group(
        &self,
        params: &Params,
        gradients: &[Tensor],
        lr: f64,
        decay: bool,
        scale: &Tensor,
    ) -> Result<(), ShimError> {
        let all = params.leaves().zip(gradients).zip(self.m.iter().zip(&self.v));
        let group = all.filter(|((leaf, gradient), _)| leaf.decay == decay && gradient.defined());
        let (mut p, mut g, mut m, mut v) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for ((leaf, gradient), moments) in group {
            p.push(leaf.tensor.shallow_clone());
            g.push(gradient);
            m.push(moments.0);
            v.push(moments.1);
        }
        let AdamWConfig {
            variant,
            betas,
            eps,
            weight_decay,
            ..
        } = self.config;
        let rate = if decay { weight_decay } else { 0.0 };
        let by = |eps, decay| AdamStep {
            step: &self.step,
            scale: Some(scale),
            lr,
            betas,
            eps,
            decay,
        };
        let views: Vec<&Tensor> = p.iter().collect();
        match variant {
            Variant::Torch => shim::fused_adamw(&views, &g, &m, &v, &by(eps, rate)),
            Variant::Hf411 => {
                // lr·√c₂/c₁ · m/(√v + eps) = lr/c₁ · m/(√(v/c₂) + eps/√c₂): the same kernel with another eps.
                let corrected = eps / (1.0 - betas.1.powi(self.taken)).sqrt();
                shim::fused_adamw(&views, &g, &m, &v, &by(corrected, 0.0))?;
                if rate > 0.0 {
                    no_grad(|| p.iter_mut().for_each(|p| _ = p.g_mul_scalar_(1.0 - lr * rate)));
                }
                Ok(())
            }
        }
    }
}
