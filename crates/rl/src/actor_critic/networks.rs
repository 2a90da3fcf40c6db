//! The policy and the value function.

use etude_kernels::perceptron::{Activation, Mlp};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::distribution::Distribution;

/// pi(a|s; theta) and v(s; w), perceptrons without common layers; without hidden layers, linear functions of what they see.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ActorCritic {
    /// What the policy's outputs mean.
    pub distribution: Distribution,
    /// The policy's perceptron.
    pub policy: Mlp,
    /// Deviations that are parameters of their own, as logarithms.
    pub log_deviations: Vec<f32>,
    /// The value function.
    pub value: Mlp,
}

impl ActorCritic {
    /// Networks that see `inputs` numbers. All actions are about alike at first.
    pub fn new(
        distribution: Distribution,
        inputs: usize,
        hidden: &[usize],
        activation: Activation,
        random: &mut ChaCha8Rng,
    ) -> Self {
        let mut network = |outputs: usize, last_gain: f32| {
            let sizes = [&[inputs], hidden, &[outputs]].concat();
            Mlp::new(&sizes, activation, random).orthogonal(std::f32::consts::SQRT_2, last_gain, random)
        };
        Self {
            policy: network(distribution.outputs(), 0.01),
            value: network(1, 1.0),
            log_deviations: distribution.log_deviations(),
            distribution,
        }
    }
}
