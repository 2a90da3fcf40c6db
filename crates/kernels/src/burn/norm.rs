//! [`rms_norm`] and [`layer_norm`] on tensors.

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
    fn rms_norm(x: FloatTensor<Self>, weight: FloatTensor<Self>, epsilon: f32, offset: f32) -> FloatTensor<Self>;
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
    assert_width(&x, &weight);
    if !reads(&x) {
        return composed::rms_norm(x, weight, epsilon, offset);
    }
    let (x, weight) = (x.into_dispatch(), weight.into_dispatch());
    Tensor::from_dispatch(<Dispatch as NormOps>::rms_norm(x, weight, epsilon, offset))
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
    fn rms_norm(x: FlexTensor, weight: FlexTensor, epsilon: f32, offset: f32) -> FlexTensor {
        let (x, weight) = (row_major(x), row_major(weight));
        filled(x.shape(), |to| {
            norm::rms_norm(numbers(&x), numbers(&weight), epsilon, offset, to);
        })
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
    fn rms_norm(x: FloatTensor<Self>, weight: FloatTensor<Self>, epsilon: f32, offset: f32) -> FloatTensor<Self> {
        let ((x, of_x), (weight, of_weight)) = (x.into_parts(), weight.into_parts());
        let (x, weight) = (row_major(x), row_major(weight));
        let output = Flex::rms_norm(x.clone(), weight.clone(), epsilon, offset);
        match RmsNorm.prepare::<C>([of_x, of_weight]).compute_bound().stateful() {
            OpsKind::Tracked(operation) => {
                let saved = SavedRms {
                    x,
                    weight,
                    epsilon,
                    offset,
                };
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
