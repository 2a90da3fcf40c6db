//! What has been learnt: the most probable action.

use etude_kernels::perceptron::{Mlp, Pass};

use super::distribution::Distribution;
use crate::agent::Policy;
use crate::encoding::Encoding;

/// Takes the most probable action, and of a Gaussian the mean.
pub struct NetworkPolicy {
    distribution: Distribution,
    policy: Mlp,
    encoding: Encoding,
    pass: Pass,
    rows: usize,
    memory: Vec<f32>,
}

impl NetworkPolicy {
    /// The policy of the perceptron `policy`, whose outputs mean what `distribution` says and which sees observations as `encoding`
    /// shows them.
    pub fn new(distribution: Distribution, policy: Mlp, encoding: Encoding) -> Self {
        Self {
            pass: Pass::new(&policy, 1),
            distribution,
            policy,
            encoding,
            rows: 1,
            memory: Vec::new(),
        }
    }
}

impl Policy for NetworkPolicy {
    fn act(&mut self, observations: &[f32], actions: &mut [f32]) {
        let inputs = self.encoding.encode(observations, &mut self.memory);
        let length = self.distribution.action_length();
        let rows = actions.len() / length;
        if rows > self.rows {
            (self.pass, self.rows) = (Pass::new(&self.policy, rows), rows);
        }
        let outputs = self.policy.forward(inputs, &mut self.pass);
        let seen = inputs.chunks_exact(self.policy.inputs());
        let rows = seen.zip(outputs.chunks_exact(self.policy.outputs()));
        for (action, (inputs, outputs)) in actions.chunks_exact_mut(length).zip(rows) {
            let row = self.distribution.row(inputs, outputs, &[]);
            self.distribution.mode(row, action);
        }
        self.distribution.to_environment(actions);
    }
}
