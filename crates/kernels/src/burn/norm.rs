//! [`rms_norm`] and [`layer_norm`] on tensors, and [`Input`], which layers compute again in the backward.

use std::sync::{Arc, OnceLock};

use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::flex::FlexTensor;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, Flex, TensorMetadata, backend_extension};
use burn::tensor::Tensor;

use super::composed;
use super::flex::{filled, from_numbers, numbers, reads, register, row_major};
use crate::norm;

#[backend_extension(Flex, Autodiff)]
trait NormOps: Backend {
    fn rms_norm(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        epsilon: f32,
        offset: f32,
        origin: &mut Option<Arc<Origin>>,
    ) -> FloatTensor<Self>;
    fn layer_norm(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        epsilon: f32,
    ) -> FloatTensor<Self>;
}

/// Each row divided by the root of its mean square: `x / sqrt(mean(x^2) + epsilon) * (weight + offset)`.
///
/// `x` and the result are [.., width], `weight` is `[width]`; `offset` is 0, or 1 where the checkpoint holds weights less 1.
///
/// # Panics
/// `weight` is not as wide as `x`.
pub fn rms_norm<const D: usize>(x: Tensor<D>, weight: Tensor<1>, epsilon: f32, offset: f32) -> Tensor<D> {
    Input::rms_norm(x, weight, epsilon, offset).tensor
}

/// What a layer takes in, [.., width]: any tensor, or what a norm gives.
///
/// The backward of a norm keeps what the norm took in, which is as large as what it gave. A layer that knows its origin need not keep
/// that too: it is computed again, once for all layers that share it.
#[derive(Debug, Clone)]
pub struct Input<const D: usize> {
    pub(super) tensor: Tensor<D>,
    /// Where it is not kept.
    pub(super) origin: Option<Arc<Origin>>,
}

impl<const D: usize> Input<D> {
    /// What [`rms_norm`] gives.
    ///
    /// # Panics
    /// As there.
    pub fn rms_norm(x: Tensor<D>, weight: Tensor<1>, epsilon: f32, offset: f32) -> Self {
        assert_width(&x, &weight);
        if !reads(&x) {
            return composed::rms_norm(x, weight, epsilon, offset).into();
        }
        let (x, weight) = (x.into_dispatch(), weight.into_dispatch());
        let mut origin = None;
        let output = <Dispatch as NormOps>::rms_norm(x, weight, epsilon, offset, &mut origin);
        Self {
            tensor: Tensor::from_dispatch(output),
            origin,
        }
    }
}

impl<const D: usize> From<Tensor<D>> for Input<D> {
    fn from(tensor: Tensor<D>) -> Self {
        Self { tensor, origin: None }
    }
}

/// What a norm took in, and what it gave once a backward has asked for it. The last layer that holds this frees both.
#[derive(Debug)]
pub(super) struct Origin {
    saved: SavedRms,
    output: OnceLock<FlexTensor>,
}

impl Origin {
    /// What the norm gave, with the same bits.
    pub(super) fn output(&self) -> FlexTensor {
        self.output.get_or_init(|| self.saved.forward()).clone()
    }
}

/// Each row less its mean, divided by its standard deviation: `(x - mean) / sqrt(variance + epsilon) * weight + bias`.
///
/// `x` and the result are [.., width], `weight` and `bias` are `[width]`.
///
/// # Panics
/// `weight` or `bias` is not as wide as `x`.
pub fn layer_norm<const D: usize>(x: Tensor<D>, weight: Tensor<1>, bias: Tensor<1>, epsilon: f32) -> Tensor<D> {
    assert_width(&x, &weight);
    assert_width(&x, &bias);
    if !reads(&x) {
        return composed::layer_norm(x, weight, bias, epsilon);
    }
    let (x, weight, bias) = (x.into_dispatch(), weight.into_dispatch(), bias.into_dispatch());
    Tensor::from_dispatch(<Dispatch as NormOps>::layer_norm(x, weight, bias, epsilon))
}

fn assert_width<const D: usize>(x: &Tensor<D>, parameter: &Tensor<1>) {
    let ([width], shape) = (parameter.dims(), x.dims());
    assert_eq!(
        shape.last(),
        Some(&width),
        "width of a norm's parameter beside {shape:?}"
    );
}

impl NormOps for Flex {
    fn rms_norm(
        x: FlexTensor,
        weight: FlexTensor,
        epsilon: f32,
        offset: f32,
        _: &mut Option<Arc<Origin>>,
    ) -> FlexTensor {
        let (x, weight) = (row_major(x), row_major(weight));
        let norm = SavedRms {
            x,
            weight,
            epsilon,
            offset,
        };
        norm.forward()
    }

    fn layer_norm(x: FlexTensor, weight: FlexTensor, bias: FlexTensor, epsilon: f32) -> FlexTensor {
        let (x, weight, bias) = (row_major(x), row_major(weight), row_major(bias));
        filled(x.shape(), |to| {
            norm::layer_norm(numbers(&x), numbers(&weight), numbers(&bias), epsilon, to);
        })
    }
}

/// The backward of [`rms_norm`]: one sweep over the saved `x` gives both gradients, of which that of a weight that is not tracked
/// is dropped.
#[derive(Debug)]
struct RmsNorm;

#[derive(Debug, Clone)]
struct SavedRms {
    x: FlexTensor,
    weight: FlexTensor,
    epsilon: f32,
    offset: f32,
}

impl SavedRms {
    fn forward(&self) -> FlexTensor {
        let (x, weight) = (numbers(&self.x), numbers(&self.weight));
        filled(self.x.shape(), |to| {
            norm::rms_norm(x, weight, self.epsilon, self.offset, to);
        })
    }
}

impl Backward<Flex, 2> for RmsNorm {
    type State = SavedRms;

    fn backward(self, ops: Ops<SavedRms, 2>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let dy = row_major(gradients.consume::<Flex>(&ops.node));
        let SavedRms {
            x,
            weight,
            epsilon,
            offset,
        } = ops.state;
        let [of_x, of_weight] = ops.parents.map(|parent| parent.map(|node| node.id));
        let mut d_weight = vec![0.0; numbers(&weight).len()];
        let dx = filled(x.shape(), |dx| {
            norm::rms_norm_backward(
                numbers(&x),
                numbers(&weight),
                epsilon,
                offset,
                numbers(&dy),
                dx,
                &mut d_weight,
            );
        });
        register(gradients, of_x, dx);
        register(gradients, of_weight, from_numbers(d_weight, weight.shape()));
    }
}

/// The backward of [`layer_norm`], likewise.
#[derive(Debug)]
struct LayerNorm;

#[derive(Debug, Clone)]
struct SavedLayer {
    x: FlexTensor,
    weight: FlexTensor,
    epsilon: f32,
}

impl Backward<Flex, 3> for LayerNorm {
    type State = SavedLayer;

    fn backward(self, ops: Ops<SavedLayer, 3>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let dy = row_major(gradients.consume::<Flex>(&ops.node));
        let SavedLayer { x, weight, epsilon } = ops.state;
        let [of_x, of_weight, of_bias] = ops.parents.map(|parent| parent.map(|node| node.id));
        let width = numbers(&weight).len();
        let (mut d_weight, mut d_bias) = (vec![0.0; width], vec![0.0; width]);
        let dx = filled(x.shape(), |dx| {
            norm::layer_norm_backward(
                numbers(&x),
                numbers(&weight),
                epsilon,
                numbers(&dy),
                dx,
                &mut d_weight,
                &mut d_bias,
            );
        });
        register(gradients, of_x, dx);
        register(gradients, of_weight, from_numbers(d_weight, weight.shape()));
        register(gradients, of_bias, from_numbers(d_bias, weight.shape()));
    }
}

impl<C: CheckpointStrategy> NormOps for Autodiff<Flex, C> {
    fn rms_norm(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        epsilon: f32,
        offset: f32,
        origin: &mut Option<Arc<Origin>>,
    ) -> FloatTensor<Self> {
        let ((x, of_x), (weight, of_weight)) = (x.into_parts(), weight.into_parts());
        let saved = SavedRms {
            x: row_major(x),
            weight: row_major(weight),
            epsilon,
            offset,
        };
        let output = saved.forward();
        match RmsNorm.prepare::<C>([of_x, of_weight]).compute_bound().stateful() {
            OpsKind::Tracked(operation) => {
                *origin = Some(Arc::new(Origin {
                    saved: saved.clone(),
                    output: OnceLock::new(),
                }));
                operation.finish(saved, output)
            }
            OpsKind::UnTracked(operation) => operation.finish(output),
        }
    }

    fn layer_norm(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        epsilon: f32,
    ) -> FloatTensor<Self> {
        let ((x, of_x), (weight, of_weight), (bias, of_bias)) =
            (x.into_parts(), weight.into_parts(), bias.into_parts());
        let (x, weight) = (row_major(x), row_major(weight));
        let output = Flex::layer_norm(x.clone(), weight.clone(), bias, epsilon);
        match LayerNorm
            .prepare::<C>([of_x, of_weight, of_bias])
            .compute_bound()
            .stateful()
        {
            OpsKind::Tracked(operation) => operation.finish(SavedLayer { x, weight, epsilon }, output),
            OpsKind::UnTracked(operation) => operation.finish(output),
        }
    }
}
