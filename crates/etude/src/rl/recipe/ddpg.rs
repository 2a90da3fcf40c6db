//! DDPG and TD3.

use etude_rl::ddpg::{ActionLayer, DdpgOptions, Noise, Td3Options};
use serde::Deserialize;

use super::{ActivationRecipe, ScheduleRecipe};
use crate::recipe::range::{Discount, NonNegative, Positive, Probability, Whole};

/// What is left out is as usual in the algorithm.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(in crate::rl) struct DdpgRecipe {
    /// The widths of the hidden layers of actor and critic.
    hidden: Option<Vec<Whole<1, 65_536>>>,
    activation: Option<ActivationRecipe>,
    /// The actor has no hidden layers.
    linear_actor: Option<bool>,
    /// The critic is a quadratic function.
    quadratic_critic: Option<bool>,
    /// Where the action enters the critic: at its first layer or its second.
    action_layer: Option<ActionLayer>,
    /// The observation and the hidden layers are normalised by the minibatch, in the critic those before the action enters.
    batch_normalization: Option<bool>,
    /// The last layers begin uniformly between minus this and this; 0 stands for as all other layers.
    last_layer_bound: Option<NonNegative>,
    gamma: Option<Discount>,
    n_steps: Option<Whole<1, 1000>>,
    actor_learning_rate: Option<ScheduleRecipe>,
    critic_learning_rate: Option<ScheduleRecipe>,
    critic_weight_decay: Option<NonNegative>,
    batch_size: Option<Whole<1, 1_000_000>>,
    buffer_size: Option<Whole<1, 4_000_000_000>>,
    learning_starts: Option<Whole<0>>,
    train_frequency: Option<Whole<1, 1_000_000>>,
    /// 0 stands for as many as transitions have come in.
    gradient_steps: Option<Whole<0, 1_000_000>>,
    tau: Option<Probability>,
    noise: Option<NoiseRecipe>,
    /// Updates of the critics for one of the actor, in TD3.
    policy_delay: Option<Whole<1, 1_000_000>>,
    target_noise: Option<NonNegative>,
    target_noise_clip: Option<NonNegative>,
}

/// `{ gaussian = 0.1 }`, or `{ ornstein-uhlenbeck = { theta = 0.15, sigma = 0.2, dt = 1.0 } }`
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) enum NoiseRecipe {
    Gaussian(NonNegative),
    OrnsteinUhlenbeck {
        theta: Probability,
        sigma: NonNegative,
        dt: Positive,
    },
}

impl NoiseRecipe {
    /// What the library is told.
    pub(super) fn get(self) -> Noise {
        match self {
            Self::Gaussian(deviation) => Noise::Gaussian {
                deviation: deviation.get() as f32,
            },
            Self::OrnsteinUhlenbeck { theta, sigma, dt } => Noise::OrnsteinUhlenbeck {
                theta: theta.get() as f32,
                sigma: sigma.get() as f32,
                time_step: dt.get() as f32,
            },
        }
    }
}

impl DdpgRecipe {
    /// gamma, where it is `usual` if nothing is said.
    pub(in crate::rl) fn discount(&self, usual: f64) -> f64 {
        self.gamma.map_or(usual, Discount::get)
    }

    /// What the library is told, beginning with the `usual` constants. An error is a reason why the recipe does not fit.
    pub(in crate::rl) fn options(&self, usual: DdpgOptions) -> Result<DdpgOptions, String> {
        let td3 = match usual.td3 {
            None if self.policy_delay.is_some() || self.target_noise.is_some() || self.target_noise_clip.is_some() => {
                return Err("`policy_delay`, `target_noise` and `target_noise_clip` are of td3 alone".into());
            }
            None => None,
            Some(usual) => Some(Td3Options {
                policy_delay: self.policy_delay.map_or(usual.policy_delay, |delay| delay.get() as u64),
                target_noise: self.target_noise.map_or(usual.target_noise, |noise| noise.get() as f32),
                target_noise_clip: (self.target_noise_clip).map_or(usual.target_noise_clip, |clip| clip.get() as f32),
            }),
        };
        let noise = self.noise.map_or(usual.noise, NoiseRecipe::get);
        Ok(DdpgOptions {
            hidden: match &self.hidden {
                Some(hidden) => hidden.iter().map(|width| width.get()).collect(),
                None => usual.hidden,
            },
            activation: self.activation.map_or(usual.activation, ActivationRecipe::get),
            linear_actor: self.linear_actor.unwrap_or(usual.linear_actor),
            quadratic_critic: self.quadratic_critic.unwrap_or(usual.quadratic_critic),
            action_layer: self.action_layer.unwrap_or(usual.action_layer),
            batch_normalization: self.batch_normalization.unwrap_or(usual.batch_normalization),
            last_layer_bound: match self.last_layer_bound {
                Some(bound) => Some(bound.get() as f32).filter(|&bound| bound > 0.0),
                None => usual.last_layer_bound,
            },
            discount: self.discount(usual.discount),
            steps: self.n_steps.map_or(usual.steps, Whole::get),
            actor_learning_rate: self
                .actor_learning_rate
                .map_or(usual.actor_learning_rate, |rate| rate.0),
            critic_learning_rate: (self.critic_learning_rate).map_or(usual.critic_learning_rate, |rate| rate.0),
            critic_weight_decay: (self.critic_weight_decay)
                .map_or(usual.critic_weight_decay, |decay| decay.get() as f32),
            batch: self.batch_size.map_or(usual.batch, Whole::get),
            capacity: self.buffer_size.map_or(usual.capacity, Whole::get),
            learning_starts: self
                .learning_starts
                .map_or(usual.learning_starts, |steps| steps.get() as u64),
            train_frequency: self
                .train_frequency
                .map_or(usual.train_frequency, |steps| steps.get() as u64),
            gradient_steps: match self.gradient_steps {
                Some(steps) => Some(steps.get() as u64).filter(|&steps| steps > 0),
                None => usual.gradient_steps,
            },
            tau: self.tau.map_or(usual.tau, |tau| tau.get() as f32),
            noise,
            td3,
        })
    }
}
