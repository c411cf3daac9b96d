//! The layers that all models share: linear maps, layer norm, activations, dropout. Each declares its own parameters.

use tch::{Kind, Tensor};

use super::params::{Builder, Init};

/// LayerNorm's epsilon in every model here (torch's default).
const NORM_EPS: f64 = 1e-5;

/// `y = x Wᵀ + b`. Several maps of one input can be fused: their weights are rows of one matrix.
#[derive(Debug)]
pub struct Linear {
    pub weight: Tensor,
    pub bias: Option<Tensor>,
}

impl Linear {
    pub fn new(p: &mut Builder, name: &str, input: i64, output: i64, std: f64) -> Self {
        Self::fused(p, &[name.to_owned()], input, output, std)
    }

    /// `names` are the modules whose outputs lie side by side, `output` wide each.
    pub fn fused(p: &mut Builder, names: &[String], input: i64, output: i64, std: f64) -> Self {
        Self::declare(p, names, input, output, std, true)
    }

    /// As [`Linear::fused`], with or without biases.
    pub fn declare(p: &mut Builder, names: &[String], input: i64, output: i64, std: f64, bias: bool) -> Self {
        let named = |suffix: &str| names.iter().map(|name| format!("{name}.{suffix}")).collect::<Vec<_>>();
        let width = output * names.len() as i64;
        Self {
            weight: p.param(&named("weight"), &[width, input], true, Init::Normal { std }),
            bias: bias.then(|| p.param(&named("bias"), &[width], false, Init::Zeros)),
        }
    }

    pub fn forward(&self, x: &Tensor) -> Tensor {
        x.linear(&self.weight, self.bias.as_ref())
    }
}

#[derive(Debug)]
pub struct LayerNorm {
    weight: Tensor,
    bias: Tensor,
}

impl LayerNorm {
    pub fn new(p: &mut Builder, name: &str, width: i64) -> Self {
        Self {
            weight: p.param(&[format!("{name}.weight")], &[width], false, Init::Ones),
            bias: p.param(&[format!("{name}.bias")], &[width], false, Init::Zeros),
        }
    }

    pub fn forward(&self, x: &Tensor) -> Tensor {
        x.layer_norm(self.weight.size(), Some(&self.weight), Some(&self.bias), NORM_EPS, true)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activation {
    /// `gelu`: exact, with erf.
    Gelu,
    /// `gelu_new`: the tanh approximation.
    GeluTanh,
    Relu,
}

impl Activation {
    pub fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "gelu" => Self::Gelu,
            "gelu_new" => Self::GeluTanh,
            "relu" => Self::Relu,
            _ => return None,
        })
    }

    pub fn forward(self, x: &Tensor) -> Tensor {
        match self {
            Self::Gelu => x.gelu("none"),
            Self::GeluTanh => x.gelu("tanh"),
            Self::Relu => x.relu(),
        }
    }
}

/// The two-layer network of every block: `fc2(drop(act(fc1 x)))`.
#[derive(Debug)]
pub struct FeedForward {
    fc1: Linear,
    fc2: Linear,
    activation: Activation,
    dropout: f64,
}

impl FeedForward {
    pub fn new(p: &mut Builder, prefix: &str, width: i64, inner: i64, std: f64, act: Activation, dropout: f64) -> Self {
        Self {
            fc1: Linear::new(p, &format!("{prefix}.fc1"), width, inner, std),
            fc2: Linear::new(p, &format!("{prefix}.fc2"), inner, width, std),
            activation: act,
            dropout,
        }
    }

    pub fn forward(&self, x: &Tensor, mode: Mode) -> Tensor {
        let inner = self.activation.forward(&self.fc1.forward(x));
        self.fc2.forward(&mode.dropout(inner, self.dropout))
    }
}

/// Whether dropout acts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    Train,
    Eval,
}

impl Mode {
    /// Costs nothing where it changes nothing.
    pub fn dropout(self, x: Tensor, p: f64) -> Tensor {
        if self.drops(p) { x.dropout(p, true) } else { x }
    }

    pub fn drops(self, p: f64) -> bool {
        self == Self::Train && p > 0.0
    }

    /// The probability as a fused kernel wants it.
    pub fn probability(self, p: f64) -> f64 {
        if self.drops(p) { p } else { 0.0 }
    }
}

/// Additive mask: 0 where `allowed`, else the lowest finite number. Not -inf: a row without any key would become NaN, and
/// pad rows are such rows. `exp` of the difference is 0 in fp32 either way.
pub fn additive(allowed: &Tensor) -> Tensor {
    Tensor::zeros(allowed.size(), (Kind::Float, allowed.device()))
        .masked_fill(&allowed.logical_not(), f64::from(f32::MIN))
}
