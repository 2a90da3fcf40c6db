//! QAC, the off-policy actor-critic, and the deterministic actor-critic.

use etude_rl::actor_critic::{DeterministicOptions, OnlineOptions};
use serde::Deserialize;

use super::ddpg::NoiseRecipe;
use super::{ActivationRecipe, FeaturesRecipe};
use crate::recipe::range::{Discount, NonNegative, Positive, Probability, Whole};

/// QAC and the off-policy actor-critic.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(in crate::rl) struct OneStepRecipe {
    /// What the networks see of an observation; the observation itself where it is left out.
    pub(in crate::rl) features: Option<FeaturesRecipe>,
    /// The widths of the hidden layers; without any, policy and value function are linear.
    hidden: Vec<Whole<1, 65_536>>,
    activation: ActivationRecipe,
    pub(in crate::rl) gamma: Discount,
    actor_step_size: NonNegative,
    critic_step_size: Positive,
    /// The share of random actions in the behaviour of the off-policy method.
    behaviour_epsilon: Probability,
}

impl Default for OneStepRecipe {
    fn default() -> Self {
        Self {
            features: None,
            hidden: Vec::new(),
            activation: ActivationRecipe::Tanh,
            gamma: Discount::constant(0.99),
            actor_step_size: NonNegative::constant(0.01),
            critic_step_size: Positive::constant(0.05),
            behaviour_epsilon: Probability::constant(1.0),
        }
    }
}

impl OneStepRecipe {
    /// What the library is told.
    pub(in crate::rl) fn options(&self) -> OnlineOptions {
        OnlineOptions {
            hidden: self.hidden.iter().map(|width| width.get()).collect(),
            activation: self.activation.get(),
            discount: self.gamma.get(),
            actor_step_size: self.actor_step_size.get(),
            critic_step_size: self.critic_step_size.get(),
            behaviour_epsilon: self.behaviour_epsilon.get(),
        }
    }
}

/// The deterministic actor-critic.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(in crate::rl) struct DeterministicRecipe {
    /// The widths of the actor's hidden layers; without any it is linear.
    hidden: Vec<Whole<1, 65_536>>,
    /// The greatest degree of the critic's polynomials in observation and action.
    critic_degree: Whole<1, 10>,
    pub(in crate::rl) gamma: Discount,
    actor_step_size: NonNegative,
    critic_step_size: Positive,
    noise: Option<NoiseRecipe>,
}

impl Default for DeterministicRecipe {
    fn default() -> Self {
        Self {
            hidden: Vec::new(),
            critic_degree: Whole::constant(2),
            gamma: Discount::constant(0.99),
            actor_step_size: NonNegative::constant(1e-3),
            critic_step_size: Positive::constant(1e-2),
            noise: None,
        }
    }
}

impl DeterministicRecipe {
    /// What the library is told.
    pub(in crate::rl) fn options(&self) -> DeterministicOptions {
        DeterministicOptions {
            hidden: self.hidden.iter().map(|width| width.get()).collect(),
            critic_degree: self.critic_degree.get() as i32,
            discount: self.gamma.get(),
            actor_step_size: self.actor_step_size.get(),
            critic_step_size: self.critic_step_size.get(),
            noise: self
                .noise
                .map_or(DeterministicOptions::default().noise, NoiseRecipe::get),
        }
    }
}
