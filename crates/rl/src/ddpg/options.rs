//! The constants of DDPG and TD3.

use etude_kernels::perceptron::Activation;

use super::networks::ActionLayer;
use super::noise::Noise;
use crate::schedule::Schedule;

/// What a DDPG run is made of. [`Default`] gives the constants of Lillicrap et al. 2016, section 7, for low-dimensional
/// observations, without batch normalisation; the paper does not say after how many steps learning starts.
#[derive(Debug, Clone, PartialEq)]
pub struct DdpgOptions {
    /// The widths of the hidden layers of actor and critic.
    pub hidden: Vec<usize>,
    /// What their units do.
    pub activation: Activation,
    /// The actor has no hidden layers: it is linear, mu(s) = W s + b.
    pub linear_actor: bool,
    /// The critic is no network but a quadratic function of observation and action.
    pub quadratic_critic: bool,
    /// Where the action enters the critic.
    pub action_layer: ActionLayer,
    /// The observation and all hidden layers are normalised by the minibatch (section 3), in the critic those before the action enters.
    pub batch_normalization: bool,
    /// The last layers begin uniformly between minus this and this; none means as all other layers.
    pub last_layer_bound: Option<f32>,
    /// gamma.
    pub discount: f64,
    /// How many rewards a target sees before it bootstraps.
    pub steps: usize,
    /// Adam's step size for the actor.
    pub actor_learning_rate: Schedule,
    /// Adam's step size for the critic.
    pub critic_learning_rate: Schedule,
    /// L2 regularisation of the critic.
    pub critic_weight_decay: f32,
    /// Transitions in a minibatch.
    pub batch: usize,
    /// Transitions in the memory.
    pub capacity: usize,
    /// Steps in which actions are drawn uniformly and nothing is learnt.
    pub learning_starts: u64,
    /// After so many steps of each environment there are some updates,
    pub train_frequency: u64,
    /// namely so many; none means as many as transitions have come in.
    pub gradient_steps: Option<u64>,
    /// How fast the slow copies follow.
    pub tau: f32,
    /// What is added to actions while learning.
    pub noise: Noise,
    /// What TD3 adds, where it is TD3.
    pub td3: Option<Td3Options>,
}

/// What TD3 adds to DDPG. [`Default`] gives the constants of Fujimoto et al. 2018, section 6.1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Td3Options {
    /// d: the actor and the slow copies move at every d-th update of the critics.
    pub policy_delay: u64,
    /// The deviation of the noise on target actions, which lie between -1 and 1.
    pub target_noise: f32,
    /// c, the most that this noise may be.
    pub target_noise_clip: f32,
}

impl Default for DdpgOptions {
    fn default() -> Self {
        Self {
            hidden: vec![400, 300],
            activation: Activation::Relu,
            linear_actor: false,
            quadratic_critic: false,
            action_layer: ActionLayer::Second,
            batch_normalization: false,
            last_layer_bound: Some(3e-3),
            discount: 0.99,
            steps: 1,
            actor_learning_rate: Schedule::Constant(1e-4),
            critic_learning_rate: Schedule::Constant(1e-3),
            critic_weight_decay: 1e-2,
            batch: 64,
            capacity: 1_000_000,
            learning_starts: 1000,
            train_frequency: 1,
            gradient_steps: Some(1),
            tau: 1e-3,
            noise: Noise::OrnsteinUhlenbeck {
                theta: 0.15,
                sigma: 0.2,
                time_step: 1.0,
            },
            td3: None,
        }
    }
}

impl DdpgOptions {
    /// TD3 with the constants of Fujimoto et al. 2018, with the networks and step sizes of their later code.
    pub fn td3() -> Self {
        Self {
            hidden: vec![256, 256],
            action_layer: ActionLayer::First,
            last_layer_bound: None,
            actor_learning_rate: Schedule::Constant(3e-4),
            critic_learning_rate: Schedule::Constant(3e-4),
            critic_weight_decay: 0.0,
            batch: 256,
            learning_starts: 25_000,
            tau: 5e-3,
            noise: Noise::Gaussian { deviation: 0.1 },
            td3: Some(Td3Options::default()),
            ..Self::default()
        }
    }
}

impl Default for Td3Options {
    fn default() -> Self {
        Self {
            policy_delay: 2,
            target_noise: 0.2,
            target_noise_clip: 0.5,
        }
    }
}
