//! [`gated`] and [`gated_linear`] on tensors.

use std::sync::Arc;

use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::flex::FlexTensor;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, Flex, TensorMetadata, backend_extension};
use burn::tensor::{Shape, Tensor};
use half::bf16;
use rayon::prelude::*;

use super::composed;
use super::flex::{filled, from_numbers, numbers, numbers_mut, reads, register, row_major, rows, with_last};
use crate::Precision;
use crate::gated::{self as slices, Gate};
use crate::matrix::new_product;

#[backend_extension(Flex, Autodiff)]
trait GatedOps: Backend {
    fn gated(gate: FloatTensor<Self>, up: FloatTensor<Self>, kind: Gate) -> FloatTensor<Self>;
    fn gated_linear(
        gate: FloatTensor<Self>,
        up: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        kind: Gate,
        precision: Precision,
    ) -> FloatTensor<Self>;
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

/// The linear layer after gated linear units, `(kind(gate) * up) weight^T`, with the bits of [`gated`] and [`linear`](super::linear).
///
/// `gate` and `up` are [n, inputs], `weight` is [outputs, inputs], the result [n, outputs]. What the layer takes in is as large as `gate`,
/// and is computed again in the backward, not kept. In [`Precision::Bf16`] the backward has `gate` and `up` rounded to bf16, in half the
/// memory, as PyTorch's autocast has them from the start.
///
/// # Panics
/// The shapes do not fit.
pub fn gated_linear(gate: Tensor<2>, up: Tensor<2>, weight: Tensor<2>, kind: Gate, precision: Precision) -> Tensor<2> {
    assert_eq!(gate.dims(), up.dims(), "shapes of a gate and what it gates");
    assert_eq!(gate.dims()[1], weight.dims()[1], "inputs of a gate and of a weight");
    if !reads(&gate) {
        return composed::linear(composed::gated(gate, up, kind), weight, None, precision);
    }
    Tensor::from_dispatch(<Dispatch as GatedOps>::gated_linear(
        gate.into_dispatch(),
        up.into_dispatch(),
        weight.into_dispatch(),
        kind,
        precision,
    ))
}

impl GatedOps for Flex {
    fn gated(gate: FlexTensor, up: FlexTensor, kind: Gate) -> FlexTensor {
        let (gate, up) = (row_major(gate), row_major(up));
        filled(gate.shape(), |to| slices::gated(numbers(&gate), numbers(&up), kind, to))
    }

    fn gated_linear(
        gate: FlexTensor,
        up: FlexTensor,
        weight: FlexTensor,
        kind: Gate,
        precision: Precision,
    ) -> FlexTensor {
        let (x, weight) = (Self::gated(gate, up, kind), row_major(weight));
        let shape = with_last(&x.shape(), weight.shape()[0]);
        from_numbers(new_product(rows(&x), rows(&weight).transposed(), precision), shape)
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

/// The backward of [`gated_linear`], which computes what the layer took in again.
#[derive(Debug)]
struct GatedLinear;

#[derive(Debug, Clone)]
struct SavedOfLinear {
    gate: Kept,
    up: Kept,
    weight: FlexTensor,
    kind: Gate,
    precision: Precision,
}

/// A tensor, in as much memory as its precision needs.
#[derive(Debug, Clone)]
enum Kept {
    F32(FlexTensor),
    Bf16(Arc<[bf16]>, Shape),
}

impl Kept {
    fn new(tensor: FlexTensor, precision: Precision) -> Self {
        match precision {
            Precision::F32 => Self::F32(tensor),
            Precision::Bf16 => {
                let rounded = numbers(&tensor).par_iter().map(|number| bf16::from_f32(*number));
                Self::Bf16(rounded.collect(), tensor.shape())
            }
        }
    }

    fn tensor(self) -> FlexTensor {
        match self {
            Self::F32(tensor) => tensor,
            Self::Bf16(rounded, shape) => {
                let numbers = rounded.par_iter().map(|number| number.to_f32()).collect();
                from_numbers(numbers, shape)
            }
        }
    }
}

impl Backward<Flex, 3> for GatedLinear {
    type State = SavedOfLinear;

    fn backward(self, ops: Ops<SavedOfLinear, 3>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let dy = row_major(gradients.consume::<Flex>(&ops.node));
        let SavedOfLinear {
            gate,
            up,
            weight,
            kind,
            precision,
        } = ops.state;
        let (gate, up) = (gate.tensor(), up.tensor());
        let [of_gate, of_up, of_weight] = ops.parents.map(|parent| parent.map(|node| node.id));
        if of_weight.is_some() {
            let x = Flex::gated(gate.clone(), up.clone(), kind);
            let d_weight = new_product(rows(&dy).transposed(), rows(&x), precision);
            register(gradients, of_weight, from_numbers(d_weight, weight.shape()));
        }
        if of_gate.is_none() && of_up.is_none() {
            return;
        }
        let dx = new_product(rows(&dy), rows(&weight), precision);
        drop(dy);
        let mut d_gate = filled(gate.shape(), |_| ());
        let d_up = filled(up.shape(), |d_up| {
            let d_gate = numbers_mut(&mut d_gate);
            slices::gated_backward(numbers(&gate), numbers(&up), kind, &dx, d_gate, d_up);
        });
        register(gradients, of_gate, d_gate);
        register(gradients, of_up, d_up);
    }
}

impl<C: CheckpointStrategy> GatedOps for Autodiff<Flex, C> {
    fn gated_linear(
        gate: FloatTensor<Self>,
        up: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        kind: Gate,
        precision: Precision,
    ) -> FloatTensor<Self> {
        let ((gate, of_gate), (up, of_up), (weight, of_weight)) =
            (gate.into_parts(), up.into_parts(), weight.into_parts());
        let (gate, up, weight) = (row_major(gate), row_major(up), row_major(weight));
        let output = Flex::gated_linear(gate.clone(), up.clone(), weight.clone(), kind, precision);
        let operation = GatedLinear
            .prepare::<C>([of_gate, of_up, of_weight])
            .compute_bound()
            .stateful();
        match operation {
            OpsKind::Tracked(operation) => {
                let saved = SavedOfLinear {
                    gate: Kept::new(gate, precision),
                    up: Kept::new(up, precision),
                    weight,
                    kind,
                    precision,
                };
                operation.finish(saved, output)
            }
            OpsKind::UnTracked(operation) => operation.finish(output),
        }
    }

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
