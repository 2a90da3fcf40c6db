//! [`embedding`] on tensors.

use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::flex::FlexTensor;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, Flex, TensorMetadata, backend_extension};
use burn::tensor::{Shape, Tensor};

use super::composed;
use super::flex::{from_numbers, numbers, reads, register, row_major};

#[backend_extension(Flex, Autodiff)]
trait EmbeddingOps: Backend {
    fn embedding(weight: FloatTensor<Self>, tokens: &[u32], padding: Option<u32>) -> FloatTensor<Self>;
}

/// The rows of `weight`, [vocabulary, width], that belong to `tokens`, [tokens, width].
///
/// The row of the token that pads learns nothing here, as in PyTorch's Embedding with `padding_idx`.
///
/// # Panics
/// A token is not in the vocabulary.
pub fn embedding(weight: Tensor<2>, tokens: &[u32], padding: Option<u32>) -> Tensor<2> {
    let vocabulary = weight.dims()[0];
    let outside = tokens.iter().find(|token| **token as usize >= vocabulary);
    assert!(outside.is_none(), "token {outside:?} in a vocabulary of {vocabulary}");
    if !reads(&weight) {
        return composed::embedding(weight, tokens, padding);
    }
    Tensor::from_dispatch(<Dispatch as EmbeddingOps>::embedding(
        weight.into_dispatch(),
        tokens,
        padding,
    ))
}

impl EmbeddingOps for Flex {
    fn embedding(weight: FlexTensor, tokens: &[u32], _: Option<u32>) -> FlexTensor {
        let weight = row_major(weight);
        let width = weight.shape()[1];
        let mut rows = Vec::with_capacity(tokens.len() * width);
        for token in tokens {
            rows.extend_from_slice(&numbers(&weight)[*token as usize * width..][..width]);
        }
        from_numbers(rows, [tokens.len(), width])
    }
}

/// The backward of [`embedding`].
#[derive(Debug)]
struct Embedding;

#[derive(Debug, Clone)]
struct Saved {
    tokens: Vec<u32>,
    padding: Option<u32>,
    /// Of the weight.
    shape: Shape,
}

impl Backward<Flex, 1> for Embedding {
    type State = Saved;

    fn backward(self, ops: Ops<Saved, 1>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let dy = row_major(gradients.consume::<Flex>(&ops.node));
        let Saved { tokens, padding, shape } = ops.state;
        let width = dy.shape()[1];
        let mut d_weight = vec![0.0; shape.num_elements()];
        // One token after the other: a token that comes twice has the sum of both.
        for (row, token) in numbers(&dy).chunks_exact(width.max(1)).zip(tokens) {
            if Some(token) != padding {
                let to = &mut d_weight[token as usize * width..][..width];
                to.iter_mut().zip(row).for_each(|(to, entry)| *to += entry);
            }
        }
        let [of_weight] = ops.parents.map(|parent| parent.map(|node| node.id));
        register(gradients, of_weight, from_numbers(d_weight, shape));
    }
}

impl<C: CheckpointStrategy> EmbeddingOps for Autodiff<Flex, C> {
    fn embedding(weight: FloatTensor<Self>, tokens: &[u32], padding: Option<u32>) -> FloatTensor<Self> {
        let output = Flex::embedding(weight.primitive().clone(), tokens, padding);
        match Embedding.prepare::<C>([weight.node()]).compute_bound().stateful() {
            OpsKind::Tracked(operation) => {
                let saved = Saved {
                    tokens: tokens.to_vec(),
                    padding,
                    shape: weight.shape(),
                };
                operation.finish(saved, output)
            }
            OpsKind::UnTracked(operation) => operation.finish(output),
        }
    }
}
