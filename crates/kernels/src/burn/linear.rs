//! [`linear`] on tensors.

use std::sync::Arc;

use burn::backend::autodiff::NodeId;
use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::flex::FlexTensor;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, Flex, TensorMetadata, backend_extension};
use burn::tensor::{Shape, Tensor};

use rayon::prelude::*;

use super::composed;
use super::flex::{from_numbers, numbers, reads, register, row_major, rows, with_last};
use super::norm::{Input, Origin};
use crate::Precision;
use crate::matrix::new_product;

#[backend_extension(Flex, Autodiff)]
trait LinearOps: Backend {
    fn linear(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        origin: Option<&Arc<Origin>>,
        precision: Precision,
    ) -> FloatTensor<Self>;
    fn linear_with_bias(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        origin: Option<&Arc<Origin>>,
        precision: Precision,
    ) -> FloatTensor<Self>;
}

/// `x weight^T + bias`, with f32 sums of products taken in `precision`, forward and backward.
///
/// `x` is [.., inputs], `weight` [outputs, inputs], `bias` `[outputs]`, the result [.., outputs]. The backward keeps `x` only
/// where `weight` needs a gradient, and `weight` only where `x` does. It keeps `x` itself, whatever the precision: a rounded copy for each
/// layer that takes it in would need more memory. An [`Input`] that a norm gives is not kept, but computed again.
///
/// # Panics
/// The shapes do not fit.
pub fn linear<const D: usize>(
    x: impl Into<Input<D>>,
    weight: Tensor<2>,
    bias: Option<Tensor<1>>,
    precision: Precision,
) -> Tensor<D> {
    let Input { tensor: x, origin } = x.into();
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
        None => <Dispatch as LinearOps>::linear(x, weight, origin.as_ref(), precision),
        Some(bias) => {
            let bias = bias.into_dispatch();
            <Dispatch as LinearOps>::linear_with_bias(x, weight, bias, origin.as_ref(), precision)
        }
    })
}

fn forward(x: FlexTensor, weight: FlexTensor, bias: Option<FlexTensor>, precision: Precision) -> FlexTensor {
    let (x, weight) = (row_major(x), row_major(weight));
    let (outputs, shape) = (weight.shape()[0], x.shape());
    let mut y = new_product(rows(&x), rows(&weight).transposed(), precision);
    if let Some(bias) = bias {
        add_bias(numbers(&row_major(bias)), &mut y);
    }
    from_numbers(y, with_last(&shape, outputs))
}

/// Adds `bias` to each row of `to`, [n, outputs], in f32: to finished sums.
fn add_bias(bias: &[f32], to: &mut [f32]) {
    for row in to.chunks_exact_mut(bias.len().max(1)) {
        for (to, bias) in row.iter_mut().zip(bias) {
            *to += bias;
        }
    }
}

/// Columns of which one thread adds up the rows.
const COLUMNS: usize = 128;

/// Adds the rows, [n, columns], to `to`, `[columns]`.
fn add_rows(rows: &[f32], to: &mut [f32]) {
    let columns = to.len().max(1);
    to.par_chunks_mut(COLUMNS).enumerate().for_each(|(index, to)| {
        for row in rows.chunks_exact(columns) {
            for (to, entry) in to.iter_mut().zip(&row[index * COLUMNS..]) {
                *to += entry;
            }
        }
    });
}

impl LinearOps for Flex {
    fn linear(x: FlexTensor, weight: FlexTensor, _: Option<&Arc<Origin>>, precision: Precision) -> FlexTensor {
        forward(x, weight, None, precision)
    }

    fn linear_with_bias(
        x: FlexTensor,
        weight: FlexTensor,
        bias: FlexTensor,
        _: Option<&Arc<Origin>>,
        precision: Precision,
    ) -> FlexTensor {
        forward(x, weight, Some(bias), precision)
    }
}

/// The backward of [`linear`]; its inputs are `x`, `weight` and, in the second, `bias`.
#[derive(Debug)]
struct Linear;

#[derive(Debug, Clone)]
struct Saved {
    /// Where `weight` is tracked.
    x: Option<Kept>,
    /// Where `x` is tracked.
    weight: Option<FlexTensor>,
    outputs: usize,
    inputs: usize,
    precision: Precision,
}

/// What a layer took in, or how to compute it again.
#[derive(Debug, Clone)]
enum Kept {
    Tensor(FlexTensor),
    Normed(Arc<Origin>),
}

impl Kept {
    fn tensor(self) -> FlexTensor {
        match self {
            Self::Tensor(tensor) => tensor,
            Self::Normed(origin) => origin.output(),
        }
    }
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
        let slopes = rows(&dy);
        let dx = self.weight.map(|weight| new_product(slopes, rows(&weight), precision));
        let d_weight = weight
            .and(self.x)
            .map(|x| new_product(slopes.transposed(), rows(&x.tensor()), precision));
        let d_bias = bias.map(|_| {
            let mut d_bias = vec![0.0; outputs];
            add_rows(numbers(&dy), &mut d_bias);
            d_bias
        });
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
    origin: Option<&Arc<Origin>>,
    precision: Precision,
) -> (FlexTensor, FlexTensor, Saved) {
    let (x_tracked, weight_tracked) = (x.is_tracked(), weight.is_tracked());
    let (x, weight) = (row_major(x.primitive().clone()), row_major(weight.primitive().clone()));
    let saved = Saved {
        x: weight_tracked.then(|| match origin {
            None => Kept::Tensor(x.clone()),
            Some(origin) => Kept::Normed(Arc::clone(origin)),
        }),
        weight: x_tracked.then(|| weight.clone()),
        outputs: weight.shape()[0],
        inputs: weight.shape()[1],
        precision,
    };
    (x, weight, saved)
}

impl<C: CheckpointStrategy> LinearOps for Autodiff<Flex, C> {
    fn linear(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        origin: Option<&Arc<Origin>>,
        precision: Precision,
    ) -> FloatTensor<Self> {
        let nodes = [x.node(), weight.node()];
        let (x, weight, saved) = save::<C>(&x, &weight, origin, precision);
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
        origin: Option<&Arc<Origin>>,
        precision: Precision,
    ) -> FloatTensor<Self> {
        let nodes = [x.node(), weight.node(), bias.node()];
        let (x, weight, saved) = save::<C>(&x, &weight, origin, precision);
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

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "sums of small multiples of 1/8 are exact")]
mod tests {
    use super::*;

    #[test]
    fn many_columns_are_added_up_on_all_threads() {
        let rows: Vec<f32> = (0..900).map(|index| (index * 7919 % 33) as f32 / 8.0).collect();
        let mut sums = vec![1.0; 300];
        add_rows(&rows, &mut sums);
        for (column, sum) in sums.into_iter().enumerate() {
            assert_eq!(sum, 1.0 + rows[column] + rows[300 + column] + rows[600 + column]);
        }
    }
}
