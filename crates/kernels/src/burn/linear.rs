//! [`linear`] on tensors.

use burn::backend::autodiff::NodeId;
use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::flex::FlexTensor;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, Flex, TensorMetadata, backend_extension};
use burn::tensor::{Shape, Tensor};

use super::composed;
use super::flex::{filled, from_numbers, numbers, reads, register, row_major, with_last};
use crate::Precision;
use crate::linear as slices;
use crate::matrix::{Matrix, product};

#[backend_extension(Flex, Autodiff)]
trait LinearOps: Backend {
    fn linear(x: FloatTensor<Self>, weight: FloatTensor<Self>, precision: Precision) -> FloatTensor<Self>;
    fn linear_with_bias(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        precision: Precision,
    ) -> FloatTensor<Self>;
}

/// `x weight^T + bias`, with f32 sums of products taken in `precision`, forward and backward.
///
/// `x` is [.., inputs], `weight` [outputs, inputs], `bias` `[outputs]`, the result [.., outputs]. The backward keeps `x` only
/// where `weight` needs a gradient, and `weight` only where `x` does. It keeps `x` itself, whatever the precision: queries,
/// keys and values share one, and a rounded copy for each of them would need more memory.
///
/// # Panics
/// The shapes do not fit.
pub fn linear<const D: usize>(
    x: Tensor<D>,
    weight: Tensor<2>,
    bias: Option<Tensor<1>>,
    precision: Precision,
) -> Tensor<D> {
    let ([outputs, inputs], shape) = (weight.dims(), x.dims());
    assert_eq!(shape.last(), Some(&inputs), "inputs of a weight beside {shape:?}");
    if let Some(bias) = &bias {
        assert_eq!(bias.dims(), [outputs], "biases of a weight with {outputs} outputs");
    }
    if !reads(&x) {
        return composed::linear(x, weight, bias, precision);
    }
    let (x, weight) = (x.into_dispatch(), weight.into_dispatch());
    Tensor::from_dispatch(match bias {
        None => <Dispatch as LinearOps>::linear(x, weight, precision),
        Some(bias) => <Dispatch as LinearOps>::linear_with_bias(x, weight, bias.into_dispatch(), precision),
    })
}

fn forward(x: FlexTensor, weight: FlexTensor, bias: Option<FlexTensor>, precision: Precision) -> FlexTensor {
    let (x, weight, bias) = (row_major(x), row_major(weight), bias.map(row_major));
    let (outputs, inputs) = (weight.shape()[0], weight.shape()[1]);
    filled(with_last(&x.shape(), outputs), |to| {
        let bias = bias.as_ref().map(numbers);
        slices::linear(numbers(&x), numbers(&weight), bias, outputs, inputs, precision, to);
    })
}

impl LinearOps for Flex {
    fn linear(x: FlexTensor, weight: FlexTensor, precision: Precision) -> FlexTensor {
        forward(x, weight, None, precision)
    }

    fn linear_with_bias(x: FlexTensor, weight: FlexTensor, bias: FlexTensor, precision: Precision) -> FlexTensor {
        forward(x, weight, Some(bias), precision)
    }
}

/// The backward of [`linear`]; its inputs are `x`, `weight` and, in the second, `bias`.
#[derive(Debug)]
struct Linear;

#[derive(Debug, Clone)]
struct Saved {
    /// Where `weight` or `bias` is tracked.
    x: Option<FlexTensor>,
    /// Where `x` is tracked.
    weight: Option<FlexTensor>,
    outputs: usize,
    inputs: usize,
    precision: Precision,
}

impl Saved {
    /// Registers the gradients of the inputs that have one.
    fn backward(self, dy: FlexTensor, [x, weight, bias]: [Option<NodeId>; 3], gradients: &mut Gradients) {
        let Self {
            outputs,
            inputs,
            precision,
            ..
        } = self;
        let dy = row_major(dy);
        let shape = with_last(&dy.shape(), inputs);
        let mut dx = x.map(|_| vec![0.0; shape.num_elements()]);
        let mut d_weight = weight.map(|_| vec![0.0; outputs * inputs]);
        let mut d_bias = bias.map(|_| vec![0.0; outputs]);
        let factor = self.weight.as_ref().map_or(&[][..], numbers);
        if let Some(x) = &self.x {
            slices::linear_backward(
                numbers(x),
                factor,
                numbers(&dy),
                outputs,
                inputs,
                precision,
                dx.as_deref_mut(),
                d_weight.as_deref_mut(),
                d_bias.as_deref_mut(),
            );
        } else if let Some(dx) = &mut dx {
            let rows = numbers(&dy).len() / outputs.max(1);
            let slopes = Matrix::new(numbers(&dy), rows, outputs);
            product(slopes, Matrix::new(factor, outputs, inputs), precision, dx);
        }
        let mut add = |input, numbers: Option<Vec<f32>>, shape: Shape| {
            if let Some(numbers) = numbers {
                register(gradients, input, from_numbers(numbers, shape));
            }
        };
        add(x, dx, shape);
        add(weight, d_weight, Shape::from([outputs, inputs]));
        add(bias, d_bias, Shape::from([outputs]));
    }
}

impl Backward<Flex, 2> for Linear {
    type State = Saved;

    fn backward(self, ops: Ops<Saved, 2>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let dy = gradients.consume::<Flex>(&ops.node);
        let [x, weight] = ops.parents.map(|parent| parent.map(|node| node.id));
        ops.state.backward(dy, [x, weight, None], gradients);
    }
}

impl Backward<Flex, 3> for Linear {
    type State = Saved;

    fn backward(self, ops: Ops<Saved, 3>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let dy = gradients.consume::<Flex>(&ops.node);
        let inputs = ops.parents.map(|parent| parent.map(|node| node.id));
        ops.state.backward(dy, inputs, gradients);
    }
}

/// The primitives in row-major order, and of these what the gradients of the tracked ones need.
fn save<C: CheckpointStrategy>(
    x: &FloatTensor<Autodiff<Flex, C>>,
    weight: &FloatTensor<Autodiff<Flex, C>>,
    bias_tracked: bool,
    precision: Precision,
) -> (FlexTensor, FlexTensor, Saved) {
    let (x_tracked, factors_tracked) = (x.is_tracked(), weight.is_tracked() || bias_tracked);
    let (x, weight) = (row_major(x.primitive().clone()), row_major(weight.primitive().clone()));
    let saved = Saved {
        x: factors_tracked.then(|| x.clone()),
        weight: x_tracked.then(|| weight.clone()),
        outputs: weight.shape()[0],
        inputs: weight.shape()[1],
        precision,
    };
    (x, weight, saved)
}

impl<C: CheckpointStrategy> LinearOps for Autodiff<Flex, C> {
    fn linear(x: FloatTensor<Self>, weight: FloatTensor<Self>, precision: Precision) -> FloatTensor<Self> {
        let nodes = [x.node(), weight.node()];
        let (x, weight, saved) = save::<C>(&x, &weight, false, precision);
        let output = forward(x, weight, None, precision);
        match Backward::<Flex, 2>::prepare::<C>(Linear, nodes)
            .compute_bound()
            .stateful()
        {
            OpsKind::Tracked(operation) => operation.finish(saved, output),
            OpsKind::UnTracked(operation) => operation.finish(output),
        }
    }

    fn linear_with_bias(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        precision: Precision,
    ) -> FloatTensor<Self> {
        let nodes = [x.node(), weight.node(), bias.node()];
        let (x, weight, saved) = save::<C>(&x, &weight, bias.is_tracked(), precision);
        let output = forward(x, weight, Some(bias.into_primitive()), precision);
        match Backward::<Flex, 3>::prepare::<C>(Linear, nodes)
            .compute_bound()
            .stateful()
        {
            OpsKind::Tracked(operation) => operation.finish(saved, output),
            OpsKind::UnTracked(operation) => operation.finish(output),
        }
    }
}
