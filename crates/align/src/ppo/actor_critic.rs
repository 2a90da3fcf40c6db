//! A policy with values.

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor, TensorData};
use etude_lm::decoder::Decoder;

use crate::preference::AnswerSequences;
use crate::training::{Sequences as _, Trained};

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
    pub(super) fn values(&self, hidden: Tensor<2>, answers: &AnswerSequences) -> Tensor<1> {
        let hidden = match &self.critic {
            Some(critic) => critic.hidden(answers.tokens(), answers.offsets()),
            None => hidden,
        };
        let (rows, _) = answers.predicting(hidden);
        (rows * self.value.val()).sum_dim(1).squeeze_dim(1)
    }
}
