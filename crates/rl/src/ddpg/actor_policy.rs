//! What has been learnt: mu, without noise.

use etude_kernels::perceptron::Pass;

use super::networks::Actor;
use super::scale::ActionScale;
use crate::agent::Policy;
use crate::encoding::Encoding;

/// Takes the action mu(s).
pub struct ActorPolicy {
    actor: Actor,
    scale: ActionScale,
    encoding: Encoding,
    pass: Pass,
    rows: usize,
    memory: Vec<f32>,
}

impl ActorPolicy {
    /// The policy of `actor`, which sees observations as `encoding` shows them and whose actions are scaled by `scale`.
    pub fn new(actor: Actor, scale: ActionScale, encoding: Encoding) -> Self {
        Self {
            pass: Pass::new(actor.mlp(), 1),
            actor,
            scale,
            encoding,
            rows: 1,
            memory: Vec::new(),
        }
    }
}

impl Policy for ActorPolicy {
    fn act(&mut self, observations: &[f32], actions: &mut [f32]) {
        let inputs = self.encoding.encode(observations, &mut self.memory);
        let rows = actions.len() / self.scale.length();
        if rows > self.rows {
            (self.pass, self.rows) = (Pass::new(self.actor.mlp(), rows), rows);
        }
        self.actor.forward(inputs, &mut self.pass, actions);
        self.scale.to_bounds(actions);
    }
}
