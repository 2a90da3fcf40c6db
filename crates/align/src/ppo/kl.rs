//! How far the policy is from the reference.

use burn::tensor::{Tensor, activation::log_softmax};
use serde::{Deserialize, Serialize};

/// Estimates of KL(pi || pi_ref) at one token that pi has drawn, from the log-probabilities that both give it (Schulman 2020,
/// "Approximating KL divergence"). With d = ln pi - ln pi_ref:
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KlEstimator {
    /// d: without bias, of either sign.
    #[default]
    #[serde(alias = "kl")]
    K1,
    /// d^2 / 2: never negative, with little variance and some bias.
    #[serde(alias = "mse")]
    K2,
    /// e^-d - 1 + d: never negative and without bias.
    K3,
    /// |d|: no estimate of it, but the penalty of that name in TRL 0.7.
    Abs,
}

impl KlEstimator {
    /// The estimate at one token.
    pub fn estimate(self, log_probability: f32, reference: f32) -> f32 {
        let difference = f64::from(log_probability) - f64::from(reference);
        let estimate = match self {
            Self::K1 => difference,
            Self::K2 => difference * difference / 2.0,
            Self::K3 => (-difference).exp_m1() + difference,
            Self::Abs => difference.abs(),
        };
        estimate as f32
    }
}

/// KL(pi || pi_ref) itself at each token, `[tokens]`, from both models' logits, `[tokens, vocabulary]`: TRL 0.7's penalty `full`.
pub fn full_kl(logits: Tensor<2>, reference: Tensor<2>) -> Tensor<1> {
    let (log_probabilities, reference) = (log_softmax(logits, 1), log_softmax(reference, 1));
    let terms = log_probabilities.clone().exp() * (log_probabilities - reference);
    terms.sum_dim(1).squeeze_dim(1)
}

/// What the KL penalty is multiplied by.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KlCoefficient {
    /// Always this.
    Fixed(f64),
    /// What brings the KL divergence to a target (Ziegler et al. 2019, section 2.2).
    Adaptive {
        /// The coefficient now.
        coefficient: f64,
        /// The KL divergence per answer that is wanted.
        target: f64,
        /// In so many answers a divergence far from the target changes the coefficient by a fifth.
        horizon: f64,
    },
}

impl KlCoefficient {
    /// The coefficient now.
    pub fn value(&self) -> f64 {
        match *self {
            Self::Fixed(coefficient) | Self::Adaptive { coefficient, .. } => coefficient,
        }
    }

    /// Takes in the mean KL divergence per answer of so many answers: c <- c (1 + n / horizon clip(kl / target - 1, -0.2, 0.2)).
    pub fn update(&mut self, divergence: f64, answers: usize) {
        if let Self::Adaptive {
            coefficient,
            target,
            horizon,
        } = self
        {
            let error = (divergence / *target - 1.0).clamp(-0.2, 0.2);
            *coefficient *= 1.0 + error * answers as f64 / *horizon;
        }
    }
}
