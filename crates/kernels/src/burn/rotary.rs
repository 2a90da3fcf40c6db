//! [`rotary`] on tensors.

use std::sync::Arc;

use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::flex::FlexTensor;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, Flex, TensorMetadata, backend_extension};
use burn::tensor::Tensor;

use super::composed;
use super::flex::{numbers_mut, reads, register, row_major};
use crate::rotary::{RotaryTable, rotate, rotate_back};

#[backend_extension(Flex, Autodiff)]
trait RotaryOps: Backend {
    fn rotary(x: FloatTensor<Self>, positions: &[u32], table: &Arc<RotaryTable>) -> FloatTensor<Self>;
}

/// Rotary position embeddings: the pair (i, i + size / 2) of each head turned by its angle at the token's position.
///
/// `x` and the result are [tokens, heads, size]; `positions` holds each token's position in its sequence. The memory of `x`
/// becomes that of the result where nothing else needs it.
///
/// # Panics
/// `positions` are not as many as tokens, or one is not in `table`, or `table` is for another size.
pub fn rotary(x: Tensor<3>, positions: &[u32], table: &Arc<RotaryTable>) -> Tensor<3> {
    assert_eq!(positions.len(), x.dims()[0], "a position for each token");
    if !reads(&x) {
        return composed::rotary(x, positions, table);
    }
    Tensor::from_dispatch(<Dispatch as RotaryOps>::rotary(x.into_dispatch(), positions, table))
}

/// The number of heads in [tokens, heads, size].
fn heads(x: &FlexTensor) -> usize {
    x.shape()[1]
}

impl RotaryOps for Flex {
    fn rotary(x: FlexTensor, positions: &[u32], table: &Arc<RotaryTable>) -> FlexTensor {
        let mut x = row_major(x);
        let heads = heads(&x);
        rotate(numbers_mut(&mut x), heads, positions, table);
        x
    }
}

/// The backward of [`rotary`] turns back and needs nothing of the input.
#[derive(Debug)]
struct Rotary;

#[derive(Clone)]
struct Saved {
    positions: Vec<u32>,
    table: Arc<RotaryTable>,
}

/// Without the table's numbers.
impl std::fmt::Debug for Saved {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        to.debug_struct("Saved")
            .field("positions", &self.positions)
            .finish_non_exhaustive()
    }
}

impl Backward<Flex, 1> for Rotary {
    type State = Saved;

    fn backward(self, ops: Ops<Saved, 1>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let mut gradient = row_major(gradients.consume::<Flex>(&ops.node));
        let Saved { positions, table } = ops.state;
        let [of_x] = ops.parents.map(|parent| parent.map(|node| node.id));
        let heads = heads(&gradient);
        rotate_back(numbers_mut(&mut gradient), heads, &positions, &table);
        register(gradients, of_x, gradient);
    }
}

impl<C: CheckpointStrategy> RotaryOps for Autodiff<Flex, C> {
    fn rotary(x: FloatTensor<Self>, positions: &[u32], table: &Arc<RotaryTable>) -> FloatTensor<Self> {
        let (x, of_x) = x.into_parts();
        let output = Flex::rotary(x, positions, table);
        match Rotary.prepare::<C>([of_x]).compute_bound().stateful() {
            OpsKind::Tracked(operation) => {
                let saved = Saved {
                    positions: positions.to_vec(),
                    table: Arc::clone(table),
                };
                operation.finish(saved, output)
            }
            OpsKind::UnTracked(operation) => operation.finish(output),
        }
    }
}
