//! What LoRA and DoRA add to a linear layer of weight W, [outputs, inputs].
//!
//! LoRA (Hu et al. 2021, arXiv:2106.09685, section 4.1): W becomes V = W + s B A. DoRA (Liu et al. 2024, arXiv:2402.09353,
//! eq. 5): it becomes m V / |V|, with a norm and a magnitude m for each row. As in section 4.3 there, and in PEFT, the norm is taken
//! for a constant in the backward.

use burn::module::{Module, Param};
use burn::tensor::{Tensor, TensorData};
use etude_hub::Dtype;
use etude_hub::peft::LoraModule;
use etude_kernels::Precision;
use etude_kernels::burn::linear;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

#[derive(Module, Debug)]
pub(super) struct Adapter {
    /// A, [r, inputs].
    down: Param<Tensor<2>>,
    /// B, [outputs, r].
    up: Param<Tensor<2>>,
    /// DoRA's m, `[outputs]`.
    magnitude: Option<Param<Tensor<1>>>,
    /// s.
    #[module(skip)]
    scale: f32,
}

impl Adapter {
    /// The numbers of `module`, which fit `weight`, on its device.
    pub(super) fn new(module: &LoraModule, scale: f32, weight: &Tensor<2>) -> Self {
        let device = weight.device();
        let matrix =
            |numbers: &[f32], shape: [usize; 2]| Param::from_data(TensorData::new(numbers.to_vec(), shape), &device);
        Self {
            down: matrix(&module.down, [module.rank, module.inputs]),
            up: matrix(&module.up, [module.outputs, module.rank]),
            magnitude: module
                .magnitude
                .as_ref()
                .map(|numbers| Param::from_data(TensorData::new(numbers.clone(), [module.outputs]), &device)),
            scale,
        }
    }

    /// One that changes nothing yet: A is uniform as He et al. (2015, arXiv:1502.01852) draw it for a slope of sqrt(5), so within
    /// 1 / sqrt(inputs), B is 0, and m is the norms of the rows of `weight`.
    pub(super) fn random(rank: usize, scale: f32, dora: bool, weight: &Tensor<2>, random: &mut ChaCha8Rng) -> Self {
        let [outputs, inputs] = weight.dims();
        let bound = (inputs as f32).sqrt().recip();
        let module = LoraModule {
            embedding: false,
            rank,
            inputs,
            outputs,
            down: (0..rank * inputs).map(|_| random.random_range(-bound..bound)).collect(),
            up: vec![0.0; outputs * rank],
            magnitude: dora.then(|| row_norms(constant(weight)).to_data().iter().collect()),
            dtype: Dtype::F32,
        };
        Self::new(&module, scale, weight)
    }

    /// As PEFT keeps it.
    pub(super) fn module(&self) -> LoraModule {
        let ([rank, inputs], [outputs, _]) = (self.down.dims(), self.up.dims());
        LoraModule {
            embedding: false,
            rank,
            inputs,
            outputs,
            down: self.down.val().to_data().iter().collect(),
            up: self.up.val().to_data().iter().collect(),
            magnitude: self.magnitude.as_ref().map(|m| m.val().to_data().iter().collect()),
            dtype: Dtype::F32,
        }
    }

    /// From `product`, which gives x M^T of a matrix M, and from `base`, which is x W^T, the same of the adapted weight:
    /// (x W^T + s (x A^T) B^T) m / |V|, [tokens, outputs].
    pub(super) fn apply(
        &self,
        base: Tensor<2>,
        weight: &Tensor<2>,
        product: impl Fn(Tensor<2>) -> Tensor<2>,
        precision: Precision,
    ) -> Tensor<2> {
        let inner = product(self.down.val()) * self.scale;
        let y = base + linear(inner, self.up.val(), None, precision);
        match &self.magnitude {
            None => y,
            Some(magnitude) => y * (magnitude.val() / row_norms(self.sum(weight))).unsqueeze(),
        }
    }

    /// The adapted weight, [outputs, inputs], off the graph.
    pub(super) fn merged(&self, weight: &Tensor<2>) -> Tensor<2> {
        let sum = self.sum(weight);
        match &self.magnitude {
            None => sum,
            Some(magnitude) => {
                let lengths = magnitude.val().set_require_grad(false) / row_norms(sum.clone());
                sum * lengths.unsqueeze_dim(1)
            }
        }
    }

    /// V, [outputs, inputs], off the graph.
    fn sum(&self, weight: &Tensor<2>) -> Tensor<2> {
        let [down, up] = [&self.down, &self.up].map(|factor| constant(&factor.val()));
        constant(weight) + linear(up, down.transpose(), None, Precision::F32) * self.scale
    }
}

/// The same numbers off the graph.
fn constant(tensor: &Tensor<2>) -> Tensor<2> {
    tensor.clone().set_require_grad(false)
}

/// The norms of a matrix's rows, `[rows]`. A row of zeros has no direction to divide by its norm for: it gets the smallest number, and
/// stays 0.
fn row_norms(matrix: Tensor<2>) -> Tensor<1> {
    let norms = matrix.square().sum_dim(1).sqrt();
    norms.clamp_min(f32::MIN_POSITIVE).flatten(0, 1)
}
