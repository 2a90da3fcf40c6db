//! [`token_log_probabilities`] and [`linear_cross_entropy`] on tensors, with and without statistics.

use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::flex::FlexTensor;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, Flex, TensorMetadata, backend_extension};
use burn::tensor::Tensor;

use super::composed;
use super::flex::{from_numbers, numbers, numbers_mut, reads, register, row_major};
use crate::Precision;
use crate::linear_cross_entropy::{Head, IGNORED, TokenStatistics};

#[backend_extension(Flex, Autodiff)]
trait LinearCrossEntropyOps: Backend {
    fn token_log_probabilities(
        hidden: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        targets: &[u32],
        soft_cap: Option<f32>,
        precision: Precision,
        statistics: &mut [TokenStatistics],
    ) -> FloatTensor<Self>;
    fn linear_cross_entropy(
        hidden: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        targets: &[u32],
        weights: &[f32],
        soft_cap: Option<f32>,
        precision: Precision,
        statistics: &mut [TokenStatistics],
    ) -> FloatTensor<Self>;
}

/// The log-probability of each token's target under the softmax of `hidden weight^T`, without the logits of all tokens in
/// memory.
///
/// `hidden` is [tokens, width], `weight` [vocabulary, width], the result `[tokens]`. With a soft cap c, a logit z becomes
/// c tanh(z / c). Where the target is [`IGNORED`], the result is 0 and costs nothing.
///
/// # Panics
/// The shapes do not fit, or a target is not in the vocabulary.
pub fn token_log_probabilities(
    hidden: Tensor<2>,
    weight: Tensor<2>,
    targets: &[u32],
    soft_cap: Option<f32>,
    precision: Precision,
) -> Tensor<1> {
    of_tokens(hidden, weight, targets, soft_cap, precision, &mut [])
}

/// [`token_log_probabilities`], and what the distribution of each token is like, `[tokens]`: from the same pass, and without gradients. Those of
/// ignored tokens are zeros.
///
/// # Panics
/// As there.
pub fn token_log_probabilities_with_statistics(
    hidden: Tensor<2>,
    weight: Tensor<2>,
    targets: &[u32],
    soft_cap: Option<f32>,
    precision: Precision,
) -> (Tensor<1>, Vec<TokenStatistics>) {
    let mut statistics = vec![TokenStatistics::default(); targets.len()];
    let tokens = of_tokens(hidden, weight, targets, soft_cap, precision, &mut statistics);
    (tokens, statistics)
}

fn of_tokens(
    hidden: Tensor<2>,
    weight: Tensor<2>,
    targets: &[u32],
    soft_cap: Option<f32>,
    precision: Precision,
    statistics: &mut [TokenStatistics],
) -> Tensor<1> {
    check(&hidden, &weight, targets);
    if !reads(&hidden) {
        return composed::token_log_probabilities_with_statistics(
            hidden, weight, targets, soft_cap, precision, statistics,
        );
    }
    let (hidden, weight) = (hidden.into_dispatch(), weight.into_dispatch());
    Tensor::from_dispatch(<Dispatch as LinearCrossEntropyOps>::token_log_probabilities(
        hidden, weight, targets, soft_cap, precision, statistics,
    ))
}

/// The cross-entropy of the targets, as a sum over tokens in which each has its weight: for their mean, 1 / tokens. A token
/// of weight 0 costs nothing.
///
/// `hidden`, `weight`, `targets` and `soft_cap` are those of [`token_log_probabilities`], `weights` is `[tokens]`, the result `[1]`.
///
/// # Panics
/// The shapes do not fit, or a target of a weight other than 0 is not in the vocabulary.
pub fn linear_cross_entropy(
    hidden: Tensor<2>,
    weight: Tensor<2>,
    targets: &[u32],
    weights: &[f32],
    soft_cap: Option<f32>,
    precision: Precision,
) -> Tensor<1> {
    of_all(hidden, weight, (targets, weights), soft_cap, precision, &mut [])
}

/// [`linear_cross_entropy`], and what the distribution of each token is like, `[tokens]`: from the same pass, and without gradients. Those of
/// tokens of weight 0 are zeros.
///
/// # Panics
/// As there.
pub fn linear_cross_entropy_with_statistics(
    hidden: Tensor<2>,
    weight: Tensor<2>,
    targets: &[u32],
    weights: &[f32],
    soft_cap: Option<f32>,
    precision: Precision,
) -> (Tensor<1>, Vec<TokenStatistics>) {
    let mut statistics = vec![TokenStatistics::default(); targets.len()];
    let loss = of_all(hidden, weight, (targets, weights), soft_cap, precision, &mut statistics);
    (loss, statistics)
}

fn of_all(
    hidden: Tensor<2>,
    weight: Tensor<2>,
    (targets, weights): (&[u32], &[f32]),
    soft_cap: Option<f32>,
    precision: Precision,
    statistics: &mut [TokenStatistics],
) -> Tensor<1> {
    let lengths = [targets.len(), weights.len()];
    assert_eq!(lengths, [hidden.dims()[0]; 2], "a target and a weight for each token");
    let ignore = |(&target, &weight)| if weight == 0.0 { IGNORED } else { target };
    let targets: Vec<u32> = targets.iter().zip(weights).map(ignore).collect();
    check(&hidden, &weight, &targets);
    if !reads(&hidden) {
        let log_probabilities = composed::token_log_probabilities_with_statistics(
            hidden, weight, &targets, soft_cap, precision, statistics,
        );
        return composed::weighted(log_probabilities, weights);
    }
    let (hidden, weight) = (hidden.into_dispatch(), weight.into_dispatch());
    Tensor::from_dispatch(<Dispatch as LinearCrossEntropyOps>::linear_cross_entropy(
        hidden, weight, &targets, weights, soft_cap, precision, statistics,
    ))
}

fn check(hidden: &Tensor<2>, weight: &Tensor<2>, targets: &[u32]) {
    let ([tokens, width], [vocabulary, inputs]) = (hidden.dims(), weight.dims());
    assert_eq!(inputs, width, "width of the weight and of the hidden states");
    assert_eq!(targets.len(), tokens, "a target for each token");
    let outside = targets
        .iter()
        .find(|&&target| target != IGNORED && target as usize >= vocabulary);
    assert!(outside.is_none(), "target {outside:?} in a vocabulary of {vocabulary}");
}

fn head(weight: &FlexTensor, soft_cap: Option<f32>, precision: Precision) -> Head<'_> {
    Head {
        weight: numbers(weight),
        width: weight.shape()[1],
        soft_cap,
        precision,
    }
}

/// Log-probabilities and logarithms of the softmax's sums, both [tokens].
fn forward(
    hidden: &FlexTensor,
    weight: &FlexTensor,
    targets: &[u32],
    soft_cap: Option<f32>,
    precision: Precision,
    statistics: &mut [TokenStatistics],
) -> (FlexTensor, Vec<f32>) {
    let (mut to, mut log_sums) = (vec![0.0; targets.len()], vec![0.0; targets.len()]);
    let head = head(weight, soft_cap, precision);
    head.token_log_probabilities(numbers(hidden), targets, &mut to, &mut log_sums, statistics);
    (from_numbers(to, [targets.len()]), log_sums)
}

impl LinearCrossEntropyOps for Flex {
    fn token_log_probabilities(
        hidden: FlexTensor,
        weight: FlexTensor,
        targets: &[u32],
        soft_cap: Option<f32>,
        precision: Precision,
        statistics: &mut [TokenStatistics],
    ) -> FlexTensor {
        forward(
            &row_major(hidden),
            &row_major(weight),
            targets,
            soft_cap,
            precision,
            statistics,
        )
        .0
    }

    fn linear_cross_entropy(
        hidden: FlexTensor,
        weight: FlexTensor,
        targets: &[u32],
        weights: &[f32],
        soft_cap: Option<f32>,
        precision: Precision,
        statistics: &mut [TokenStatistics],
    ) -> FlexTensor {
        let (hidden, weight) = (row_major(hidden), row_major(weight));
        let loss = head(&weight, soft_cap, precision).cross_entropy(numbers(&hidden), targets, weights, statistics);
        from_numbers(vec![loss as f32], [1])
    }
}

/// The backward of [`token_log_probabilities`], which computes the logits again.
#[derive(Debug)]
struct TokenLogProbabilities;

#[derive(Debug, Clone)]
struct Saved {
    hidden: FlexTensor,
    weight: FlexTensor,
    targets: Vec<u32>,
    log_sums: Vec<f32>,
    soft_cap: Option<f32>,
    precision: Precision,
}

impl Backward<Flex, 2> for TokenLogProbabilities {
    type State = Saved;

    fn backward(self, ops: Ops<Saved, 2>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let gradient = row_major(gradients.consume::<Flex>(&ops.node));
        let saved = ops.state;
        let [of_hidden, of_weight] = ops.parents.map(|parent| parent.map(|node| node.id));
        let mut d_hidden = vec![0.0; saved.hidden.shape().num_elements()];
        let mut d_weight = of_weight.map(|_| vec![0.0; saved.weight.shape().num_elements()]);
        head(&saved.weight, saved.soft_cap, saved.precision).token_log_probabilities_backward(
            numbers(&saved.hidden),
            &saved.targets,
            &saved.log_sums,
            numbers(&gradient),
            &mut d_hidden,
            d_weight.as_deref_mut(),
        );
        register(gradients, of_hidden, from_numbers(d_hidden, saved.hidden.shape()));
        if let Some(d_weight) = d_weight {
            register(gradients, of_weight, from_numbers(d_weight, saved.weight.shape()));
        }
    }
}

/// The backward of [`linear_cross_entropy`], whose gradients came with the loss.
#[derive(Debug)]
struct LinearCrossEntropy;

/// By the hidden states and by the weight.
type LossGradients = [Option<FlexTensor>; 2];

impl Backward<Flex, 2> for LinearCrossEntropy {
    type State = LossGradients;

    fn backward(self, ops: Ops<LossGradients, 2>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let slope = numbers(&row_major(gradients.consume::<Flex>(&ops.node)))[0];
        let inputs = ops.parents.map(|parent| parent.map(|node| node.id));
        for (input, gradient) in inputs.into_iter().zip(ops.state) {
            if let Some(mut gradient) = gradient {
                // By a loss that is this one alone it is 1, and nothing is to be done.
                if slope.to_bits() != 1.0_f32.to_bits() {
                    for entry in numbers_mut(&mut gradient) {
                        *entry *= slope;
                    }
                }
                register(gradients, input, gradient);
            }
        }
    }
}

impl<C: CheckpointStrategy> LinearCrossEntropyOps for Autodiff<Flex, C> {
    fn linear_cross_entropy(
        hidden: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        targets: &[u32],
        weights: &[f32],
        soft_cap: Option<f32>,
        precision: Precision,
        statistics: &mut [TokenStatistics],
    ) -> FloatTensor<Self> {
        let tracked = [hidden.is_tracked(), weight.is_tracked()];
        let ((hidden, of_hidden), (weight, of_weight)) = (hidden.into_parts(), weight.into_parts());
        let (hidden, weight) = (row_major(hidden), row_major(weight));
        let operation = LinearCrossEntropy
            .prepare::<C>([of_hidden, of_weight])
            .compute_bound()
            .stateful();
        match operation {
            OpsKind::Tracked(operation) => {
                let [mut d_hidden, mut d_weight] = [(tracked[0], &hidden), (tracked[1], &weight)]
                    .map(|(tracked, input)| tracked.then(|| vec![0.0; input.shape().num_elements()]));
                let loss = head(&weight, soft_cap, precision).cross_entropy_with_gradients(
                    numbers(&hidden),
                    targets,
                    weights,
                    d_hidden.as_deref_mut(),
                    d_weight.as_deref_mut(),
                    statistics,
                );
                let gradients = [
                    d_hidden.map(|numbers| from_numbers(numbers, hidden.shape())),
                    d_weight.map(|numbers| from_numbers(numbers, weight.shape())),
                ];
                operation.finish(gradients, from_numbers(vec![loss as f32], [1]))
            }
            OpsKind::UnTracked(operation) => {
                let loss =
                    Flex::linear_cross_entropy(hidden, weight, targets, weights, soft_cap, precision, statistics);
                operation.finish(loss)
            }
        }
    }

    fn token_log_probabilities(
        hidden: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        targets: &[u32],
        soft_cap: Option<f32>,
        precision: Precision,
        statistics: &mut [TokenStatistics],
    ) -> FloatTensor<Self> {
        let ((hidden, of_hidden), (weight, of_weight)) = (hidden.into_parts(), weight.into_parts());
        let (hidden, weight) = (row_major(hidden), row_major(weight));
        let (output, log_sums) = forward(&hidden, &weight, targets, soft_cap, precision, statistics);
        match TokenLogProbabilities
            .prepare::<C>([of_hidden, of_weight])
            .compute_bound()
            .stateful()
        {
            OpsKind::Tracked(operation) => {
                let saved = Saved {
                    hidden,
                    weight,
                    targets: targets.to_vec(),
                    log_sums,
                    soft_cap,
                    precision,
                };
                operation.finish(saved, output)
            }
            OpsKind::UnTracked(operation) => operation.finish(output),
        }
    }
}
