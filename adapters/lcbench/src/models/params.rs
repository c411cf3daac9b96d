//! Parameters: leaf tensors that are views of two flat buffers (decayed and not decayed), known by HuggingFace's names.
//!
//! A parameter may join several tensors of a checkpoint along its first axis (query, key and value weights in one product);
//! each such part keeps its own name for loading, saving and comparing. Invariants: every leaf requires grad, is contiguous,
//! and starts at a multiple of `ALIGN` elements; the gaps between leaves hold zeros. Reading checkpoints is left to `checkpoint`.

use tch::{Device, Kind, Tensor, no_grad};

/// Elements: 256 bytes of fp32, so that vector kernels find every leaf aligned.
const ALIGN: i64 = 64;

#[derive(Debug, thiserror::Error)]
pub enum ParamError {
    #[error(
        "tensor {name}: the checkpoint has shape {found:?}, the model wants {wanted:?}\nhint: config.json and the weights do not belong together"
    )]
    Shape {
        name: String,
        found: Vec<i64>,
        wanted: Vec<i64>,
    },
    #[error("tensor {0} is not part of this model\nhint: choose the --model that these weights belong to")]
    Unknown(String),
}

/// How a parameter starts when no checkpoint is read (transformers' `_init_weights`).
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Init {
    Zeros,
    Ones,
    Normal {
        std: f64,
    },
    /// An embedding table: normal, with the row of the padding token at zero.
    Table {
        std: f64,
        pad: Option<i64>,
    },
}

#[derive(Debug)]
struct Part {
    name: String,
    /// Rows of the parameter's first axis that this part fills.
    start: i64,
    rows: i64,
}

#[derive(Debug)]
struct Param {
    leaf: Tensor,
    /// The same values as another leaf, for looking up rows: with a gradient of its own ([`Params::gradients`] adds the two).
    look_up: Option<Tensor>,
    shape: Vec<i64>,
    /// Where it lies in its flat buffer, in elements.
    start: i64,
    parts: Vec<Part>,
    decay: bool,
    init: Init,
    trainable: bool,
}

/// Two handles to one table; gradients reach it through both.
#[derive(Debug)]
pub struct Table {
    /// For products with all of it.
    pub whole: Tensor,
    /// For looking up rows.
    pub rows: Tensor,
    /// Whether look-ups have sparse gradients. Their size depends on the batch, which a recorded step cannot have.
    pub sparse: bool,
}

/// Collects declarations; [`Builder::finish`] gives them their storage.
#[derive(Debug, Default)]
pub struct Builder {
    params: Vec<Param>,
    dense_look_ups: bool,
}

impl Builder {
    pub fn new() -> Self {
        Self::default()
    }

    /// Gradients of look-ups are whole tables: more work, and the same for every batch.
    pub fn with_dense_look_ups(self) -> Self {
        Self {
            dense_look_ups: true,
            ..self
        }
    }

    /// A trainable parameter made of `names`, each with an equal share of the first axis.
    pub fn param(&mut self, names: &[String], shape: &[i64], decay: bool, init: Init) -> Tensor {
        self.declare(names, shape, decay, init, true)
    }

    /// A trainable table of rows that are looked up, and that products are made with: two handles to the same values, one for
    /// each use.
    pub fn table(&mut self, name: &str, shape: &[i64], init: Init) -> Table {
        let whole = self.param(&[name.to_owned()], shape, true, init);
        let rows = Tensor::empty([0], (Kind::Float, Device::Cpu));
        if let Some(param) = self.params.last_mut() {
            param.look_up = Some(rows.shallow_clone());
        }
        Table {
            whole,
            rows,
            sparse: !self.dense_look_ups,
        }
    }

    /// A tensor that is stored with the model and not trained.
    pub fn buffer(&mut self, name: &str, shape: &[i64]) -> Tensor {
        self.declare(&[name.to_owned()], shape, false, Init::Zeros, false)
    }

    fn declare(&mut self, names: &[String], shape: &[i64], decay: bool, init: Init, trainable: bool) -> Tensor {
        let rows = shape[0] / names.len() as i64;
        let part = |(i, name): (usize, &String)| Part {
            name: name.clone(),
            start: i as i64 * rows,
            rows,
        };
        let parts = names.iter().enumerate().map(part).collect();
        let leaf = Tensor::empty([0], (Kind::Float, Device::Cpu));
        let handle = leaf.shallow_clone();
        self.params.push(Param {
            leaf,
            look_up: None,
            shape: shape.to_vec(),
            start: 0,
            parts,
            decay,
            init,
            trainable,
        });
        handle
    }

    /// Allocates the buffers on `device`, points every handle given out at its place, and draws the initial values.
    pub fn finish(mut self, device: Device) -> Params {
        let mut ends = [0_i64; 2];
        for param in &mut self.params {
            let end = &mut ends[usize::from(param.decay)];
            param.start = *end;
            let size: i64 = param.shape.iter().product();
            *end += (size + ALIGN - 1) / ALIGN * ALIGN;
        }
        let flat = ends.map(|size| Tensor::zeros([size], (Kind::Float, device)));
        no_grad(|| {
            for param in &mut self.params {
                let mut view = view(&flat, param);
                draw(&mut view, param.init);
                for leaf in std::iter::once(&mut param.leaf).chain(&mut param.look_up) {
                    if leaf.device() != device {
                        // set_data wants a tensor of the same device type; the handles given out share this TensorImpl.
                        leaf.set_data(&Tensor::empty([0], (Kind::Float, device)));
                    }
                    leaf.set_data(&view);
                    let _ = leaf.requires_grad_(param.trainable);
                }
            }
        });
        Params {
            params: self.params,
            flat,
        }
    }
}

fn view(flat: &[Tensor; 2], param: &Param) -> Tensor {
    let size: i64 = param.shape.iter().product();
    flat[usize::from(param.decay)]
        .narrow(0, param.start, size)
        .view(param.shape.as_slice())
}

fn draw(view: &mut Tensor, init: Init) {
    match init {
        Init::Zeros => {}
        Init::Ones => _ = view.fill_(1.0),
        Init::Normal { std } | Init::Table { std, pad: None } => _ = view.normal_(0.0, std),
        Init::Table { std, pad: Some(pad) } => {
            let _ = view.normal_(0.0, std);
            let _ = view.get(pad).zero_();
        }
    }
}

#[derive(Debug)]
pub struct Params {
    params: Vec<Param>,
    /// Not decayed, decayed. Everything that walks all weights walks these two.
    flat: [Tensor; 2],
}

/// A trainable leaf and whether weight decay applies to it.
#[derive(Debug)]
pub struct Leaf<'a> {
    pub tensor: &'a Tensor,
    pub decay: bool,
}

impl Params {
    /// The trainable leaves, in order of declaration: the order of gradients everywhere.
    pub fn leaves(&self) -> impl Iterator<Item = Leaf<'_>> {
        self.params.iter().filter(|p| p.trainable).map(|p| Leaf {
            tensor: &p.leaf,
            decay: p.decay,
        })
    }

    /// Gradients of `loss` in the order of [`Params::leaves`]; undefined where it does not depend on a leaf. Not
    /// `Tensor::run_backward` on the leaves: that would leave out what reaches tables through look-ups.
    ///
    /// Looked-up rows are added in place to the gradient of the same table. Autograd by itself would make a new table of each such
    /// sum.
    pub fn gradients(&self, loss: &Tensor) -> Vec<Tensor> {
        let trainable = || self.params.iter().filter(|p| p.trainable);
        let leaves = trainable().map(|p| &p.leaf);
        let inputs: Vec<&Tensor> = leaves.chain(trainable().filter_map(|p| p.look_up.as_ref())).collect();
        let mut gradients = Tensor::run_backward(&[loss], &inputs, false, false);
        let by_look_up = gradients.split_off(trainable().count());
        let looked_up = trainable().zip(&mut gradients).filter(|(p, _)| p.look_up.is_some());
        for ((_, dense), rows) in looked_up.zip(by_look_up) {
            match (dense.defined(), rows.defined()) {
                (_, false) => {}
                (true, true) => no_grad(|| _ = dense.g_add_(&rows)),
                (false, true) => *dense = rows.to_dense(None, false),
            }
        }
        gradients
    }

    /// Number of trained values (a fused parameter counts as its parts do).
    pub fn count(&self) -> i64 {
        self.leaves().map(|leaf| leaf.tensor.numel() as i64).sum()
    }

    pub fn device(&self) -> Device {
        self.flat[0].device()
    }

    /// Zeros laid out as the weights are, one view for each of [`Params::leaves`]: the optimizer's moments.
    pub fn zeros_like_leaves(&self) -> Vec<Tensor> {
        let flat = [0, 1].map(|group: usize| self.flat[group].zeros_like());
        self.params
            .iter()
            .filter(|p| p.trainable)
            .map(|p| view(&flat, p))
            .collect()
    }

    /// Every tensor under its name in a checkpoint, as a view without gradient.
    pub fn named(&self) -> Vec<(&str, Tensor)> {
        self.params.iter().flat_map(|p| split(p, &p.leaf.detach())).collect()
    }

    /// Gradients (or anything else in the order of [`Params::leaves`]) under the names of a checkpoint.
    pub fn name_gradients<'a>(&'a self, gradients: &[Tensor]) -> Vec<(&'a str, Tensor)> {
        let trainable = self.params.iter().filter(|p| p.trainable);
        trainable
            .zip(gradients)
            .filter(|(_, g)| g.defined())
            .flat_map(|(p, g)| split(p, g))
            .collect()
    }

    /// Writes one tensor of a checkpoint to its place. Leading axes of 1 are not part of the comparison.
    pub fn assign(&self, name: &str, value: &Tensor) -> Result<(), ParamError> {
        let target = self.named().into_iter().find(|(n, _)| *n == name);
        let Some((_, mut place)) = target else {
            return Err(ParamError::Unknown(name.to_owned()));
        };
        let (found, wanted) = (value.size(), place.size());
        let core = |shape: &[i64]| shape.iter().copied().skip_while(|n| *n == 1).collect::<Vec<_>>();
        if core(&found) != core(&wanted) {
            return Err(ParamError::Shape {
                name: name.to_owned(),
                found,
                wanted,
            });
        }
        no_grad(|| place.copy_(&value.view_as(&place)));
        Ok(())
    }
}

fn split<'a>(param: &'a Param, whole: &Tensor) -> Vec<(&'a str, Tensor)> {
    param
        .parts
        .iter()
        .map(|part| (part.name.as_str(), whole.narrow(0, part.start, part.rows)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn handles_follow_their_leaf_into_the_flat_buffer() {
        let mut builder = Builder::new();
        let weight = builder.param(&["q".into(), "k".into()], &[4, 3], true, Init::Ones);
        let bias = builder.param(&["b".into()], &[5], false, Init::Zeros);
        let mut params = builder.finish(Device::Cpu);
        assert_eq!((weight.size(), bias.size()), (vec![4, 3], vec![5]));
        assert!(weight.requires_grad() && bias.requires_grad());
        assert_eq!(params.count(), 17);
        no_grad(|| _ = params.flat[1].fill_(2.0));
        assert_eq!(weight.sum(Kind::Double).double_value(&[]), 24.0);
        params
            .assign("k", &Tensor::full([2, 3], 7.0, (Kind::Float, Device::Cpu)))
            .unwrap();
        assert_eq!(weight.narrow(0, 0, 2).sum(Kind::Double).double_value(&[]), 12.0);
        assert_eq!(weight.narrow(0, 2, 2).sum(Kind::Double).double_value(&[]), 42.0);
    }

    #[test]
    fn a_tables_gradient_is_that_of_both_its_uses() {
        for builder in [Builder::new(), Builder::new().with_dense_look_ups()] {
            table_of(builder);
        }
    }

    fn table_of(mut builder: Builder) {
        let table = builder.table("t", &[4, 2], Init::Ones);
        let other = builder.param(&["w".into()], &[2], true, Init::Ones);
        let params = builder.finish(Device::Cpu);
        assert_eq!((params.count(), table.rows.size()), (10, vec![4, 2]));
        let rows = |ids: &[i64]| Tensor::embedding(&table.rows, &Tensor::from_slice(ids), -1, false, table.sparse);
        let sums = |loss: Tensor| {
            let gradients = params.gradients(&loss);
            let sum = |g: &Tensor| Vec::<f64>::try_from(g.sum_dim_intlist(1, false, Kind::Double)).unwrap();
            (sum(&gradients[0]), gradients[1].defined())
        };
        let whole = || (&table.whole * 3.0).sum(Kind::Float);
        let looked_up = || rows(&[1, 1, 2]).sum(Kind::Float) + rows(&[0]).sum(Kind::Float);
        assert_eq!(sums(whole() + looked_up()), (vec![8.0, 10.0, 8.0, 6.0], false));
        assert_eq!(sums(looked_up()), (vec![2.0, 4.0, 2.0, 0.0], false));
        assert_eq!(sums(whole() + (other * 1.0).sum(Kind::Float)), (vec![6.0; 4], true));
        no_grad(|| _ = table.whole.shallow_clone().fill_(5.0));
        assert_eq!(table.rows.sum(Kind::Double).double_value(&[]), 40.0);
    }

    #[test]
    fn gradients_keep_the_names_of_their_parts() {
        let mut builder = Builder::new();
        let weight = builder.param(&["q".into(), "k".into()], &[2, 3], true, Init::Ones);
        let params = builder.finish(Device::Cpu);
        let loss = (weight.narrow(0, 1, 1) * 5.0).sum(Kind::Float);
        let gradients = Tensor::run_backward(&[loss], &[&weight], false, false);
        let named = params.name_gradients(&gradients);
        let sums: Vec<_> = named
            .iter()
            .map(|(n, g)| (*n, g.sum(Kind::Double).double_value(&[])))
            .collect();
        assert_eq!(sums, [("q", 0.0), ("k", 15.0)]);
    }

    #[test]
    fn a_misshaped_tensor_is_named() {
        let mut builder = Builder::new();
        let _handle = builder.param(&["w".into()], &[2, 3], true, Init::Ones);
        let params = builder.finish(Device::Cpu);
        let wrong = Tensor::zeros([3, 2], (Kind::Float, Device::Cpu));
        assert!(params.assign("w", &wrong).unwrap_err().to_string().contains("tensor w"));
        assert!(matches!(params.assign("v", &wrong), Err(ParamError::Unknown(_))));
    }
}
