//! The constants of the on-policy methods.

use etude_kernels::perceptron::Activation;

use super::distribution::GaussianOptions;
use super::optimizer::OptimizerKind;
use crate::schedule::Schedule;

/// What a run is made of.
#[derive(Debug, Clone, PartialEq)]
pub struct OnPolicyOptions {
    /// The widths of the hidden layers of policy and value function, which share none. Without any both are linear.
    pub hidden: Vec<usize>,
    /// What their units do.
    pub activation: Activation,
    /// How numbers are drawn, where actions are such.
    pub gaussian: GaussianOptions,
    /// gamma.
    pub discount: f64,
    /// lambda of the advantages.
    pub gae_lambda: f64,
    /// What is learnt from at a time.
    pub horizon: Horizon,
    /// The policy's loss.
    pub surrogate: Surrogate,
    /// Passes over each piece of experience.
    pub epochs: usize,
    /// Rows of a minibatch; none means all at once.
    pub batch: Option<usize>,
    /// Advantages of a minibatch are brought to mean 0 and deviation 1.
    pub normalize_advantages: bool,
    /// The optimiser's step size.
    pub learning_rate: Schedule,
    /// The optimiser.
    pub optimizer: OptimizerKind,
    /// c_e.
    pub entropy_coefficient: f64,
    /// c_v.
    pub value_coefficient: f64,
    /// The gradient is scaled down to this norm, of all parameters together.
    pub max_gradient_norm: Option<f64>,
}

/// A piece of experience.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Horizon {
    /// So many steps of each environment, at least 1.
    Steps(usize),
    /// A whole episode, in one environment.
    Episode,
}

/// What the policy's loss is made of.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Surrogate {
    /// -A ln pi(a|s).
    PolicyGradient,
    /// PPO's clipped ratio.
    Clipped {
        /// e: how far the ratio may go from 1.
        range: Schedule,
        /// How far values may go from the old ones, where that is bounded.
        value_range: Option<f64>,
    },
}

impl OnPolicyOptions {
    /// A2C with the constants of Stable-Baselines3, which are nearly those of Mnih et al. 2016.
    pub fn a2c() -> Self {
        Self {
            hidden: vec![64, 64],
            activation: Activation::Tanh,
            gaussian: GaussianOptions::default(),
            discount: 0.99,
            gae_lambda: 1.0,
            horizon: Horizon::Steps(5),
            surrogate: Surrogate::PolicyGradient,
            epochs: 1,
            batch: None,
            normalize_advantages: false,
            learning_rate: Schedule::Constant(7e-4),
            optimizer: OptimizerKind::RmsProp { epsilon: 1e-5 },
            entropy_coefficient: 0.0,
            value_coefficient: 0.5,
            max_gradient_norm: Some(0.5),
        }
    }

    /// REINFORCE with a learnt baseline.
    pub fn reinforce() -> Self {
        Self {
            horizon: Horizon::Episode,
            optimizer: OptimizerKind::Adam { epsilon: 1e-8 },
            learning_rate: Schedule::Constant(1e-3),
            ..Self::a2c()
        }
    }

    /// PPO with the constants of Stable-Baselines3, which are those of Schulman et al. 2017 for continuous actions.
    pub fn ppo() -> Self {
        Self {
            gae_lambda: 0.95,
            horizon: Horizon::Steps(2048),
            surrogate: Surrogate::Clipped {
                range: Schedule::Constant(0.2),
                value_range: None,
            },
            epochs: 10,
            batch: Some(64),
            normalize_advantages: true,
            learning_rate: Schedule::Constant(3e-4),
            optimizer: OptimizerKind::Adam { epsilon: 1e-5 },
            ..Self::a2c()
        }
    }
}
