//! What has been learnt: the action of greatest value.

use super::loss::greedy;
use super::network::{QNetwork, QPass};
use crate::agent::Policy;
use crate::encoding::Encoding;

/// Takes the action of greatest value.
pub struct GreedyPolicy {
    network: QNetwork,
    encoding: Encoding,
    pass: QPass,
    rows: usize,
    memory: Vec<f32>,
}

impl GreedyPolicy {
    /// With the values of `network`, which sees observations as `encoding` shows them.
    pub fn new(network: QNetwork, encoding: Encoding) -> Self {
        Self {
            pass: network.pass(1),
            network,
            encoding,
            rows: 1,
            memory: Vec::new(),
        }
    }

    /// The values of all actions for each row of `observations`: shape `[n, a]`.
    pub fn values(&mut self, observations: &[f32]) -> &[f32] {
        let inputs = self.encoding.encode(observations, &mut self.memory);
        let rows = inputs.len() / self.network.inputs();
        if rows > self.rows {
            (self.pass, self.rows) = (self.network.pass(rows), rows);
        }
        self.network.forward(inputs, &mut self.pass)
    }
}

impl Policy for GreedyPolicy {
    fn act(&mut self, observations: &[f32], actions: &mut [f32]) {
        let count = self.network.actions();
        let values = self.values(observations);
        for (action, values) in actions.iter_mut().zip(values.chunks_exact(count)) {
            *action = greedy(values) as f32;
        }
    }
}
