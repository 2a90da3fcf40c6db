//! What DQN needs of a network that learns.

use std::path::Path;

use super::loss::Loss;
use crate::agent::Policy;
use crate::error::RlError;
use crate::replay::Minibatch;
use crate::saved_policy::PolicyCard;

/// A network q(s, .; w), its target network, and the way in which w moves.
pub(super) trait Learner: Send {
    /// Whether an update shares work between the threads of the current Rayon pool, in tasks of some microseconds.
    fn shares_work(&self) -> bool;

    /// How many actions it values.
    fn actions(&self) -> usize;

    /// The values of all actions, shape `[n, a]`, for observations of shape `[n, d]`.
    fn values(&mut self, observations: &[f32]) -> &[f32];

    /// One step of Adam on a minibatch.
    fn update(&mut self, minibatch: &Minibatch, rule: Rule) -> Updated;

    /// Puts y - q of the last minibatch into `errors`, row by row.
    fn errors(&self, errors: &mut Vec<f32>);

    /// w- <- (1 - tau) w- + tau w.
    fn follow(&mut self, tau: f32);

    /// Takes the action of greatest value.
    fn policy(&self) -> Box<dyn Policy>;

    /// Writes the network into `folder`.
    fn save_policy(&self, card: &PolicyCard, folder: &Path) -> Result<(), RlError>;

    /// Appends both networks and Adam's state to `state`.
    fn save(&self, state: &mut Vec<u8>);

    /// Reads them back.
    fn load(&mut self, state: &mut &[u8]) -> Result<(), RlError>;
}

/// How an update is made.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rule {
    pub(super) double: bool,
    pub(super) loss: Loss,
    pub(super) learning_rate: f64,
    pub(super) max_gradient_norm: Option<f64>,
}

impl Rule {
    /// What a gradient of this norm is multiplied by, as PyTorch's `clip_grad_norm_` does it.
    pub(super) fn scale(&self, norm: f64) -> f64 {
        self.max_gradient_norm
            .map_or(1.0, |most| (most / (norm + 1e-6)).min(1.0))
    }
}

/// What an update tells.
#[derive(Debug, Clone, Copy)]
pub(super) struct Updated {
    /// The mean loss.
    pub(super) loss: f64,
    /// The mean of q(s, a).
    pub(super) values: f64,
    /// The norm of the gradient before it was clipped.
    pub(super) gradient_norm: f64,
}
