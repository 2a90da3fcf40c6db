//! The recipe of a learning run.

mod ddpg;
mod on_policy;
mod one_step;

use std::fmt;

use etude_kernels::perceptron::Activation;

use etude_rl::dqn::{DqnOptions, Loss};
use etude_rl::{NormalizerOptions, PriorityOptions, Schedule, Wrapping};
use serde::Deserialize;
use serde::de::{Deserializer, Error, MapAccess, Visitor, value::MapAccessDeserializer};

pub(super) use self::ddpg::DdpgRecipe;
pub(super) use self::on_policy::OnPolicyRecipe;
pub(super) use self::one_step::{DeterministicRecipe, OneStepRecipe};
use crate::recipe::range::{Discount, Finite, NonNegative, Positive, Probability, Whole};

/// An environment, how long to learn in it, and the constants of each algorithm.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Recipe {
    /// Its name, as `etude rl envs` lists it.
    pub(super) environment: String,
    /// Steps in all, of all environments together.
    pub(super) steps: Whole<1>,
    /// Where the random numbers start; 0 where it is left out.
    pub(super) seed: Option<Whole<0>>,
    /// How many environments are stepped at a time.
    #[serde(default = "one")]
    pub(super) environments: Whole<1, 4096>,
    #[serde(default)]
    pub(super) wrappers: WrappersRecipe,
    #[serde(default)]
    pub(super) evaluation: EvaluationRecipe,
    /// A checkpoint is written after so many steps; a tenth of the run where it is left out.
    pub(super) checkpoint_every: Option<Whole<1>>,
    #[serde(default)]
    pub(super) prediction: PredictionRecipe,
    #[serde(default)]
    pub(super) control: ControlRecipe,
    #[serde(default)]
    pub(super) dqn: DqnRecipe,
    #[serde(default)]
    pub(super) qac: OneStepRecipe,
    #[serde(default, rename = "off-policy-actor-critic")]
    pub(super) off_policy_actor_critic: OneStepRecipe,
    #[serde(default)]
    pub(super) dpg: DeterministicRecipe,
    #[serde(default)]
    pub(super) reinforce: OnPolicyRecipe,
    #[serde(default)]
    pub(super) a2c: OnPolicyRecipe,
    #[serde(default)]
    pub(super) ppo: OnPolicyRecipe,
    #[serde(default)]
    pub(super) ddpg: DdpgRecipe,
    #[serde(default)]
    pub(super) td3: DdpgRecipe,
}

fn one() -> Whole<1, 4096> {
    Whole::constant(1)
}

/// What stands between the environments and the agent.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct WrappersRecipe {
    /// How many times each action is taken.
    action_repeat: Whole<1, { Wrapping::MOST }>,
    /// How many observations are seen at a time.
    frame_stack: Whole<1, { Wrapping::MOST }>,
    /// What is seen are pictures, of so many pixels in height and width.
    pixels: Option<Whole<1, { Wrapping::MOST }>>,
    /// Shows the agent which actions may be taken, and has it choose among those.
    action_mask: bool,
    /// Brings observations to mean 0 and deviation 1; the moments travel with the policy.
    normalize_observations: bool,
    /// Divides the rewards that the agent is shown by the deviation of the discounted return.
    normalize_rewards: bool,
    /// The greatest entry of a normalised observation, and the greatest normalised reward.
    clip: Positive,
    /// The least and the greatest reward that the agent is shown.
    reward_range: Option<[Finite; 2]>,
}

impl Default for WrappersRecipe {
    fn default() -> Self {
        Self {
            action_repeat: Whole::constant(1),
            frame_stack: Whole::constant(1),
            pixels: None,
            action_mask: false,
            normalize_observations: false,
            normalize_rewards: false,
            clip: Positive::constant(10.0),
            reward_range: None,
        }
    }
}

impl WrappersRecipe {
    /// What stays with the policy.
    pub(super) fn wrapping(&self) -> Wrapping {
        Wrapping {
            action_repeat: self.action_repeat.get(),
            frame_stack: self.frame_stack.get(),
            pixels: (self.pixels.as_ref()).and_then(|side| u16::try_from(side.get()).ok()),
            action_mask: self.action_mask,
        }
    }

    /// What is there while the agent learns, with the discount of the agent.
    pub(super) fn normalizer(&self, discount: f64) -> Option<NormalizerOptions> {
        let options = NormalizerOptions {
            observations: self.normalize_observations,
            rewards: self.normalize_rewards,
            discount,
            clip: self.clip.get(),
            reward_range: self
                .reward_range
                .as_ref()
                .map(|range| range.each_ref().map(|bound| bound.get())),
        };
        (options.observations || options.rewards || options.reward_range.is_some()).then_some(options)
    }
}

/// When and how the policy is judged, without exploration, in environments of its own.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct EvaluationRecipe {
    /// After so many steps; the best policy so far is kept. A twenty-fifth of the run where it is left out.
    pub(super) every: Option<Whole<1>>,
    /// Episodes each time, always the same ones.
    pub(super) episodes: Whole<1, 10_000>,
    /// Episodes at the end, other ones, for the best policy and the last.
    pub(super) final_episodes: Whole<1, 100_000>,
    /// Steps after which an episode without an end is cut off.
    pub(super) patience: Whole<1, 10_000_000>,
}

impl Default for EvaluationRecipe {
    fn default() -> Self {
        Self {
            every: None,
            episodes: Whole::constant(20),
            final_episodes: Whole::constant(100),
            patience: Whole::constant(10_000),
        }
    }
}

/// The prediction methods: what the policy that takes all actions alike is worth, by a linear function.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct PredictionRecipe {
    pub(super) features: FeaturesRecipe,
    pub(super) gamma: Discount,
    /// alpha.
    pub(super) step_size: Positive,
    /// lambda of TD(lambda).
    pub(super) lambda: Probability,
    /// n of n-step TD.
    pub(super) n_steps: Whole<1, 1_000_000>,
    /// sigma of LSTD, whose inverse begins as sigma times the identity.
    pub(super) sigma: Positive,
    /// beta of TDC.
    pub(super) second_step_size: Positive,
}

impl Default for PredictionRecipe {
    fn default() -> Self {
        Self {
            features: FeaturesRecipe::OneHot,
            gamma: Discount::constant(0.9),
            step_size: Positive::constant(0.01),
            lambda: Probability::constant(0.8),
            n_steps: Whole::constant(4),
            sigma: Positive::constant(1e3),
            second_step_size: Positive::constant(0.01),
        }
    }
}

/// The control methods: Sarsa and its kin, by a table, a linear function or a network.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct ControlRecipe {
    pub(super) features: FeaturesRecipe,
    /// The widths of the hidden layers of a network, which takes the place of the features.
    pub(super) hidden: Option<Vec<Whole<1, 65_536>>>,
    pub(super) gamma: Discount,
    /// alpha.
    pub(super) step_size: Positive,
    /// The probability of a random action while learning.
    pub(super) epsilon: Probability,
    /// n of n-step Sarsa.
    pub(super) n_steps: Whole<1, 1_000_000>,
}

impl Default for ControlRecipe {
    fn default() -> Self {
        Self {
            features: FeaturesRecipe::OneHot,
            hidden: None,
            gamma: Discount::constant(0.99),
            step_size: Positive::constant(0.1),
            epsilon: Probability::constant(0.1),
            n_steps: Whole::constant(4),
        }
    }
}

/// A feature map. Numbered states lie in a row or, where the environment has a board, on it; boxes are scaled to the unit
/// cube.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) enum FeaturesRecipe {
    /// The table.
    OneHot,
    /// Groups of so many neighbouring states.
    StateAggregation { size: Whole<1> },
    /// Up to this total degree.
    Polynomial { degree: Whole<0, 20> },
    /// Frequencies up to this one in each entry.
    Fourier { order: Whole<0, 20> },
    /// So many bumps along each entry, of this width.
    RadialBasis { centres: Whole<2, 100>, width: Positive },
    /// So many grids of so many tiles along each entry.
    TileCoding {
        tiles: Whole<1, 1000>,
        tilings: Whole<1, 1000>,
    },
}

/// `etude rl train dqn`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct DqnRecipe {
    /// The widths of the hidden layers.
    hidden: Vec<Whole<1, 65_536>>,
    duelling: bool,
    double: bool,
    pub(super) gamma: Discount,
    /// Rewards that a target sees before it bootstraps.
    n_steps: Whole<1, 1000>,
    learning_rate: ScheduleRecipe,
    adam_epsilon: Positive,
    batch_size: Whole<1, 1_000_000>,
    buffer_size: Whole<1, 4_000_000_000>,
    /// Draws transitions by how wrong they were.
    priorities: Option<PrioritiesRecipe>,
    learning_starts: Whole<0>,
    train_frequency: Whole<1, 1_000_000>,
    /// 0 stands for as many as transitions have come in.
    gradient_steps: Whole<0, 1_000_000>,
    target_update_interval: Whole<1>,
    tau: Probability,
    exploration: ScheduleRecipe,
    /// 0 stands for no clipping.
    max_gradient_norm: NonNegative,
    loss: LossRecipe,
}

/// Prioritised replay.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct PrioritiesRecipe {
    alpha: Probability,
    epsilon: Positive,
    beta: ScheduleRecipe,
}

impl Default for PrioritiesRecipe {
    fn default() -> Self {
        // Schaul et al. 2016, table 3, for the proportional variant.
        Self {
            alpha: Probability::constant(0.6),
            epsilon: Positive::constant(1e-6),
            beta: ScheduleRecipe(Schedule::Linear {
                from: 0.4,
                to: 1.0,
                over: 1.0,
            }),
        }
    }
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum LossRecipe {
    Huber,
    Squared,
}

impl Default for DqnRecipe {
    fn default() -> Self {
        let usual = DqnOptions::default();
        Self {
            hidden: vec![Whole::constant(64); 2],
            duelling: false,
            double: false,
            gamma: Discount::constant(0.99),
            n_steps: Whole::constant(1),
            learning_rate: ScheduleRecipe(usual.learning_rate),
            adam_epsilon: Positive::constant(1e-8),
            batch_size: Whole::constant(32),
            buffer_size: Whole::constant(1_000_000),
            priorities: None,
            learning_starts: Whole::constant(100),
            train_frequency: Whole::constant(4),
            gradient_steps: Whole::constant(1),
            target_update_interval: Whole::constant(10_000),
            tau: Probability::constant(1.0),
            exploration: ScheduleRecipe(usual.exploration),
            max_gradient_norm: NonNegative::constant(10.0),
            loss: LossRecipe::Huber,
        }
    }
}

impl DqnRecipe {
    /// What the library is told.
    pub(super) fn options(&self) -> DqnOptions {
        let norm = self.max_gradient_norm.get();
        let priorities = self.priorities.as_ref().map(|priorities| {
            let options = PriorityOptions {
                alpha: priorities.alpha.get(),
                epsilon: priorities.epsilon.get(),
            };
            (options, priorities.beta.0)
        });
        DqnOptions {
            hidden: self.hidden.iter().map(|width| width.get()).collect(),
            duelling: self.duelling,
            double: self.double,
            discount: self.gamma.get(),
            steps: self.n_steps.get(),
            learning_rate: self.learning_rate.0,
            adam_epsilon: self.adam_epsilon.get() as f32,
            batch: self.batch_size.get(),
            capacity: self.buffer_size.get(),
            priorities,
            learning_starts: self.learning_starts.get() as u64,
            train_frequency: self.train_frequency.get() as u64,
            gradient_steps: (self.gradient_steps.get() > 0).then_some(self.gradient_steps.get() as u64),
            target_update_interval: self.target_update_interval.get() as u64,
            tau: self.tau.get() as f32,
            exploration: self.exploration.0,
            max_gradient_norm: (norm > 0.0).then_some(norm),
            loss: match self.loss {
                LossRecipe::Huber => Loss::Huber,
                LossRecipe::Squared => Loss::Squared,
            },
        }
    }
}

/// What hidden units do.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum ActivationRecipe {
    Relu,
    Tanh,
}

impl ActivationRecipe {
    fn get(self) -> Activation {
        match self {
            Self::Relu => Activation::Relu,
            Self::Tanh => Activation::Tanh,
        }
    }
}

/// A number, or a table that says from where to where it goes over which part of the run: `{ from = 1.0, to = 0.05, over = 0.1 }`.
#[derive(Debug, Clone, Copy)]
pub(super) struct ScheduleRecipe(pub(super) Schedule);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    from: Finite,
    to: Finite,
    over: Option<Probability>,
}

impl<'de> Deserialize<'de> for ScheduleRecipe {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ScheduleVisitor).map(Self)
    }
}

struct ScheduleVisitor;

impl<'de> Visitor<'de> for ScheduleVisitor {
    type Value = Schedule;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number, or a table such as { from = 1.0, to = 0.05, over = 0.1 }")
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Schedule, E> {
        if value.is_finite() {
            Ok(Schedule::Constant(value))
        } else {
            Err(E::invalid_value(serde::de::Unexpected::Float(value), &self))
        }
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Schedule, E> {
        Ok(Schedule::Constant(value as f64))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Schedule, E> {
        Ok(Schedule::Constant(value as f64))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Schedule, A::Error> {
        let line = Line::deserialize(MapAccessDeserializer::new(map))?;
        Ok(Schedule::Linear {
            from: line.from.get(),
            to: line.to.get(),
            over: line.over.map_or(1.0, Probability::get),
        })
    }
}
