//! What the agent needs of networks that learn.

use std::path::Path;

use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

use crate::agent::Policy;
use crate::error::RlError;
use crate::replay::Minibatch;
use crate::saved_policy::PolicyCard;

/// An actor, one critic or two, their slow copies, and the way in which all of them move.
pub(super) trait Learner: Send {
    /// Whether an update shares work between the threads of the current Rayon pool, in tasks of some microseconds.
    fn shares_work(&self) -> bool;

    /// mu(s), between -1 and 1, into `actions`: shapes `[n, d]` and `[n, a]`.
    fn act(&mut self, observations: &[f32], actions: &mut [f32]);

    /// q(s, mu(s)) of one observation, by the first critic.
    fn state_value(&mut self, observation: &[f32]) -> f32;

    /// One step of Adam for the critics and, where it is due, for the actor. `noise` is what target actions are moved by, shape `[n, a]`,
    /// in TD3.
    fn update(&mut self, minibatch: &Minibatch, noise: &[f32], rates: LearningRates) -> Updated;

    /// Updates of the critics so far.
    fn updates(&self) -> u64;

    /// mu, as it is now.
    fn policy(&self) -> Box<dyn Policy>;

    /// Writes mu into `folder`.
    fn save_policy(&self, card: &PolicyCard, folder: &Path) -> Result<(), RlError>;

    /// Appends all networks and Adam's state to `state`.
    fn save(&self, state: &mut Vec<u8>);

    /// Reads them back.
    fn load(&mut self, state: &mut &[u8]) -> Result<(), RlError>;
}

/// The step sizes of one update.
#[derive(Debug, Clone, Copy)]
pub(super) struct LearningRates {
    pub(super) actor: f32,
    pub(super) critic: f32,
}

/// What an update tells.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Updated {
    /// The critics' loss, of both together where there are two.
    pub(super) critic_loss: f64,
    /// The mean of y.
    pub(super) targets: f64,
    /// The actor's loss, where it has moved.
    pub(super) actor_loss: Option<f64>,
}

impl Updated {
    /// Before the actor moves.
    pub(super) fn of_critics(critic_loss: f64, targets: &[f32]) -> Self {
        Self {
            critic_loss,
            targets: targets.iter().copied().map(f64::from).sum::<f64>() / targets.len() as f64,
            actor_loss: None,
        }
    }
}

/// Draws the noise on target actions, of this deviation.
pub(super) fn draw_noise(deviation: f32, random: &mut ChaCha8Rng, noise: &mut [f32]) {
    for number in noise {
        let normal: f32 = StandardNormal.sample(random);
        *number = deviation * normal;
    }
}
