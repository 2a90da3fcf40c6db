//! Implicit rewards.

use super::Pairs;
use burn::tensor::Tensor;

/// Means over a batch of pairs. The implicit reward of an answer is beta ln (pi / pi_ref): equation 5 of DPO, without the part that both
/// answers to a prompt share.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RewardMetrics {
    /// The implicit reward of chosen answers.
    pub chosen: f64,
    /// The implicit reward of rejected answers.
    pub rejected: f64,
    /// The share of pairs whose chosen answer has the greater one.
    pub accuracy: f64,
    /// By how much more the chosen answer has.
    pub margin: f64,
    /// ln pi of chosen answers.
    pub chosen_log_probability: f64,
    /// ln pi of rejected answers.
    pub rejected_log_probability: f64,
}

impl RewardMetrics {
    /// Of what policy and reference say of the answers of a batch.
    pub fn new(policy: &Pairs, reference: &Pairs, beta: f64) -> Self {
        let rewards = policy
            .clone()
            .zip(reference.clone(), |policy, reference| (policy - reference) * beta);
        let wins = rewards.chosen.clone().greater(rewards.rejected.clone()).float();
        Self {
            chosen: mean(rewards.chosen.clone()),
            rejected: mean(rewards.rejected.clone()),
            accuracy: mean(wins),
            margin: mean(rewards.margins()),
            chosen_log_probability: mean(policy.chosen.clone()),
            rejected_log_probability: mean(policy.rejected.clone()),
        }
    }

    /// Of a policy without a reference: the reward is beta ln pi.
    pub fn without_reference(policy: &Pairs, beta: f64) -> Self {
        let policy = policy.clone().map(Tensor::without_autodiff);
        let nothing = policy.clone().map(|policy| policy.zeros_like());
        Self::new(&policy, &nothing, beta)
    }

    /// Each under the name that TRL logs it by.
    pub fn named(&self) -> [(&'static str, f64); 6] {
        [
            ("rewards/chosen", self.chosen),
            ("rewards/rejected", self.rejected),
            ("rewards/accuracies", self.accuracy),
            ("rewards/margins", self.margin),
            ("logps/chosen", self.chosen_log_probability),
            ("logps/rejected", self.rejected_log_probability),
        ]
    }
}

fn mean(values: Tensor<1>) -> f64 {
    values.mean().into_scalar()
}
