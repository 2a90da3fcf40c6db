//! The constants of DQN.

use super::loss::Loss;
use crate::replay::PriorityOptions;
use crate::schedule::Schedule;

/// What a DQN run is made of. [`Default`] gives Stable-Baselines3's constants.
#[derive(Debug, Clone, PartialEq)]
pub struct DqnOptions {
    /// The widths of the hidden layers, with ReLU after each.
    pub hidden: Vec<usize>,
    /// Two streams after the hidden layers, for v(s) and for the advantages (Wang et al. 2016, section 3).
    pub duelling: bool,
    /// The next action is chosen by the network and valued by the target network (van Hasselt et al. 2016).
    pub double: bool,
    /// gamma.
    pub discount: f64,
    /// How many rewards a target sees before it bootstraps.
    pub steps: usize,
    /// Adam's step size.
    pub learning_rate: Schedule,
    /// Adam's epsilon.
    pub adam_epsilon: f32,
    /// Transitions in a minibatch.
    pub batch: usize,
    /// Transitions in the memory.
    pub capacity: usize,
    /// Transitions are drawn by how wrong they were (Schaul et al. 2016); the exponent beta of the weights goes with it.
    pub priorities: Option<(PriorityOptions, Schedule)>,
    /// Steps in which actions are random and nothing is learnt.
    pub learning_starts: u64,
    /// After so many steps of each environment there are some updates,
    pub train_frequency: u64,
    /// namely so many; none means as many as transitions have come in.
    pub gradient_steps: Option<u64>,
    /// The target network follows after so many steps,
    pub target_update_interval: u64,
    /// by w- <- (1 - tau) w- + tau w.
    pub tau: f32,
    /// The probability of a random action.
    pub exploration: Schedule,
    /// The gradient is scaled down to this norm, of all parameters together.
    pub max_gradient_norm: Option<f64>,
    /// The loss.
    pub loss: Loss,
}

impl Default for DqnOptions {
    fn default() -> Self {
        Self {
            hidden: vec![64, 64],
            duelling: false,
            double: false,
            discount: 0.99,
            steps: 1,
            learning_rate: Schedule::Constant(1e-4),
            adam_epsilon: 1e-8,
            batch: 32,
            capacity: 1_000_000,
            priorities: None,
            learning_starts: 100,
            train_frequency: 4,
            gradient_steps: Some(1),
            target_update_interval: 10_000,
            tau: 1.0,
            exploration: Schedule::Linear {
                from: 1.0,
                to: 0.05,
                over: 0.1,
            },
            max_gradient_norm: Some(10.0),
            loss: Loss::Huber,
        }
    }
}
