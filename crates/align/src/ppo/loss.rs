//! The losses, token by token.

use burn::tensor::{Tensor, activation};

/// pi / pi_old of each token, `[tokens]`, from both log-probabilities: exactly 1 where they are the same.
pub fn ratios(log_probabilities: Tensor<1>, old: Tensor<1>) -> Tensor<1> {
    (log_probabilities - old).exp()
}

/// max(-A rho, -A clip(rho, 1 - range, 1 + range)), `[tokens]`, of [`ratios`] rho and advantages A, both `[tokens]` (Schulman et al. 2017,
/// equation 7).
pub fn clipped_policy_loss(ratios: Tensor<1>, advantages: Tensor<1>, range: f64) -> Tensor<1> {
    let clipped = ratios.clone().clamp(1.0 - range, 1.0 + range);
    greater_of(-(ratios * advantages.clone()), -(clipped * advantages))
}

/// max((v - R)^2, (v_old + clip(v - v_old, -range, range) - R)^2) / 2, `[tokens]`, of values, old values and returns R, each `[tokens]`: PPO's
/// own code, which Ziegler et al. 2019 and TRL keep.
pub fn clipped_value_loss(values: Tensor<1>, old: Tensor<1>, returns: Tensor<1>, range: f64) -> Tensor<1> {
    let clipped = old.clone() + (values.clone() - old).clamp(-range, range);
    greater_of((values - returns.clone()).square(), (clipped - returns).square()) / 2.0
}

/// Of equal numbers the first, and all of the gradient with it.
fn greater_of(one: Tensor<1>, other: Tensor<1>) -> Tensor<1> {
    let mask = other.clone().greater(one.clone());
    one.mask_where(mask, other)
}

/// The entropy of each distribution, `[tokens]`, from logits, `[tokens, vocabulary]`.
pub fn entropy(logits: Tensor<2>) -> Tensor<1> {
    let log_probabilities = activation::log_softmax(logits, 1);
    -(log_probabilities.clone().exp() * log_probabilities)
        .sum_dim(1)
        .squeeze_dim(1)
}

/// The mean over the tokens whose mask is 1, `[1]`, of values and mask, both `[tokens]`; 0 where there are none.
pub fn masked_mean(values: Tensor<1>, mask: Tensor<1>) -> Tensor<1> {
    (values * mask.clone()).sum() / mask.sum().clamp_min(1.0)
}
