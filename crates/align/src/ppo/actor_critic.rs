//! A policy with values.

use burn::module::{Module, Param};
use burn::tensor::{Device, Int, Tensor, TensorData};
use etude_kernels::linear_cross_entropy::TokenStatistics;
use etude_lm::decoder::Decoder;

use crate::training::{Sequences, Trained, beside};

/// A decoder that answers, and what says how good its answers are going to be.
///
/// With adapters, policy and critic may share the parameters of one base, which both have for a constant.
#[derive(Module, Debug)]
pub struct ActorCritic {
    policy: Decoder,
    /// None where values are read off the policy's hidden states.
    critic: Option<Decoder>,
    /// `[1, hidden]`.
    value: Param<Tensor<2>>,
}

impl Trained for ActorCritic {
    fn decoder(&self) -> &Decoder {
        &self.policy
    }
}

/// Prompts with their answers, beside each other.
#[derive(Debug, Clone)]
pub struct Answers {
    tokens: Vec<u32>,
    offsets: Vec<usize>,
    /// Where the answers' tokens are predicted: each one place before the token.
    places: Vec<i64>,
    /// The answers' tokens, one answer after the other.
    targets: Vec<u32>,
}

impl Sequences for Answers {
    fn tokens(&self) -> &[u32] {
        &self.tokens
    }

    fn offsets(&self) -> &[usize] {
        &self.offsets
    }
}

impl Answers {
    /// Of sequences, each with the number of tokens of its prompt, at least one.
    pub(super) fn new(sequences: &[(&[u32], usize)]) -> Self {
        let all: Vec<&[u32]> = sequences.iter().map(|(tokens, _)| *tokens).collect();
        let (tokens, offsets) = beside(&all);
        let answers = sequences.iter().zip(offsets.windows(2));
        let places: Vec<i64> = answers
            .flat_map(|((_, prompt), ends)| (ends[0] + prompt - 1..ends[1] - 1).map(|place| place as i64))
            .collect();
        Self {
            targets: places.iter().map(|place| tokens[*place as usize + 1]).collect(),
            tokens,
            offsets,
            places,
        }
    }

    /// The rows of hidden states, `[tokens, hidden]`, after which the answers' tokens come.
    fn rows(&self, hidden: Tensor<2>) -> Tensor<2> {
        let places = TensorData::new(self.places.clone(), [self.places.len()]);
        let places = Tensor::<1, Int>::from_data(places, &hidden.device());
        hidden.select(0, places)
    }

    /// ln pi of the answers' tokens, `[tokens of answers]`, when logits are divided by `temperature`, and what their distributions are
    /// like, from the policy's hidden states, `[tokens, hidden]`.
    pub(super) fn log_probabilities(
        &self,
        policy: &Decoder,
        hidden: Tensor<2>,
        temperature: f64,
    ) -> (Tensor<1>, Vec<TokenStatistics>) {
        // The logits are a linear function of these.
        let rows = self.rows(hidden) / temperature;
        policy.log_probabilities_with_statistics(rows, &self.targets)
    }
}

impl ActorCritic {
    /// Values are read off the hidden states of `critic`, or of the policy where there is none, by `value`, `[hidden]`, which is 0 where
    /// nothing is known yet.
    pub fn new(policy: Decoder, critic: Option<Decoder>, value: &[f32], device: &Device) -> Self {
        let shape = [1, value.len()];
        let value = Tensor::from_data(TensorData::new(value.to_vec(), shape), device);
        Self {
            policy,
            critic,
            value: Param::from_tensor(value),
        }
    }

    /// What answers.
    pub fn policy(&self) -> &Decoder {
        &self.policy
    }

    /// What values are read from, where it is not the policy.
    pub fn critic(&self) -> Option<&Decoder> {
        self.critic.as_ref()
    }

    /// The linear function that gives values, `[hidden]`.
    pub fn value(&self) -> Vec<f32> {
        self.value.val().to_data().iter().collect()
    }

    /// The value before each token of the answers, `[tokens of answers]`, where the policy's hidden states are `[tokens, hidden]`.
    pub(super) fn values(&self, hidden: Tensor<2>, answers: &Answers) -> Tensor<1> {
        let hidden = match &self.critic {
            Some(critic) => critic.hidden(&answers.tokens, &answers.offsets),
            None => hidden,
        };
        let values = answers.rows(hidden) * self.value.val();
        values.sum_dim(1).squeeze_dim(1)
    }
}
