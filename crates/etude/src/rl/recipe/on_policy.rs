//! REINFORCE, A2C and PPO.

use etude_rl::actor_critic::{Deviation, GaussianOptions, Horizon, OnPolicyOptions, OptimizerKind, Surrogate};
use serde::Deserialize;

use super::{ActivationRecipe, FeaturesRecipe, ScheduleRecipe};
use crate::recipe::range::{Discount, Finite, NonNegative, Positive, Probability, Whole};

/// What is left out is as usual in the algorithm.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(in crate::rl) struct OnPolicyRecipe {
    /// What the networks see of an observation.
    pub(in crate::rl) features: Option<FeaturesRecipe>,
    /// The widths of the hidden layers; without any, policy and value function are linear.
    hidden: Option<Vec<Whole<1, 65_536>>>,
    activation: Option<ActivationRecipe>,
    /// Where the deviations of a Gaussian policy come from.
    deviation: Option<Deviation>,
    /// Actions are tanh of what the Gaussian gives.
    squashed: Option<bool>,
    /// The logarithm of free deviations at first.
    first_log_deviation: Option<Finite>,
    gamma: Option<Discount>,
    gae_lambda: Option<Probability>,
    /// Steps of each environment that are learnt from at a time.
    n_steps: Option<Whole<1, 1_000_000>>,
    epochs: Option<Whole<1, 10_000>>,
    batch_size: Option<Whole<1, 10_000_000>>,
    normalize_advantages: Option<bool>,
    learning_rate: Option<ScheduleRecipe>,
    optimizer: Option<OptimizerRecipe>,
    optimizer_epsilon: Option<Positive>,
    entropy_coefficient: Option<NonNegative>,
    value_coefficient: Option<NonNegative>,
    /// 0 stands for no clipping.
    max_gradient_norm: Option<NonNegative>,
    /// How far the ratio of probabilities may go from 1.
    clip_range: Option<ScheduleRecipe>,
    /// How far values may go from the old ones.
    value_clip_range: Option<Positive>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum OptimizerRecipe {
    Adam,
    Rmsprop,
    Sgd,
}

impl OnPolicyRecipe {
    /// gamma, where it is `usual` if nothing is said.
    pub(in crate::rl) fn discount(&self, usual: f64) -> f64 {
        self.gamma.map_or(usual, Discount::get)
    }

    /// What the library is told, beginning with the `usual` constants. An error is a reason why the recipe does not fit.
    pub(in crate::rl) fn options(&self, usual: OnPolicyOptions) -> Result<OnPolicyOptions, String> {
        if usual.horizon == Horizon::Episode && self.n_steps.is_some() {
            return Err("`n_steps` means nothing where whole episodes are learnt from".into());
        }
        let surrogate = match usual.surrogate {
            Surrogate::PolicyGradient => {
                if self.clip_range.is_some() || self.value_clip_range.is_some() {
                    return Err("`clip_range` and `value_clip_range` are of ppo alone".into());
                }
                Surrogate::PolicyGradient
            }
            Surrogate::Clipped { range, value_range } => Surrogate::Clipped {
                range: self.clip_range.map_or(range, |range| range.0),
                value_range: self.value_clip_range.map(Positive::get).or(value_range),
            },
        };
        let epsilon = self.optimizer_epsilon.map(|epsilon| epsilon.get() as f32);
        let optimizer = match (self.optimizer, usual.optimizer) {
            (None, OptimizerKind::Adam { epsilon: usual }) => OptimizerKind::Adam {
                epsilon: epsilon.unwrap_or(usual),
            },
            (Some(OptimizerRecipe::Adam), _) => OptimizerKind::Adam {
                epsilon: epsilon.unwrap_or(1e-8),
            },
            (None, OptimizerKind::RmsProp { epsilon: usual }) => OptimizerKind::RmsProp {
                epsilon: epsilon.unwrap_or(usual),
            },
            (Some(OptimizerRecipe::Rmsprop), _) => OptimizerKind::RmsProp {
                epsilon: epsilon.unwrap_or(1e-5),
            },
            (Some(OptimizerRecipe::Sgd), _) | (None, OptimizerKind::Sgd) => {
                if epsilon.is_some() {
                    return Err("`optimizer_epsilon` means nothing to sgd".into());
                }
                OptimizerKind::Sgd
            }
        };
        let gaussian = GaussianOptions {
            deviation: self.deviation.unwrap_or(usual.gaussian.deviation),
            squashed: self.squashed.unwrap_or(usual.gaussian.squashed),
            first_log_deviation: self
                .first_log_deviation
                .map_or(usual.gaussian.first_log_deviation, |deviation| deviation.get() as f32),
        };
        let number = |given: Option<NonNegative>, usual: f64| given.map_or(usual, NonNegative::get);
        Ok(OnPolicyOptions {
            hidden: match &self.hidden {
                Some(hidden) => hidden.iter().map(|width| width.get()).collect(),
                None => usual.hidden,
            },
            activation: self.activation.map_or(usual.activation, ActivationRecipe::get),
            gaussian,
            discount: self.discount(usual.discount),
            gae_lambda: self.gae_lambda.map_or(usual.gae_lambda, Probability::get),
            horizon: self.n_steps.map_or(usual.horizon, |steps| Horizon::Steps(steps.get())),
            surrogate,
            epochs: self.epochs.map_or(usual.epochs, Whole::get),
            batch: self.batch_size.map(Whole::get).or(usual.batch),
            normalize_advantages: self.normalize_advantages.unwrap_or(usual.normalize_advantages),
            learning_rate: self.learning_rate.map_or(usual.learning_rate, |rate| rate.0),
            optimizer,
            entropy_coefficient: number(self.entropy_coefficient, usual.entropy_coefficient),
            value_coefficient: number(self.value_coefficient, usual.value_coefficient),
            max_gradient_norm: match self.max_gradient_norm {
                Some(norm) => Some(norm.get()).filter(|&norm| norm > 0.0),
                None => usual.max_gradient_norm,
            },
        })
    }
}
