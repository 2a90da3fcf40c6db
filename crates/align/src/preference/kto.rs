//! KTO: answers that are desirable or not by themselves, without pairs (Ethayarajh et al. 2024).
//!
//! What an answer is worth is its implicit reward beyond a reference point, beta (ln (pi / pi_ref) - KL), and a human's utility
//! levels off both ways:
//!
//! ```text
//! L = w_D (1 - s(beta (ratio - KL)))        of desirable answers                                           (7, 8)
//! L = w_U (1 - s(beta (KL - ratio)))        of undesirable ones
//! KL = max(0, mean of ln (pi / pi_ref) over prompts with the answers of others)
//! ```
//!
//! With KL = 0 this is APO-zero of unpaired answers (D'Oosterlinck et al. 2024), TRL's `apo_zero_unpaired`.

use burn::tensor::activation::sigmoid;
use burn::tensor::{Bool, Tensor};

/// The reference point, `[1]`, without gradients, from log-ratios ln (pi / pi_ref) of answers to prompts that are not theirs,
/// `[mismatched]`: each prompt of a batch with the answer to the next one.
pub fn reference_point(mismatched: Tensor<1>) -> Tensor<1> {
    mismatched.detach().mean().clamp_min(0.0)
}

/// What an answer of each kind weighs. The paper wants w_D n_D / (w_U n_U) from 1 to 4/3, where n are their numbers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Weights {
    /// w_D.
    pub desirable: f64,
    /// w_U.
    pub undesirable: f64,
}

/// The loss of each answer, `[answers]`, from its log-ratio ln (pi / pi_ref), `[answers]`, whether it is desirable, `[answers]`, and the
/// [`reference_point`], `[1]`.
pub fn kto(
    log_ratios: Tensor<1>,
    desirable: Tensor<1, Bool>,
    reference_point: Tensor<1>,
    beta: f64,
    weights: Weights,
) -> Tensor<1> {
    let desirable = desirable.float();
    let signs = desirable.clone() * 2.0 - 1.0;
    let weights = desirable * (weights.desirable - weights.undesirable) + weights.undesirable;
    // 1 - s(u) = s(-u).
    weights * sigmoid((reference_point - log_ratios) * signs * beta)
}
