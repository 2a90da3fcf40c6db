//! [`gated`] on tensors.

use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::flex::FlexTensor;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, Flex, TensorMetadata, backend_extension};
use burn::tensor::Tensor;

use super::composed;
use super::flex::{filled, numbers, numbers_mut, reads, register, row_major};
use crate::gated::{self as slices, Gate};

#[backend_extension(Flex, Autodiff)]
trait GatedOps: Backend {
    fn gated(gate: FloatTensor<Self>, up: FloatTensor<Self>, kind: Gate) -> FloatTensor<Self>;
}

/// Gated linear units without their products: `kind(gate) * up`, entry by entry.
///
/// `gate`, `up` and the result have one shape.
///
/// # Panics
/// The shapes differ.
pub fn gated<const D: usize>(gate: Tensor<D>, up: Tensor<D>, kind: Gate) -> Tensor<D> {
    assert_eq!(gate.dims(), up.dims(), "shapes of a gate and what it gates");
    if !reads(&gate) {
        return composed::gated(gate, up, kind);
    }
    Tensor::from_dispatch(<Dispatch as GatedOps>::gated(
        gate.into_dispatch(),
        up.into_dispatch(),
        kind,
    ))
}

impl GatedOps for Flex {
    fn gated(gate: FlexTensor, up: FlexTensor, kind: Gate) -> FlexTensor {
        let (gate, up) = (row_major(gate), row_major(up));
        filled(gate.shape(), |to| slices::gated(numbers(&gate), numbers(&up), kind, to))
    }
}

/// The backward of [`gated`]; the gate's activation is computed again, not saved.
#[derive(Debug)]
struct Gated;

#[derive(Debug, Clone)]
struct Saved {
    gate: FlexTensor,
    up: FlexTensor,
    kind: Gate,
}

impl Backward<Flex, 2> for Gated {
    type State = Saved;

    fn backward(self, ops: Ops<Saved, 2>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let dy = row_major(gradients.consume::<Flex>(&ops.node));
        let Saved { gate, up, kind } = ops.state;
        let [of_gate, of_up] = ops.parents.map(|parent| parent.map(|node| node.id));
        let mut d_gate = filled(gate.shape(), |_| ());
        let d_up = filled(up.shape(), |d_up| {
            let d_gate = numbers_mut(&mut d_gate);
            slices::gated_backward(numbers(&gate), numbers(&up), kind, numbers(&dy), d_gate, d_up);
        });
        register(gradients, of_gate, d_gate);
        register(gradients, of_up, d_up);
    }
}

impl<C: CheckpointStrategy> GatedOps for Autodiff<Flex, C> {
    fn gated(gate: FloatTensor<Self>, up: FloatTensor<Self>, kind: Gate) -> FloatTensor<Self> {
        let ((gate, of_gate), (up, of_up)) = (gate.into_parts(), up.into_parts());
        let (gate, up) = (row_major(gate), row_major(up));
        let output = Flex::gated(gate.clone(), up.clone(), kind);
        match Gated.prepare::<C>([of_gate, of_up]).compute_bound().stateful() {
            OpsKind::Tracked(operation) => operation.finish(Saved { gate, up, kind }, output),
            OpsKind::UnTracked(operation) => operation.finish(output),
        }
    }
}
