//! The constants of PPO.

use serde::{Deserialize, Serialize};

use super::{KlCoefficient, KlEstimator, MissingEos, Variance};
use crate::AlignError;
use crate::error::require;

/// What a token's value is read from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ValueModel {
    /// The policy's hidden states, through a linear function that is 0 at first (Ziegler et al. 2019, section 2.2).
    #[default]
    Head,
    /// A model of its own, which begins as the policy does, with such a function.
    Policy,
    /// A model of its own, which begins as the reward model (Ouyang et al. 2022, appendix C.4; TRL).
    RewardModel,
}

/// How answers are drawn, scored and learnt from, by the names and with the defaults of TRL's `PPOConfig` where it has them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PpoOptions {
    /// The most tokens of an answer.
    pub response_length: usize,
    /// Logits are divided by it, when answers are drawn and when they are learnt from.
    pub temperature: f64,
    /// Passes over the answers of a step.
    pub num_ppo_epochs: usize,
    /// Steps of the optimiser in each pass. A step draws `per_device_train_batch_size` x `gradient_accumulation_steps` x this many
    /// answers.
    pub num_mini_batches: usize,
    /// What the KL penalty is multiplied by, at first.
    pub kl_coef: f64,
    /// The KL divergence per answer that the coefficient is adapted to; none where it is fixed.
    pub target_kl: Option<f64>,
    /// In so many answers a divergence far from the target changes the coefficient by a fifth.
    pub horizon: f64,
    /// How the KL divergence is estimated.
    pub kl_estimator: KlEstimator,
    /// Rewards of tokens get the variance 1, and keep their mean.
    pub whiten_rewards: bool,
    /// Advantages get the mean 0 and the variance 1.
    pub whiten_advantages: bool,
    /// Which variance that is.
    pub whitening: Variance,
    /// Before the first step, scores are scaled to the mean 0 and the variance 1 of this many answers of the reference; none where they
    /// stay as they are.
    pub reward_normalization: Option<usize>,
    /// What becomes of the score of an answer that has not ended by itself; none where it stays.
    pub missing_eos: Option<MissingEos>,
    /// What later rewards count.
    pub gamma: f64,
    /// GAE's lambda.
    pub lam: f64,
    /// How far pi / `pi_old` may be from 1 before its gradient is cut off.
    pub cliprange: f64,
    /// The same for values.
    pub cliprange_value: f64,
    /// What the values' loss counts.
    pub vf_coef: f64,
    /// What values are read from.
    pub value_model: ValueModel,
}

impl Default for PpoOptions {
    fn default() -> Self {
        Self {
            response_length: 53,
            temperature: 0.7,
            num_ppo_epochs: 4,
            num_mini_batches: 1,
            kl_coef: 0.05,
            target_kl: None,
            horizon: 10_000.0,
            kl_estimator: KlEstimator::K1,
            whiten_rewards: false,
            whiten_advantages: true,
            whitening: Variance::Unbiased,
            reward_normalization: None,
            missing_eos: None,
            gamma: 1.0,
            lam: 0.95,
            cliprange: 0.2,
            cliprange_value: 0.2,
            vf_coef: 0.1,
            value_model: ValueModel::Head,
        }
    }
}

impl PpoOptions {
    /// These options, if all are within their ranges.
    ///
    /// # Errors
    /// Names the first one that is not.
    pub fn checked(self) -> Result<Self, AlignError> {
        for (name, count, least) in [
            ("response_length", self.response_length, 1),
            ("num_ppo_epochs", self.num_ppo_epochs, 1),
            ("num_mini_batches", self.num_mini_batches, 1),
            ("reward_normalization", self.reward_normalization.unwrap_or(2), 2),
        ] {
            require(count >= least, name, &count, &format!("at least {least}"))?;
        }
        for (name, number) in [
            ("temperature", self.temperature),
            ("target_kl", self.target_kl.unwrap_or(1.0)),
            ("horizon", self.horizon),
            ("cliprange", self.cliprange),
            ("cliprange_value", self.cliprange_value),
        ] {
            require(number > 0.0 && number.is_finite(), name, &number, "a number above 0")?;
        }
        for (name, number) in [("kl_coef", self.kl_coef), ("vf_coef", self.vf_coef)] {
            require(number >= 0.0 && number.is_finite(), name, &number, "at least 0")?;
        }
        for (name, number) in [("gamma", self.gamma), ("lam", self.lam)] {
            require((0.0..=1.0).contains(&number), name, &number, "from 0 to 1")?;
        }
        if let Some(MissingEos::Subtract(score) | MissingEos::Replace(score)) = self.missing_eos {
            require(score.is_finite(), "missing_eos", &score, "a finite number")?;
        }
        Ok(self)
    }

    /// Whether logits are divided by anything but 1.
    #[expect(clippy::float_cmp, reason = "1 exactly is what changes nothing")]
    pub fn is_tempered(&self) -> bool {
        self.temperature != 1.0
    }

    /// The coefficient of the KL penalty before the first step.
    pub fn kl_coefficient(&self) -> KlCoefficient {
        match self.target_kl {
            None => KlCoefficient::Fixed(self.kl_coef),
            Some(target) => KlCoefficient::Adaptive {
                coefficient: self.kl_coef,
                target,
                horizon: self.horizon,
            },
        }
    }
}
