//! [`attention`] on tensors.

use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::flex::FlexTensor;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, Flex, TensorMetadata, backend_extension};
use burn::tensor::Tensor;

use super::composed;
use super::flex::{filled, from_numbers, numbers, reads, register, row_major};
use crate::attention::Attention;

#[backend_extension(Flex, Autodiff)]
trait AttentionOps: Backend {
    fn attention(
        q: FloatTensor<Self>,
        k: FloatTensor<Self>,
        v: FloatTensor<Self>,
        offsets: &[usize],
        attention: &Attention,
    ) -> FloatTensor<Self>;
}

/// Softmax attention of each packed sequence's queries to its own keys, without a stored matrix of scores.
///
/// `q` and the result are [tokens, heads, head_size], `k` and `v` [tokens, key_value_heads, head_size]. The sequences lie one
/// after the other: `offsets` holds where each begins, with 0 first and, at the end, the number of tokens. The backward
/// keeps `q`, `k`, `v`, the result and the logarithm of each softmax's sum.
///
/// # Panics
/// The shapes do not fit `attention` or each other, or `offsets` do not rise from 0 to the number of tokens.
pub fn attention(q: Tensor<3>, k: Tensor<3>, v: Tensor<3>, offsets: &[usize], attention: &Attention) -> Tensor<3> {
    let tokens = q.dims()[0];
    let key_value = [tokens, attention.key_value_heads, attention.head_size];
    assert_eq!(q.dims(), [tokens, attention.heads, attention.head_size], "queries");
    assert_eq!(k.dims(), key_value, "keys");
    assert_eq!(v.dims(), key_value, "values");
    assert!(
        offsets.first() == Some(&0) && offsets.is_sorted() && offsets.last() == Some(&tokens),
        "offsets of sequences: found {offsets:?}, expected a rise from 0 to {tokens}"
    );
    if !reads(&q) {
        return composed::attention(q, k, v, offsets, attention);
    }
    let (q, k, v) = (q.into_dispatch(), k.into_dispatch(), v.into_dispatch());
    Tensor::from_dispatch(<Dispatch as AttentionOps>::attention(q, k, v, offsets, attention))
}

/// Outputs [tokens, heads, head_size] and logarithms of sums [tokens, heads].
fn forward(
    q: &FlexTensor,
    k: &FlexTensor,
    v: &FlexTensor,
    offsets: &[usize],
    attention: &Attention,
) -> (FlexTensor, Vec<f32>) {
    let mut log_sums = vec![0.0; q.shape()[0] * attention.heads];
    let outputs = filled(q.shape(), |to| {
        attention.forward(numbers(q), numbers(k), numbers(v), offsets, to, &mut log_sums);
    });
    (outputs, log_sums)
}

impl AttentionOps for Flex {
    fn attention(q: FlexTensor, k: FlexTensor, v: FlexTensor, offsets: &[usize], attention: &Attention) -> FlexTensor {
        forward(&row_major(q), &row_major(k), &row_major(v), offsets, attention).0
    }
}

/// The backward of [`attention`], which computes the scores again.
#[derive(Debug)]
struct AttentionBackward;

#[derive(Debug, Clone)]
struct Saved {
    q: FlexTensor,
    k: FlexTensor,
    v: FlexTensor,
    outputs: FlexTensor,
    log_sums: Vec<f32>,
    offsets: Vec<usize>,
    attention: Attention,
}

impl Backward<Flex, 3> for AttentionBackward {
    type State = Saved;

    fn backward(self, ops: Ops<Saved, 3>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let d_outputs = row_major(gradients.consume::<Flex>(&ops.node));
        let saved = ops.state;
        let [of_q, of_k, of_v] = ops.parents.map(|parent| parent.map(|node| node.id));
        let mut dq = vec![0.0; saved.q.shape().num_elements()];
        let mut dk = vec![0.0; saved.k.shape().num_elements()];
        let mut dv = vec![0.0; saved.v.shape().num_elements()];
        saved.attention.backward(
            numbers(&saved.q),
            numbers(&saved.k),
            numbers(&saved.v),
            &saved.offsets,
            numbers(&saved.outputs),
            &saved.log_sums,
            numbers(&d_outputs),
            &mut dq,
            &mut dk,
            &mut dv,
        );
        register(gradients, of_q, from_numbers(dq, saved.q.shape()));
        register(gradients, of_k, from_numbers(dk, saved.k.shape()));
        register(gradients, of_v, from_numbers(dv, saved.v.shape()));
    }
}

impl<C: CheckpointStrategy> AttentionOps for Autodiff<Flex, C> {
    fn attention(
        q: FloatTensor<Self>,
        k: FloatTensor<Self>,
        v: FloatTensor<Self>,
        offsets: &[usize],
        attention: &Attention,
    ) -> FloatTensor<Self> {
        let ((q, of_q), (k, of_k), (v, of_v)) = (q.into_parts(), k.into_parts(), v.into_parts());
        let (q, k, v) = (row_major(q), row_major(k), row_major(v));
        let (outputs, log_sums) = forward(&q, &k, &v, offsets, attention);
        match AttentionBackward
            .prepare::<C>([of_q, of_k, of_v])
            .compute_bound()
            .stateful()
        {
            OpsKind::Tracked(operation) => {
                let saved = Saved {
                    q,
                    k,
                    v,
                    outputs: outputs.clone(),
                    log_sums,
                    offsets: offsets.to_vec(),
                    attention: *attention,
                };
                operation.finish(saved, outputs)
            }
            OpsKind::UnTracked(operation) => operation.finish(outputs),
        }
    }
}
